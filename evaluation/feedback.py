"""From evaluation back to labeling: cases become items whose responses are what the chosen targets answered."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from evaluation.comparison import Side
from evaluation.models import Case, CaseResult, Split
from labeling.errors import Refused
from labeling.intake import Intake, ItemDraft, ResponseDraft, add_items
from labeling.models import Item, Project, ProtectedFingerprint, Task

MOST = 500
ORIGIN_LENGTH = 120


@dataclass(frozen=True)
class Parcel:
    """What would be sent. `few` cases have fewer than two distinct answers; of the drafts, `known` are items already
    and `protected` have a prompt that is kept out of training."""

    cases: int
    drafts: list[ItemDraft] = field(default_factory=list)
    few: int = 0
    known: int = 0
    protected: int = 0

    @property
    def new(self) -> int:
        return len(self.drafts) - self.known


def parcel_of(*, project: Project, sides: Sequence[Side], case_ids: Sequence[int]) -> Parcel:
    """The items that these cases of the first side's run would become. Raises Refused with a sentence.

    Prompts are those of the cases, to the letter: by their hash they stay protected.
    """
    if len(sides) < 2:
        raise Refused("Choose two targets whose answers people shall compare.")
    if any(side.run.split == Split.SEALED for side in sides):
        raise Refused("Sealed cases stay unseen: whoever judged them would choose by them. Send open cases.")
    wanted = list(dict.fromkeys(case_ids))
    if not wanted:
        raise Refused("No case was marked; mark at least one.")
    if len(wanted) > MOST:
        raise Refused(f"{len(wanted):,} cases were marked; up to {MOST} are sent at a time.")
    run = sides[0].run
    cases = list(Case.objects.of_run(run).filter(pk__in=wanted))
    answers = [_answers(side, cases) for side in sides]
    drafts = []
    for case in cases:
        said = _distinct(case, sides, answers, most=2 if project.task == Task.PAIRWISE else None)
        if len(said) > 1:
            drafts.append(_draft(run.pk, case, said))
    hashes = [draft.content_hash for draft in drafts]
    prompts = {case.pk: case.prompt_hash for case in cases}
    guarded = ProtectedFingerprint.objects.filter(project=project, prompt_hash__in=prompts.values())
    return Parcel(
        cases=len(cases),
        drafts=drafts,
        few=len(cases) - len(drafts),
        known=Item.objects.filter(project=project, content_hash__in=hashes).order_by().count(),
        protected=guarded.values("prompt_hash").distinct().count(),
    )


def send_to_labeling(
    *, project: Project, sides: Sequence[Side], case_ids: Sequence[int]
) -> tuple[Intake, Parcel]:
    """Put the cases into the queue; repeating it is harmless. Raises Refused."""
    parcel = parcel_of(project=project, sides=sides, case_ids=case_ids)
    if not parcel.drafts:
        raise Refused(
            f"None of the {parcel.cases} cases has two distinct answers; there is nothing for people to compare."
        )
    return add_items(project=project, drafts=parcel.drafts, source_kind="evaluation"), parcel


def _answers(side: Side, cases: Sequence[Case]) -> dict[str, str]:
    """What a side answered first, by the uid of the case."""
    rows = CaseResult.objects.filter(
        run=side.run, target=side.target, case__uid__in=[case.uid for case in cases], output__isnull=False
    ).order_by("-sample")
    return dict(rows.values_list("case__uid", "output__text"))


def _distinct(
    case: Case, sides: Sequence[Side], answers: Sequence[dict[str, str]], most: int | None
) -> dict[str, list[str]]:
    """Each distinct answer with the names of those that gave it, in the order of the sides."""
    found: dict[str, list[str]] = {}
    for side, said in zip(sides, answers, strict=True):
        if case.uid in said:
            found.setdefault(said[case.uid], []).append(side.name)
    return dict(list(found.items())[:most])


def _draft(run: int, case: Case, said: dict[str, list[str]]) -> ItemDraft:
    """The item, with its responses in an order that tells nothing of who gave them and is the same each time."""
    ordered = sorted(said, key=lambda text: hashlib.sha256(f"{case.uid}\0{text}".encode()).digest())
    return ItemDraft(
        messages=[{"role": message["role"], "content": message["content"]} for message in case.prompt],
        responses=[ResponseDraft(text, origin=", ".join(said[text])[:ORIGIN_LENGTH]) for text in ordered],
        source_ref=f"evaluation {run} case {case.uid}",
    )
