"""Who is compared, and how each was measured: what two must have alike before their numbers are set side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from evaluation.models import EvalRun, RunTarget
from evaluation.plans import COMPOSITE
from evaluation.sheets import metrics_of
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Project

MOST = 6
RECENT = 60
Way = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Side:
    """One of those that are compared: a target of a run."""

    run: EvalRun
    target: RunTarget

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def key(self) -> str:
        """How it stands in an address: the run's number and the target's."""
        return f"{self.run.pk}.{self.target.index}"


def find_sides(project: Project, keys: Sequence[str], *, least: int = 2) -> list[Side]:
    """Sides by their keys, "RUN" for a run's last target or "RUN.INDEX", nobody twice. Raises Refused with what there
    is."""
    parts = [key.partition(".") for key in dict.fromkeys(keys)]
    numbers = [int(number) for number, _, _ in parts if _is_number(number)]
    known = EvalRun.objects.filter(project=project, pk__in=numbers).select_related("suite", "version__suite")
    runs = {run.pk: run for run in known.prefetch_related("targets__checkpoint", "targets__endpoint")}
    found: dict[str, Side] = {}
    for number, _, index in parts:
        run = runs.get(int(number)) if _is_number(number) else None
        if run is None:
            raise Refused(f"There is no evaluation {number[:20]!r} in this project.")
        targets = list(run.targets.all())
        place = len(targets) - 1 if index == "" else int(index) if _is_number(index) else -1
        if not 0 <= place < len(targets):
            raise Refused(f"Evaluation {number} has the targets 0 to {len(targets) - 1}, not {index[:20]}.")
        side = Side(run, targets[place])
        found.setdefault(side.key, side)
    if len(found) < least:
        raise Refused("Choose at least two to compare; the first is what the others are measured by.")
    if len(found) > MOST:
        raise Refused(f"{len(found)} were chosen; up to {MOST} are compared at a time.")
    return list(found.values())


def choices(project: Project) -> list[tuple[str, list[tuple[str, str]]]]:
    """The finished evaluations, newest first, each with the keys and names of its targets."""
    rows = EvalRun.objects.filter(project=project, status=Status.SUCCEEDED).defer("spec", "facts")
    return [
        (
            f"{run.name} · {run.version} · {run.created_at:%Y-%m-%d}",
            [(f"{run.pk}.{target.index}", target.name) for target in run.targets.all()],
        )
        for run in rows.select_related("version__suite").prefetch_related("targets")[:RECENT]
    ]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def why_not(first: Side, second: Side, metric: str) -> str:
    """Why two sides cannot be paired in a metric: one sentence; empty where they can."""
    a, b = first.run, second.run
    for side in (first, second):
        if side.run.status != Status.SUCCEEDED:
            return f"{side.run.name} has no complete results yet; wait for its end."
    how = [measured(run).get(metric) for run in (a, b)]
    if None in how:
        return f"{(a if how[0] is None else b).name} has no metric {metric}; add it to its suite, then score it again."
    if _is_versus(a, metric) and (a.pk != b.pk or not first.target.is_baseline):
        return (
            f"{metric} sets each answer against that of the run's baseline; it compares only that baseline, "
            f"{b.targets.all()[0].name}, with the others of the run. Choose it first."
        )
    if a.pk == b.pk:
        return ""
    if a.version.content_hash != b.version.content_hash or a.split != b.split:
        return (
            f"{first.name} was scored on {a.version} ({a.get_split_display().lower()}) and {second.name} on "
            f"{b.version} ({b.get_split_display().lower()}); only the same cases can be paired. "
            "Evaluate both on one version."
        )
    return measured_otherwise(a, b, metric) or prompted_otherwise(first, second)


def measured_otherwise(a: EvalRun, b: EvalRun, metric: str) -> str:
    """Why numbers of two runs that both have a metric do not mean the same; empty where they do."""
    one, two = measured(a)[metric], measured(b)[metric]
    if one != two:
        return _two_ways(metric, one, two)
    if sampled(a) != sampled(b):
        return f"{a.name} and {b.name} sampled their answers in different ways; evaluate both with the same settings."
    return ""


def prompted_otherwise(first: Side, second: Side) -> str:
    """Why two sides did not answer the same prompt tokens, where nothing else was put into their prompts."""
    a, b = first.run, second.run
    alike = given(a) == given(b)
    if alike and template(a, first.target.index) != template(b, second.target.index):
        return (
            f"{first.name} and {second.name} were given different prompt tokens (another chat template or tokenizer); "
            "their difference would be that of the templates too. Evaluate both in one run to compare them anyway."
        )
    return ""


def _is_versus(run: EvalRun, metric: str) -> bool:
    return any(each.versus_half for each in metrics_of(run) if each.name == metric)


def shared_metrics(sides: Sequence[Side]) -> list[str]:
    """The names of the metrics that the first side has, and of the others one at least, in the order of the first."""
    names = [metric.name for metric in metrics_of(sides[0].run)]
    return [name for name in names if any(name in measured(side.run) for side in sides[1:])]


def measured(run: EvalRun) -> dict[str, Way]:
    """How each metric of a run was measured, by its name: the scorer, its settings and what of its surroundings can
    change a value, and who answered for it."""
    around, helpers = run.facts.get("scorers") or {}, run.spec.get("judges") or {}
    found: dict[str, Way] = {}
    for spec in run.metrics:
        judge, reward = spec.get("judge"), spec.get("reward")
        asked = helpers.get(f"judge:{judge}" if judge is not None else f"reward:{reward}", {})
        found[spec["name"]] = {
            "scorer": spec["scorer"],
            "version": spec["version"],
            "params": spec["params"],
            "facts": around.get(spec["name"], {}),
            "judge": judge,
            "reward": reward,
            "identity": asked.get("identity", ""),
        }
    if run.primary == COMPOSITE:
        weighted = [spec for spec in run.metrics if spec["weight"]]
        found[COMPOSITE] = {
            "scorer": "all weighted metrics",
            "version": run.spec.get("together", 1),
            "params": {spec["name"]: spec["weight"] for spec in weighted},
            "ends": [[spec.get("floor"), spec.get("ceiling")] for spec in weighted],
            "of": {spec["name"]: found[spec["name"]] for spec in weighted},
        }
    return found


def way_of(run: EvalRun, metric: str) -> tuple[Any, ...]:
    """How a metric came about in a run: what two runs must have alike to be set side by side."""
    return measured(run).get(metric), sampled(run), given(run)


def ways_of(runs: QuerySet[EvalRun]) -> dict[int, EvalRun]:
    """Runs by number, with as much of their facts as says how they were measured and on how many judgments their
    targets rest: the others can be large."""
    rows = runs.values_list("pk", "spec", "facts__scorers", "facts__judgments")
    return {
        pk: EvalRun(pk=pk, spec=spec, facts={"scorers": scorers, "judgments": judgments or {}})
        for pk, spec, scorers, judgments in rows
    }


def sampled(run: EvalRun) -> Any:
    """How the answers of a run were drawn."""
    return [run.spec.get("sampling"), run.spec.get("system")]


def given(run: EvalRun) -> tuple[Any, ...]:
    """What stood in a run's prompts beside the question, and in which cases: runs that differ in it have prompts that
    differ, which is what one wants to know of them."""
    return tuple(run.spec.get(name) or None for name in ("contexts", "contexts_seed", "only"))


def template(run: EvalRun, index: int) -> str:
    """The hash of the prompt tokens that a target was given; empty where it is not known."""
    return str(run.facts.get("targets", {}).get(str(index), {}).get("template", ""))


def _two_ways(metric: str, one: Way, two: Way) -> str:
    """In which two ways a metric was measured: of several together, those of the first part that differs."""
    others = two.get("of", {})
    for name, way in one.get("of", {}).items():
        if way != others.get(name, way):
            return _two_ways(name, way, others[name])
    return (
        f"{metric} was measured in two ways: by {ways_words(one)} and by {ways_words(two)}. "
        "Score both again: their answers are kept, and their suite's scorers of today read them."
    )


def ways_words(way: Way) -> str:
    """A way of measuring in words: "contains v1 (text yes)"."""
    who = f" ({way['identity'][:8]})" if way.get("identity") else ""
    judge = f" by judge {way['judge']}{who}" if way.get("judge") else ""
    reward = f" by reward model {way['reward']}{who}" if way.get("reward") else ""
    params = ", ".join(
        f"{name} {value}" for name, value in way["params"].items() if value not in (None, "", [], {})
    )
    around = "".join(
        f", {name} {value[:8] if name == 'sha256' else value}" for name, value in way.get("facts", {}).items()
    )
    return f"{way['scorer']} v{way['version']}{judge}{reward}{f' ({params[:120]})' if params else ''}{around}"
