"""People say, blind, which model they prefer; looks are taken without raising the error rate."""

from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from django.db import DatabaseError, connection, transaction

from evaluation.engines.protocol import Request
from evaluation.models import Output, StudyLook, StudyPair
from evaluation.outlook import Wanted
from evaluation.studies import sentences
from evaluation.studies.answering import carry_study
from evaluation.studies.counting import count
from evaluation.studies.design import read_design
from evaluation.studies.lineage import SeenInTraining, asked_in_studies, gone
from evaluation.studies.looking import cancel_study, changed_since, take_look
from evaluation.studies.prompts import StudyPrompt, of_split, of_suite
from evaluation.studies.results import result_of
from evaluation.studies.starting import start_study
from labeling.allocation import set_overlap
from labeling.curation.withdrawing import withdraw
from labeling.errors import Refused, RowRefused
from labeling.intake import ItemDraft
from labeling.lifecycle import Status
from labeling.models import Assignment, Item, Judgment, Project, ProtectedFingerprint, Response, Task, User
from labeling.models.appendonly import Unchangeable
from labeling.queue import claim_next
from labeling.tasks import shown_order
from tests import world
from tests.evaluation.judged import a_judge, judge_by
from tests.evaluation.planned import a_suite, tuned
from tests.evaluation.studying import Opinion, answering, begun, judge, plan, suite_prompts
from tests.training.runs import RESULT, judged_version, launched, root_checkpoint
from training.models import Checkpoint
from training.registry import register_checkpoint


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch)


def mostly(share: float) -> Opinion:
    """An opinion that prefers the first model on this share of the prompts."""
    return lambda pair: "win" if (pair.number * 7 + 3) % 20 < 20 * share else "loss"


def test_ben_is_given_pairs_before_his_other_work_and_sees_nothing_of_the_models(project: Project) -> None:
    world.fill(project, 2)
    study = begun(project)
    assert study.status == Status.SUCCEEDED, study.error
    assert (study.planned, study.pairs.count()) == (40, 40)
    items = Item.objects.filter(study_pairs__study=study)
    assert {(item.source_kind, item.source_ref) for item in items} == {("study", f"study {study.pk}")}
    page = world.sign_in(world.person("ben")).get(f"/p/{project.slug}/rank/").text
    assert "says, to Questions question" in page
    for secret in ("tiny", "tuned", "study", "Which one", "prompt_from"):
        assert secret not in page


@pytest.mark.parametrize(("people", "apart"), [(1, 1), (2, 0), (3, 1)])
def test_each_order_is_shown_as_often_as_the_other_in_a_pair_and_over_the_study(
    project: Project, people: int, apart: int
) -> None:
    study = begun(project, design={"annotators": people})
    by_pair: dict[int, Counter[bool]] = defaultdict(Counter)
    for pair in study.pairs.select_related("item"):
        for slot in Assignment.objects.filter(item=pair.item_id).select_related("project", "item"):
            by_pair[pair.number][shown_order(slot, slot.turn)[0] == pair.place] += 1
    assert {sum(one.values()) for one in by_pair.values()} == {people}
    assert {abs(one[True] - one[False]) for one in by_pair.values()} == {apart}
    assert sum(one[True] for one in by_pair.values()) == 40 * people / 2
    assert {pair.place for pair in study.pairs.all()} == {0, 1}


def test_everybody_sees_both_orders_alike_whoever_comes_first(project: Project) -> None:
    study = begun(project, design={"annotators": 2})
    judge(study, "ben", "tie", most=20)
    judge(study, "bea", "tie")
    judge(study, "ben", "tie")
    places = {pair.item_id: pair.place for pair in study.pairs.all()}
    for who in ("ben", "bea"):
        given = Judgment.objects.filter(person=world.person(who)).values_list("item_id", "display_order")
        first = [order[0] == places[item] for item, order in given]
        assert (len(first), sum(first)) == (40, 20)


def test_the_same_answers_are_ties_and_nobody_is_asked(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, lambda request, asked: "yes" if "7?" in asked else f"{request.target} {asked}")
    study = begun(project)
    assert study.facts["same"] == 4
    assert study.pairs.filter(item=None).count() == 4
    assert judge(study, "ben", "win") == 36
    one = result_of(take_look(study=study, person=None)).pairs[0]
    assert (one.prompts, one.wins, one.same, one.judgments) == (40, 36, 4, 36)
    assert one.rate
    assert one.rate.value == pytest.approx((36 + 2) / 40)
    assert one.preferred
    assert one.preferred.value == 1.0


