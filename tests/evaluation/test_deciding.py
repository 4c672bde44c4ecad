"""Emma promotes what passes, Ada may promote despite the gate, and nobody decides on what is not so any more."""

import hashlib

import pytest
from django.core.management import CommandError, call_command

from evaluation.deciding import decide, last_decision, predecessor, roll_back, set_gate
from evaluation.findings import gate_of
from evaluation.models import Decision
from labeling.errors import Refused
from labeling.models import Project, User
from labeling.models.appendonly import Unchangeable
from tests import world
from tests.evaluation.finished import checkpoint, finished, suite_of
from tests.evaluation.gating import EVEN, UP, better, listed, marks, pair, promoted
from training.models import Checkpoint, StageChange
from training.staging import StageMoved, set_stage

pytestmark = pytest.mark.django_db


def stage(project: Project, name: str) -> str:
    return Checkpoint.objects.get(project=project, name=name).stage


def test_emma_promotes_a_candidate_that_passes(project: Project, emma: User) -> None:
    run, target = better(project)
    made = decide(run=run, target=target, promote=True, person=emma)
    assert (stage(project, "candidate"), stage(project, "champion")) == ("production", "archived")
    assert (made.action, made.verdict, made.passed) == ("promoted", "better", True)
    assert made.champion is not None
    assert made.champion.name == "champion"
    assert made.content_hash == hashlib.sha256(made.record.encode()).hexdigest()
    assert StageChange.objects.filter(checkpoint__name="candidate", created_by=emma).exists()


def test_emma_keeps_the_champion(project: Project, emma: User) -> None:
    run, target = better(project)
    made = decide(run=run, target=target, promote=False, person=emma, reason="Wait for the holidays")
    assert made.action == "kept"
    assert stage(project, "champion") == "production"
    assert "kept champion" in made.record
    assert "Wait for the holidays" in made.record


def test_what_does_not_pass_is_refused_with_what_is_open(project: Project, emma: User) -> None:
    run, target = pair(project, EVEN, EVEN)
    with pytest.raises(Refused, match="Open: better in exact"):
        decide(run=run, target=target, promote=True, person=emma)
    assert not Decision.objects.exists()


def test_ada_promotes_despite_the_gate_only_with_a_reason(project: Project, ada: User) -> None:
    run, target = pair(project, EVEN, EVEN)
    with pytest.raises(Refused, match="needs a reason"):
        decide(run=run, target=target, promote=True, person=ada, despite=True, reason="  ")
    made = decide(
        run=run, target=target, promote=True, person=ada, despite=True, reason="The old one | leaks"
    )
    assert made.passed is False
    assert "promoted despite it" in made.record
    assert "The old one \\| leaks" in made.record


def test_a_reason_that_is_too_long_is_refused(project: Project, ada: User) -> None:
    run, target = better(project)
    with pytest.raises(Refused, match="has 301 characters"):
        decide(run=run, target=target, promote=False, person=ada, reason="x" * 301)


def test_a_champion_that_was_promoted_meanwhile_is_not_overrun(project: Project, emma: User) -> None:
    """Emma's page shows champion; Ada promotes another; Emma presses her button."""
    run, target = better(project)
    seen = (Checkpoint.objects.get(name="champion").pk, None)
    Checkpoint.objects.filter(name="champion").update(stage="archived")
    promoted(project, "newer")
    with pytest.raises(Refused, match="measured against what is in production"):
        decide(run=run, target=target, promote=True, person=emma, seen=seen)
    with pytest.raises(StageMoved, match="By now newer is in production"):
        decide(run=run, target=target, promote=True, person=emma, despite=True, reason="x", seen=seen)
    assert stage(project, "newer") == "production"


def test_a_decision_is_not_taken_twice(project: Project, emma: User) -> None:
    run, target = better(project)
    decide(run=run, target=target, promote=True, person=emma)
    with pytest.raises(StageMoved, match="in production already"):
        decide(run=run, target=target, promote=True, person=emma)
    assert Decision.objects.count() == 1


