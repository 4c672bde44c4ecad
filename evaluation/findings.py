"""What a gate found, as pages, records and decisions keep it. No statistics and no SciPy."""

from dataclasses import asdict, dataclass, field
from typing import Any

from evaluation.models import Case, EvalRun, Gate, Split, Suite
from training.models import Checkpoint


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: whether it holds, in a sentence with its numbers. `passed` None: it could not be looked at."""

    key: str
    label: str
    passed: bool | None
    words: str
    numbers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Findings:
    """What a gate found. It passes only where every condition holds. `more` is about how many more cases would tell."""

    candidate: str
    champion: str
    verdict: str
    sentence: str
    conditions: list[Condition]
    more: int | None = None

    @property
    def passed(self) -> bool:
        return all(condition.passed for condition in self.conditions)

    @property
    def open(self) -> list[Condition]:
        """The conditions that do not hold, or are not known to."""
        return [condition for condition in self.conditions if not condition.passed]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"passed": self.passed}


def gate_of(suite: Suite) -> Gate:
    """The suite's gate; the defaults, not saved, where nobody has set one."""
    rows = Gate.objects.select_related("forgetting", "changed_by")
    return rows.filter(suite=suite).first() or Gate(suite=suite)


def gate_over(checkpoint: Checkpoint) -> str:
    """Which gates decide whether a checkpoint goes into production, in a sentence for training.staging: those that
    somebody has set, on suites that are in use. "" where there is none, and for models that reward."""
    gates = Gate.objects.filter(suite__project=checkpoint.project_id, suite__archived_at=None)
    names = list(gates.order_by("suite__name").values_list("suite__name", flat=True)[:2])
    if not names or checkpoint.line != Checkpoint.Line.POLICY:
        return ""
    return f"The gate of {' or of '.join(names)} decides what goes into production here."


def cases_in(run: EvalRun) -> int:
    """How many cases the run was scored on; versions count them when they are frozen."""
    if run.spec.get("only") or run.spec.get("contexts") == "gold":  # not all cases of the split
        return Case.objects.of_run(run).count()
    version = run.version
    return version.sealed if run.split == Split.SEALED else version.cases - version.sealed
