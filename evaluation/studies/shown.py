"""What the page of a study shows, and what its planner reckons."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Sum

from evaluation.models import Study, StudyLook
from evaluation.studies.counting import Counted
from evaluation.studies.design import Design, comparisons, detectable, read_design, size_of
from evaluation.studies.looking import stand_of
from labeling.errors import Refused
from labeling.models import Project, Seat

if TYPE_CHECKING:
    from evaluation.statistics.studysize import StudySize

USUAL_SECONDS = 45


@dataclass(frozen=True, slots=True)
class Reckoned:
    """What a design asks for: `size` with its boundaries, judgments and hours in all, and, where the number of prompts
    is known, the win rate that so many find. `seconds` is what a judgment takes; `known`: people here took as long."""

    size: "StudySize"
    prompts: int | None
    finds: float | None
    pairs: int
    judgments: int
    seconds: float
    known: bool

    @property
    def hours(self) -> float:
        return self.judgments * self.seconds / 3600

    @property
    def enough(self) -> bool:
        return self.prompts is not None and self.prompts >= self.size.prompts

    @property
    def looks(self) -> list[dict[str, Any]]:
        """Each look with its boundary and the chance to have stopped by it."""
        size = self.size
        rows = zip(size.fractions, size.bounds, size.stops, size.by_chance, strict=True)
        return [
            {"number": n, "share": time, "boundary": bound, "stops": stops, "chance": chance,
             "prompts": round(time * (self.prompts or size.prompts))}
            for n, (time, bound, stops, chance) in enumerate(rows, start=1)
        ]  # fmt: skip


def reckoned(design: Design, *, models: int, project: Project, prompts: int | None = None) -> Reckoned:
    """What the design asks for of so many models."""
    size = size_of(design, models)
    count = prompts or size.prompts
    pairs = count * comparisons(models)
    spent = Seat.objects.filter(project=project, active_ms__gt=0).aggregate(
        ms=Sum("active_ms"), judged=Sum("judged")
    )
    known = (spent["judged"] or 0) >= 20
    return Reckoned(
        size=size,
        prompts=prompts,
        finds=detectable(design, prompts, models) if prompts else None,
        pairs=pairs,
        judgments=pairs * design.annotators,
        seconds=spent["ms"] / spent["judged"] / 1000 if known else USUAL_SECONDS,
        known=known,
    )


def orders(study: Study, counted: Counted) -> list[tuple[str, str, int]]:
    """Which model was shown first, which second, and how often so far; that says nothing of who was preferred."""
    names = study.names
    rows = sorted(counted.begun.items(), key=lambda row: (sorted(row[0]), row[0]))
    return [(names[first], names[second], shown) for (first, second), shown in rows]


def next_look(study: Study, looks: Sequence[StudyLook], counted: Counted) -> dict[str, Any]:
    """Where the study stands between looks: what is done, when the next look is planned, and what one would spend or
    why none can be taken."""
    share = len(counted.prompts) / study.planned
    before, spent = (looks[-1].fraction, looks[-1].spent) if looks else (0.0, 0.0)
    due = min([1.0, *read_design(study.design).looks_after(before)])
    found = {
        "share": share,
        "due": due,
        "due_prompts": round(due * study.planned),
        "is_due": share >= due - 1e-9,
        "spent": spent,
    }
    try:
        return {**found, "spends": stand_of(study, counted).spent - spent}
    except Refused as refusal:
        return {**found, "refusal": refusal.sentence}