def test_keeping_twice_is_one_decision_and_promoting_after_it_is_another(
    project: Project, emma: User
) -> None:
    run, target = better(project)
    kept = decide(run=run, target=target, promote=False, person=emma)
    with pytest.raises(Refused, match=f"see decision {kept.pk}"):
        decide(run=run, target=target, promote=False, person=emma)
    made = decide(run=run, target=target, promote=True, person=emma)
    assert last_decision(run) == made


def test_whoever_decides_second_is_told_what_the_first_decided(
    project: Project, emma: User, ada: User
) -> None:
    run, target = better(project)
    seen = (Checkpoint.objects.get(name="champion").pk, None)
    decide(run=run, target=target, promote=False, person=ada, seen=seen)
    with pytest.raises(StageMoved, match="ada decided meanwhile: candidate was not promoted"):
        decide(run=run, target=target, promote=True, person=emma, seen=seen)
    assert stage(project, "champion") == "production"


@pytest.mark.django_db(transaction=True)
def test_of_two_who_decide_at_the_same_moment_one_wins(var: object) -> None:
    project = world.make_project()
    run, target = better(project)
    seen = (Checkpoint.objects.get(name="champion").pk, None)

    def press(promote: bool) -> str:
        try:
            return decide(run=run, target=target, promote=promote, person=None, seen=seen).action
        except StageMoved:
            return "refused"

    found = world.together([lambda: press(True), lambda: press(False), lambda: press(True)])
    assert found.count("refused") == 2
    assert Decision.objects.count() == 1
    assert (stage(project, "candidate") == "production") == ("promoted" in found)


def test_two_candidates_of_one_run_are_decided_one_after_another(project: Project, emma: User) -> None:
    promoted(project, "champion")
    run = finished(project, {"champion": listed(EVEN), "one": listed(UP), "two": listed(UP)}, cases=200)
    one, two = run.targets.get(name="one"), run.targets.get(name="two")
    decide(run=run, target=one, promote=True, person=emma)
    with pytest.raises(Refused, match="measured against what is in production"):
        decide(run=run, target=two, promote=True, person=emma)


@pytest.mark.parametrize("what", ["baseline", "endpoint", "other run", "running"])
def test_only_a_candidate_of_a_finished_run_is_decided_about(project: Project, emma: User, what: str) -> None:
    run, target = pair(project, EVEN, UP)
    if what == "baseline":
        target = run.targets.get(index=0)
    elif what == "endpoint":
        target.checkpoint = None
    elif what == "other run":
        _, target = pair(project, EVEN, UP, version=suite_of(project, 200, name="Other"))
    else:
        run.status = "running"
    with pytest.raises(Refused):
        decide(run=run, target=target, promote=True, person=emma)


def test_emma_rolls_back_to_what_was_there_before(project: Project, emma: User) -> None:
    run, target = better(project)
    decide(run=run, target=target, promote=True, person=emma)
    candidate = Checkpoint.objects.get(name="candidate")
    before = predecessor(candidate)
    assert before is not None
    made = roll_back(
        project=project, checkpoint=candidate, person=emma, reason="It swears", back_to=before.pk
    )
    assert (stage(project, "candidate"), stage(project, "champion")) == ("archived", "production")
    assert (made.action, made.candidate.name) == ("rolled_back", "champion")
    assert "It swears" in made.record
    with pytest.raises(StageMoved, match="not in production"):
        roll_back(project=project, checkpoint=candidate, person=emma, reason="Again")


