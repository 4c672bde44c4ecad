"""What reviewers work through: found by filters, a page at a time, and nothing that they may not read yet."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from labeling import disagreements as differing_items
from labeling import itemlist, reviewlist
from labeling.annotating import skip
from labeling.disagreements import Sought, disagreements, next_disagreement
from labeling.itemlist import items_of
from labeling.models import Assignment, Item, Project, User
from labeling.queue import claim_next
from labeling.reviewing import accept, resolve, return_with_comment, take_up
from labeling.reviewlist import ALL, SKIPPED, Wanted, answers, counts, judging_people, read_place
from labeling.values import PairwiseAnswer
from tests import world
from tests.labeling.sure import sure

pytestmark = pytest.mark.data_layer
PAYLOAD = re.compile(r'"labeling_item"\."(messages|extra)"|"labeling_response"|"labeling_judgment"\."answer"')


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of three lines."""
    for module in (reviewlist, itemlist, differing_items):
        monkeypatch.setattr(module, "PER_PAGE", 3)


@pytest.fixture
def judged(ben: User, bea: User) -> Project:
    """Eight items judged by two people, who differ on every second one."""
    project = world.make_project(overlap=2)
    world.fill(project, 8)
    world.judge_all(project, ben, ["0"] * 8)
    world.judge_all(project, bea, ["0", "1"] * 4)
    return project


def found(project: Project, **wanted: object) -> list[tuple[int, str]]:
    lines = answers(project=project, wanted=Wanted(**wanted), reader=None).lines  # type: ignore[arg-type]
    return [(line.item_id, line.person) for line in lines]


def walk(project: Project, **wanted: object) -> list[tuple[int, str]]:
    """All lines of all pages, forwards, checked against the way back."""
    ahead: list[tuple[int, str]] = []
    back: list[tuple[int, str]] = []
    place = None
    while True:
        page = answers(project=project, wanted=Wanted(**wanted, place=place), reader=None)  # type: ignore[arg-type]
        ahead += [(line.item_id, line.person) for line in page.lines]
        if page.after is None:
            break
        place = read_place(page.after)
    last = [(line.item_id, line.person) for line in page.lines]
    while page.before is not None:
        place = read_place(page.before)
        page = answers(project=project, wanted=Wanted(**wanted, place=place, back=True), reader=None)  # type: ignore[arg-type]
        back = [(line.item_id, line.person) for line in page.lines] + back
    assert back + last == ahead
    return ahead


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("state", ["submitted", ALL])
def test_pages_hold_every_answer_once_forwards_and_backwards(
    judged: Project, leo: User, small: None, newest: bool, state: str
) -> None:
    slots = judged.assignments.order_by("submitted_at", "pk")
    if state == ALL:
        accept(project=judged, assignment_id=slots[0].pk, reviewer=leo)
        take_up(project=judged, assignment_id=slots[5].pk, reviewer=leo)
    expected = [(slot.item_id, sure(slot.person).username) for slot in slots]
    assert walk(judged, state=state, newest=newest) == (expected[::-1] if newest else expected)


def test_answers_of_one_moment_are_not_lost_between_pages(judged: Project, small: None) -> None:
    judged.assignments.update(submitted_at=timezone.now())
    assert len(set(walk(judged))) == 16


def test_the_filters_find_what_they_say(judged: Project, ben: User, leo: User) -> None:
    items = list(judged.items.order_by("pk"))
    first, second = judged.assignments.filter(person=ben).order_by("item")[:2]
    accept(project=judged, assignment_id=first.pk, reviewer=leo)
    return_with_comment(project=judged, assignment_id=second.pk, reviewer=leo, comment="Again")
    assert len(found(judged)) == 14
    assert found(judged, state="accepted") == [(items[0].pk, "ben")]
    assert found(judged, state="returned", person=ben.pk) == [(items[1].pk, "ben")]
    assert len(found(judged, state=ALL, person=ben.pk)) == 8
    assert {item for item, _ in found(judged, differs=True)} == {items[n].pk for n in (3, 5, 7)}
    assert {item for item, _ in found(judged, differs=False)} == {items[n].pk for n in (0, 1, 2, 4, 6)}
    assert found(judged, q="Question 3?", person=ben.pk) == [(items[3].pk, "ben")]
    assert (items[4].pk, "ben") in found(judged, q=str(items[4].pk), person=ben.pk)
    assert found(judged, q="nothing like this") == []


