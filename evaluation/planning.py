"""What a run owes: the cases of a frozen suite version, and the targets that are asked, scored by named metrics."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from django.db import transaction

from evaluation.engines import ENGINES, default_engine
from evaluation.models import Case, Endpoint, EvalRun, JudgeVersion, RunTarget, Split, Suite, SuiteVersion
from evaluation.plans import COMPOSITE
from evaluation.scorers import Need, find_scorer, read_params
from evaluation.specs import LimitsSpec, MetricSpec, RunSpec, SamplingSpec
from evaluation.suites import check_seal, frozen, suite_from_split
from evaluation.targets import SERVICES, digest, frozen_target, service_of, weights_of
from labeling.curation import exporting, rowfile
from labeling.errors import Refused
from labeling.models import DatasetVersion, Project, User
from training.models import Checkpoint
from training.registry import find_checkpoint
from training.specs import SpecRefused, parse

NAME_LENGTH = 120
MOST_TARGETS = 32
REWARDED_BY = "transformers"  # the engine that reads reward models


def plan_evaluation(
    *,
    project: Project,
    suite: Suite,
    checkpoints: Sequence[Checkpoint] = (),
    endpoints: Sequence[Endpoint] = (),
    baseline: Checkpoint | Endpoint | None = None,
    person: User | None,
    engine: str = "",
    split: str = Split.DEV,
    name: str = "",
    scoring: Sequence[Mapping[str, Any]] | None = None,
    sampling: Mapping[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
) -> EvalRun:
    """Freeze the plan and queue it.

    The baseline comes first: the one given, else the champion in production, else the base model. The base of the
    checkpoints is always scored too. `scoring` takes the place of the suite's. Raises Refused with a sentence.
    """
    engine = engine or default_engine()
    _refuse_nonsense(suite, engine, name, checkpoints, endpoints)
    chosen = chosen_targets(project, checkpoints, endpoints, baseline)
    spec = run_spec(project, suite, scoring or suite.scoring, sampling or {}, limits or {})
    with transaction.atomic():
        version = frozen(suite, person)
        own = [target for target in chosen if isinstance(target, Checkpoint)]
        _refuse_empty(version, split)
        if split == Split.SEALED:
            check_seal(version, list(checkpoints))
        _refuse_leak(version, own)
        run = EvalRun.objects.create(
            project=project,
            suite=suite,
            version=version,
            split=split,
            name=name or f"{suite.name}: {', '.join(target.name for target in chosen)}"[:NAME_LENGTH],
            engine=engine,
            spec=spec.model_dump(mode="json"),
            folder=uuid.uuid4().hex,
            created_by=person,
        )
        rows = [frozen_target(target, index=index) for index, target in enumerate(chosen)]
        for row in rows:
            row.run = run
        RunTarget.objects.bulk_create(rows)
        run.checkpoints.set(own)
        run.enqueue()
    return run


@transaction.atomic
def plan_on_held_out(
    *, version: DatasetVersion, checkpoints: Sequence[Checkpoint], person: User | None, **options: Any
) -> EvalRun:
    """Plan a run on the held-out rows of a version. Where it is refused, no suite is left and nothing is protected."""
    suite = suite_from_split(version=version, split="test", person=person)
    return plan_evaluation(
        project=version.project, suite=suite, checkpoints=checkpoints, person=person, **options
    )


def plan_again(
    *, run: EvalRun, person: User | None, scoring: Sequence[Mapping[str, Any]] | None = None
) -> EvalRun:
    """The same targets on the same suite, with the suite's scorers of today or those given: what was generated before
    is taken from where it is kept."""
    targets = list(run.targets.select_related("checkpoint__base", "checkpoint__run", "endpoint"))
    sources = [target.checkpoint or target.endpoint for target in targets]
    return plan_evaluation(
        project=run.project,
        suite=run.suite,
        checkpoints=[source for source in sources[1:] if isinstance(source, Checkpoint)],
        endpoints=[source for source in sources[1:] if isinstance(source, Endpoint)],
        baseline=sources[0],
        person=person,
        engine=run.engine,
        split=run.split,
        scoring=scoring,
        sampling=run.spec.get("sampling"),
        limits=run.spec.get("limits"),
    )


def chosen_targets(
    project: Project,
    checkpoints: Sequence[Checkpoint],
    endpoints: Sequence[Endpoint],
    baseline: Checkpoint | Endpoint | None,
) -> list[Checkpoint | Endpoint]:
    """Everybody that a run asks, the baseline first and nobody twice."""
    roots = list(
        Checkpoint.objects.filter(
            kind=Checkpoint.Kind.BASE, base__in={checkpoint.base_id for checkpoint in checkpoints}
        ).order_by("pk")
    )
    first = baseline or champion(project, checkpoints) or (roots[0] if roots else None)
    everybody = [*([first] if first else []), *roots, *checkpoints, *endpoints]
    found: dict[tuple[type, int], Checkpoint | Endpoint] = {}
    for target in everybody:
        found.setdefault((type(target), target.pk), target)
    if len(found) > MOST_TARGETS:
        raise Refused(f"{len(found)} targets were chosen; up to {MOST_TARGETS} fit into one evaluation.")
    return list(found.values())


def champion(project: Project, checkpoints: Sequence[Checkpoint]) -> Checkpoint | None:
    """What is in production for the base model of the checkpoints; None where nothing is, or their bases differ."""
    bases = {checkpoint.base_id for checkpoint in checkpoints}
    if len(bases) != 1:
        return None
    return (
        Checkpoint.objects.filter(
            project=project, base__in=bases, stage=Checkpoint.Stage.PRODUCTION, line=Checkpoint.Line.POLICY
        )
        .select_related("base")
        .first()
    )


def run_spec(
    project: Project,
    suite: Suite,
    scoring: Sequence[Mapping[str, Any]],
    sampling: Mapping[str, Any],
    limits: Mapping[str, Any],
) -> RunSpec:
    """The frozen spec: scorers checked, their versions written down, judges looked up. Raises Refused."""
    if not scoring:
        raise Refused(f"{suite.name} has no scorer yet; choose at least one on its page.")
    try:
        metrics = [_metric(project, parse(MetricSpec, metric)) for metric in scoring]
        return parse(
            RunSpec,
            {
                "metrics": tuple(metrics),
                "primary": primary_of(metrics),
                "system": suite.system,
                "sampling": parse(SamplingSpec, _plain(sampling)),
                "limits": parse(LimitsSpec, _plain(limits)),
                "judges": _judges(project, metrics),
            },
        )
    except SpecRefused as refusal:
        raise Refused(f"{refusal}.") from refusal


def primary_of(metrics: Sequence[MetricSpec]) -> str:
    """The metric that the verdict is about: the one with a weight, all of them together, or without any the first."""
    weighted = [metric for metric in metrics if metric.weight > 0]
    if len(weighted) > 1:
        return COMPOSITE
    return (weighted or list(metrics))[0].name


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _metric(project: Project, metric: MetricSpec) -> MetricSpec:
    """A metric as it is frozen: with the scorer's version, all its settings, and its judge's rubric and labels."""
    scorer, given = find_scorer(metric.scorer), dict(metric.params)
    if metric.judge is not None:
        judge = _judge_version(project, metric.judge)
        said = {"rubric": judge.rubric, "labels": judge.labels}
        given |= {name: value for name, value in said.items() if value and name in scorer.Params.model_fields}
    params = read_params(scorer, given)
    needs = scorer.needed(params)
    if metric.name == COMPOSITE:
        raise SpecRefused(
            f"{COMPOSITE} is what the weighted metrics are together; give the metric another name"
        )
    if Need.JUDGE in needs and metric.judge is None:
        raise SpecRefused(f"{metric.name} is read by a judge, and none was chosen; choose a judge for it")
    if Need.REWARD in needs and metric.reward is None:
        raise SpecRefused(f"{metric.name} needs a reward model, and none was chosen; choose one for it")
    return metric.model_copy(update={"version": scorer.version, "params": params.model_dump(mode="json")})


def _judges(project: Project, metrics: Sequence[MetricSpec]) -> dict[str, dict[str, Any]]:
    """Who answers for the metrics that ask somebody else: frozen facts by "judge:number" or "reward:number"."""
    found: dict[str, dict[str, Any]] = {}
    for metric in metrics:
        if metric.judge is not None:
            version = _judge_version(project, metric.judge)
            source = version.endpoint or version.checkpoint
            found[f"judge:{metric.judge}"] = {
                **_frozen(source, f"judge:{metric.judge}"),
                "engine": version.engine,
                "words": str(version),
            }
        if metric.reward is not None:
            checkpoint = find_checkpoint(project=project, name=str(metric.reward))
            if checkpoint.line != Checkpoint.Line.REWARD:
                raise Refused(f"{checkpoint.name} is not a reward model; choose one for {metric.name}.")
            key = f"reward:{metric.reward}"
            found[key] = {**_frozen(checkpoint, key), "engine": REWARDED_BY, "words": checkpoint.name}
    return found


def _judge_version(project: Project, number: int) -> JudgeVersion:
    rows = JudgeVersion.objects.filter(judge__project=project).select_related(
        "judge", "checkpoint__base", "endpoint"
    )
    version = rows.filter(pk=number).first()
    if version is None:
        known = ", ".join(f"{row.pk} ({row})" for row in rows[:10]) or "none yet"
        raise Refused(f"There is no judge's version {number} in this project. Known: {known}.")
    return version


def _frozen(source: Checkpoint | Endpoint | None, id: str) -> dict[str, Any]:
    if isinstance(source, Endpoint):
        return {"facts": asdict(service_of(source, id=id)), "identity": digest([source.url, source.model])}
    assert source is not None
    row = frozen_target(source, index=0)
    return {"facts": asdict(weights_of(source, id=id)), "identity": row.identity}


def _refuse_nonsense(
    suite: Suite, engine: str, name: str, checkpoints: Sequence[Checkpoint], endpoints: Sequence[Endpoint]
) -> None:
    if suite.archived_at is not None:
        raise Refused(f"{suite.name} was put away; take it out again on its page, or choose another suite.")
    if engine not in ENGINES or engine == SERVICES:
        known = ", ".join(known for known in ENGINES if known != SERVICES)
        raise Refused(f"The engine given is {engine!r}; choose one of {known}.")
    if len(name) > NAME_LENGTH:
        raise Refused(f"The name has {len(name)} characters; up to {NAME_LENGTH} are allowed.")
    if not checkpoints and not endpoints:
        raise Refused("No checkpoint was chosen; choose at least one.")
    for checkpoint in checkpoints:
        if checkpoint.line == Checkpoint.Line.REWARD:
            raise Refused(
                f"{checkpoint.name} is a reward model, which gives numbers and no text; its agreement with people "
                "stands on the page of its run. Choose checkpoints that answer."
            )


def _refuse_empty(version: SuiteVersion, split: str) -> None:
    if split not in Split.values:
        raise Refused(f"The cases asked for are {split!r}; choose one of {', '.join(Split.values)}.")
    if not Case.objects.in_split(version, split).exists():
        raise Refused(f"{version} has no {Split(split).label.lower()}; add some, or choose the others.")


def _refuse_leak(version: SuiteVersion, checkpoints: Sequence[Checkpoint]) -> None:
    """No checkpoint may have seen a case in training, neither itself nor by its ancestors."""
    cases = set(Case.objects.of(version).order_by().values_list("prompt_hash", flat=True))
    for checkpoint in checkpoints:
        for trained in trained_on(checkpoint):
            exporting.verify(trained)
            seen = cases & {row["prompt_hash"] for row in rowfile.read(trained.path, split="train")}
            if seen:
                raise Refused(
                    f"{checkpoint.name} was trained on {trained}, which holds {len(seen)} of this suite's prompts; "
                    "its score would be too good. Choose another suite or checkpoint."
                )


def trained_on(checkpoint: Checkpoint) -> list[DatasetVersion]:
    """The dataset versions behind a checkpoint and all its ancestors, the latest first."""
    versions = []
    step: Checkpoint | None = checkpoint
    while step is not None:
        if step.run is not None:
            versions.append(step.run.dataset_version)
        step = step.parent
    return versions
