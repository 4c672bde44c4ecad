"""From evaluation back to labeling: cases become items whose responses are what the chosen targets answered."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from evaluation.comparison import Side
from evaluation.errors.sending import COMPARING, MOST, Drafts, stayed_words
from evaluation.measured import given
from evaluation.models import Case, CaseResult, Split
from labeling.errors import Refused
from labeling.intake import Intake, ItemDraft, add_items
from labeling.models import Item, Project, ProtectedFingerprint, Task

PAIR = 2
Said = dict[
    str, list[str]
]  # each distinct answer with the names of those that gave it, in the order of the sides


@dataclass(frozen=True)
class Parcel:
    """What would be sent. Of the drafts, `known` are items already and `protected` have a prompt that is kept out of
    training. `few` cases stay for want of different answers and the `unfit` ones for the reason with which each is
    named; `left` has how many answers of whom are in no item, because a pair has two. `judged` are the others."""

    cases: int
    drafts: list[ItemDraft]
    few: int
    unfit: list[str]
    known: int
    protected: int
    judged: list[str] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)

    @property
    def new(self) -> int:
        return len({draft.content_hash for draft in self.drafts}) - self.known

    @property
    def stayed(self) -> list[str]:
        """What is left out, in words."""
        left = [
            f"{count:,} answer{'s' if count != 1 else ''} of {name} stayed: a pair has two"
            for name, count in self.left.items()
        ]
        return [*stayed_words(self.few, self.unfit), *left]


def parcel_of(*, project: Project, sides: Sequence[Side], case_ids: Sequence[int]) -> Parcel:
    """The items that these cases of the first side's run would become, in the form that the project's task takes.
    Raises Refused with a sentence.

    Prompts are those of the cases, to the letter: by their hash they stay protected.
    """
    cases = _cases(project, sides, case_ids)
    made, left = Drafts(), Counter[str]()
    answers = {side.key: _answers(side, cases) for side in sides}
    # Reviewed answers stand beside the texts that they were given, which are a setting of their run.
    groups: dict[object, list[Side]] = {}
    for side in sides:
        groups.setdefault(given(side.run) if project.task == Task.RAG else None, []).append(side)
    for case in cases:
        found = [(group[0].run, _distinct(case, group, answers)) for group in groups.values()]
        for run, said in [each for each in found if each[1]] or found[:1]:
            if project.task == Task.PAIRWISE:
                left.update(name for names in list(said.values())[PAIR:] for name in names)
                said = dict(list(said.items())[:PAIR])
            named = {text: ", ".join(names) for text, names in said.items()}
            made.add(run, case, named, project.task, f"evaluation {sides[0].run.pk} case {case.uid}")
    drafts = [draft for _, draft in made.drafts]
    hashes = {draft.content_hash for draft in drafts}
    guarded = ProtectedFingerprint.objects.filter(
        project=project, prompt_hash__in=[case.prompt_hash for case in cases]
    )
    return Parcel(
        cases=len(cases),
        drafts=drafts,
        few=made.few,
        unfit=made.unfit,
        known=Item.objects.filter(project=project, content_hash__in=hashes).order_by().count(),
        protected=guarded.values("prompt_hash").distinct().count(),
        judged=list(dict.fromkeys(side.name for side in sides if len(answers[side.key]) > left[side.name])),
        left=dict(left),
    )


def send_to_labeling(
    *, project: Project, sides: Sequence[Side], case_ids: Sequence[int]
) -> tuple[Intake, Parcel]:
    """Put the cases into the queue; repeating it is harmless. Raises Refused."""
    parcel = parcel_of(project=project, sides=sides, case_ids=case_ids)
    if not parcel.drafts:
        raise Refused(f"There is nothing to send: {'; '.join(parcel.stayed)}.")
    return add_items(project=project, drafts=parcel.drafts, source_kind="evaluation"), parcel


def _cases(project: Project, sides: Sequence[Side], case_ids: Sequence[int]) -> list[Case]:
    if project.task in COMPARING and len(sides) < PAIR:
        raise Refused("Choose two targets whose answers people shall compare.")
    if any(side.run.split == Split.SEALED for side in sides):
        raise Refused("Sealed cases stay unseen: whoever judged them would choose by them. Send open cases.")
    wanted = list(dict.fromkeys(case_ids))
    if not wanted:
        raise Refused("No case was marked; mark at least one.")
    if len(wanted) > MOST:
        raise Refused(f"{len(wanted):,} cases were marked; up to {MOST} are sent at a time.")
    cases = list(Case.objects.of_run(sides[0].run).filter(pk__in=wanted))
    if not cases:
        raise Refused(f"None of the marked cases is in {sides[0].run.name}; mark some of its list.")
    return cases


def _answers(side: Side, cases: Sequence[Case]) -> dict[str, str]:
    """What a side answered first, by the uid of the case; not where the case asked something else in its run."""
    asked = {case.uid: [case.prompt, case.contexts, case.gold] for case in cases}
    rows = CaseResult.objects.filter(
        run=side.run, target=side.target, case__uid__in=asked, output__isnull=False
    ).order_by("-sample")
    names = ("case__uid", "output__text", "case__prompt", "case__contexts", "case__gold")
    return {uid: text for uid, text, *what in rows.values_list(*names) if what == asked[uid]}


def _distinct(case: Case, sides: Sequence[Side], answers: dict[str, dict[str, str]]) -> Said:
    found: Said = {}
    for side in sides:
        if case.uid in (said := answers[side.key]):
            found.setdefault(said[case.uid], []).append(side.name)
    return found
