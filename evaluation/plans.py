"""A run's frozen plan with everything that it names looked up: scorers, settings, targets and helpers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from evaluation.engines import ENGINES
from evaluation.models import Case, EvalRun, RunTarget
from evaluation.questions import Asked, facts_of
from evaluation.scorers import Ask, Facts, Given, Need, Scorer, asked, find_scorer, read_params
from evaluation.specs import JUDGE_LENGTH, MetricSpec, RunSpec
from evaluation.targets import Group, groups, thawed

COMPOSITE = "primary"
ANSWERS = frozenset({Need.ANSWER, Need.BASELINE})


def primary_of(weights: Mapping[str, float]) -> str:
    """The metric that the verdict is about, of names with their weights: the one with a weight, all of them together,
    or without any the first; empty where there are none."""
    weighted = [name for name, weight in weights.items() if weight > 0]
    return COMPOSITE if len(weighted) > 1 else next(iter(weighted or weights), "")


@dataclass(frozen=True)
class Measured:
    """One metric of a plan with its scorer and the scorer's settings."""

    spec: MetricSpec
    scorer: Scorer
    params: Any

    @property
    def source(self) -> str:
        """The helper that it asks, as "judge:4"; empty where it asks none."""
        if self.spec.judge is not None:
            return f"judge:{self.spec.judge}"
        return f"reward:{self.spec.reward}" if self.spec.reward is not None else ""

    def asks(self, case: Facts, given: Given, source: str) -> list[Ask]:
        """Its questions to one source: "target", or the name of a helper."""
        if source not in ("target", self.source):
            return []
        wanted = "target" if source == "target" else source.partition(":")[0]
        return [ask for ask in asked(self.scorer, case, given, self.params) if ask.of == wanted]

    @property
    def reads_answers(self) -> bool:
        return bool(self.scorer.needed(self.params) & ANSWERS)


@dataclass
class Plan:
    """What a run is to do. Profiles of engines are looked up once."""

    run: EvalRun
    spec: RunSpec = field(init=False)
    metrics: list[Measured] = field(init=False)
    rows: list[RunTarget] = field(init=False)
    _profiles: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.spec = parse_spec(self.run.spec)
        self.rows = list(self.run.targets.select_related("checkpoint__base", "checkpoint__run", "endpoint"))
        self.metrics = [
            Measured(metric, scorer, read_params(scorer, metric.params))
            for metric in self.spec.metrics
            for scorer in [find_scorer(metric.scorer)]
        ]

    @cached_property
    def generates(self) -> bool:
        """Whether any metric looks at answers."""
        return any(metric.reads_answers for metric in self.metrics)

    @property
    def samples(self) -> int:
        return self.spec.sampling.samples if self.generates else 1

    @cached_property
    def groups(self) -> list[Group]:
        """The run's targets by what has to be started for them."""
        return groups([thawed(row.facts) for row in self.rows], engine=self.run.engine)

    @cached_property
    def helpers(self) -> dict[str, Group]:
        """Who is asked beside the targets, by name: judges and reward models."""
        return {
            source: groups([thawed(facts["facts"])], engine=facts["engine"])[0]
            for source, facts in self.spec.judges.items()
        }

    @cached_property
    def asked(self) -> dict[str, Asked]:
        """Everybody who is asked, by the engine's name for them."""
        engines = {target.id: group.engine for group in self.groups for target in group.targets}
        identities = {str(row.index): row.identity for row in self.rows}
        for source, group in self.helpers.items():
            engines[source], identities[source] = group.engine, self.spec.judges[source]["identity"]
        return {
            name: Asked.of(name, identity, self._profile(engines[name]), self.longest(name))
            for name, identity in identities.items()
        }

    def longest(self, name: str) -> int:
        """Tokens that somebody who is asked reads and writes at most."""
        most = self.spec.limits.max_length
        return max(most, JUDGE_LENGTH) if name in self.helpers else most

    def facts(self, case: Case) -> Facts:
        """A case as this run's targets and scorers see it."""
        return facts_of(case, self.spec.system, self.spec.contexts, self.spec.contexts_seed)

    def of_target(self, case: Facts) -> Iterator[Ask]:
        """The questions to the target itself, which do not depend on its answer."""
        for metric in self.metrics:
            if not metric.reads_answers:
                yield from metric.asks(case, Given(text=None), "target")

    def freeze_profiles(self) -> None:
        """Write down with the run what the engines are: one that goes on elsewhere then asks the same questions."""
        engines = {group.engine for group in (*self.groups, *self.helpers.values())}
        known = self.run.facts.get("profiles", {})
        profiles = known | {engine: self._profile(engine) for engine in sorted(engines)}
        if known != profiles:
            self.run.facts = self.run.facts | {"profiles": profiles}
            EvalRun.objects.filter(pk=self.run.pk).update(facts=self.run.facts)

    def _profile(self, engine: str) -> dict[str, Any]:
        frozen: dict[str, dict[str, Any]] = self.run.facts.get("profiles", {})
        if engine in frozen:
            return frozen[engine]
        if engine not in self._profiles:
            self._profiles[engine] = dict(ENGINES[engine]().profile())
        return self._profiles[engine]


def parse_spec(values: dict[str, Any]) -> RunSpec:
    """The spec of a stored run, whose lists were tuples."""
    return RunSpec.model_validate(values, strict=False)
