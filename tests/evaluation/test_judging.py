"""A judge is held against people."""

import json

import pytest
from django.urls import reverse

from evaluation.cards import differences, read_card
from evaluation.engines.fake import Died
from evaluation.engines.protocol import Request
from evaluation.judges import VersionDraft, identity_of, save_version
from evaluation.judging import carry_card, start_check
from evaluation.models import AgreementCard, Endpoint, EvalRun, Judge, JudgeVersion, Output
from evaluation.trusting import trusted, trusted_in
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import DatasetVersion, Project, User
from tests import world
from tests.evaluation.judged import a_judge, by_place, by_quality, decided, judge_by
from tests.evaluation.planned import warning

KINDS = pytest.mark.parametrize("kind", Judge.Kind.values)


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    judge_by(monkeypatch, by_quality)


def check(version: JudgeVersion, data: DatasetVersion, limit: int = 60) -> AgreementCard:
    card = start_check(version=version, dataset_version=data, limit=limit, person=world.person("emma"))
    carry_card(card)
    card.refresh_from_db()
    return card


@KINDS
def test_a_judge_that_sees_as_people_do_has_alpha_one_and_is_trusted(
    project: Project, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    judge_by(monkeypatch, by_quality)
    version = a_judge(project, kind)
    row = check(version, decided(project))
    card = read_card(row)
    assert row.status == Status.SUCCEEDED, row.error
    assert card is not None
    assert card.alpha is not None
    assert card.raw is not None
    assert card.sensitivity is not None
    assert (card.n, card.errors, card.differing, card.drawn) == (60, 0, 0, 60)
    assert card.alpha.value == card.raw.value == card.sensitivity.value == 1.0
    assert 0.8 < card.alpha.low < 1.0
    assert card.confusion["first"]["second"] == card.confusion["second"]["first"] == 0
    assert card.confusion["first"]["first"] + card.confusion["second"]["second"] == 60
    assert card.mass == pytest.approx(0.9)
    assert row.alpha is not None
    assert row.alpha["value"] == 1.0
    is_trusted, words = trusted(version.pk)
    assert is_trusted
    assert "0.667 is asked for" in words


def test_what_the_judges_engine_warns_of_stands_on_the_card(
    project: Project, leo: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = warning(monkeypatch, "judge")
    row = check(a_judge(project), decided(project))
    card = read_card(row)
    assert card is not None
    assert card.warnings == [f"tiny: {words}"]
    page = world.sign_in(leo).get(reverse("evaluation:agreement_card", args=[project.slug, row.pk])).text
    assert "tiny: The adapter gives the base model" in page


def test_people_are_shown_first_about_as_often_as_second(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_by(monkeypatch, by_quality)
    card = read_card(check(a_judge(project), decided(project)))
    assert card is not None
    assert 15 <= sum(card.confusion["first"].values()) <= 45


def test_a_judge_that_likes_a_place_flips_and_is_not_trusted(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_by(monkeypatch, by_place)
    version = a_judge(project)
    card = read_card(check(version, decided(project)))
    assert card is not None
    assert card.flips is not None
    assert card.first_place is not None
    assert card.flips.value == card.first_place.value == 1.0
    assert card.ties == card.differing == 60
    is_trusted, words = trusted(version.pk)
    assert not is_trusted
    assert "below the 0.667" in words


def test_longer_answers_are_counted_for_judge_and_people(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def longest(shown: list[str], request: Request) -> dict[str, float]:
        return (
            {"A": 0.9, "B": 0.1, "tie": 0.0}
            if len(shown[0]) > len(shown[1])
            else {"A": 0.1, "B": 0.9, "tie": 0.0}
        )

    judge_by(monkeypatch, longest)
    row = check(a_judge(project), decided(project))
    card = read_card(row)
    assert card is not None
    assert card.longer_judge is not None
    assert card.longer_people is not None
    assert card.longer_judge.value == 1.0
    assert card.longer_people.value == pytest.approx(40 / 60)
    assert card.differing == 20
    shown = differences(row)
    assert len(shown) == 20
    assert all(one["people"] != one["judge"] and sum(one["values"]) == pytest.approx(1) for one in shown)
    winners = [one[one["people"]] for one in shown]
    assert all(text.startswith("good") for text in winners)


@KINDS
def test_a_check_that_was_killed_goes_on_and_asks_nothing_twice(
    project: Project, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    called = judge_by(monkeypatch, by_quality)
    called.options = {"dies_after": 49}
    card = start_check(
        version=a_judge(project, kind), dataset_version=decided(project), limit=60, person=None
    )
    monkeypatch.setattr(
        AgreementCard, "carry", lambda self, work: work()
    )  # a kill asks nobody what to do with it
    with pytest.raises(Died):
        carry_card(card)
    monkeypatch.undo()
    called = judge_by(monkeypatch, by_quality, called=called)
    called.options = {}
    AgreementCard.objects.filter(pk=card.pk).update(status=Status.QUEUED)
    carry_card(card)
    card.refresh_from_db()
    assert card.status == Status.SUCCEEDED, card.error
    assert len(called.asked) == len(set(called.asked)) == Output.objects.count() == 120


def test_a_second_card_on_the_same_pairs_costs_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = judge_by(monkeypatch, by_quality)
    version, data = a_judge(project), decided(project)
    first, second = check(version, data), check(version, data)
    assert len(called.asked) == 120
    one, two = read_card(first), read_card(second)
    assert one is not None
    assert two is not None
    assert (one.alpha, one.confusion) == (two.alpha, two.confusion)


def test_a_judge_that_does_not_answer_with_its_labels_is_counted_and_not_trusted(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_by(monkeypatch, by_quality, mass=0.1)
    version = a_judge(project)
    card = read_card(check(version, decided(project)))
    assert card is not None
    assert (card.n, card.errors, card.alpha) == (0, 60, None)
    assert "10%" in next(iter(card.reasons))
    assert trusted(version.pk) == (
        False,
        "Correctness pairwise v1 gave no judgment on 100% of 60; find out why before you rely on it.",
    )


def test_held_out_rows_come_first_and_every_judge_gets_the_same(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_by(monkeypatch, by_quality)
    data = decided(project)
    held = data.splits["test"]["rows"]
    cards = [check(a_judge(project, kind), data, limit=20) for kind in Judge.Kind.values]
    found = [read_card(card) for card in cards]
    assert all(card is not None and card.splits["test"] == min(held, 20) for card in found)
    rows = [
        [json.loads(line)["row"] for line in (card.path / "pairs.jsonl").read_text().splitlines()]
        for card in cards
    ]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 20


@pytest.fixture
def gateway(project: Project, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    """A service that the engine of the test answers for."""
    monkeypatch.setattr("evaluation.targets.SERVICES", "fake")
    monkeypatch.setattr("evaluation.judges.SERVICES", "fake")
    return Endpoint.objects.create(project=project, name="Gateway", url="https://x.example/v1", model="m1")


def test_a_changed_rubric_or_endpoint_takes_the_trust_away(project: Project, gateway: Endpoint) -> None:
    version = a_judge(project, checkpoint=None, endpoint=gateway)
    check(version, decided(project))
    assert trusted(version.pk)[0]
    Endpoint.objects.update(model="m2")
    assert trusted(version.pk) == (
        False,
        f"What stands behind Gateway was changed after {version} was checked; check it again.",
    )
    draft = VersionDraft(rubric="Another", labels={}, endpoint=gateway)
    newer = save_version(judge=version.judge, draft=draft, person=None)
    is_trusted, words = trusted(newer.pk)
    assert not is_trusted
    assert words.endswith("check it on its page. Cards of other versions do not count for it.")
    assert not trusted(0)[0]


def test_who_judged_a_run_is_trusted_by_its_own_check_not_by_that_of_who_came_after(
    project: Project, gateway: Endpoint
) -> None:
    version, data = a_judge(project, checkpoint=None, endpoint=gateway), decided(project)

    def judged() -> EvalRun:
        today = identity_of(JudgeVersion.objects.get(pk=version.pk))
        return EvalRun(spec={"judges": {f"judge:{version.pk}": {"identity": today}}})

    weak = judged()
    assert "was not held against people yet" in trusted_in(weak, version.pk)[1]
    Endpoint.objects.update(model="m2")
    changed = f"What stands behind Gateway was changed after {version} judged this, and nobody held"
    assert trusted_in(weak, version.pk)[1].startswith(changed)
    strong = judged()
    check(JudgeVersion.objects.get(pk=version.pk), data)
    assert trusted(version.pk)[0]
    assert trusted_in(strong, version.pk)[0]
    assert trusted_in(weak, version.pk)[1].startswith(changed)
    Endpoint.objects.update(model="m3")
    assert not trusted(version.pk)[0]
    assert trusted_in(strong, version.pk)[0]


def test_too_few_pairs_and_a_higher_bar_are_said(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    judge_by(monkeypatch, by_quality)
    version = a_judge(project)
    check(version, decided(project, 26), limit=20)
    assert "held against 20 judgments of people; 50 are needed" in trusted(version.pk)[1]


@pytest.mark.parametrize(
    ("limit", "words"), [(19, "choose 20 to 5,000"), (5001, "choose 20 to 5,000"), (20, "another project")]
)
def test_what_cannot_be_checked_is_refused(project: Project, limit: int, words: str) -> None:
    version = a_judge(world.make_project("Other") if limit == 20 else project)
    with pytest.raises(Refused, match=words):
        start_check(version=version, dataset_version=decided(project, 20), limit=limit, person=None)
    assert not AgreementCard.objects.exists()


def test_rows_without_two_answers_are_no_test_of_a_judge(project: Project) -> None:
    decided(project, 20)
    prompts = world.frozen(project, kind="prompts", near_duplicates=None)
    with pytest.raises(Refused, match="holds rows of the kind prompts"):
        start_check(version=a_judge(project), dataset_version=prompts, limit=20, person=None)


def test_emma_stops_a_check(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    version, data = a_judge(project), decided(project, 26)

    def stopping(shown: list[str], request: Request) -> dict[str, float]:
        AgreementCard.objects.get().request_cancel()
        return by_quality(shown, request)

    judge_by(monkeypatch, stopping)
    card = check(version, data, limit=20)
    assert card.status == Status.CANCELLED
    assert not trusted(version.pk)[0]