def test_where_all_answers_are_the_same_the_study_ends_with_a_sentence(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, lambda request, asked: "yes")
    study = begun(project)
    assert study.status == Status.FAILED
    assert study.error.startswith("The models gave the same answer to each of the 40 prompts")
    assert not Item.objects.filter(source_kind="study").exists()
    assert sentences.headline(study, None) == study.error


def test_prompts_that_a_model_was_trained_on_are_refused_with_a_list_or_left_out(project: Project) -> None:
    version = judged_version(project, items=60, test_share=0.4)
    trained = register_checkpoint(run=launched(project, version, name="trained"), result=RESULT)
    held_out = of_split(version=version, split="test")
    units = {prompt.unit for prompt in held_out.found if isinstance(prompt, StudyPrompt)}
    item = Item.objects.exclude(prompt_hash__in=units).first()
    assert item is not None
    mixed = replace(held_out, found=[*held_out.found, StudyPrompt(item.messages, "item", unit="another")])
    wanted = Wanted(checkpoints=[root_checkpoint("tiny"), trained], engine="fake")
    count = len(mixed.found)
    with pytest.raises(SeenInTraining, match=f"1 of the {count} prompts was trained on, such as") as found:
        start_study(project=project, plan=plan(project, prompts=mixed, wanted=wanted), person=None)
    assert [(one.checkpoint, one.prompt) for one in found.value.seen] == [("trained", item.preview)]
    left = plan(project, prompts=mixed, wanted=wanted, leave_out=True)
    made = start_study(project=project, plan=left, person=None)
    assert (made.prompts, made.facts["left_out"]) == (count - 1, 1)
    with pytest.raises(Refused, match="takes prompts that are held out: test or validation"):
        of_split(version=version, split="train")


def test_what_people_say_in_a_study_never_becomes_training_data(project: Project) -> None:
    world.fill(project, 5)
    study = begun(project)
    assert ProtectedFingerprint.objects.filter(project=project, reason="study Which one").count() == 40
    hashes = set(Item.objects.filter(source_kind="study").values_list("prompt_hash", flat=True))
    assert asked_in_studies([*hashes, "another"]) == hashes
    judge(study, "ben", "win", most=40)
    world.judge_all(project, world.person("ben"))
    version = world.frozen(project, test_share=0, validation_share=0)
    assert version.dropped["protected"] == 40
    assert version.rows == 5


def test_nothing_is_told_before_a_look_and_a_look_spends_what_its_boundary_says(project: Project) -> None:
    study = begun(project, design={"looks": 2})
    with pytest.raises(Refused, match="0 prompts are complete; a look needs 20"):
        take_look(study=study, person=None)
    judge(study, "ben", mostly(0.6), most=20)
    assert "No result is shown before a look is taken" in sentences.headline(study, None)
    look = take_look(study=study, person=world.person("emma"))
    assert (look.number, look.fraction, look.prompts, look.final) == (1, 0.5, 20, False)
    assert look.boundary == pytest.approx(2.963, abs=0.001)
    assert look.spent == pytest.approx(0.00305, abs=0.0001)
    assert "Undecided at look 1" in sentences.headline(study, look)
    with pytest.raises(Refused, match="No prompt was completed since the last look, at 50 %"):
        take_look(study=study, person=None)
    judge(study, "ben", mostly(0.6))
    last = take_look(study=study, person=None)
    study.refresh_from_db()
    assert (last.number, last.final, study.closed_as) == (2, True, "complete")
    assert last.boundary == pytest.approx(1.969, abs=0.001)
    assert last.spent == pytest.approx(0.05)
    assert "No preference is shown: the win rate of tiny against tuned-1 is 60.0 %" in sentences.headline(
        study, last
    )
    with pytest.raises(Refused, match="is over already: finished; its looks stand"):
        take_look(study=study, person=None)


def test_a_clear_difference_stops_the_study_and_nobody_is_given_the_rest(project: Project) -> None:
    study = begun(project, design={"looks": 2})
    judge(study, "ben", lambda pair: "loss" if pair.number % 10 else "tie", most=25)
    held = claim_next(project=project, person=world.person("bea"))
    look = take_look(study=study, person=None)
    study.refresh_from_db()
    assert study.closed_as == "efficacy"
    assert sentences.headline(study, look).startswith("People prefer tuned-1 to tiny: win rate 9")
    assert "The study stopped at look 1" in sentences.stopping(study, look)
    assert held is not None
    set_overlap(project=project, overlap=3, every=True)
    assert Assignment.objects.filter(item__source_kind="study", person=None).count() == 0
    assert claim_next(project=project, person=world.person("ben")) is None
    assert world.send(held, world.person("bea"), world.PairwiseAnswer(verdict="tie")).label == "tie"
    assert result_of(look).pairs[0].judgments == 25


