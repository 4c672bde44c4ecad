"""A judge is held against reviews of answers from given texts: by context, by sentence, by answer."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.urls import reverse

from evaluation.cards import Card, differences, read_card
from evaluation.conditions import judges
from evaluation.drawing_reviews import About
from evaluation.engines.protocol import Request
from evaluation.judging import carry_card, start_check
from evaluation.models import AgreementCard, Gate, JudgeVersion
from evaluation.scorers.rag import Groundedness
from evaluation.sheets import metrics_of
from evaluation.trusting import judged_in, trusted, trusted_for
from labeling.curation.withdrawing import withdraw
from labeling.errors import Refused
from labeling.intake import VerdictDraft
from labeling.lifecycle import Status
from labeling.models import Project, User
from tests import world
from tests.evaluation.finished import finished, passing
from tests.evaluation.judged import a_judge, judge_by
from tests.labeling import rag

HELLO, TRUE, FALSE = "Hello there!", "Basil needs six hours of sun.", "It was first grown on the Moon."
TEXT = f"{HELLO} {TRUE}\n\n- {FALSE}"
OFF = f"{HELLO} The weather is fine."
MEASURES = pytest.mark.parametrize(
    "about", [About.CONTEXT_RELEVANCE, About.GROUNDEDNESS, About.ANSWER_RELEVANCE]
)
SENTENCE = re.compile(r"BEGIN SENTENCE \w+\n(.*?)\nEND", re.DOTALL)


def careful(shown: list[str], request: Request) -> dict[str, float]:
    """Sees what people see: which chunk is about sun, what is from the Moon, what only greets, what is beside the
    point."""
    content = request.messages[-1]["content"]
    if "skip" in request.labels:
        sentence = SENTENCE.findall(content)[-1]
        word = "no" if "Moon" in sentence else "skip" if "Hello" in sentence else "yes"
    elif "decline to answer?" in content:
        word = "no"
    elif shown:
        word = "no" if "weather" in shown[-1] else "yes"
    else:
        word = "yes" if "six hours" in content.rpartition("BEGIN TEXT ")[2] else "no"
    return {label: 0.9 if label == word else 0.1 / (len(request.labels) - 1) for label in request.labels}


def sure(word: str) -> Callable[[list[str], Request], dict[str, float]]:
    """Always the same word, where it may be chosen; no answer declines to answer."""

    def way(shown: list[str], request: Request) -> dict[str, float]:
        declines = "decline to answer?" in request.messages[-1]["content"]
        chosen = "no" if declines or word not in request.labels else word
        return {label: float(label == chosen) for label in request.labels}

    return way


def reviewed(project: Project, answers: int = 30, **asked: Any) -> None:
    """Every second answer is beside the point and of one chunk; the others end on the Moon, and of their two chunks the
    second is of no use."""
    on = [rag.draft(n, text=TEXT) for n in range(1, answers, 2)]
    rag.put(project, *on, *(rag.draft(n, text=OFF, chunks=rag.CHUNKS[:1]) for n in range(0, answers, 2)))
    ben = world.person("ben")
    for _ in range(answers):
        slot = rag.claimed(project, ben)
        if slot.item.responses.get().text == TEXT:
            said = {"relevance": [2, 0], "answers_question": 2, "spans": [rag.span(FALSE, text=TEXT)]}
        else:
            said = {"relevance": [1], "answers_question": 0}
        world.send(slot, ben, rag.answer(verdict="bad", rationale="As marked.", **said | asked))


@pytest.fixture
def project(db: None) -> Project:
    return rag.make()


@pytest.fixture
def version(project: Project, monkeypatch: pytest.MonkeyPatch) -> JudgeVersion:
    judge_by(monkeypatch, careful)
    return a_judge(project, "rubric")


def check(version: JudgeVersion, about: str, limit: int = 100) -> tuple[AgreementCard, Card]:
    row = start_check(version=version, about=about, limit=limit, person=world.person("emma"))
    carry_card(row)
    row.refresh_from_db()
    card = read_card(row)
    assert row.status == Status.SUCCEEDED, row.error
    assert card is not None
    return row, card


@MEASURES
def test_a_judge_that_sees_what_reviewers_see_is_trusted_on_that_measure_only(
    version: JudgeVersion, project: Project, monkeypatch: pytest.MonkeyPatch, about: str
) -> None:
    reviewed(project, 60)
    _, card = check(version, about)
    counts = {
        About.CONTEXT_RELEVANCE: (60, 30),
        About.GROUNDEDNESS: (60, 30),
        About.ANSWER_RELEVANCE: (30, 30),
    }
    yes, no = counts[About(about)]  # a greeting claims nothing and is no part
    assert (card.n, card.errors, card.differing, card.split) == (yes + no, 0, 0, 0)
    assert (card.confusion["yes"]["yes"], card.confusion["no"]["no"]) == (yes, no)
    assert card.alpha is not None
    assert card.alpha.value == 1.0
    assert card.dataset == f"reviews of answers, {About(about).label.lower()}"
    held, words = trusted(version.pk, about=about)
    assert held, words
    for other in About.values:
        if other != about:
            assert trusted(version.pk, about=other)[0] is False


@MEASURES
def test_a_judge_that_always_agrees_to_everything_is_told_by_alpha(
    version: JudgeVersion, project: Project, monkeypatch: pytest.MonkeyPatch, about: str
) -> None:
    judge_by(monkeypatch, sure("yes"))
    reviewed(project, 60)
    row, card = check(version, about)
    assert card.alpha is not None
    assert card.specificity is not None
    assert card.sensitivity is not None
    assert card.alpha.value < 0
    assert (card.sensitivity.value, card.specificity.value) == (1.0, 0.0)
    held, words = trusted(version.pk, about=about)
    assert not held
    assert "below the 0.667 that is asked for. Let another model judge" in words
    first = differences(row, count=1)[0]
    assert (first["people"], first["judge"], first["value"]) == ("no", "yes", 1.0)


def test_a_fault_that_a_judge_skips_is_one_that_it_misses(
    version: JudgeVersion, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_by(monkeypatch, sure("skip"))
    reviewed(project, 20)
    _, card = check(version, About.GROUNDEDNESS)
    assert card.confusion == {"yes": {"yes": 0, "no": 0, "skip": 0}, "no": {"yes": 0, "no": 0, "skip": 10}}
    assert card.differing == 10


def test_a_judge_that_does_not_answer_is_told_so_and_not_to_be_checked_on_more(
    version: JudgeVersion, project: Project, leo: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_by(monkeypatch, careful, mass=0.1)
    reviewed(project, 20)
    row, card = check(version, About.ANSWER_RELEVANCE)
    assert (card.drawn, card.n) == (20, 0)
    assert "gave no judgment on answer relevance on 100% of 20" in trusted(version.pk, about=row.about)[1]
    page = world.sign_in(leo).get(reverse("evaluation:agreement_card", args=[project.slug, row.pk])).text
    assert "The judge said nothing that could differ" in page
    assert "does not answer with its labels" in page


def test_equal_contexts_are_asked_about_once_and_each_has_what_was_said(
    version: JudgeVersion, project: Project
) -> None:
    twice = (rag.CHUNKS[0], *rag.CHUNKS, rag.CHUNKS[0])
    rag.put(project, *(rag.draft(n, chunks=twice) for n in range(20)))
    ben = world.person("ben")
    for _ in range(20):
        world.send(rag.claimed(project, ben), ben, rag.answer(relevance=[2, 2, 0, 2]))
    _, card = check(version, About.CONTEXT_RELEVANCE)
    assert (card.n, card.errors, card.differing) == (80, 0, 0)


def test_a_judge_that_leaves_out_most_of_what_it_is_to_judge_is_not_trusted(
    version: JudgeVersion, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shy(shown: list[str], request: Request) -> dict[str, float]:
        """Says of all but one claim of an answer that it claims nothing."""
        said = SENTENCE.findall(request.messages[-1]["content"])
        if not said or re.search(r"Claim 0|Moon", said[-1]):
            return careful(shown, request)
        return sure("skip")(shown, request)

    judge_by(monkeypatch, shy)
    text = " ".join([*(f"Claim {n} holds." for n in range(9)), FALSE])
    rag.put(project, *(rag.draft(n, text=text) for n in range(30)))
    ben = world.person("ben")
    for _ in range(30):
        answer = rag.answer(verdict="bad", spans=[rag.span(FALSE, text=text)])
        world.send(rag.claimed(project, ben), ben, answer)
    _, card = check(version, About.GROUNDEDNESS)
    assert (card.n, card.skipped, card.differing) == (60, 240, 0)
    held, words = trusted(version.pk, about=About.GROUNDEDNESS)
    assert not held
    assert "takes 240 of 300 sentences for no claim" in words


def test_who_and_what_was_withdrawn_does_not_speak(version: JudgeVersion, project: Project) -> None:
    reviewed(project, 26)
    for item in project.items.all()[:6]:
        withdraw(project=project, item_id=item.pk, reason="Not ours.", by=world.person("ada"))
    _, card = check(version, About.ANSWER_RELEVANCE)
    assert card.answers == 20
    withdraw(project=project, username="ben", reason="Left.", by=world.person("ada"))
    with pytest.raises(Refused, match="No answer was reviewed"):
        start_check(version=version, about=About.ANSWER_RELEVANCE, person=None)


def test_answers_that_have_no_part_of_the_measure_do_not_use_up_the_limit(
    version: JudgeVersion, project: Project
) -> None:
    rag.put(project, *(rag.draft(100 + n, chunks=()) for n in range(30)))
    ben = world.person("ben")
    for _ in range(30):
        world.send(rag.claimed(project, ben), ben, rag.answer(relevance=[]))
    row = start_check(version=version, about=About.GROUNDEDNESS, limit=20, person=None)
    carry_card(row)
    row.refresh_from_db()
    assert "says anything of groundedness" in row.error
    reviewed(project, 20)
    for about in (About.GROUNDEDNESS, About.CONTEXT_RELEVANCE):
        _, card = check(version, about, limit=20)
        assert (card.answers, card.n) == (20, 30)


def test_imported_reviews_that_were_not_asked_do_not_speak(
    version: JudgeVersion, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"verdict": "good", "answers_question": 2, "unasked": ["spans"]}
    verdicts = [VerdictDraft(person="importer", kind="rag", rag=said)]
    rag.put(project, *(rag.draft(n, verdicts=verdicts) for n in range(20)))
    _, card = check(version, About.ANSWER_RELEVANCE)
    assert card.n == 20
    for about in (About.GROUNDEDNESS, About.CONTEXT_RELEVANCE):
        row = start_check(version=version, about=about, limit=20, person=None)
        carry_card(row)
        row.refresh_from_db()
        assert row.status == Status.FAILED
        assert f"says anything of {about.label.lower()}" in row.error


def test_what_cannot_be_checked_is_refused(version: JudgeVersion, project: Project) -> None:
    assert "there are no reviews of answers" in trusted(version.pk, about=About.GROUNDEDNESS)[1]
    for about, words in (
        (About.GROUNDEDNESS, "No answer was reviewed in Reviews"),
        (About.PAIRS, "Name the dataset version"),
        ("rhyme", "'rhyme' is none of them"),
    ):
        with pytest.raises(Refused, match=words):
            start_check(version=version, about=about, person=None)
    reviewed(project, 2)
    with pytest.raises(Refused, match="5 answers were asked for; choose 20 to 5,000"):
        start_check(version=version, about=About.GROUNDEDNESS, limit=5, person=None)
    assert not AgreementCard.objects.exists()


def test_prompts_that_the_judge_was_trained_on_are_left_out(
    version: JudgeVersion, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    reviewed(project, 24)
    learned = set(project.items.values_list("prompt_hash", flat=True)[:4])
    monkeypatch.setattr("evaluation.drawing_reviews.learned_by", lambda judge, watch: learned)
    _, card = check(version, About.ANSWER_RELEVANCE)
    assert (card.seen, card.answers) == (4, 20)
    learned |= set(project.items.values_list("prompt_hash", flat=True))
    row = start_check(version=version, about=About.ANSWER_RELEVANCE, limit=20, person=None)
    carry_card(row)
    row.refresh_from_db()
    assert "has learned from every prompt of Reviews" in row.error


def test_a_gate_asks_for_a_card_of_each_measure_that_decides(
    version: JudgeVersion, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    reviewed(project, 40)
    values = passing(0.5)
    run = finished(project, {"base": values, "tuned": values}, metrics=("exact", "contains", "normalised"))
    for spec, scorer in zip(
        run.spec["metrics"], ("groundedness", "context_relevance", "rubric"), strict=True
    ):
        spec |= {"judge": version.pk, "scorer": scorer}
    gate = Gate(suite=run.suite, guardrails=[{"metric": "contains", "margin": 0.1}])

    def asked() -> list[bool | None]:
        metrics = [each for each in metrics_of(run) if each.name in ("exact", "contains")]
        return [each.passed for each in judges(gate, run, metrics)]

    assert asked() == [False, False]
    check(version, About.GROUNDEDNESS)
    check(version, About.CONTEXT_RELEVANCE)
    assert asked() == [True, True]
    monkeypatch.setattr(Groundedness, "version", Groundedness.version + 1)
    held, words = trusted(version.pk, about=About.GROUNDEDNESS)
    assert (held, words.endswith("was checked; check it again.")) == (False, True)
    assert asked() == [True, True]  # the run was scored by the questions of the card
    check(version, About.GROUNDEDNESS)
    assert asked() == [True, True]
    assert trusted(version.pk, about=About.GROUNDEDNESS)[0]
    AgreementCard.objects.filter(about=About.GROUNDEDNESS, result__scorer=1).delete()
    assert asked() == [True, False]
    held, words = trusted_for(run, next(one for one in judged_in(run) if one.about == About.GROUNDEDNESS))
    assert words.endswith("changed after this was scored; score it again.")


def test_emma_checks_a_measure_by_page_and_leo_reads_it(
    version: JudgeVersion,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judge_by(monkeypatch, sure("yes"))
    emma, leo = world.sign_in(world.person("emma")), world.sign_in(world.person("leo"))
    page = reverse("evaluation:judge", args=[project.slug, version.judge_id])
    assert "There is nothing to check it against yet" in emma.get(page).text
    reviewed(project, 30)
    assert "Reviews of answers" in emma.get(page).text
    there = emma.post(
        reverse("evaluation:judge_check", args=[project.slug, version.judge_id]),
        {"against": "context_relevance", "limit": 25},
    ).headers["Location"]
    carry_card(AgreementCard.objects.get())
    shown = leo.get(there).text
    assert re.search(r"\d+ of 25 answers", shown)
    assert re.search(r"Where judge and people differ: \d+ contexts", shown)
    for words in (
        "reviews of answers, context relevance",
        "Not relevant",
        "faults of people",
        "Judge: relevant",
    ):
        assert words in shown
    assert "longer" not in shown
    of_judge = leo.get(page)
    assert "reviews of answers, context relevance" in of_judge.text
    assert [(one.about, one.trusted) for one in of_judge.context["measures"]] == [
        ("context_relevance", False)
    ]
    (told,) = leo.get(reverse("api-judges", args=[project.slug])).json()["results"][0]["measures"]
    assert (told["about"], told["trusted"]) == ("context_relevance", False)
    assert "below the 0.667" in told["why"] or "are needed" in told["why"]
    assert (
        "Context relevance</a> not trusted" in leo.get(reverse("evaluation:judges", args=[project.slug])).text
    )


def test_emma_checks_a_measure_by_api_and_from_a_shell(
    version: JudgeVersion, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    reviewed(project, 30)
    emma = world.sign_in(world.person("emma"))
    sent = emma.post(
        reverse("api-agreement-cards", args=[project.slug]),
        {"version": version.pk, "about": "groundedness", "limit": 20},
        content_type="application/json",
    )
    assert (sent.status_code, sent.json()["about"], sent.json()["dataset_version"]) == (
        202,
        "groundedness",
        None,
    )
    call_command(
        "check_judge",
        project.slug,
        version.judge.name,
        "--about=answer_relevance",
        "--limit=20",
        "--wait",
        "--as=emma",
    )
    said = capsys.readouterr().out
    assert "of 20 answers judged" in said
    assert "flips" not in said
