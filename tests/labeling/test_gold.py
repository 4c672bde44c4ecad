"""Known answers: people are checked by them unseen, and never learn which items they were."""

import json
import re
from typing import Any

import pytest
from django.urls import reverse

from labeling.annotating import reopen, skip
from labeling.curation.votes import current_judgments
from labeling.errors import Refused
from labeling.gold import is_right, known_results, mark_gold, mark_resolved_gold, unmark_gold
from labeling.models import Assignment, Gold, Item, Judgment, Project, Purpose, User
from labeling.queue import claim_next, release_all
from labeling.reviewing import accept, resolve
from labeling.values import PairwiseAnswer
from tests import world
from tests.labeling.sure import sure

pytestmark = pytest.mark.data_layer
NOTE = "the-secret-note-of-the-known-answer"


def checked_project(count: int = 30, golds: int = 12, **fields: Any) -> tuple[Project, list[Item]]:
    """A project whose first items have the known answer "0", served at every turn."""
    project = world.make_project(overlap=2, gold_share=1.0, **fields)
    items = world.fill(project, count)
    for item in items[:golds]:
        mark_gold(project=project, item_id=item.pk, person=world.person("ada"), label="0", note=NOTE)
    return project, items


def free_slots(item: Item) -> int:
    return item.assignments.filter(person=None).count()


def test_marking_an_item_takes_its_free_slots_and_unmarking_makes_them_again(ada: User, ben: User) -> None:
    project = world.make_project(overlap=3)
    (item,) = world.fill(project, 1)
    judged = sure(world.judge_next(project, ben))
    mark_gold(project=project, item_id=item.pk, person=ada, label="1")
    assert free_slots(item) == 0
    assert list(current_judgments(project)) == [judged]

    unmark_gold(project=project, item_id=item.pk)
    unmark_gold(project=project, item_id=item.pk)
    assert (free_slots(item), Gold.objects.count()) == (2, 0)
    live = item.assignments.filter(purpose=Purpose.WORK, skipped_at=None)
    assert sorted(live.values_list("turn", flat=True)) == [0, 1, 2]
    assert (
        len(set(item.assignments.values_list("slot", flat=True))) == 4
    )  # Ada stands aside in one of her own


def test_work_that_was_unmarked_is_given_out_again(ada: User, ben: User) -> None:
    project = world.make_project()
    first = world.fill(project, 2)[0]
    mark_gold(project=project, item_id=first.pk, person=ada, label="1")
    world.judge_next(project, ben)
    unmark_gold(project=project, item_id=first.pk)
    judged = sure(world.judge_next(project, ben))
    assert judged is not None
    assert (judged.item_id, judged.purpose) == (first.pk, "work")


def test_who_holds_an_item_while_it_is_marked_is_checked_by_it(ada: User, ben: User) -> None:
    project = world.make_project()
    (item,) = world.fill(project, 1)
    slot = sure(claim_next(project=project, person=ben))
    mark_gold(project=project, item_id=item.pk, person=ada, label="1")
    judged = world.send(slot, ben, PairwiseAnswer(verdict="tie"))
    assert judged.purpose == "gold"
    assert not current_judgments(project).exists()


def test_who_holds_an_item_while_it_is_unmarked_judges_it_as_work(ben: User) -> None:
    project, items = checked_project(golds=1)
    slot = sure(claim_next(project=project, person=ben))
    assert slot.item == items[0]
    unmark_gold(project=project, item_id=slot.item_id)
    assert world.send(slot, ben, PairwiseAnswer(verdict="tie")).purpose == "work"
    assert free_slots(slot.item) == 1


@pytest.mark.parametrize("how", ["skip", "leave"])
def test_a_marked_item_that_is_put_down_is_no_work_for_anybody(ada: User, ben: User, how: str) -> None:
    project = world.make_project()
    (item,) = world.fill(project, 1)
    slot = sure(claim_next(project=project, person=ben))
    mark_gold(project=project, item_id=item.pk, person=ada, label="1")
    if how == "skip":
        skip(project=project, assignment_id=slot.pk, person=ben, token=sure(slot.token), reason="unclear")
    else:
        release_all(project=project, person=ben)
    assert free_slots(item) == 0