def test_prompts_of_one_document_are_one_piece_of_evidence_and_no_look_is_spent_on_it(
    project: Project,
) -> None:
    prompts = of_suite(suite=a_suite(project, cases=24, cluster="one document"))
    study = begun(project, prompts=prompts)
    judge(study, "ben", "win")
    with pytest.raises(Refused, match="come from fewer than 20 sources"):
        take_look(study=study, person=None)
    assert not study.looks.exists()


@pytest.mark.data_layer
def test_a_look_is_never_changed(project: Project) -> None:
    study = begun(project)
    judge(study, "ben", "tie", most=20)
    look = take_look(study=study, person=None)
    look.spent = 0.0
    with pytest.raises(Unchangeable):
        look.save()
    with pytest.raises(Unchangeable):
        StudyLook.objects.update(spent=0.0)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE evaluation_studylook SET spent = 0")


def test_three_models_are_compared_in_every_pair_and_ranked(project: Project) -> None:
    study = begun(project, models=3, prompts=suite_prompts(project, 24))
    assert Counter(study.pairs.values_list("first", "second")) == {(0, 1): 24, (0, 2): 24, (1, 2): 24}
    judge(study, "ben", lambda pair: "loss" if pair.number % 6 else "win")
    look = take_look(study=study, person=None)
    result = result_of(look)
    study.refresh_from_db()
    assert look.boundary > 2.39
    assert [(line.name, line.best, line.worst) for line in result.ratings] == [
        ("tuned-2", 1, 1),
        ("tuned-1", 2, 2),
        ("tiny", 3, 3),
    ]
    assert study.closed_as == "efficacy"
    assert sentences.headline(study, look).startswith(
        "3 of 3 differences are shown: tuned-2 (rank 1), tuned-1 (rank 2), tiny (rank 3), on 24 prompts"
    )


def test_an_annotator_who_withdraws_is_left_out_and_earlier_looks_say_that_they_counted(
    project: Project,
) -> None:
    study = begun(project, design={"annotators": 2, "looks": 5})
    judge(study, "ben", "win", most=22)
    judge(study, "bea", "loss", most=22)
    look = take_look(study=study, person=None)
    assert (result_of(look).people, changed_since(look, count(study))) == (2, 0)
    assert result_of(look).agreement is None or result_of(look).agreement.value < 0.1  # type: ignore[union-attr]
    withdraw(project=project, by=None, username="bea")
    assert changed_since(look, count(study)) == 22
    judge(study, "ben", "win")
    judge(study, "cleo", "win")
    found = count(study)
    assert (found.withdrawn, found.people) == (22, 2)
    after = result_of(take_look(study=study, person=None))
    assert (after.pairs[0].wins, after.pairs[0].losses, after.withdrawn) == (58, 0, 22)


def test_a_study_that_is_cancelled_half_way_takes_its_pairs_back_and_shows_no_number(
    project: Project,
) -> None:
    study = begun(project)
    judge(study, "ben", "win", most=30)
    cancel_study(study=study, person=world.person("emma"))
    assert study.closed_as == "cancelled"
    assert claim_next(project=project, person=world.person("ben")) is None
    assert "says nothing about the models" in sentences.headline(study, None)
    assert Judgment.objects.count() == 30
    with pytest.raises(Refused, match="over already: cancelled"):
        cancel_study(study=study, person=None)
    with pytest.raises(Refused, match="is over"):
        take_look(study=study, person=None)


def test_a_study_outlives_its_checkpoint_and_says_so(project: Project) -> None:
    study = begun(project)
    judge(study, "ben", "loss", most=30)
    look = take_look(study=study, person=None)
    Checkpoint.objects.get(name="tuned-1").delete()
    study.refresh_from_db()
    assert gone(study) == ["tuned-1"]
    assert "People prefer tuned-1 to tiny" in sentences.headline(study, look)
    page = world.sign_in(world.person("leo")).get(f"/p/{project.slug}/studies/{study.pk}/").text
    assert "tuned-1 was deleted since" in page


def test_a_project_that_asks_something_else_asks_the_people_of_another_one(project: Project) -> None:
    Project.objects.update(task=Task.RANKING)
    project.refresh_from_db()
    with pytest.raises(Refused, match="Choose a project that compares two responses"):
        start_study(project=project, plan=plan(project), person=None)
    other = world.make_project("Pairs")
    study = begun(project, queue=other)
    assert Item.objects.filter(project=other, source_kind="study").count() == study.planned
    assert judge(study, "ben", "tie") == study.planned
    assert ProtectedFingerprint.objects.filter(project=other).count() >= study.planned


