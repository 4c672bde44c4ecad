"""What a run owes: the cases of a frozen suite version, and the targets that are asked, scored by named metrics."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from evaluation.engines import ENGINES, default_engine
from evaluation.models import Case, Endpoint, EvalRun, RunTarget, Split, Suite, SuiteVersion
from evaluation.planning_specs import run_spec
from evaluation.specs import RunSpec
from evaluation.suites import check_seal, frozen, refuse_undecided, suite_from_split
from evaluation.targets import SERVICES, check_prices, copied, frozen_target
from labeling.curation import exporting, rowfile
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import DatasetVersion, Project, User
from labeling.protection import hashes_of
from training.models import Checkpoint

NAME_LENGTH = 120
MOST_TARGETS = 32
AGAIN = ", scored again"
ASKED = ("system", "contexts", "contexts_seed", "only")
"""What of a spec says which cases were asked, and what stood in their prompts."""


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
    contexts: str = "apart",
    contexts_seed: int = 0,
) -> EvalRun:
    """Freeze the plan and queue it.

    The baseline comes first: the one given, else the champion in production, else the base model. The base of the
    checkpoints is always scored too. `scoring` takes the place of the suite's; `contexts` says what prompts hold beside
    the question, as evaluation.specs.RunSpec does. Raises Refused with a sentence.
    """
    engine = engine or default_engine()
    _refuse_nonsense(suite, engine, name, checkpoints, endpoints)
    chosen = chosen_targets(project, checkpoints, endpoints, baseline)
    told = {"contexts": contexts, "contexts_seed": contexts_seed}
    spec = run_spec(project, suite, scoring or suite.scoring, sampling or {}, limits or {}, **told)
    with transaction.atomic():
        version = frozen(suite, person)
        own = [target for target in chosen if isinstance(target, Checkpoint)]
        _refuse_empty(version, split)
        if split == Split.SEALED:
            check_seal(version, chosen)
        _refuse_leak(version, own)
        return queue_run(
            version=version,
            targets=[frozen_target(target, index=index) for index, target in enumerate(chosen)],
            spec=spec,
            engine=engine,
            split=split,
            name=name or f"{suite.name}: {', '.join(target.name for target in chosen)}",
            person=person,
        )


def queue_run(
    *,
    version: SuiteVersion,
    targets: Sequence[RunTarget],
    spec: RunSpec,
    engine: str,
    split: str = Split.DEV,
    name: str,
    person: User | None,
    profiles: Mapping[str, Any] | None = None,
) -> EvalRun:
    """Keep a frozen plan, with the unsaved rows of its targets, and queue it. `profiles` are what the engines were when
    its answers were generated; without any they are still to be. Raises Refused where the contexts that it asks for are
    in no case, for an endpoint that was put away and is to answer, and for one without prices where there is a budget.
    """
    for row in targets if profiles is None else ():
        if row.endpoint is not None and row.endpoint.archived_at is not None:
            raise Refused(
                f"The endpoint {row.endpoint} was put away; bring it back on its page, or leave it out."
            )
    judges = [(judge["words"], judge["facts"]) for judge in spec.judges.values()]
    check_prices(spec.limits.budget, [*((row.name, row.facts) for row in targets), *judges])
    run = EvalRun(
        project=version.suite.project,
        suite=version.suite,
        version=version,
        split=split,
        name=name[:NAME_LENGTH],
        engine=engine,
        spec=spec.as_json(),
        folder=uuid.uuid4().hex,
        facts={"profiles": profiles} if profiles else {},
        created_by=person,
    )
    if spec.contexts != "apart" and not _has_contexts(run, spec):
        kind = "gold contexts" if spec.contexts == "gold" else "contexts"
        raise Refused(
            f"No case of {version} has {kind}; add them to the cases, or leave the prompts as they are."
        )
    run.save()
    for row in targets:
        row.run = run
    RunTarget.objects.bulk_create(targets)
    run.checkpoints.set([row.checkpoint for row in targets if row.checkpoint is not None])
    run.enqueue()
    return run


def _has_contexts(run: EvalRun, spec: RunSpec) -> bool:
    rows = Case.objects.of_run(run)
    return (
        spec.contexts == "none" or (rows if spec.contexts == "gold" else rows.exclude(contexts=[])).exists()
    )


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
    """Score the answers of a run again, by its suite's scorers of today or those given: another run on the same cases.

    Who was asked, by engines of which versions and with which prompts is copied, so that every question has the key
    that it had. Asked is only what was never answered, and what the scorers ask beside. Raises Refused.
    """
    _refuse_put_away(run.suite)
    told = {name: run.spec[name] for name in ASKED if name in run.spec}
    sampling, limits = run.spec.get("sampling", {}), run.spec.get("limits", {})
    spec = run_spec(run.project, run.suite, scoring or run.suite.scoring, sampling, limits, **told)
    rows = list(run.targets.select_related("checkpoint", "endpoint"))
    with transaction.atomic():
        if run.split == Split.SEALED:
            check = refuse_undecided if run.status == Status.SUCCEEDED else check_seal
            check(run.version, [row.checkpoint for row in rows if row.checkpoint is not None])
        return queue_run(
            version=run.version,
            targets=[copied(row, index=row.index) for row in rows],
            spec=spec,
            engine=run.engine,
            split=run.split,
            name=f"{run.name.removesuffix(AGAIN)[: NAME_LENGTH - len(AGAIN)]}{AGAIN}",
            person=person,
            profiles=run.facts.get("profiles"),
        )


@transaction.atomic
def resume_run(run: EvalRun) -> None:
    """Put an evaluation that failed or was cancelled into the queue again: it goes on where it stopped. Raises Refused
    on sealed cases that were opened for another candidate meanwhile."""
    if run.split == Split.SEALED:
        refuse_undecided(
            run.version, [row.checkpoint for row in run.targets.all() if row.checkpoint is not None]
        )
    run.resume()


def find_run(number: int) -> EvalRun:
    """The evaluation of this number, of whatever project. Raises Refused."""
    run = EvalRun.objects.select_related("project", "suite", "version__suite").filter(pk=number).first()
    if run is None:
        raise Refused(f"There is no evaluation {number}.")
    return run


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


def _refuse_nonsense(
    suite: Suite, engine: str, name: str, checkpoints: Sequence[Checkpoint], endpoints: Sequence[Endpoint]
) -> None:
    _refuse_put_away(suite)
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


def _refuse_put_away(suite: Suite) -> None:
    if suite.archived_at is not None:
        raise Refused(f"{suite.name} was put away; take it out again on its page, or choose another suite.")


def _refuse_empty(version: SuiteVersion, split: str) -> None:
    if split not in Split.values:
        raise Refused(f"The cases asked for are {split!r}; choose one of {', '.join(Split.values)}.")
    if not Case.objects.in_split(version, split).exists():
        raise Refused(f"{version} has no {Split(split).label.lower()}; add some, or choose the others.")


def _refuse_leak(version: SuiteVersion, checkpoints: Sequence[Checkpoint]) -> None:
    """No checkpoint may have learned from a case, neither itself nor by its ancestors and reward models."""
    cases = set(Case.objects.of(version).order_by().values_list("prompt_hash", flat=True))
    for checkpoint in checkpoints:
        for trained in trained_on(checkpoint):
            exporting.verify(trained)
            seen = {
                key for row in rowfile.read(trained.path, split="train") for key in cases & hashes_of(row)
            }
            if seen:
                raise Refused(
                    f"{checkpoint.name} was trained on {trained}, which holds {len(seen)} of this suite's prompts; "
                    "its score would be too good. Choose another suite or checkpoint."
                )


def trained_on(checkpoint: Checkpoint) -> list[DatasetVersion]:
    """The dataset versions behind a checkpoint, each once: its own, then those of all that it came from and of the
    reward models that it learned from."""
    versions: dict[int, DatasetVersion] = {}
    ahead, seen = [checkpoint], {checkpoint.pk}
    for step in ahead:
        run = step.run
        if run is not None:
            versions.setdefault(run.dataset_version_id, run.dataset_version)
        for before in (step.parent, run.reward if run else None):
            if before is not None and before.pk not in seen:
                seen.add(before.pk)
                ahead.append(before)
    return list(versions.values())
