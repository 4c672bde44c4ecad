"""A fix begins: some failing cases of a category go to labeling, the others are held out to measure it by."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from django.db import transaction

from evaluation.casepage import first_answers
from evaluation.errors.sending import SOURCE
from evaluation.models import Analysis, Case, Fix, FixCase, FixItem, RunTarget, Split
from evaluation.questions import texts_given
from evaluation.rounds.drawing_cases import Drawn, case_rows, draw, metric_of
from evaluation.rounds.tagging import ceiling_of, items_said_to_be
from evaluation.studies.lineage import asked_in_studies
from evaluation.suites import living, remove_cases
from labeling.errors import Refused
from labeling.intake import ContextDraft, ItemDraft, ResponseDraft, add_items
from labeling.lifecycle import Status
from labeling.models import ErrorCategory, Item, Project, ProtectedFingerprint, Task, User
from labeling.protection import release
from labeling.rag.contexts import checked_contexts

MOST = 500
LONGEST_NOTE = 300
LEAST_HELD = 5
ALONE = (Task.RAG, Task.EDIT, Task.DEMONSTRATION)


@dataclass(frozen=True, slots=True)
class Opened:
    """A fix that was opened. Of its lessons `sent` became items, `few` had no answers that people could judge;
    `joined` items were there already, because people said they are of the category."""

    fix: Fix
    siblings: int
    sent: int
    few: int
    joined: int
    gone: int

    @property
    def words(self) -> str:
        said = [f"{self.siblings:,} case{'s are' if self.siblings != 1 else ' is'} held out as siblings"]
        said.append(f"{self.sent:,} {'were' if self.sent != 1 else 'was'} sent to labeling")
        if self.joined:
            said.append(f"{self.joined:,} item{'s' if self.joined != 1 else ''} judged before joined")
        if self.few:
            said.append(f"{self.few:,} stayed: they have too few different answers to judge")
        if self.gone:
            said.append(f"{self.gone:,} left out: changed or taken out of the suite since")
        return "; ".join(said) + "."


def open_fix(
    *,
    project: Project,
    category: ErrorCategory,
    target: RunTarget,
    person: User | None,
    metric: str = "",
    analysis: Analysis | None = None,
    held_out: float = 0.5,
    note: str = "",
) -> Opened:
    """Open a fix for what this target of a finished run gets wrong.

    Lessons leave the suite and may be trained on from then on; siblings stay in it and stay protected. Raises Refused
    where there is nothing to hold out, or nothing to teach.
    """
    run = target.run
    _refuse(project, category, target, held_out, note)
    found = metric_of(run, metric or (analysis.metric if analysis is not None else ""))
    ceiling = ceiling_of(analysis, category) if analysis is not None else None
    with transaction.atomic():
        drawn = draw(
            category=category, run=run, target=target, metric=found, analysis=analysis, held_out=held_out
        )
        if len(drawn.siblings) < LEAST_HELD:
            raise Refused(_too_few(category, drawn))
        lessons = _lessons(project, target, analysis, case_rows(_teachable(project, drawn.lessons)))
        joined = items_said_to_be(project, category, apart_from=drawn.siblings)
        if not lessons.cases and not joined:
            raise Refused(
                f"Nothing is left to teach {category.name}: no failing case of it may go to labeling, and nobody has "
                "judged an item to be of it. Read more failures, or capture some, then open the fix."
            )
        fix = Fix.objects.create(
            project=project,
            category=category,
            analysis=analysis,
            run=run,
            target=target,
            metric=found.name,
            note=note,
            created_by=person,
            **{f"ceiling_{name}": number for name, number in (ceiling.as_dict() if ceiling else {}).items()},
        )
        _keep_cases(fix, drawn.siblings, FixCase.Role.SIBLING)
        _send(fix, lessons, person)
        _join(fix, joined)
    sent = len(lessons.cases)
    return Opened(fix, len(drawn.siblings), sent, len(drawn.lessons) - sent, len(joined), drawn.gone)


def take_in(*, fix: Fix) -> int:
    """Let the items join that people said are of the category since. Returns how many are new."""
    siblings = list(fix.cases.filter(role=FixCase.Role.SIBLING).values_list("case_id", flat=True))
    found = items_said_to_be(fix.project, fix.category, apart_from=siblings)
    there = set(fix.items.values_list("item_id", flat=True))
    fresh = [item for item in found if item not in there]
    _join(fix, fresh)
    return len(fresh)


def _join(fix: Fix, items: Sequence[int]) -> None:
    rows = [FixItem(fix=fix, item_id=item) for item in items]
    FixItem.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)


def _refuse(project: Project, category: ErrorCategory, target: RunTarget, held_out: float, note: str) -> None:
    run = target.run
    if run.project_id != project.pk or category.project_id != project.pk:
        raise Refused("The category, or the evaluation, is of another project; choose those of this one.")
    if run.status != Status.SUCCEEDED:
        raise Refused(f"{run.name} has no complete results yet; wait for its end.")
    if run.split == Split.SEALED:
        raise Refused("Sealed cases stay unseen: a fix is opened on open cases. Choose another evaluation.")
    if not 0.1 <= held_out <= 0.9:
        raise Refused(f"The share held out was given as {held_out:g}; it lies from 0.1 to 0.9.")
    if len(note) > LONGEST_NOTE:
        raise Refused(f"The note has {len(note)} characters; up to {LONGEST_NOTE} are allowed.")


def _too_few(category: ErrorCategory, drawn: Drawn) -> str:
    there = len(drawn.siblings) + len(drawn.lessons)
    return (
        f"{category.name} has {there} case{'s' if there != 1 else ''} on this suite, of which {len(drawn.siblings)} "
        f"would be held out; at least {LEAST_HELD} are needed to measure a fix. Read more failures, or mark cases "
        f"with the tag sibling:{category.key}."
    )


def _teachable(project: Project, lessons: Sequence[int]) -> list[int]:
    """Those of the cases whose prompt no other case of the project has: in another suite it would still be measured
    on, and stay protected."""
    rows = list(Case.objects.filter(pk__in=lessons).values_list("pk", "prompt_hash"))
    others = Case.objects.filter(suite__project=project, removed=None).exclude(pk__in=lessons)
    shared = set(
        others.filter(prompt_hash__in=[prompt for _, prompt in rows]).values_list("prompt_hash", flat=True)
    )
    return [case for case, prompt in rows if prompt not in shared][:MOST]


@dataclass(slots=True)
class _Lessons:
    """What the lessons become: new items, or those that an analysis has made of them already."""

    drafts: list[tuple[Case, ItemDraft]] = field(default_factory=list)
    there: list[tuple[Case, int]] = field(default_factory=list)

    @property
    def cases(self) -> list[Case]:
        return [case for case, _ in self.drafts] + [case for case, _ in self.there]


def _lessons(
    project: Project, target: RunTarget, analysis: Analysis | None, cases: Sequence[Case]
) -> _Lessons:
    """Each case as people can judge it; those that have too few different answers are left out."""
    found, run = _Lessons(), target.run
    known = _sent_before(analysis, cases) if analysis is not None else {}
    said = first_answers(run, target, cases)
    for case in cases:
        if case.uid in known:
            found.there.append((case, known[case.uid]))
            continue
        given = [(said.get(case.pk) or case.rejected or "", target.name), (case.reference or "", "reference")]
        texts = {text: origin for text, origin in reversed(given) if text}
        wanted = 1 if project.task in (*ALONE, Task.RATING) else 2
        if len(texts) < wanted or (project.task in ALONE and not given[0][0]):
            continue
        answers = given[:1] if project.task in ALONE else _shuffled(case, texts)
        contexts = texts_given(case, run.spec.get("contexts", "apart"), run.spec.get("contexts_seed", 0))
        found.drafts.append((case, _draft(case, answers, contexts if project.task == Task.RAG else [])))
    return found


def _sent_before(analysis: Analysis, cases: Sequence[Case]) -> dict[str, int]:
    refs = {f"{SOURCE} {analysis.pk} case {case.uid}": case.uid for case in cases}
    rows = Item.objects.filter(
        project=analysis.project_id, source_kind=SOURCE, source_ref__in=refs
    ).order_by()
    return {refs[ref]: key for key, ref in rows.values_list("pk", "source_ref")}


def _shuffled(case: Case, texts: dict[str, str]) -> list[tuple[str, str]]:
    """In an order that tells nothing of who gave them, and is the same each time."""
    return sorted(texts.items(), key=lambda each: sha256(f"{case.uid}\0{each[0]}".encode()).digest())


def _draft(case: Case, given: Sequence[tuple[str, str]], contexts: Sequence[str]) -> ItemDraft:
    return ItemDraft(
        messages=[{"role": message["role"], "content": message["content"]} for message in case.prompt],
        responses=[ResponseDraft(text, origin=origin[:120]) for text, origin in given],
        contexts=checked_contexts([ContextDraft(text) for text in contexts]),
    )


def _send(fix: Fix, lessons: _Lessons, person: User | None) -> None:
    """Take the lessons out of the suite, let go of their prompts, and put them into the queue."""
    cases = lessons.cases
    if not cases:
        return
    _keep_cases(fix, [case.pk for case in cases], FixCase.Role.LESSON)
    remove_cases(suite=fix.run.suite, uids=[case.uid for case in cases], person=person)
    hashes = {case.prompt_hash for case in cases}
    release(project=fix.project, hashes=hashes - asked_in_studies(hashes))
    drafts = [replace(draft, source_ref=f"fix {fix.pk}") for _, draft in lessons.drafts]
    add_items(project=fix.project, drafts=drafts, source_kind="fix")
    by_hash = {draft.content_hash: case for case, draft in lessons.drafts}
    items = Item.objects.filter(project=fix.project, content_hash__in=by_hash).order_by()
    made = [(by_hash[digest], key) for key, digest in items.values_list("pk", "content_hash")]
    FixItem.objects.bulk_create(
        [FixItem(fix=fix, item_id=key, case=case) for case, key in [*made, *lessons.there]],
        ignore_conflicts=True,
        batch_size=500,
    )


def _keep_cases(fix: Fix, keys: Collection[int], role: str) -> None:
    FixCase.objects.bulk_create([FixCase(fix=fix, case_id=key, role=role) for key in keys], batch_size=500)


def still_protected(fix: Fix) -> int:
    """How many siblings' prompts are kept out of training: all of those that are still in the suite."""
    held = fix.cases.filter(role=FixCase.Role.SIBLING).values("case__prompt_hash")
    rows = ProtectedFingerprint.objects.filter(project=fix.project, prompt_hash__in=held)
    return rows.values("prompt_hash").distinct().count()


def siblings_left(fix: Fix) -> int:
    """How many siblings are still in the suite as they were."""
    held = fix.cases.filter(role=FixCase.Role.SIBLING).values("case")
    return living(fix.run.suite).filter(pk__in=held).count()
