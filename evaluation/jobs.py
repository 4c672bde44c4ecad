"""What a worker does for this app: three lines each, calling a verb."""

from celery import shared_task

from evaluation import candidates, execution, judging, suites
from evaluation.models import AgreementCard, CaseImport, EvalRun, Generation
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
def import_cases(batch_id: int) -> None:
    for_row(CaseImport.objects.select_related("suite", "project"), batch_id, suites.run_import)


@shared_task
def sweep() -> None:
    for kind in (EvalRun, AgreementCard, Generation, CaseImport):
        kind.sweep()
