"""What the page of a study shows, and what its planner reckons."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Sum

from evaluation.models import Endpoint, Study, StudyLook
from evaluation.studies.counting import Counted
from evaluation.studies.design import Design, comparisons, detectable, level_of, read_design, size_of
from labeling.models import Project, Seat
from training.models import Checkpoint

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
    known = bool(spent["judged"] and spent["judged"] >= 20)
    return Reckoned(
        size=size,
        prompts=prompts,
        finds=detectable(design, prompts, models) if prompts else None,
        pairs=pairs,
        judgments=pairs * design.annotators,
        seconds=spent["ms"] / spent["judged"] / 1000 if known else USUAL_SECONDS,
        known=known,
    )


@dataclass(frozen=True, slots=True)
class Balance:
    """How often each of two models was shown first, of the judgments given."""

    first: str
    second: str
    first_first: int
    second_first: int


def balances(study: Study, counted: Counted) -> list[Balance]:
    """How even the orders are so far; that says nothing of who was preferred."""
    names = study.names
    return [Balance(names[i], names[j], a, b) for (i, j), (a, b) in counted.begun.items()]


def next_look(study: Study, looks: Sequence[StudyLook], counted: Counted) -> dict[str, Any]:
    """Where the study stands between looks: what is done, when the next look is planned, and what one would spend."""
    from evaluation.statistics.sequential import spent  # brings SciPy

    design = read_design(study.design)
    prompts = len(counted.prompts)
    share = min(1.0, prompts / study.planned) if study.planned else 0.0
    before = looks[-1] if looks else None
    planned = [(number + 1) / design.looks for number in range(design.looks)]
    after = [time for time in planned if time > (before.fraction if before else 0.0) + 0.02]
    due = after[0] if after else 1.0
    models = len(study.names)
    used = spent(share, alpha=level_of(design, models), spending=design.spending) * comparisons(models)
    return {
        "prompts": prompts,
        "share": share,
        "due": due,
        "due_prompts": round(due * study.planned),
        "is_due": share >= due - 1e-9,
        "spends": max(0.0, used - (before.spent if before else 0.0)),
        "spent": before.spent if before else 0.0,
        "new": before is None or share > before.fraction + 1e-9,
    }


def gone(study: Study) -> list[str]:
    """The models that were deleted, or put away, since: their answers and numbers stay."""
    sources = study.facts.get("sources", [])
    there = {
        ("checkpoint", key)
        for key in Checkpoint.objects.filter(
            pk__in=[one["id"] for one in sources if one["kind"] == "checkpoint"]
        ).values_list("pk", flat=True)
    }
    endpoints = [one["id"] for one in sources if one["kind"] == "endpoint"]
    there |= {
        ("endpoint", key) for key in Endpoint.objects.filter(pk__in=endpoints).values_list("pk", flat=True)
    }
    return [
        name for name, one in zip(study.names, sources, strict=False) if (one["kind"], one["id"]) not in there
    ]