def test_who_marks_an_item_is_never_checked_by_it(ada: User) -> None:
    project, items = checked_project(golds=1)
    judged = sure(world.judge_next(project, ada))
    assert judged is not None
    assert judged.item_id != items[0].pk


def test_nobody_marks_an_item_that_they_hold(ben: User) -> None:
    project = world.make_project()
    (item,) = world.fill(project, 1)
    claim_next(project=project, person=ben)
    with pytest.raises(Refused, match="judge or skip it first"):
        mark_gold(project=project, item_id=item.pk, person=ben, label="0")
    with pytest.raises(Refused, match="no item 999"):
        mark_gold(project=project, item_id=999, person=ben, label="0")
    with pytest.raises(Refused, match="choose A, B, tie or both bad"):
        mark_gold(project=project, item_id=item.pk, person=ben, label="2")
    assert not Gold.objects.exists()


def test_a_settled_answer_becomes_a_known_one(cleo: User, ben: User) -> None:
    project = world.make_project()
    (item,) = world.fill(project, 1)
    world.judge_next(project, ben)
    with pytest.raises(Refused, match="has not been settled"):
        mark_resolved_gold(project=project, item_id=item.pk, person=cleo)
    resolve(project=project, item_id=item.pk, person=cleo, label="1")
    resolve(project=project, item_id=item.pk, person=cleo, label="0", comment="The manual says so")
    gold = mark_resolved_gold(project=project, item_id=item.pk, person=cleo)
    assert (gold.label, gold.note, gold.created_by) == ("0", "The manual says so", cleo)


def test_answers_to_known_items_are_never_work_and_never_in_a_dataset(ben: User) -> None:
    project, items = checked_project(count=20, golds=5)
    world.judge_all(project, ben)
    assert Judgment.objects.filter(purpose="gold").count() == 5
    assert not current_judgments(project).filter(item__in=items[:5]).exists()
    frozen = world.frozen(project)
    assert frozen.rows == 15
    assert not frozen.entries.filter(judgment__purpose="gold").exists()


def test_ben_is_told_in_an_interval_how_he_did_and_whether_it_is_enough(ben: User, bea: User) -> None:
    project, _ = checked_project(gold_pass=0.8)
    world.judge_all(project, ben, ["0"] * 9 + ["1"] * 3)
    world.judge_all(project, bea, ["0"] * 12)
    lines = {line.person_id: line for line in known_results(project)}
    mine, hers = lines[ben.pk], lines[bea.pk]
    assert (mine.answered, mine.right, mine.passes) == (12, 9, False)
    share = sure(mine.share)
    assert (share.value, round(share.low, 3), round(share.high, 3)) == (0.75, 0.468, 0.911)
    assert (hers.right, hers.passes) == (12, True)
    assert known_results(project, person=ben) == [mine]


def test_fewer_than_ten_known_answers_are_too_few_to_say_anything(ben: User) -> None:
    project, _ = checked_project(golds=9)
    world.judge_all(project, ben)
    (line,) = known_results(project)
    assert (line.answered, line.share, line.passes) == (9, None, None)


def test_a_corrected_answer_counts_as_it_stands(ben: User) -> None:
    project, _ = checked_project(golds=1)
    judged = sure(world.judge_next(project, ben, "1"))
    slot = reopen(project=project, person=ben, assignment_id=judged.assignment_id)
    verdict = world.verdict_for("0", slot)
    world.send(slot, ben, PairwiseAnswer.model_validate({"verdict": verdict}), revises=1)
    assert known_results(project)[0].right == 1


def test_answers_to_known_items_are_not_reviewed(ben: User, cleo: User) -> None:
    project, _ = checked_project(golds=1)
    judged = sure(world.judge_next(project, ben))
    with pytest.raises(Refused, match="not reviewed"):
        accept(project=project, assignment_id=judged.assignment_id, reviewer=cleo)


