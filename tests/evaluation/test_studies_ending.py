"""A study in which too little can be said: before people are asked, after some of it was taken out, without a model."""

from dataclasses import replace

import pytest
from django.urls import reverse

from evaluation.engines import ENGINES
from evaluation.engines.protocol import Answer, Request
from evaluation.models import Study
from evaluation.prompts import Prompts
from evaluation.studies import sentences
from evaluation.studies.answering import carry_study
from evaluation.studies.looking import end_study, take_look
from evaluation.studies.prompts import of_suite
from evaluation.studies.starting import start_study
from labeling.curation.withdrawing import withdraw
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Item, Project
from tests import world
from tests.evaluation.planned import a_suite
from tests.evaluation.studying import answering, begun, judge, plan, suite_prompts
from training.models import Checkpoint


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch)


def one_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """One prompt gets no answer of the second model."""
    saying = ENGINES["fake"]

    class Short(saying):  # type: ignore[misc,valid-type]
        def answer(self, request: Request) -> Answer:
            found: Answer = super().answer(request)
            is_long = request.target == "1" and request.messages[-1]["content"].endswith(" 7?")
            return replace(found, text="", error="The prompt is too long.") if is_long else found

    monkeypatch.setitem(ENGINES, "fake", Short)


def test_people_are_asked_nothing_where_no_look_could_be_taken_and_going_on_asks_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as short:
        one_is_too_long(short)
        study = begun(project, prompts=suite_prompts(project, 20))
    assert (study.status, study.error) == (
        Status.FAILED,
        "19 of 20 prompts have an answer of every model (The prompt is too long), and a study needs 20. Look at the "
        "models and go on, which asks again for what is missing, or start another study with more prompts.",
    )
    assert not Item.objects.exists()
    world.sign_in(world.person("emma")).post(
        reverse("evaluation:study_resume", args=[project.slug, study.pk])
    )
    study.refresh_from_db()
    carry_study(study)
    assert (study.status, study.planned, study.pairs.count()) == (Status.SUCCEEDED, 20, 20), study.error


def test_a_prompt_without_an_answer_is_left_out_where_enough_are_left(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_is_too_long(monkeypatch)
    study = begun(project, prompts=suite_prompts(project, 21))
    assert (study.status, study.planned, study.facts["unanswered"]) == (Status.SUCCEEDED, 20, 1)


def test_a_study_that_lost_too_much_is_ended_without_a_look(project: Project) -> None:
    study = begun(project, prompts=suite_prompts(project, 24))
    judge(study, "ben", "tie", most=6)
    with pytest.raises(Refused, match=r"6 prompts are complete; a look needs 20\. Wait until people"):
        end_study(study=study, person=None)
    judge(study, "bea", "win")
    withdraw(project=project, by=None, username="ben")
    emma = world.sign_in(world.person("emma"))
    place = reverse("evaluation:study", args=[project.slug, study.pk])
    page = emma.get(place).text
    assert "18 prompts are complete; a look needs 20. Nobody is asked any more" in page
    assert "End the study" in page
    assert "Take look" not in page
    with pytest.raises(Refused, match="all that is left is to end the study, without another look"):
        take_look(study=study, person=None)
    assert (
        emma.post(reverse("evaluation:study_look", args=[project.slug, study.pk]), {"final": "1"}).status_code
        == 302
    )
    study.refresh_from_db()
    assert (study.closed_as, study.looks.count()) == ("complete", 0)
    assert sentences.headline(study, None) in emma.get(place).text
    assert sentences.headline(study, None).endswith("it says nothing about the models.")


def test_after_a_look_less_is_no_further_look_and_the_first_one_stands(project: Project) -> None:
    study = begun(project)
    judge(study, "ben", "tie", most=26)
    look = take_look(study=study, person=None)
    withdraw(project=project, by=None, username="ben")
    judge(study, "bea", "loss")
    place = reverse("api-study-looks", args=[project.slug, study.pk])
    emma = world.sign_in(world.person("emma"))
    assert emma.post(place, {"final": False}, content_type="application/json").status_code == 422
    assert emma.post(place, {"final": True}, content_type="application/json").status_code == 204
    study.refresh_from_db()
    assert (study.closed_as, study.looks.get()) == ("complete", look)
    assert "No preference is shown" in sentences.headline(study, look), "14 against, which no look has shown"
    assert sentences.stopping(study, look).startswith(
        "The last look was number 1, at 65 % of the planned prompts"
    )


def test_prompts_of_one_document_are_no_result_and_the_study_ends(project: Project) -> None:
    prompts: Prompts = of_suite(suite=a_suite(project, cases=24, cluster="one document"))
    study = begun(project, prompts=prompts)
    judge(study, "ben", "win")
    with pytest.raises(Refused, match=r"fewer than 20 sources .* Nobody is asked any more"):
        take_look(study=study, person=None)
    assert end_study(study=study, person=None) is None
    study.refresh_from_db()
    assert "too few sources of them" in sentences.headline(study, None)


@pytest.mark.parametrize("status", [Status.QUEUED, Status.FAILED])
def test_a_study_without_its_answers_is_not_ended_by_a_look(project: Project, status: Status) -> None:
    study = start_study(project=project, plan=plan(project), person=None)
    Study.objects.update(status=status)
    with pytest.raises(Refused, match="are not all there yet"):
        end_study(study=study, person=None)


def test_a_study_whose_model_was_deleted_before_its_answers_asks_nobody(project: Project) -> None:
    study = start_study(project=project, plan=plan(project), person=None)
    Checkpoint.objects.get(name="tuned-1").delete()
    carry_study(study)
    assert (study.status, study.error) == (
        Status.FAILED,
        "tuned-1 was deleted before people could be asked; cancel this study, and start another one with models that "
        "are there.",
    )
    assert not Item.objects.exists()
