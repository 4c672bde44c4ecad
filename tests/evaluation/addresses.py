"""Every address of this app with what it takes to read it (GET) and to use it (POST); and one of everything."""

from typing import Any

from evaluation.endpoints import EndpointDraft, add_endpoint
from evaluation.errors.failures import start_analysis
from evaluation.errors.reading import next_failure
from evaluation.judges import VersionDraft, create_judge
from evaluation.models import (
    AgreementCard,
    CaseImport,
    Decision,
    EvalRun,
    Fix,
    Generation,
    Intervention,
    Round,
    ShareLink,
    Study,
)
from evaluation.playground import ask, begin
from evaluation.suites import living
from labeling.models import DatasetVersion, Project, User
from labeling.rag.taxonomy import categories_of
from tests import world
from tests.evaluation import policing
from tests.evaluation.finished import finished, passing
from tests.evaluation.planned import a_suite
from tests.training.runs import launched, root_checkpoint
from training.models import Checkpoint

READ, CHANGE, USE, OWN, SHARE, REVIEW = "view_results", "curate", "train", "manage", "share", "review"
READ_ONLY = (
    "dashboard leaderboard evaluation verdict_file result_csv compare cases result_case decisions decision "
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
    **{name: {"get": READ} for name in ("ledger", "fix", "round", "round_file")},
    **{name: {"post": CHANGE} for name in ("fix_take_in", "round_fill")},
    **{name: {"get": CHANGE, "post": CHANGE} for name in ("fix_new", "round_edit")},
    "rounds": {"get": READ, "post": CHANGE},
    **{name: {"get": READ, "post": READ} for name in ("playground", "conversation")},
    "conversation_turn": {"post": READ},
    "conversation_state": {"get": READ},
    **{name: {"get": READ} for name in ("studies", "study", "study_file")},
    "study_new": {"get": USE, "post": USE},
    **{name: {"post": USE} for name in ("study_look", "study_cancel", "study_resume")},
    **{name: {"get": READ} for name in ("analysis", "analysis_file", "intervention")},
    "analyses": {"get": READ, "post": REVIEW},
    "error_next": {"get": REVIEW},
    "error_read": {"get": REVIEW, "post": REVIEW},
    "error_category": {"get": READ, "post": REVIEW},
    "error_category_new": {"post": REVIEW},
    "error_send": {"post": CHANGE},
    "intervention_new": {"post": USE},
    "share": {"get": SHARE, "post": SHARE},
    "share_revoke": {"post": SHARE},
    **policing.PAGES,
}
API: dict[str, dict[str, str]] = {
    "evaluations": {"get": READ, "post": USE},
    "evaluation": {"get": READ},
    **{f"evaluation-{name}": {"post": USE} for name in ("cancel", "resume", "again")},
    "suites": {"get": READ, "post": CHANGE},
    "suite": {"get": READ, "patch": CHANGE},
    **{name: {"post": CHANGE} for name in ("cases-change", "suite-seal")},
    "gate": {"get": READ, "patch": OWN},
    "share-links": {"get": SHARE, "post": SHARE},
    "share-link": {"delete": SHARE},
    "suite-cases": {"get": READ, "post": CHANGE},
    "suite-freeze": {"post": CHANGE},
    "suite-picks": {"post": CHANGE},
    "judges": {"get": READ, "post": USE},
    "judge": {"get": READ, "patch": USE},
    "judge-versions": {"post": USE},
    **{name: {"post": USE} for name in ("agreement-card-cancel", "agreement-card-resume", "study-resume")},
    **{name: {"post": CHANGE} for name in ("generation-cancel", "generation-resume")},
    "agreement-cards": {"get": READ, "post": USE},
    "agreement-card": {"get": READ},
    "generations": {"get": READ, "post": CHANGE},
    "generation": {"get": READ},
    "studies": {"get": READ, "post": USE},
    "study": {"get": READ, "delete": USE},
    "study-looks": {"post": USE},
    "endpoints": {"get": OWN, "post": OWN},
    "endpoint": {"patch": OWN},
    "compare": {"get": READ},
    "run-cases": {"get": READ},
    "send-cases": {"post": CHANGE},
    "gate-verdict": {"get": READ, "post": USE},
    "decisions": {"get": READ},
    **{name: {"get": READ, "post": CHANGE} for name in ("fixes", "rounds")},
    "fix": {"get": READ},
    "round": {"get": READ, "patch": CHANGE},
    **{name: {"post": CHANGE} for name in ("fix-take-in", "round-fill", "error-send")},
    "roll-back": {"post": USE},
    "analyses": {"get": READ, "post": REVIEW},
    "analysis": {"get": READ},
    "error-reads": {"get": READ, "post": REVIEW},
    "interventions": {"get": READ, "post": USE},
    "error-categories": {"post": REVIEW},
    "error-plan": {"get": READ, "put": REVIEW},
    "intervention": {"get": READ},
    **policing.API,
    "conversations": {"get": READ, "post": READ},
    "conversation-turns": {"post": READ},
    "turn": {"get": READ},
    **{name: {"post": READ} for name in ("turn-stop", "turn-again", "turn-vote", "turn-edit")},
    **{name: {"post": CHANGE} for name in ("turn-queue", "turn-case")},
    **{name: {"post": READ} for name in ("conversation-reveal", "conversation-anew")},
    "conversation": {"get": READ, "delete": READ},
}