def test_what_was_rolled_back_does_not_come_back_by_the_next_roll_back(project: Project, emma: User) -> None:
    rows = [promoted(project, "first")]
    for name in ("second", "third"):
        rows.append(checkpoint(project, name))
        set_stage(
            checkpoint=rows[-1], before="candidate", after="production", replaces=rows[-2].pk, person=emma
        )
    for bad, back in ((2, "second"), (1, "first")):
        found = Checkpoint.objects.get(pk=rows[bad].pk)
        made = roll_back(project=project, checkpoint=found, person=emma, reason="It swears")
        assert made.candidate.name == back
    with pytest.raises(Refused, match="Nothing was in production before first"):
        roll_back(
            project=project, checkpoint=Checkpoint.objects.get(name="first"), person=emma, reason="Again"
        )


@pytest.mark.parametrize(
    ("reason", "words"),
    [("", "needs a reason"), ("x", "Nothing was in production before"), ("x" * 301, "301")],
)
def test_a_roll_back_without_reason_or_predecessor_is_refused(
    project: Project, emma: User, reason: str, words: str
) -> None:
    only = promoted(project, "only")
    with pytest.raises(Refused, match=words):
        roll_back(project=project, checkpoint=only, person=emma, reason=reason)


def test_a_roll_back_to_another_than_was_seen_is_refused(project: Project, emma: User) -> None:
    run, target = better(project)
    decide(run=run, target=target, promote=True, person=emma)
    candidate = Checkpoint.objects.get(name="candidate")
    with pytest.raises(StageMoved, match="By now champion would come back"):
        roll_back(project=project, checkpoint=candidate, person=emma, reason="x", back_to=candidate.pk)


def test_decisions_are_never_changed(project: Project, emma: User) -> None:
    run, target = better(project)
    made = decide(run=run, target=target, promote=False, person=emma)
    made.reason = "other"
    with pytest.raises(Unchangeable):
        made.save()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"alpha": 0.0}, "Alpha"),
        ({"alpha": 0.6}, "Alpha"),
        ({"margin": 0.0}, "A margin"),
        ({"missing": 1.5}, "without a value"),
        ({"guardrails": [{"metric": "tone", "margin": 0.1}]}, "no metric 'tone'; it has exact"),
        ({"guardrails": [{"metric": "exact", "margin": 0.1}] * 2}, "twice"),
        ({"guardrails": [{"metric": "exact", "margin": -0.1}]}, "A margin"),
    ],
)
def test_a_gate_that_makes_no_sense_is_refused(project: Project, ada: User, values: dict, words: str) -> None:
    run, _ = pair(project, EVEN[:10], marks(5, 10))
    with pytest.raises(Refused, match=words):
        set_gate(suite=run.suite, values=values, person=ada)
    assert gate_of(run.suite).pk is None


def test_the_suite_against_forgetting_is_another_one_of_this_project(project: Project, ada: User) -> None:
    run, _ = pair(project, EVEN[:10], marks(5, 10))
    strange = suite_of(world.make_project("Other"), 5, name="Strange").suite
    for suite, words in ((run.suite, "this one itself"), (strange, "another project")):
        with pytest.raises(Refused, match=words):
            set_gate(suite=run.suite, values={"forgetting": suite}, person=ada)
    own = suite_of(project, 5, name="General").suite
    set_gate(suite=run.suite, values={"forgetting": own, "alpha": 0.1}, person=ada)
    assert gate_of(run.suite).alpha == 0.1
    assert gate_of(run.suite).changed_by == ada


def test_the_shell_says_what_the_gate_says_and_decides(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = better(project)
    call_command("decide", str(run.pk), "--target", "1")
    assert "Better in exact: holds." in capsys.readouterr().out
    assert not Decision.objects.exists()
    call_command("decide", str(run.pk), "--target", "1", "--promote", "--json")
    assert '"action": "promoted"' in capsys.readouterr().out
    with pytest.raises(CommandError, match="in production already"):
        call_command("decide", str(run.pk), "--target", "1", "--keep")
    with pytest.raises(CommandError, match="no candidate 0"):
        call_command("decide", str(run.pk), "--target", "0")
    with pytest.raises(CommandError, match="may not"):
        call_command("decide", str(run.pk), "--target", "1", "--promote", "--despite", "--as", "emma")
