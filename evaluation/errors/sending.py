"""From errors back to labeling: the failures of one kind become items of the queue, linked by their source."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db.models import Count, Q

from evaluation.casepage import first_answers
from evaluation.errors.reading import keys_of, read_as
from evaluation.models import Analysis, Case, EvalRun, FixCase, FixItem, RunTarget
from evaluation.questions import texts_given
from labeling.errors import Refused
from labeling.importing.checks import MIN_RESPONSES, finished
from labeling.intake import ContextDraft, ItemDraft, ResponseDraft, add_items
from labeling.models import Item, Task

SOURCE = "analysis"
COMPARING = (Task.PAIRWISE, Task.RANKING)
NAMED = 3
MOST = 500
ORIGIN_LENGTH = 120


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of the failures of a kind: new items, and those known before. The others stayed: `held` out by a fix,
    with too `few` different answers, or `unfit`, each named with the reason why no item takes it."""

    new: int
    known: int
    held: int
    few: int
    unfit: Sequence[str]

    @property
    def words(self) -> str:
        return (
            "; ".join([f"{self.new:,} new items to label, {self.known:,} known already", *self.stayed]) + "."
        )

    @property
    def stayed(self) -> list[str]:
        held = f"{self.held:,} {'is' if self.held == 1 else 'are'} held out by a fix and stayed"
        return [*([held] if self.held else []), *stayed_words(self.few, self.unfit)]


def sent_of(analysis: Analysis) -> dict[str, int]:
    """The numbers of the items that cases of this analysis became, sent by it or as lessons of a fix, by the uid of the
    case."""
    start = _ref(analysis, "")
    lessons = FixItem.objects.filter(case__suite=analysis.run.suite_id).order_by()
    rows = Item.objects.filter(project=analysis.project_id, source_kind=SOURCE, source_ref__startswith=start)
    own = {ref.removeprefix(start): key for ref, key in rows.order_by().values_list("source_ref", "pk")}
    return dict(lessons.values_list("case__uid", "item_id")) | own


def siblings_among(cases: Iterable[int]) -> set[int]:
    """Those of these cases that are siblings of a fix: it is measured by them, so that nobody is to label them."""
    rows = FixCase.objects.filter(case__in=list(cases), role=FixCase.Role.SIBLING).order_by()
    return set(rows.values_list("case_id", flat=True))


def items_of(keys: Iterable[int]) -> list[Item]:
    """These items as a list shows them, each with `judged`: how many of its slots are submitted."""
    done = Count("assignments", filter=Q(assignments__submitted_at__isnull=False))
    rows = Item.objects.filter(pk__in=list(keys)).only("preview", "overlap").annotate(judged=done)
    return list(rows.order_by("pk")[:MOST])


def send_category(*, analysis: Analysis, key: str) -> Sent:
    """Put the failures that were read as of this kind into the queue, in the form that the project's task takes;
    repeating it is harmless. Siblings of a fix are left out, and so are its lessons, which are there. Raises Refused.

    Prompts are those of the cases, to the letter, so that they stay protected: what people say of them tells how good
    the model is, and trains nothing while the case is in a suite.
    """
    run, project = analysis.run, analysis.project
    uids, _ = read_as(analysis, keys_of(project, key))
    if not uids:
        raise Refused("No failure that was read is of this kind; there is nothing to send.")
    if len(uids) > MOST:
        raise Refused(f"{len(uids):,} failures are of this kind; up to {MOST} are sent at a time.")
    found = list(Case.objects.of_run(run).filter(uid__in=uids))
    held, there = siblings_among(case.pk for case in found), sent_of(analysis)
    cases = [case for case in found if case.pk not in held and case.uid not in there]
    known = sum(case.uid in there for case in found if case.pk not in held)
    told = [analysis.target, *(_beside(analysis) if project.task in COMPARING else [])]
    answers = [(target.name, first_answers(run, target, cases)) for target in told]
    made = Drafts()
    for case in cases:
        said: dict[str, str] = {}
        for name, texts in answers:
            if (text := texts.get(case.pk)) is not None:
                said[text] = f"{said[text]}, {name}" if text in said else name
        made.add(run, case, said, project.task, _ref(analysis, case.uid))
    drafts = [draft for _, draft in made.drafts]
    intake = add_items(project=project, drafts=drafts, source_kind=SOURCE)
    sent = Sent(intake.new, known + intake.duplicate, len(held), made.few, made.unfit)
    if cases and not drafts:
        raise Refused(f"There is nothing to send: {'; '.join(sent.stayed)}.")
    return sent


def _ref(analysis: Analysis, uid: str) -> str:
    return f"{SOURCE} {analysis.pk} case {uid}"


def _beside(analysis: Analysis) -> list[RunTarget]:
    """What a failing answer is compared with: the baseline's, or where the baseline itself is analysed the last one."""
    others = [target for target in analysis.run.targets.all() if target.pk != analysis.target_id]
    return others[:1] if analysis.target.index else others[-1:]


@dataclass(slots=True)
class Drafts:
    """The items that cases become. The others stay: those with too `few` different answers to judge, and the `unfit`
    ones, each named with the reason why no item takes it."""

    drafts: list[tuple[Case, ItemDraft]] = field(default_factory=list)
    few: int = 0
    unfit: list[str] = field(default_factory=list)

    def add(self, run: EvalRun, case: Case, said: Mapping[str, str], task: str, source_ref: str = "") -> None:
        """The item of a case with these answers, each with who gave it; of reviews one for each answer."""
        if len(said) < MIN_RESPONSES[task]:
            self.few += 1
            return
        parts = [{text: who} for text, who in said.items()] if task == Task.RAG else [said]
        try:
            self.drafts += [(case, draft_of(run, case, part, task, source_ref)) for part in parts]
        except Refused as refusal:
            self.unfit.append(f"“{case.preview}” ({refusal.sentence.rstrip('.')})")


def stayed_words(few: int, unfit: Sequence[str]) -> list[str]:
    words = f"{few:,} stayed: too few different answers to judge"
    return [*([words] if few else []), *([unfit_words(unfit)] if unfit else [])]


def unfit_words(named: Sequence[str]) -> str:
    more = f" and {len(named) - NAMED:,} more" if len(named) > NAMED else ""
    them = "it" if len(named) == 1 else "them"
    return f"{len(named):,} stayed, as no item takes {them}: {', '.join(named[:NAMED])}{more}"


def draft_of(run: EvalRun, case: Case, said: Mapping[str, str], task: str, source_ref: str = "") -> ItemDraft:
    """The item that a case of a run becomes. `said` has answers with who gave them, which are put in an order that
    tells nothing of who did and is the same each time; who writes an answer is shown none. Raises Refused."""
    spec = run.spec
    texts = texts_given(case, spec.get("contexts", "apart"), spec.get("contexts_seed", 0))
    shown = () if task == Task.DEMONSTRATION else said
    draft = ItemDraft(
        messages=[{"role": message["role"], "content": message["content"]} for message in case.prompt],
        responses=[
            ResponseDraft(text, origin=said[text][:ORIGIN_LENGTH])
            for text in sorted(
                shown, key=lambda text: hashlib.sha256(f"{case.uid}\0{text}".encode()).digest()
            )
        ],
        source_ref=source_ref,
        contexts=[ContextDraft(text) for text in texts] if task == Task.RAG else [],
    )
    return finished(draft, task=task)