def test_answers_are_found_by_the_day_on_which_they_came(judged: Project) -> None:
    now = timezone.now()
    old = judged.assignments.order_by("pk")[0]
    Assignment.objects.filter(pk=old.pk).update(submitted_at=now - timedelta(days=3))
    assert len(found(judged, since=now - timedelta(days=4), until=now - timedelta(days=2))) == 1
    assert len(found(judged, since=now - timedelta(days=2))) == 15


def test_skips_are_found_by_their_kind(project: Project, ben: User) -> None:
    world.fill(project, 3)
    for reason in ("unclear", "broken"):
        slot = sure(claim_next(project=project, person=ben))
        skip(project=project, assignment_id=slot.pk, person=ben, token=sure(slot.token), reason=reason)
    assert len(found(project, state=SKIPPED)) == 2
    (line,) = answers(project=project, wanted=Wanted(state=SKIPPED, skip="broken"), reader=None).lines
    assert (line.state, line.state_words, line.words) == ("skipped", "Broken text", "")


def test_a_search_for_what_is_rare_stops_and_says_where_to_go_on(
    judged: Project, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviewlist, "LOOKED_AT", 4)
    first = answers(project=judged, wanted=Wanted(differs=True), reader=None)
    assert first.cut
    assert len(first.lines) == 2
    assert {item for item, _ in walk(judged, differs=True)} == {
        item.pk for n, item in enumerate(judged.items.order_by("pk")) if n % 2
    }


