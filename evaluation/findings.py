"""What a gate found, as pages, records and decisions keep it. No statistics and no SciPy."""

from dataclasses import asdict, dataclass, field
from typing import Any

from evaluation.models import Case, EvalRun, Gate, Split, Suite


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


def cases_in(run: EvalRun) -> int:
    """How many cases the run was scored on; versions count them when they are frozen."""
    if run.spec.get("only") or run.spec.get("contexts") == "gold":  # not all cases of the split
        return Case.objects.of_run(run).count()
    version = run.version
    return version.sealed if run.split == Split.SEALED else version.cases - version.sealed
