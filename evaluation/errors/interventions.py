"""The same cases asked again with retrieved, gold, no and reordered contexts: four ordinary runs of one target."""

from typing import Any

from django.db import transaction

from evaluation.errors.failures import readable, refuse_seed
from evaluation.models import Analysis, Case, EvalRun, Intervention, InterventionArm
from evaluation.planning import queue_run
from evaluation.plans import COMPOSITE, parse_spec
from evaluation.sheets import metrics_of
from evaluation.specs import CONTEXT_WORDS
from evaluation.targets import copied
from labeling.errors import Refused
from labeling.lifecycle import ACTIVE, Status
from labeling.models import User

ARMS = ("retrieved", "gold", "none", "shuffled")
USUAL, MOST = 200, 2000


@transaction.atomic
def plan_intervention(
    *,
    analysis: Analysis,
    person: User | None,
    scope: str = Intervention.Scope.FAILING,
    count: int = USUAL,
    seed: int = 0,
) -> Intervention:
    """Queue the four arms: on the first `count` failing cases in the order of the analysis, a random sample of them, or
    on the whole split. Answers that are known are not asked for again. While one runs, the same once more is that one.
    Raises Refused with a sentence.
    """
    Analysis.objects.select_for_update(no_key=True).defer("order").get(pk=analysis.pk)
    run = analysis.run
    readable(run)
    _refuse_nonsense(analysis, scope, count, seed)
    only = run.spec.get("only", [])
    if scope == Intervention.Scope.FAILING:
        keys = dict(Case.objects.filter(pk__in=analysis.order[:count]).values_list("pk", "uid"))
        only = [keys[case] for case in analysis.order[:count]]
    cases = len(only) or Case.objects.of_run(run).count()
    same = Intervention.objects.filter(analysis=analysis, scope=scope, cases=cases, seed=seed)
    if (running := same.filter(arms__run__status__in=(Status.QUEUED, *ACTIVE)).first()) is not None:
        return running
    made = Intervention.objects.create(
        analysis=analysis, scope=scope, cases=cases, seed=seed, created_by=person
    )
    for contexts in ARMS:
        arm = _arm(analysis, contexts, only, seed, person)
        InterventionArm.objects.create(intervention=made, contexts=contexts, run=arm)
    return made


def _refuse_nonsense(analysis: Analysis, scope: str, count: int, seed: int) -> None:
    if scope not in Intervention.Scope.values:
        raise Refused(
            f"The cases asked for are {scope!r}; choose one of {', '.join(Intervention.Scope.values)}."
        )
    if scope == Intervention.Scope.FAILING and not 1 <= count <= MOST:
        raise Refused(f"{count:,} failing cases were asked for; give 1 to {MOST:,}, or take the whole split.")
    refuse_seed(seed)
    against = [each for each in metrics_of(analysis.run) if each.versus_half]
    weighted = [each.name for each in against if each.weight] if analysis.metric == COMPOSITE else []
    if weighted or analysis.metric in [each.name for each in against]:
        raise Refused(
            f"{(weighted or [analysis.metric])[0]} sets each answer against the baseline's; an intervention asks one "
            "target alone. Analyse a metric of its own."
        )


def _arm(analysis: Analysis, contexts: str, only: list[str], seed: int, person: User | None) -> EvalRun:
    run, target = analysis.run, analysis.target
    changes: dict[str, Any] = {"contexts": contexts, "contexts_seed": seed if contexts == "shuffled" else 0}
    return queue_run(
        version=run.version,
        targets=[copied(target, index=0)],
        spec=parse_spec(run.spec).model_copy(update={**changes, "only": tuple(only)}),
        engine=run.engine,
        split=run.split,
        name=f"{CONTEXT_WORDS[contexts]}: {target.name}, {analysis.metric}",
        person=person,
    )