def test_counts_stop_at_a_thousand(judged: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert counts(judged)["submitted"] == "16"
    monkeypatch.setattr(reviewlist, "MOST_COUNTED", 10)
    assert counts(judged)["submitted"] == "10+"
    assert [name for _, name in judging_people(judged)] == ["bea", "ben"]


@pytest.mark.parametrize("text", ["", "x", "-", "1-", "-1", "9" * 30 + "-1", "1-" + "9" * 30, "١-١"])
def test_a_place_that_is_none_is_the_beginning(text: str) -> None:
    assert read_place(text) is None or text == "١-١"


def test_the_answers_to_an_item_that_cleo_may_still_get_are_hidden_from_her_in_every_list(
    ben: User, bea: User, cleo: User
) -> None:
    project = world.make_project(overlap=3)
    world.fill(project, 1)
    world.judge_next(project, ben, "0")
    world.judge_next(project, bea, "1")
    line = answers(project=project, wanted=Wanted(), reader=cleo).lines[0]
    assert (line.hidden, line.words, line.differs) == (True, "", False)
    row = disagreements(project=project, sought=Sought(), reader=cleo).lines[0]
    assert (row.hidden, row.said) == (True, [])
    for name in ("review", "disagreements"):
        page = world.sign_in(cleo).get(reverse(f"labeling:{name}", args=[project.slug])).text
        assert "hidden from you" in page
        assert "is better" not in page


def test_people_differ_where_their_standing_answers_do(judged: Project, ben: User, leo: User) -> None:
    items = list(judged.items.order_by("pk"))
    page = disagreements(project=judged, sought=Sought(), reader=leo)
    assert [line.item_id for line in page.lines] == [items[n].pk for n in (1, 3, 5, 7)]
    assert [(said.words, said.people) for said in page.lines[0].said] == [
        ("B is better", ["bea"]), ("A is better", ["ben"]),
    ]  # fmt: skip
    bens = judged.assignments.get(item=items[1], person=ben)
    return_with_comment(project=judged, assignment_id=bens.pk, reviewer=leo, comment="Again")
    theirs = judged.assignments.select_related("item", "project").get(item=items[3], person=ben)
    verdict = world.verdict_for("1", theirs)
    world.send(theirs, ben, PairwiseAnswer.model_validate({"verdict": verdict}), revises=1)
    resolve(project=judged, item_id=items[5].pk, person=leo, label="tie", comment="Both say it")
    assert [line.item_id for line in disagreements(project=judged, sought=Sought(), reader=leo).lines] == [
        items[7].pk
    ]
    (settled,) = disagreements(project=judged, sought=Sought(settled=True), reader=leo).lines
    assert (settled.item_id, settled.settled, settled.settled_by) == (items[5].pk, "Tie", "leo")
    assert next_disagreement(project=judged, after=items[0].pk) == items[7].pk
    assert next_disagreement(project=judged, after=items[7].pk) is None


def test_disagreements_are_filtered_by_person_time_and_words(judged: Project, ben: User, emma: User) -> None:
    def count(**sought: object) -> int:
        return len(disagreements(project=judged, sought=Sought(**sought), reader=None).lines)  # type: ignore[arg-type]

    now = timezone.now()
    assert (count(), count(person=ben.pk), count(person=emma.pk)) == (4, 4, 0)
    assert (count(since=now - timedelta(hours=1)), count(until=now - timedelta(hours=1))) == (4, 0)
    assert (count(q="Question 3?"), count(q="nothing")) == (1, 0)


def test_pages_of_disagreements_hold_each_once(
    judged: Project, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [item.pk for n, item in enumerate(judged.items.order_by("pk")) if n % 2]
    for looked_at in (20_000, 3):
        monkeypatch.setattr(differing_items, "LOOKED_AT", looked_at)
        seen, page = [], disagreements(project=judged, sought=Sought(), reader=None)
        while True:
            seen += [line.item_id for line in page.lines]
            if page.after is None:
                break
            page = disagreements(project=judged, sought=Sought(after=page.after), reader=None)
        assert seen == expected
    back = disagreements(project=judged, sought=Sought(before=expected[-1]), reader=None)
    assert [line.item_id for line in back.lines][-1] == expected[-2]


def test_the_list_of_items_is_walked_in_pages_both_ways(project: Project, small: None) -> None:
    keys = [item.pk for item in world.fill(project, 8)]
    seen, page = [], items_of(project=project)
    while True:
        seen += [line.item.pk for line in page.lines]
        if page.after is None:
            break
        page = items_of(project=project, after=page.after)
    assert seen == keys
    assert [line.item.pk for line in items_of(project=project, before=keys[6]).lines] == keys[3:6]
    assert [line.item.pk for line in items_of(project=project, newest=True).lines] == keys[:4:-1]


def test_items_are_found_open_and_done_and_by_words(ben: User) -> None:
    project = world.make_project(overlap=1)
    items = world.fill(project, 4)
    world.judge_next(project, ben)
    claim_next(project=project, person=ben)

    def keys(**wanted: str) -> list[int]:
        return [line.item.pk for line in items_of(project=project, **wanted).lines]  # type: ignore[arg-type]

    assert keys(state="done") == [items[0].pk]
    assert keys(state="open") == [item.pk for item in items[1:]]
    assert keys(state="open", q="Question 2") == [items[2].pk]
    assert keys(state="known") == []
    assert keys(q="question") == [item.pk for item in items]
    assert [line.judgments for line in items_of(project=project).lines] == [1, 0, 0, 0]


PAGES = {
    "review": ["", "?state=all&sort=newest", "?differs=yes", "?q=question", "?state=skipped"],
    "disagreements": ["", "?settled=any&q=question"],
    "items": ["", "?status=open", "?status=done", "?status=known", "?q=question&sort=newest"],
    "quality": [""],
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_with_fifty_lines_asks_as_often_as_one_with_five_and_reads_no_text(
    leo: User, ben: User, bea: User, name: str
) -> None:
    project = world.make_project(overlap=2)
    client, url = world.sign_in(leo), reverse(f"labeling:{name}", args=[project.slug])
    asked: dict[str, list[list[str]]] = {query: [] for query in PAGES[name]}
    for count in (5, 45):
        world.fill(project, count, start=1000 + Item.objects.count())
        world.judge_all(project, ben, ["0"] * count)
        world.judge_all(project, bea, ["1"] * count)
        for query, said in asked.items():
            client.get(url + query)
            with CaptureQueriesContext(connection) as captured:
                assert client.get(url + query).status_code == 200
            said.append([sent["sql"] for sent in captured])
    for query, (few, many) in asked.items():
        assert len(few) == len(many), "\n".join([query, *sorted(set(many) - set(few))])
        assert [sql for sql in many if PAYLOAD.search(sql)] == [], query


ODD = [
    "person=x",
    "since=9999-99-99",
    "until=9999-12-31",
    "after=%00",
    "before=9-9",
    "state=%00",
    "q=%00",
    "skip=x",
]


@pytest.mark.parametrize("name", ["review", "disagreements", "items", "agreement", "quality"])
def test_a_page_answers_whatever_stands_in_its_address(judged: Project, leo: User, name: str) -> None:
    client = world.sign_in(leo)
    for query in [*ODD, "&".join(ODD), f"q={'x' * 500}", f"person={2**70}", f"after={2**70}"]:
        reply = client.get(reverse(f"labeling:{name}", args=[judged.slug]) + "?" + query)
        assert reply.status_code == 200, query
