"""Looks at a study: each spends its part of alpha, is written down for good, and may end the study."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from evaluation.models import Study, StudyLook
from evaluation.studies.answering import withdraw_pairs
from evaluation.studies.counting import Counted, count
from evaluation.studies.design import Design, comparisons, level_of, read_design
from evaluation.studies.judge import judged
from evaluation.studies.results import Result, as_json
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import User

FEWEST_PROMPTS = 20
WHOLE = 1 - 1e-9
FUTILE = 0.1


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a look would fall: the fractions of looks so far and of this one, its critical value, and what all of them
    will have spent."""

    fractions: tuple[float, ...]
    boundary: float
    spent: float


def take_look(*, study: Study, person: User | None, final: bool = False) -> StudyLook:
    """Look at what people said of the prompts that are complete; this spends alpha, and cannot be undone.

    The study ends where every pair of models is beyond the boundary, where all prompts are in, and with `final`. Raises
    Refused where there is nothing new to be seen. Two who press at once take one look.
    """
    with transaction.atomic():
        study = _open(study)
        counted = count(study)
        stand = stand_of(study, counted)
        names = study.names
        result = _reckoned(study, counted, stand)
        if any(one.z is None for one in result.pairs):
            raise Refused(
                f"The {result.prompts} complete prompts come from fewer than {FEWEST_PROMPTS} sources that are "
                "independent of each other, and a look needs as many. Wait until people have judged more."
            )
        over = len(counted.prompts) >= WHOLE * study.planned or counted.done + counted.lost >= counted.asked
        look = StudyLook.objects.create(
            study=study,
            number=len(stand.fractions),
            final=final or over,
            fraction=stand.fractions[-1],
            prompts=result.prompts,
            judgments=result.judgments,
            boundary=stand.boundary,
            spent=stand.spent,
            zs=[[names.index(one.first), names.index(one.second), one.z] for one in result.pairs],
            result=as_json(result),
            counted=counted.judgments,
            taken_by=person,
        )
        if all(one.beyond for one in result.pairs):
            _close(study, Study.Closed.EFFICACY, person)
        elif look.final:
            futile = final and not over and all((one.chance or 0.0) < FUTILE for one in result.pairs)
            _close(study, Study.Closed.FUTILITY if futile else Study.Closed.COMPLETE, person)
    return look


def cancel_study(*, study: Study, person: User | None) -> None:
    """Stop a study without a look: what people said stays, and no number is shown that no look has shown. Raises
    Refused where it is over already."""
    with transaction.atomic():
        found = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
        if found.closed_as:
            raise Refused(f"{found} is over already: {found.get_closed_as_display().lower()}.")
        found.request_cancel()
        _close(found, Study.Closed.CANCELLED, person)
    study.refresh_from_db()


def stand_of(study: Study, counted: Counted) -> Stand:
    """Where a look at this moment falls. Raises Refused where it may not be taken."""
    from evaluation.statistics.sequential import boundaries, spent  # brings SciPy

    design = read_design(study.design)
    before = tuple(study.looks.order_by("number").values_list("fraction", flat=True))
    prompts = len(counted.prompts)
    if prompts < FEWEST_PROMPTS:
        raise Refused(
            f"{prompts} prompts are complete; a look needs {FEWEST_PROMPTS}. Wait until people have judged more."
        )
    fraction = min(1.0, prompts / study.planned)
    if before and fraction <= before[-1] + 1e-9:
        raise Refused(
            f"No prompt was completed since the last look, at {100 * before[-1]:.0f} %; another one would tell "
            "nothing new."
        )
    times = (*before, fraction)
    level = level_of(design, len(study.names))
    bounds = boundaries(times, alpha=level, spending=design.spending)
    used = comparisons(len(study.names)) * spent(fraction, alpha=level, spending=design.spending)
    return Stand(times, bounds[-1], used)


def changed_since(look: StudyLook) -> int:
    """How many of the judgments behind a look were changed or taken out since: its numbers stay as they were."""
    return len(set(look.counted) - set(count(look.study).all))


def _open(study: Study) -> Study:
    found = Study.objects.select_for_update(no_key=True, of=("self",)).get(pk=study.pk)
    if found.closed_as:
        raise Refused(f"{found} is over ({found.get_closed_as_display().lower()}); its last look stands.")
    if found.status != Status.SUCCEEDED:
        raise Refused(
            f"The answers of {found} are not all there yet ({found.get_status_display().lower()}); people have nothing "
            "to judge."
        )
    return found


def _reckoned(study: Study, counted: Counted, stand: Stand) -> Result:
    from evaluation.studies.reckoning import JudgeSaid, reckon

    design, names = read_design(study.design), study.names
    judge = None
    if study.judge is not None:
        places = dict(study.pairs.exclude(item=None).values_list("item_id", "place"))
        judge = JudgeSaid(str(study.judge), judged(study), places)
    level = level_of(design, len(names))
    result = reckon(counted, names, boundary=stand.boundary, alpha=level, judge=judge)
    if stand.fractions[-1] < WHOLE:
        for one in result.pairs:
            one.chance = _chance(one, design, stand, study.planned, level)
    return result


def _chance(one: Any, design: Design, stand: Stand, planned: int, level: float) -> float | None:
    """The chance that this pair ends beyond the last boundary, should the planned win rate be true on the side where
    it stands now: small, and going on is futile. Nothing is bound by it, so it costs no alpha."""
    from evaluation.statistics.sequential import boundaries, conditional_power

    if one.z is None or one.rate is None:
        return None
    last = boundaries((*stand.fractions, 1.0), alpha=level, spending=design.spending)[-1]
    spread = one.spread or 0.5
    drift = (design.win_rate - 0.5) * planned**0.5 / spread
    return conditional_power(one.z, stand.fractions[-1], final=last, drift=drift if one.z >= 0 else -drift)


def _close(study: Study, how: str, person: User | None) -> None:
    study.closed_as, study.closed_at, study.closed_by = how, timezone.now(), person
    study.save(update_fields=["closed_as", "closed_at", "closed_by"])
    withdraw_pairs(study)