def test_a_study_that_was_killed_goes_on_and_makes_every_pair_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = start_study(project=project, plan=plan(project), person=None)
    carry_study(study)
    study.refresh_from_db()
    before = set(study.pairs.values_list("item_id", flat=True))
    asked = Output.objects.count()
    judge(study, "ben", "win", most=5)
    type(study).objects.update(status=Status.QUEUED)
    carry_study(study)
    study.refresh_from_db()
    assert study.status == Status.SUCCEEDED
    assert set(study.pairs.values_list("item_id", flat=True)) == before
    assert (Output.objects.count(), StudyPair.objects.count()) == (asked, 40)
    assert len(count(study).given) == 5


def test_a_prompt_that_joins_later_changes_no_other(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(draft: ItemDraft, *, task: str) -> ItemDraft:
        if "7?" in draft.preview:
            raise RowRefused("no")
        return draft

    study = start_study(project=project, plan=plan(project), person=None)
    with monkeypatch.context() as at_first:
        at_first.setattr("evaluation.studies.answering.finished", refusing)
        carry_study(study)
    before = dict(study.pairs.values_list("item", "number"))
    type(study).objects.update(status=Status.QUEUED)
    carry_study(study)
    after = dict(study.pairs.values_list("item", "number"))
    assert (len(before), len(after), Item.objects.count()) == (36, 40, 40)
    assert before.items() <= after.items()


def test_models_of_one_name_are_told_apart_and_named_where_they_cannot_be_ranked(project: Project) -> None:
    checkpoints = [root_checkpoint("tiny"), tuned(project, "one"), tuned(project, "other")]
    checkpoints[2].name = "one"
    wanted = Wanted(checkpoints=checkpoints, engine="fake")
    study = begun(project, wanted=wanted, prompts=suite_prompts(project, 24))
    assert study.names == ["tiny", "one 6f6e6500", "one 6f746865"]
    judge(study, "ben", "win")
    look = take_look(study=study, person=None)
    assert [pair for *pair, _ in look.zs] == [[0, 1], [0, 2], [1, 2]]
    assert "(one 6f6e6500), (one 6f746865), (tiny)" in result_of(look).no_ratings


def test_only_those_who_may_train_ask_the_people_of_another_project(project: Project, cleo: User) -> None:
    other = world.make_project("Pairs")
    with pytest.raises(Refused, match="You may not ask the people of Pairs"):
        start_study(project=project, plan=plan(project, queue=other), person=cleo)


def test_one_model_twice_too_few_prompts_and_numbers_that_contradict_are_refused(project: Project) -> None:
    tiny = root_checkpoint("tiny")
    for checkpoints, words in (([tiny, tiny], "are the same model"), ([tiny], "1 models were chosen")):
        wanted = Wanted(checkpoints=checkpoints, engine="fake")
        with pytest.raises(Refused, match=words):
            start_study(project=project, plan=plan(project, wanted=wanted), person=None)
    with pytest.raises(Refused, match="There are 5 prompts; a study needs 20"):
        start_study(
            project=project, plan=plan(project, prompts=suite_prompts(project, 5, "Few")), person=None
        )
    with pytest.raises(Refused, match="With 80% ties a win rate lies between 40% and 60%"):
        read_design({"win_rate": 0.7, "ties": 0.8})
    with pytest.raises(Refused, match="looks"):
        read_design({"looks": 99})


def longer(pair: StudyPair) -> str:
    """An opinion that likes length."""
    texts = dict(Response.objects.filter(item=pair.item_id).values_list("position", "text"))
    ahead = len(texts[pair.place]) - len(texts[1 - pair.place])
    return "win" if ahead > 0 else "loss" if ahead < 0 else "tie"


def test_a_judge_reads_the_same_pairs_and_is_held_against_people(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_length(shown: list[str], request: Request) -> dict[str, float]:
        first = len(shown[0]) >= len(shown[1])
        return {"A": 8.0 if first else 1.0, "B": 1.0 if first else 8.0, "tie": 1.0}

    judge_by(monkeypatch, by_length)
    study = begun(project, judge=a_judge(project, checkpoint=tuned(project, "reader")))
    assert study.status == Status.SUCCEEDED, study.error
    asked = judge(study, "ben", longer)
    result = result_of(take_look(study=study, person=None))
    assert result.judge is not None
    assert result.pairs[0].joined is None  # people have judged all of them
    assert (result.judge.n, result.judge.errors, asked) == (asked, 0, 40 - study.facts["same"])
    assert result.judge.raw is not None
    assert result.judge.raw.value == 1.0
    assert result.pairs[0].judge_rate == result.pairs[0].rate
