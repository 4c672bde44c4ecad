"""Every address of this app with what it takes to read it (GET) and to use it (POST); and one of everything."""

from typing import Any

from evaluation.endpoints import EndpointDraft, add_endpoint
from evaluation.judges import VersionDraft, create_judge
from evaluation.models import AgreementCard, CaseImport, Decision, Generation, ShareLink
from evaluation.suites import living
from labeling.models import DatasetVersion, Project, User
from tests import world
from tests.evaluation.finished import finished, passing
from tests.evaluation.planned import a_suite
from tests.training.runs import root_checkpoint
from training.models import Checkpoint

READ, CHANGE, USE, OWN, SHARE = "view_results", "curate", "train", "manage", "share"
READ_ONLY = (
    "dashboard leaderboard evaluation chart verdict_file result_csv compare cases result_case decisions decision "
    "decision_file suites suite_diff suite_file suite_import judges judge agreement_card generations generation "
    "gate gate_verdict suite suite_settings case evaluations"
)
PAGES: dict[str, dict[str, str]] = {
    **{name: {"get": READ} for name in READ_ONLY.split()},
    "evaluations": {"get": READ, "post": USE},
    "suite": {"get": READ, "post": CHANGE},
    "suite_settings": {"get": READ, "post": CHANGE},
    "gate": {"get": READ, "post": OWN},
    "gate_verdict": {"get": READ, "post": USE},
    **{name: {"post": USE} for name in ("cancel", "resume", "again", "judge_check", "judge_archive")},
    **{name: {"post": USE} for name in ("card_cancel", "card_resume")},
    **{name: {"get": USE, "post": USE} for name in ("judge_new", "judge_version", "roll_back")},
    **{name: {"post": CHANGE} for name in ("suite_pick", "suite_archive", "suite_freeze", "suite_seal")},
    **{name: {"post": CHANGE} for name in ("suite_import_cancel", "send_cases")},
    **{name: {"post": CHANGE} for name in ("generation_cancel", "generation_resume")},
    **{name: {"get": CHANGE, "post": CHANGE} for name in ("suite_new", "suite_imports", "case_new")},
    "generation_new": {"get": CHANGE, "post": CHANGE},
    "endpoints": {"get": OWN},
    "endpoint_new": {"get": OWN, "post": OWN},
    "endpoint": {"get": OWN, "post": OWN},
    "endpoint_archive": {"post": OWN},
    "share": {"get": SHARE, "post": SHARE},
    "share_revoke": {"post": SHARE},
}
API: dict[str, dict[str, str]] = {
    "evaluations": {"get": READ, "post": USE},
    "evaluation": {"get": READ},
    "suites": {"get": READ, "post": CHANGE},
    "suite": {"get": READ},
    "suite-cases": {"get": READ, "post": CHANGE},
    "suite-freeze": {"post": CHANGE},
    "judges": {"get": READ, "post": USE},
    "judge-versions": {"post": USE},
    "agreement-cards": {"get": READ, "post": USE},
    "agreement-card": {"get": READ},
    "generations": {"get": READ, "post": CHANGE},
    "generation": {"get": READ},
    "endpoints": {"get": OWN, "post": OWN},
    "endpoint": {"patch": OWN},
    "compare": {"get": READ},
    "run-cases": {"get": READ},
    "send-cases": {"post": CHANGE},
    "gate-verdict": {"get": READ, "post": USE},
    "decisions": {"get": READ},
    "roll-back": {"post": USE},
}


def numbers(project: Project, version: DatasetVersion) -> dict[str, list[Any]]:
    """What stands in the addresses, by their names, of one of everything."""
    ada = world.person("ada")
    suite = a_suite(project)
    batch = CaseImport.objects.create(project=project, suite=suite, filename="f", path="f")
    return {
        **_of_runs(project, ada),
        **_of_judges(project, version, ada),
        **at("suite suite_settings suite_archive suite_freeze suite_seal", suite.pk),
        **at("suite_diff suite_file suite_imports case_new gate", suite.pk),
        **at("api-suite api-suite-cases api-suite-freeze", suite.pk),
        "suite_import": [suite.pk, batch.pk],
        "suite_import_cancel": [suite.pk, batch.pk],
        "case": [suite.pk, living(suite)[0].uid],
    }


def at(names: str, *numbers: Any) -> dict[str, list[Any]]:
    return {name: list(numbers) for name in names.split()}


def _of_judges(project: Project, version: DatasetVersion, ada: User) -> dict[str, list[Any]]:
    first = create_judge(
        project=project,
        name="Kind",
        kind="rubric",
        draft=VersionDraft(
            rubric="Is it kind?",
            labels={"yes": 1.0, "no": 0.0},
            checkpoint=root_checkpoint(),
            engine="transformers",
        ),
        person=ada,
    )
    card = AgreementCard.objects.create(
        project=project, version=first, dataset_version=version, folder="card"
    )
    draft = EndpointDraft("Elsewhere", "http://127.0.0.1:9/v1", "m")
    endpoint = add_endpoint(project=project, draft=draft, person=ada)
    generation = Generation.objects.create(project=project, name="g", spec=SPEC, prompts=1, folder="g")
    return {
        **at("judge judge_version judge_check judge_archive api-judge-versions", first.judge_id),
        **at("agreement_card card_cancel card_resume api-agreement-card", card.pk),
        **at("endpoint endpoint_archive api-endpoint", endpoint.pk),
        **at("generation generation_cancel generation_resume", generation.pk),
        "api-generation": [generation.pk],
    }


def _of_runs(project: Project, ada: User) -> dict[str, list[Any]]:
    run = finished(project, {"base": passing(0.5), "step": passing(0.7)}, cases=8)
    case = run.results.first()
    assert case is not None
    link = ShareLink.objects.create(
        run=run, token_hash="ab" * 32, expires_at=run.created_at.replace(year=2030), created_by=ada
    )
    candidate = Checkpoint.objects.filter(project=project, name="step").get()
    decision = Decision.objects.create(
        project=project,
        run=run,
        candidate=candidate,
        action="kept",
        record="# Kept\n",
        content_hash="00" * 32,
    )
    return {
        **at("evaluation cancel resume again result_csv", run.pk),
        **at("cases send_cases share api-evaluation api-run-cases", run.pk),
        "chart": [run.pk, "primary", "csv"],
        "verdict_file": [run.pk, "md"],
        "result_case": [run.pk, case.case_id],
        "gate_verdict": [run.pk, 1],
        "api-gate-verdict": [run.pk, 1],
        "share_revoke": [run.pk, link.pk],
        "decision": [decision.pk],
        "decision_file": [decision.pk, "md"],
        "roll_back": [candidate.pk],
        "api-roll-back": [candidate.pk],
    }


SPEC = {
    "targets": [{"id": "0", "base": "hub/tiny", "name": "tiny"}],
    "engine": "transformers",
    "temperatures": [0.7],
    "sampling": {"temperature": 0.7},
}