def numbers(project: Project, version: DatasetVersion) -> dict[str, list[Any]]:
    """What stands in the addresses, by their names, of one of everything."""
    ada = world.person("ada")
    suite = a_suite(project)
    batch = CaseImport.objects.create(project=project, suite=suite, filename="f", path="f")
    return {
        **_of_runs(project, ada),
        **_of_judges(project, version, ada),
        **policing.numbers(project, launched(project, version), suite),
        **_of_conversations(project, ada),
        **at("suite suite_settings suite_archive suite_freeze suite_seal", suite.pk),
        **at("suite_diff suite_file suite_imports case_new gate", suite.pk),
        **at("api-suite api-suite-cases api-suite-freeze api-suite-picks", suite.pk),
        **at("api-cases-change api-suite-seal api-gate", suite.pk),
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
    study = Study.objects.create(
        project=project, queue=project, name="s", spec=SPEC, design={}, prompts=1, folder="s"
    )
    return {
        **at("judge judge_version judge_check judge_archive api-judge api-judge-versions", first.judge_id),
        **at("agreement_card card_cancel card_resume api-agreement-card", card.pk),
        **at("api-agreement-card-cancel api-agreement-card-resume", card.pk),
        **at("endpoint endpoint_archive api-endpoint", endpoint.pk),
        **at("generation generation_cancel generation_resume", generation.pk),
        **at("api-generation api-generation-cancel api-generation-resume", generation.pk),
        **at("study study_look study_cancel study_resume", study.pk),
        **at("api-study api-study-looks api-study-resume", study.pk),
        "study_file": [study.pk, "md"],
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
    fix = Fix.objects.create(
        project=project,
        category=categories_of(project)[0],
        run=run,
        target=run.targets.get(index=0),
        metric="exact",
    )
    return {
        **at("fix fix_take_in api-fix api-fix-take-in", fix.pk),
        **_of_rounds(project),
        **_of_errors(project, run, ada),
        **at("evaluation cancel resume again result_csv", run.pk),
        **at("cases send_cases share api-evaluation api-run-cases api-share-links", run.pk),
        **at("api-evaluation-cancel api-evaluation-resume api-evaluation-again", run.pk),
        "verdict_file": [run.pk, "md"],
        "result_case": [run.pk, case.case_id],
        "gate_verdict": [run.pk, 1],
        "api-gate-verdict": [run.pk, 1],
        **at("share_revoke api-share-link", run.pk, link.pk),
        "decision": [decision.pk],
        "decision_file": [decision.pk, "md"],
        "roll_back": [candidate.pk],
        "api-roll-back": [candidate.pk],
    }


def _of_errors(project: Project, run: EvalRun, ada: User) -> dict[str, list[Any]]:
    analysis = start_analysis(run=run, target=run.targets.get(index=0), person=ada)
    next_failure(analysis=analysis, person=ada)
    asked = Intervention.objects.create(analysis=analysis, scope="failing", cases=1, seed=0)
    return {
        **at("analysis error_next error_category_new intervention_new", analysis.pk),
        **at("api-analysis api-error-reads api-interventions api-error-categories", analysis.pk),
        "api-error-plan": [categories_of(project)[0].key],
        **at("intervention api-intervention", analysis.pk, asked.pk),
        **at("error_category error_send api-error-send", analysis.pk, categories_of(project)[0].key),
        "analysis_file": [analysis.pk, "csv"],
        "error_read": [analysis.pk, 0],
    }


def _of_conversations(project: Project, ada: User) -> dict[str, list[Any]]:
    one = begin(project=project, person=ada, sources=[root_checkpoint()])
    turn = ask(conversation=one, text="Hello?")
    return {
        **at("conversation conversation_state", one.pk),
        **at("api-conversation api-conversation-turns api-conversation-reveal", one.pk),
        "api-conversation-anew": [one.pk],
        "conversation_turn": [one.pk, turn.pk],
        **at(
            "api-turn api-turn-stop api-turn-again api-turn-vote api-turn-edit api-turn-queue api-turn-case",
            turn.pk,
        ),
    }


def _of_rounds(project: Project) -> dict[str, list[Any]]:
    number = Round.objects.create(project=project, name="Round 1").pk
    return {
        **at("round round_edit round_fill api-round api-round-fill", number),
        "round_file": [number, "md"],
    }


SPEC = {
    "targets": [{"id": "0", "base": "hub/tiny", "name": "tiny"}],
    "engine": "transformers",
    "temperatures": [0.7],
    "sampling": {"temperature": 0.7},
}
