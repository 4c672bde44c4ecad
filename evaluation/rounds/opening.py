"""A fix begins: some failing cases of a category go to labeling, the others are held out to measure it by."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from django.db import transaction
from django.db.models import Q, TextField
from django.db.models.functions import Cast

from evaluation.casepage import first_answers
from evaluation.errors.failures import readable
from evaluation.errors.reading import keys_of
from evaluation.errors.sending import Drafts, sent_of, unfit_words
from evaluation.errors.table import read_table
from evaluation.models import Analysis, Case, Fix, FixCase, FixItem, RunTarget
from evaluation.rounds.drawing_cases import Drawn, draw, metric_of
from evaluation.specs import is_usual
from evaluation.studies.lineage import asked_in_studies
from evaluation.suites import living, remove_cases
from evaluation.suites.versions import locked
from labeling.curation.votes import current_judgments
from labeling.curation.withdrawing import is_withdrawn
from labeling.errors import Refused
from labeling.estimates import Estimate
from labeling.intake import add_items
from labeling.models import ErrorCategory, Item, Project, ProtectedFingerprint, Task, User
from labeling.protection import release

MOST = 500
LONGEST_NOTE = 300
LEAST_HELD = 5
ALONE = (Task.RAG, Task.EDIT, Task.DEMONSTRATION)


@dataclass(frozen=True, slots=True)
class Opened:
    """A fix that was opened. Of its lessons `sent` became items and `stayed` did not, among them the `unfit` ones, each
    named with the reason why no item takes it; `joined` items were there already, because people said they are of the
    category."""

    fix: Fix
    siblings: int
    sent: int
    stayed: int
    unfit: list[str]
    joined: int
    gone: int

    @property
    def words(self) -> str:
        said = [f"{self.siblings:,} case{'s are' if self.siblings != 1 else ' is'} held out as siblings"]
        said.append(f"{self.sent:,} {'were' if self.sent != 1 else 'was'} sent to labeling")
        if self.joined:
            said.append(f"{self.joined:,} item{'s' if self.joined != 1 else ''} judged before joined")
        if others := self.stayed - len(self.unfit):
            said.append(
                f"{others:,} stayed: too few different answers to judge, a prompt that another case has, or more "
                f"than {MOST}"
            )
        if self.unfit:
            said.append(unfit_words(self.unfit))
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
    measure = metric_of(run, metric or (analysis.metric if analysis is not None else "")).name
    ceiling = _ceiling(analysis, category, measure)
    with transaction.atomic():
        locked(run.suite)
        drawn = draw(category=category, target=target, metric=measure, analysis=analysis, held_out=held_out)
        if len(drawn.siblings) < LEAST_HELD:
            raise Refused(_too_few(category, drawn))
        lessons = _lessons(project, target, analysis, _teachable(project, drawn.lessons))
        joined = _said_to_be(category, apart_from=drawn.siblings)
        if not lessons.cases and not joined:
            raise Refused(
                f"Nothing is left to teach {category.name}: no failing case of it may go to labeling, and nobody has "
                "judged an item to be of it. Read more failures, or capture some, then open the fix."
                + (f" Of its cases {unfit_words(lessons.unfit)}." if lessons.unfit else "")
            )
        fix = Fix.objects.create(
            project=project,
            category=category,
            analysis=analysis,
            run=run,
            target=target,
            metric=measure,
            note=note,
            created_by=person,
            **{f"ceiling_{name}": number for name, number in (ceiling.as_dict() if ceiling else {}).items()},
        )
        _keep_cases(fix, drawn.siblings, FixCase.Role.SIBLING)
        _send(fix, lessons, person)
        _join(fix, joined)
    sent = len(lessons.cases)
    stayed = len(drawn.lessons) - sent
    return Opened(fix, len(drawn.siblings), sent, stayed, lessons.unfit, len(joined), drawn.gone)


def take_in(*, fix: Fix) -> int:
    """Let the items join that people said are of the category since. Returns how many are new."""
    siblings = list(fix.cases.filter(role=FixCase.Role.SIBLING).values_list("case_id", flat=True))
    found = _said_to_be(fix.category, apart_from=siblings)
    there = set(fix.items.values_list("item_id", flat=True))
    fresh = [item for item in found if item not in there]
    _join(fix, fresh)
    return len(fresh)


def _said_to_be(category: ErrorCategory, *, apart_from: Collection[int]) -> list[int]:
    """The items whose answer somebody found bad and of this category, and whose prompt may be trained on: it is not of
    these cases, nor of any other that is measured on."""
    project = category.project
    keys, named = keys_of(project, category.key), Q()
    for key in keys:
        named |= Q(said__contains=f'"{key}"')
    bad = current_judgments(project).filter(~is_withdrawn(), kind="rag", label="bad")
    rows = bad.annotate(said=Cast("answer", TextField()))
    found = {
        item
        for item, answer in rows.filter(named).values_list("item_id", "answer").iterator(chunk_size=500)
        if keys & {each.get("category") for name in ("spans", "failures") for each in answer.get(name) or ()}
    }
    guarded = Q(prompt_hash__in=Case.objects.filter(pk__in=list(apart_from)).values("prompt_hash"))
    guarded |= Q(prompt_hash__in=ProtectedFingerprint.objects.filter(project=project).values("prompt_hash"))
    items = Item.objects.filter(pk__in=found, project=project).exclude(guarded).order_by("pk")
    return list(items.values_list("pk", flat=True))


def _join(fix: Fix, items: Sequence[int]) -> None:
    rows = [FixItem(fix=fix, item_id=item) for item in items]
    FixItem.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)


def _refuse(project: Project, category: ErrorCategory, target: RunTarget, held_out: float, note: str) -> None:
    run = target.run
    if run.project_id != project.pk or category.project_id != project.pk:
        raise Refused("The category, or the evaluation, is of another project; choose those of this one.")
    readable(run)
    if not is_usual(run.spec):
        raise Refused(
            f"{run.name} gave its targets other contexts than a product does, or chosen cases only; open the fix on a "
            "run on all cases."
        )
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


def _ceiling(analysis: Analysis | None, category: ErrorCategory, metric: str) -> Estimate | None:
    """How much the metric could rise if the category vanished, as an analysis in that metric says now."""
    if analysis is None or analysis.metric != metric:
        return None
    return next((row.ceiling for row in read_table(analysis).rows if row.key == category.key), None)


def _teachable(project: Project, lessons: Sequence[int]) -> list[Case]:
    """Those of the cases whose prompt no other case of the project has: in another suite it would still be measured
    on, and stay protected."""
    others = Case.objects.filter(suite__project=project, removed=None).exclude(pk__in=lessons)
    rows = Case.objects.filter(pk__in=lessons).exclude(prompt_hash__in=others.values("prompt_hash"))
    return list(rows.order_by("position", "pk")[:MOST])


@dataclass(slots=True)
class _Lessons(Drafts):
    """What the lessons become: new items, or those that an analysis has made of them already (`there`)."""

    there: list[tuple[Case, int]] = field(default_factory=list)

    @property
    def cases(self) -> list[Case]:
        return [case for case, _ in self.drafts] + [case for case, _ in self.there]


def _lessons(
    project: Project, target: RunTarget, analysis: Analysis | None, cases: Sequence[Case]
) -> _Lessons:
    """Each case as people can judge it; those that have too few different answers are left out."""
    found, run, task = _Lessons(), target.run, project.task
    known = sent_of(analysis) if analysis is not None else {}
    said = first_answers(run, target, cases)
    for case in cases:
        if case.uid in known:
            found.there.append((case, known[case.uid]))
            continue
        given = {said.get(case.pk) or case.rejected or "": target.name}
        if task not in ALONE:
            given.setdefault(case.reference or "", "reference")
        given.pop("", None)
        found.add(run, case, given, task)
    return found


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
