"""What a worker does for this app: three lines each, calling a verb."""

from celery import shared_task

from evaluation import candidates, execution, judging, playground, suites
from evaluation.models import (
    AgreementCard,
    CaseImport,
    Delivery,
    EvalRun,
    Generation,
    PolicyRun,
    Serving,
    Study,
)
from evaluation.policies import advancing, delivering, starting
from evaluation.studies import answering
from labeling.lifecycle import for_row


@shared_task
def drive_evaluation(run_id: int) -> None:
    rows = EvalRun.objects.select_related("project", "suite", "version__suite")
    for_row(rows, run_id, execution.drive)


@shared_task
def check_judge(card_id: int) -> None:
    for_row(AgreementCard.objects.select_related("project"), card_id, judging.carry_card)


@shared_task
def generate_candidates(generation_id: int) -> None:
    for_row(Generation.objects.select_related("project"), generation_id, candidates.carry_generation)


@shared_task
def carry_study(study_id: int) -> None:
    for_row(Study.objects.select_related("project", "queue", "judge__judge"), study_id, answering.carry_study)


@shared_task
def serve_conversation(serving_id: int) -> None:
    for_row(Serving.objects.select_related("project", "conversation"), serving_id, playground.serve)


@shared_task
def import_cases(batch_id: int) -> None:
    for_row(CaseImport.objects.select_related("suite", "project"), batch_id, suites.run_import)


@shared_task
def look_at_policies() -> None:
    starting.look()


@shared_task
def advance_policy_run(run_id: int) -> None:
    for_row(PolicyRun.objects.all(), run_id, advancing.follow)


@shared_task
def deliver_notice(delivery_id: int) -> None:
    for_row(Delivery.objects.all(), delivery_id, delivering.deliver)


@shared_task
def sweep() -> None:
    for kind in (EvalRun, AgreementCard, Generation, CaseImport, Study):
        kind.sweep()
    for module in (advancing, delivering, playground):
        module.sweep()
