"""Looks at a study: each spends its part of alpha, is written down for good, and may end the study."""

import math
from collections.abc import Collection
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from evaluation.models import Study, StudyLook
from evaluation.studies.answering import withdraw_pairs
from evaluation.studies.counting import Counted, count
from evaluation.studies.design import FEWEST_PROMPTS, comparisons, level_of, read_design
from evaluation.studies.judge import judged
from evaluation.studies.results import FUTILE, Result, as_json
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Item, User, Withdrawal
from labeling.reviewlist import standing


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a look would fall: the fractions of looks so far and of this one, the alpha of one pair of models, the
    critical value, and what all looks will have spent."""

    fractions: tuple[float, ...]
    level: float
    boundary: float
    spent: float


def take_look(*, study: Study, person: User | None, final: bool = False) -> StudyLook:
    """Look at what people said of the prompts that are complete; this spends alpha, and cannot be undone.

    The study ends where every pair of models is beyond the boundary, where all prompts are in, and with `final`. Raises
    Refused where there is nothing new to be seen. Two who press at once take one look.
    """
    with transaction.atomic():
        study = _open(study)
        if study.status != Status.SUCCEEDED:
            raise Refused(
                f"The answers of {study} are not all there yet ({study.get_status_display().lower()}); people have "
                "nothing to judge."
            )
        counted = count(study)
        stand = stand_of(study, counted)
        names = study.names
        result = _reckoned(study, counted, stand)
        look = StudyLook.objects.create(
            study=study,
            number=len(stand.fractions),
            final=final or counted.over,
            fraction=stand.fractions[-1],
            prompts=result.prompts,
            judgments=result.judgments,
            boundary=stand.boundary,
            spent=stand.spent,
            zs=[[names.index(one.first), names.index(one.second), one.z] for one in result.pairs],
            result=as_json(result),
            counted=[one.judgment for one in counted.said],
            taken_by=person,
        )
        if all(one.beyond for one in result.pairs):
            _close(study, Study.Closed.EFFICACY, person)
        elif look.final:
            futile = not counted.over and all((one.chance or 0.0) < FUTILE for one in result.pairs)
            _close(study, Study.Closed.FUTILITY if futile else Study.Closed.COMPLETE, person)
    return look


def end_study(*, study: Study, person: User | None) -> StudyLook | None:
    """Take the last look. Where nobody is asked any more and none can be taken, the study ends without: None. Raises
    Refused where it has to go on first, or is over."""
    with transaction.atomic():
        found = _open(study)
        try:
            return take_look(study=found, person=person, final=True)
        except Refused:
            if found.status != Status.SUCCEEDED or not count(found).over:
                raise
            _close(found, Study.Closed.COMPLETE, person)
    return None


def cancel_study(*, study: Study, person: User | None) -> None:
    """Stop a study without a look: what people said stays, and no number is shown that no look has shown. Raises
    Refused where it is over already."""
    with transaction.atomic():
        found = _open(study)
        found.request_cancel()
        _close(found, Study.Closed.CANCELLED, person)
    study.refresh_from_db()


def stand_of(study: Study, counted: Counted) -> Stand:
    """Where a look at this moment falls. Raises Refused where it may not be taken."""
    from evaluation.statistics.sequential import boundaries, spent  # brings SciPy

    before = tuple(study.looks.order_by("number").values_list("fraction", flat=True))
    prompts = len(counted.prompts)
    if prompts < FEWEST_PROMPTS:
        raise Refused(f"{prompts} prompts are complete; a look needs {FEWEST_PROMPTS}. {counted.way_on}")
    fraction = prompts / study.planned
    if before and fraction <= before[-1] + 1e-9:
        raise Refused(
            f"No prompt was completed since the last look, at {100 * before[-1]:.0f} %; another one would tell "
            f"nothing new. {counted.way_on}"
        )
    design, models, times = read_design(study.design), len(study.names), (*before, fraction)
    level = level_of(design, models)
    return Stand(
        fractions=times,
        level=level,
        boundary=boundaries(times, alpha=level, spending=design.spending)[-1],
        spent=comparisons(models) * spent(fraction, alpha=level, spending=design.spending),
    )


def changed_since(look: StudyLook, counted: Counted) -> int:
    """How many of the judgments behind a look were changed or taken out since: its numbers stay as they were."""
    return len(set(look.counted) - set(counted.given))


def changed_behind(studies: Collection[int]) -> dict[int, int]:
    """The same of the last look at each of these studies, by its key: as many queries for many as for one."""
    rows = StudyLook.objects.filter(study__in=studies).order_by("number")
    last = {look.study_id: look for look in rows.only("study", "counted")}
    if not last:
        return {}
    items = Item.objects.filter(study_pairs__study__in=last).order_by().values("pk")
    gone = Withdrawal.objects.filter(project__asked_studies__in=last)
    people = set(gone.values_list("project_id", "person_id"))
    out = set(gone.values_list("item_id", flat=True))
    said = standing(item__in=items, kind="pairwise")
    given = {
        key
        for key, project, person, item in said.values_list("pk", "project_id", "person_id", "item_id")
        if (project, person) not in people and item not in out
    }
    return {key: len(set(look.counted) - given) for key, look in last.items()}


def _open(study: Study) -> Study:
    """The study as it is now; others who look at it wait. Raises Refused where it is over."""
    found = Study.objects.select_for_update(no_key=True, of=("self",)).get(pk=study.pk)
    if found.closed_as:
        raise Refused(f"{found} is over already: {found.get_closed_as_display().lower()}; its looks stand.")
    return found


def _reckoned(study: Study, counted: Counted, stand: Stand) -> Result:
    """The numbers of a look and, before the end, the chance that each pair of models ends beyond the last boundary,
    should the planned win rate be true on the side where it stands now. Nothing is bound by it, so it costs no alpha.
    """
    from evaluation.statistics.sequential import boundaries, conditional_power
    from evaluation.studies.reckoning import JudgeSaid, reckon

    judge = JudgeSaid(str(study.judge), judged(study), _pairs(study)) if study.judge else None
    result = reckon(counted, study.names, boundary=stand.boundary, alpha=stand.level, judge=judge)
    if stand.fractions[-1] < 1:
        design = read_design(study.design)
        final = boundaries((*stand.fractions, 1.0), alpha=stand.level, spending=design.spending)[-1]
        for one in result.pairs:
            drift = (design.win_rate - 0.5) * math.sqrt(study.planned) / one.spread
            drift = math.copysign(drift, one.z)
            one.chance = conditional_power(one.z, stand.fractions[-1], final=final, drift=drift)
    return result


def _pairs(study: Study) -> list[tuple[int, int, int, int | None, str]]:
    return list(study.pairs.values_list("number", "first", "second", "item_id", "unit"))


def _close(study: Study, how: str, person: User | None) -> None:
    study.closed_as, study.closed_at, study.closed_by = how, timezone.now(), person
    study.save(update_fields=["closed_as", "closed_at", "closed_by"])
    withdraw_pairs(study)
