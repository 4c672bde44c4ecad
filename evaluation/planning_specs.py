"""The frozen spec of a run: its scorers checked and written down with their versions, its helpers looked up."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from evaluation.models import Endpoint, JudgeVersion, Suite
from evaluation.plans import COMPOSITE, primary_of
from evaluation.scorers import Need, Scale, find_scorer, read_params
from evaluation.specs import LimitsSpec, MetricSpec, RunSpec, SamplingSpec
from evaluation.suites.measures import check_ends
from evaluation.targets import digest, frozen_target, service_of, weights_of
from labeling.errors import Refused
from labeling.models import Project
from training.models import Checkpoint
from training.registry import find_checkpoint
from training.specs import SpecRefused, parse

REWARDED_BY = "transformers"  # the engine that reads reward models


def run_spec(
    project: Project,
    suite: Suite,
    scoring: Sequence[Mapping[str, Any]],
    sampling: Mapping[str, Any],
    limits: Mapping[str, Any],
    **more: Any,
) -> RunSpec:
    """The frozen spec: scorers checked, their versions written down, judges looked up; `more` are further fields of it,
    and may say another system message than the suite's. Raises Refused."""
    if not scoring:
        raise Refused(f"{suite.name} has no scorer yet; choose at least one on its page.")
    try:
        metrics = [_metric(project, parse(MetricSpec, metric)) for metric in scoring]
        check_ends(metrics)
        return parse(
            RunSpec,
            {
                "metrics": tuple(metrics),
                "primary": primary_of({metric.name: metric.weight for metric in metrics}),
                "system": suite.system,
                "sampling": parse(SamplingSpec, _plain(sampling)),
                "limits": parse(LimitsSpec, _plain(limits)),
                "judges": _judges(project, metrics),
                "together": _together(metrics),
                **_plain(more),
            },
        )
    except SpecRefused as refusal:
        raise Refused(f"{refusal}.") from refusal


def _together(metrics: Sequence[MetricSpec]) -> int:
    """By which version the weighted metrics are brought together: until 2, less was better in none of them, and a
    perplexity was brought between its ends as nats per token. Where that is all the same, earlier runs compare."""
    weighted = [metric for metric in metrics if metric.weight > 0]
    scorers = [find_scorer(metric.scorer) for metric in weighted if len(weighted) > 1]
    changed = (
        each.scale == Scale.PERPLEXITY or (each.scale.is_bounded and not each.higher_is_better)
        for each in scorers
    )
    return 2 if any(changed) else 1


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _metric(project: Project, metric: MetricSpec) -> MetricSpec:
    """A metric as it is frozen: with the scorer's version, all its settings, and its judge's rubric and labels."""
    scorer, given = find_scorer(metric.scorer), dict(metric.params)
    if metric.judge is not None:
        judge = _judge_version(project, metric.judge)
        if scorer.judge_kind not in ("", judge.judge.kind):
            raise SpecRefused(
                f"{metric.name} is read by a {scorer.judge_kind} judge, and {judge} is a {judge.judge.kind} judge; "
                "choose another judge for it"
            )
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