@pytest.mark.parametrize(
    ("label", "known", "right"),
    [
        ("0", "0", True), ("1", "0", False), ("tie", "0", False), ("both_bad", "both_bad", True),
        ("0>1>2", "0>1>2", True), ("0>2>1", "0>1>2", False), ("0>1=2", "0>1>2", False),
        ("0>2>1", "0>1=2", True), ("both_bad", "0>1>2", False), ("1>0>2", "both_bad", False),
    ],
)  # fmt: skip
def test_an_answer_is_right_where_it_contradicts_nothing_that_is_known(
    label: str, known: str, right: bool
) -> None:
    assert is_right(label=label, known=known) is right


def without_numbers(text: str) -> str:
    """A page or reply without what differs from item to item: keys, numbers, times, which response stands first."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "KEY", text)
    text = re.sub(r'csrfmiddlewaretoken" value="[^"]+"|X-CSRFToken[^}]+', "", text)
    return re.sub(r"\d+", "N", re.sub(r"Answer (one|two)", "Answer", text))


def test_no_page_and_no_reply_tells_ben_that_an_item_has_a_known_answer_or_which(ben: User) -> None:
    project, items = checked_project(golds=1)
    rank, following = (reverse(name, args=[project.slug]) for name in ("labeling:rank", "api-next"))
    client = world.sign_in(ben)
    seen = []
    for _ in range(2):  # the known item first, then work
        page = client.get(rank)
        reply = client.post(following, content_type="application/json")
        seen.append((without_numbers(page.text), without_numbers(json.dumps(reply.json()))))
        assert NOTE not in page.text + reply.text
        assert not re.search(r"gold|known.answer", page.text + reply.text, re.IGNORECASE)
        world.judge_next(project, ben)
    assert list(Judgment.objects.order_by("pk").values_list("purpose", flat=True)) == ["gold", "work"]
    assert Judgment.objects.order_by("pk")[0].item == items[0]
    assert seen[0] == seen[1]


def test_ben_cannot_open_the_pages_on_which_known_answers_stand(ben: User) -> None:
    project, items = checked_project(golds=1)
    client = world.sign_in(ben)
    for name, *more in (("item", items[0].pk), ("review_item", items[0].pk), ("items",), ("quality",)):
        assert client.get(reverse(f"labeling:{name}", args=[project.slug, *more])).status_code == 403
    mine = client.get(reverse("labeling:my_quality", args=[project.slug]))
    assert NOTE not in mine.text


def test_cleo_who_may_be_checked_by_an_item_does_not_see_its_answer_before_she_asks_for_it(
    cleo: User,
) -> None:
    project, items = checked_project(golds=1)
    client, url = world.sign_in(cleo), reverse("labeling:item", args=[project.slug, items[0].pk])
    assert NOTE not in client.get(url).text
    assert NOTE in client.post(url, {"do": "read"}).text
    assert sure(claim_next(project=project, person=cleo)).item != items[0]


def test_ada_marks_changes_and_unmarks_on_the_page_of_the_item(project: Project, ada: User) -> None:
    (item,) = world.fill(project, 1)
    client, url = world.sign_in(ada), reverse("labeling:item", args=[project.slug, item.pk])
    assert "no work any more" in client.post(url, {"do": "mark", "label": "1", "note": NOTE}).text
    assert "B is better" in client.get(url).text
    client.post(url, {"do": "mark", "label": "tie"})
    assert Gold.objects.get().label == "tie"
    refused = client.post(url, {"do": "mark", "label": "nonsense"})
    assert (refused.status_code, "choose A, B, tie or both bad" in refused.text) == (422, True)
    assert "This item is work again" in client.post(url, {"do": "unmark"}).text
    assert client.post(url, {"do": "nothing"}).status_code == 422
    assert Assignment.objects.filter(item=item, person=None).count() == 1
