"""Quality: each number is an interval or says that it cannot be told, and is worked out once for each state."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from labeling import jobs, own_quality, quality
from labeling.agreement import alpha_estimate, pairwise_kappas
from labeling.estimates import Estimate
from labeling.gold import mark_gold
from labeling.intake import ItemDraft, ResponseDraft
from labeling.models import Project, Purpose, User
from labeling.queue import claim_next
from labeling.reviewing import return_with_comment
from labeling.tasks import shown_order
from labeling.values import Answer, DemonstrationAnswer, PairwiseAnswer, RankingAnswer, RatingAnswer
from tests import world
from tests.labeling.sure import sure

ATTRIBUTES = [
    {"key": "help", "words": "Helpfulness", "low": 1, "high": 5},
    {"key": "truth", "words": "Truth", "low": 1, "high": 5},
]
TRIO = ("ben", "bea", "cleo")


def give(project: Project, name: str, answers: list[Answer]) -> None:
    """Let somebody answer what they are given, with these in terms of the stored responses."""
    who = world.person(name)
    for answer in answers:
        slot = sure(claim_next(project=project, person=who))
        assert slot is not None
        world.send(slot, who, answer)


def rankings(project: Project, name: str, orders: list[list[int]]) -> None:
    who = world.person(name)
    for order in orders:
        slot = sure(claim_next(project=project, person=who))
        shown = shown_order(slot, slot.turn)
        text = ">".join(str(shown.index(position) + 1) for position in order)
        world.send(slot, who, RankingAnswer(order=text))


def labels_for(seed: int, count: int, noise: float) -> dict[str, list[str]]:
    rng = np.random.default_rng(seed)
    truth = rng.choice(["0", "1"], count)
    other = {"0": "1", "1": "0"}
    return {name: [other[label] if rng.random() < noise else label for label in truth] for name in TRIO}


@pytest.fixture
def compared(db: None) -> Project:
    """Forty comparisons by three people who are wrong one time in five."""
    project = world.make_project(overlap=3)
    world.fill(project, 40)
    for name, labels in labels_for(1, 40, 0.2).items():
        world.judge_all(project, world.person(name), labels)
    return project


def by_name(project: Project) -> dict[str, Any]:
    return {line.name: line for line in quality.measured(project).people}


def test_the_page_shows_what_the_statistics_say_of_the_answers(compared: Project) -> None:
    labels: dict[Any, dict[Any, Any]] = {}
    for judgment in compared.judgments.select_related("person"):
        labels.setdefault(judgment.item_id, {})[judgment.person_id] = judgment.label
    found = quality.measured(compared)
    assert found.estimate("alpha") == alpha_estimate(labels)
    assert (found.judgments, found.items, found.shared) == (120, 40, 40)
    assert found.differing == sum(len(set(given.values())) > 1 for given in labels.values())
    kappas = sorted(sure(pair.kappa).value for pair in pairwise_kappas(labels))
    assert [sure(line.values["kappa"]).value for line in found.pairs] == pytest.approx(kappas)
    assert {s.key for s in found.statistics} == {"alpha", "fleiss", "agrees", "left", "longer", "consistent"}


def test_everybody_together_agrees_as_often_as_the_pairs_do(compared: Project) -> None:
    found = quality.measured(compared)
    raw = [sure(line.values["raw"]).value for line in found.pairs]
    assert sure(found.estimate("agrees")).value == pytest.approx(np.mean(raw))
    people = by_name(compared)
    assert np.mean([people[name].agrees.value for name in TRIO]) == pytest.approx(np.mean(raw))


def test_how_much_better_counts_where_the_project_asks_for_it(db: None) -> None:
    project = world.make_project(overlap=2, ask_strength=True)
    world.fill(project, 24)
    strengths = np.random.default_rng(5).integers(1, 4, 24)
    for name, more in (("ben", 0), ("bea", 1)):
        who = world.person(name)
        for n, strength in enumerate(strengths):
            slot = sure(claim_next(project=project, person=who))
            verdict = world.verdict_for(str(n % 2), slot)
            graded = min(3, int(strength) + more)
            world.send(slot, who, PairwiseAnswer.model_validate({"verdict": verdict, "strength": graded}))
    found = quality.measured(project)
    assert sure(found.estimate("alpha")).value == 1.0
    assert 0.7 < sure(found.estimate("alpha_strength")).value < 1.0
    (pair,) = found.pairs
    assert sure(pair.values["kappa"]).value == 1.0
    assert 0.5 < sure(pair.values["weighted"]).value < 1.0


def test_rankings_are_compared_by_tau_and_w(db: None) -> None:
    project = world.make_project(task="ranking", overlap=2)
    drafts = [
        ItemDraft(
            [{"role": "user", "content": f"Q{n}"}], [ResponseDraft(f"{n} {k}" * (k + 1)) for k in range(3)]
        )
        for n in range(14)
    ]
    world.put(project, *drafts)
    rankings(project, "ben", [[2, 1, 0]] * 14)
    rankings(project, "bea", [[2, 1, 0]] * 10 + [[0, 1, 2]] * 4)
    found = quality.measured(project)
    assert sure(found.estimate("tau")).value == pytest.approx((10 - 4) / 14)
    assert sure(found.estimate("w")).value == pytest.approx(10 / 14)
    assert sure(found.pairs[0].values["tau"]).value == pytest.approx(6 / 14)
    assert (found.differing, sure(by_name(project)["ben"].longer_share).value) == (4, 1.0)
    assert sure(by_name(project)["bea"].agrees).value == pytest.approx(10 / 14)


def test_ratings_have_an_alpha_for_each_attribute_and_agree_within_a_step(db: None) -> None:
    project = world.make_project(task="rating", overlap=2, attributes=ATTRIBUTES)
    world.fill(project, 15)
    rng = np.random.default_rng(3)
    rows = rng.integers(1, 5, (15, 2))
    give(project, "ben", [RatingAnswer(ratings={"help": [int(a), int(b)], "truth": [1, 5]}) for a, b in rows])
    give(
        project,
        "bea",
        [RatingAnswer(ratings={"help": [int(b) + 1, int(a) + 1], "truth": [5, 1]}) for a, b in rows],
    )
    found = quality.measured(project)
    assert {s.key for s in found.statistics if s.key.startswith("alpha")} == {
        "alpha_ordinal.help", "alpha_interval.help", "alpha_ordinal.truth", "alpha_interval.truth",
    }  # fmt: skip
    assert sure(found.estimate("alpha_ordinal.truth")).value == 1.0
    assert 0 < sure(found.estimate("alpha_interval.help")).value < 1.0
    assert sure(found.estimate("agrees")).value == 1.0
    assert found.pairs == []


def test_clicking_always_the_left_one_shows_and_is_no_preference(db: None) -> None:
    project = world.make_project(overlap=2)
    world.fill(project, 60)
    give(project, "ben", [PairwiseAnswer(verdict="first")] * 60)
    give(project, "bea", [PairwiseAnswer(verdict="first"), PairwiseAnswer(verdict="second")] * 30)
    people = by_name(project)
    assert sure(people["ben"].left_share).value == 1.0
    assert sure(people["ben"].left_share).low > 0.9
    assert sure(people["bea"].left_share).low < 0.5 < sure(people["bea"].left_share).high
    page = world.sign_in(world.person("ada")).get(reverse("labeling:quality", args=[project.slug]))
    assert page.text.count("leans to the first") == 1


def test_the_longer_response_is_told_from_the_stored_texts(db: None) -> None:
    project = world.make_project()
    world.put(project, *(world.draft(n, first="short", second=f"a longer answer {n}") for n in range(12)))
    world.judge_all(project, world.person("ben"), ["1"] * 12)
    assert sure(by_name(project)["ben"].longer_share).value == 1.0


def test_who_judges_at_random_is_told_from_the_others(db: None) -> None:
    project = world.make_project(overlap=4)
    world.fill(project, 120)
    rng = np.random.default_rng(8)
    for name, labels in labels_for(2, 120, 0.1).items():
        world.judge_all(project, world.person(name), labels)
    world.judge_all(project, world.person("emma"), list(rng.choice(["0", "1"], 120)))
    people = by_name(project)
    assert sure(people["emma"].reliability).high < min(people[name].reliability.low for name in TRIO)


def test_checks_count_for_people_and_never_for_agreement(ada: User, ben: User) -> None:
    project = world.make_project(gold_share=0.3, repeat_share=0.2, repeat_after=5)
    for item in world.fill(project, 60)[:12]:
        mark_gold(project=project, item_id=item.pk, person=ada, label="0")
    world.judge_all(project, ben)
    found, line = quality.measured(project), by_name(project)["ben"]
    assert (found.judgments, found.items) == (48, 48)
    assert line.known_answered == project.judgments.filter(purpose=Purpose.GOLD).count()
    assert line.repeats == project.judgments.filter(purpose=Purpose.REPEAT).count() > 0


def test_too_few_answers_are_none_and_say_so_on_the_page(project: Project, ada: User, ben: User) -> None:
    world.fill(project, 3)
    world.judge_all(project, ben)
    line = by_name(project)["ben"]
    numbers = (line.left_share, line.agrees, line.reliability, line.consistent, line.known)
    assert set(numbers) == {None}
    page = world.sign_in(ada).get(reverse("labeling:quality", args=[project.slug])).text
    assert "not enough answers yet" in page
    assert "nan" not in page.lower().replace("finance", "")


def test_texts_have_no_agreement_and_the_page_says_what_to_do_instead(ada: User) -> None:
    project = world.make_project(task="demonstration", overlap=2)
    world.fill(project, 2)
    for name in ("ben", "bea"):
        give(project, name, [DemonstrationAnswer(text="So be it")] * 2)
    found = quality.measured(project)
    assert (found.statistics, found.pairs, found.judgments) == ([], [], 4)
    page = world.sign_in(ada).get(reverse("labeling:agreement", args=[project.slug])).text
    assert "There is no agreement to measure" in page


def test_a_state_is_measured_once(compared: Project, ben: User, monkeypatch: pytest.MonkeyPatch) -> None:
    first = quality.measured(compared)
    monkeypatch.setattr("labeling.measuring.measure", None)
    assert quality.measured(compared) == first
    assert quality.latest(compared).measure == first


def test_whatever_a_number_rests_on_makes_it_be_measured_anew(
    compared: Project, ada: User, leo: User
) -> None:
    states = [quality.state_of(compared)]
    judgment = sure(compared.judgments.first())
    return_with_comment(project=compared, assignment_id=judgment.assignment_id, reviewer=leo, comment="Again")
    states.append(quality.state_of(compared))
    mark_gold(project=compared, item_id=judgment.item_id, person=leo, label="0")
    states.append(quality.state_of(compared))
    mark_gold(project=compared, item_id=judgment.item_id, person=leo, label="1")
    states.append(quality.state_of(compared))
    Project.objects.filter(pk=compared.pk).update(gold_pass=0.5)
    compared.refresh_from_db()
    states.append(quality.state_of(compared))
    assert len(set(states)) == len(states)
    assert quality.measured(compared).judgments == 119


def test_what_was_kept_by_an_older_version_is_measured_anew(compared: Project, var: Any) -> None:
    quality.measured(compared)
    (var / "quality" / f"{compared.pk}.json").write_text('{"measure": {"task": "pairwise"}}')
    assert quality.measured(compared).judgments == 120


def test_a_large_project_is_measured_by_a_worker_and_the_page_asks_until_it_is_done(
    compared: Project, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(quality, "SMALL", 100)
    monkeypatch.setattr("labeling.broker.current_app.send_task", lambda name, args: sent.append((name, args)))
    client, url = world.sign_in(ada), reverse("labeling:agreement", args=[compared.slug])
    for _ in range(2):
        page = client.get(url).text
        assert "A worker is counting for the first time" in page
        assert 'hx-trigger="every 3s"' in page
    assert sent == [("labeling.jobs.measure_quality", [compared.pk])]
    assert quality.agreement(compared).alpha is None

    jobs.measure_quality(compared.pk)
    page = client.get(url).text
    assert 'hx-trigger="every 3s"' not in page
    assert "Krippendorff" in page


def test_a_large_project_that_was_measured_just_now_is_not_measured_for_every_answer(
    compared: Project, bea: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr("labeling.broker.current_app.send_task", lambda name, args: sent.append(args))
    monkeypatch.setattr(quality, "SMALL", 100)
    before = quality.measured(compared)
    world.fill(compared, 1, start=40)
    world.judge_next(compared, bea)
    found = quality.latest(compared)
    assert (found.measure, found.stale, found.waiting, sent) == (before, True, False, [])
    monkeypatch.setattr(quality, "REST", 0)
    later = timezone.now() + timedelta(minutes=2)
    monkeypatch.setattr("labeling.quality.timezone.now", lambda: later)
    found = quality.latest(compared)
    assert (found.measure, found.waiting, len(sent)) == (before, True, 1)


def test_a_broker_that_is_away_costs_nobody_the_page(
    compared: Project, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise OSError("no broker")

    monkeypatch.setattr(quality, "SMALL", 100)
    monkeypatch.setattr("labeling.broker.current_app.send_task", away)
    reply = world.sign_in(ada).get(reverse("labeling:quality", args=[compared.slug]))
    assert (reply.status_code, "A worker is counting" in reply.text) == (200, True)


def test_the_command_keeps_its_keys_and_has_the_new_ones(compared: Project) -> None:
    out = StringIO()
    call_command("agreement", compared.slug, "--json", stdout=out)
    found = json.loads(out.getvalue().splitlines()[-1])
    assert {"items", "alpha", "cohen_kappa", "people"} <= set(found)
    assert (found["items"], len(found["cohen_kappa"]), set(found["alpha"])) == (
        40,
        3,
        {"value", "low", "high", "n"},
    )
    assert set(found["cohen_kappa"][0]) == {"a", "b", "kappa", "raw"}
    assert {"name", "judgments", "left_share", "agrees", "reliability", "known"} <= set(found["people"][0])
    assert {"statistics", "pairs", "shared", "differing"} <= set(found)


def mine(project: Project, who: User, until: Any = None) -> own_quality.Own:
    return own_quality.own_quality(project=project, person=who, until=until or timezone.now())


def test_ben_is_told_his_own_numbers_and_the_middle_of_the_others_without_names(db: None) -> None:
    project = world.make_project(overlap=4)
    world.fill(project, 40)
    for name, labels in labels_for(4, 40, 0.2).items():
        world.judge_all(project, world.person(name), labels)
    world.judge_all(project, world.person("emma"))
    own, people = mine(project, world.person("ben")), by_name(project)
    assert own.line.agrees == people["ben"].agrees
    assert own.line.left_share == people["ben"].left_share
    others = [people[name].agrees.value for name in ("bea", "cleo", "emma")]
    assert own.others["agrees"] == pytest.approx(np.median(others))


def test_with_two_others_nobody_is_told_about_them(compared: Project, ben: User) -> None:
    assert mine(compared, ben).others == {}


def test_answers_of_today_do_not_move_what_ben_is_told_of_checks_and_others(
    compared: Project, ben: User
) -> None:
    own = mine(compared, ben, own_quality.last_midnight())
    assert own.line.judgments == 40
    assert (own.line.agrees, own.line.left_share, own.line.known) == (None, None, None)


def test_bens_page_holds_no_name_and_no_number_of_anybody_else(compared: Project, ben: User) -> None:
    page = world.sign_in(ben).get(reverse("labeling:my_quality", args=[compared.slug]))
    assert page.status_code == 200
    assert "bea" not in page.text
    assert "cleo" not in page.text


def test_an_estimate_survives_being_kept(compared: Project) -> None:
    kept = quality.KEPT.validate_json(quality.KEPT.dump_json(quality._measure(compared, "x")))
    assert isinstance(kept.measure.estimate("alpha"), Estimate)
