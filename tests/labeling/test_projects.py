"""Projects come from templates, and their rules change without breaking what was answered."""

from typing import Any

import pytest

from labeling.attributes import MOST, PRESETS, checked, key_of, preset
from labeling.errors import Refused
from labeling.models import Assignment, Membership, Project, Task, User
from labeling.projects import TEMPLATES, create_from_template, set_role, set_rules
from labeling.queue import claim_next
from labeling.values import RatingAnswer
from tests import world

pytestmark = pytest.mark.data_layer
TONE = {"key": "tone", "words": "Tone", "low": 1, "high": 5}
CARE = {"key": "care", "words": "Care", "low": 0, "high": 3}


def claim(project: Project, who: User) -> Assignment:
    slot = claim_next(project=project, person=who)
    assert slot is not None
    return slot


@pytest.fixture
def rated(db: None) -> Project:
    """A project in which Ben has rated the tone of one item."""
    project = world.make_project(task=Task.RATING, attributes=[TONE])
    world.fill(project, 2)
    slot = claim(project, world.person("ben"))
    world.send(slot, world.person("ben"), RatingAnswer(ratings={"tone": [5, 2]}))
    return project


@pytest.mark.parametrize(
    ("template", "task", "strength", "attributes"),
    [
        ("", "pairwise", False, 0),
        ("pairwise", "pairwise", False, 0),
        ("strength", "pairwise", True, 0),
        ("ranking", "ranking", False, 0),
        ("ratings", "rating", False, 5),
        ("demonstrations", "demonstration", False, 0),
        ("edits", "edit", False, 0),
    ],
)
def test_each_template_gives_its_task(
    ada: User, template: str, task: str, strength: bool, attributes: int
) -> None:
    project = create_from_template(name="New", owner=ada, template=template, overlap=2)
    project.refresh_from_db()
    assert (project.task, project.ask_strength, project.overlap) == (task, strength, 2)
    assert len(project.attributes) == attributes
    assert Membership.objects.get(project=project).role == "owner"


def test_each_task_has_a_template_and_an_unknown_one_is_refused(ada: User) -> None:
    assert {template.rules["task"] for template in TEMPLATES} == set(Task)
    with pytest.raises(Refused, match="template given is 'mystery'; choose one of pairwise, strength"):
        create_from_template(name="New", owner=ada, template="mystery")
    assert not Project.objects.exists()


def test_one_projects_attributes_are_not_another_ones(ada: User) -> None:
    first = create_from_template(name="One", owner=ada, template="ratings")
    second = create_from_template(name="Two", owner=ada, template="ratings")
    set_rules(project=first, attributes=[TONE])
    second.refresh_from_db()
    assert len(second.attributes) == 5
    assert len(PRESETS["helpsteer"][1]) == 5


def test_rules_change_and_the_items_follow(project: Project) -> None:
    world.fill(project, 3)
    change = set_rules(project=project, overlap=2, lease_seconds=60, daily_cap=10, rationale="required")
    project.refresh_from_db()
    assert (change.items, change.opened) == (3, 3)
    assert (project.overlap, project.lease_seconds, project.daily_cap) == (2, 60, 10)
    assert set(project.items.values_list("overlap", flat=True)) == {2}


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"overlap": 0}, "overlap given is 0"),
        ({"lease_seconds": 5}, "lease_seconds: .*30"),
        ({"gold_share": 0.9}, "gold_share: .*0.5"),
        ({"repeat_share": -1}, "repeat_share"),
        ({"name": ""}, "name"),
        ({"task": "poetry"}, "task"),
    ],
)
def test_a_rule_out_of_its_bounds_changes_nothing(
    project: Project, rules: dict[str, Any], words: str
) -> None:
    with pytest.raises(Refused, match=words):
        set_rules(project=project, **{"description": "New words", **rules})
    project.refresh_from_db()
    assert (project.description, project.overlap) == ("", 1)


def test_the_task_is_free_until_there_are_items(project: Project) -> None:
    set_rules(project=project, task=Task.RANKING)
    set_rules(project=project, task=Task.PAIRWISE)
    world.fill(project, 1)
    with pytest.raises(Refused, match=r"task is fixed .*Start another project"):
        set_rules(project=project, task=Task.RANKING)
    set_rules(project=project, task=Task.PAIRWISE, description="Same task, other words")
    assert project.description == "Same task, other words"


def test_a_project_that_becomes_one_of_ratings_gets_attributes(project: Project) -> None:
    set_rules(project=project, task=Task.RATING)
    assert project.attributes[0]["key"] == "helpfulness"
    with pytest.raises(Refused, match="no attribute; add at least one"):
        set_rules(project=project, attributes=[])


def test_an_attribute_can_be_added_beside_one_that_was_rated(rated: Project, bea: User) -> None:
    set_rules(project=rated, attributes=[TONE, CARE])
    slot = claim(rated, bea)
    judgment = world.send(slot, bea, RatingAnswer(ratings={"tone": [1, 2], "care": [0, 3]}))
    assert judgment.answer["ratings"]["care"] == [0, 3]


@pytest.mark.parametrize("wanted", [[{**TONE, "high": 7}], [{**TONE, "words": "Rudeness"}], [CARE]])
def test_an_attribute_that_was_rated_is_neither_redefined_nor_taken_away(
    rated: Project, wanted: list[dict[str, Any]]
) -> None:
    with pytest.raises(Refused, match=r"Tone \(1 to 5\) has been rated already, so it stays as it is"):
        set_rules(project=rated, attributes=wanted)
    rated.refresh_from_db()
    assert rated.attributes == [TONE]


def test_an_attribute_that_nobody_rated_may_change(rated: Project) -> None:
    set_rules(project=rated, attributes=[TONE, CARE])
    set_rules(project=rated, attributes=[TONE, {**CARE, "high": 4}])
    set_rules(project=rated, attributes=[TONE])
    assert rated.attributes == [TONE]


def test_a_preset_keeps_what_was_rated(rated: Project) -> None:
    keys = [attribute["key"] for attribute in preset(rated, "helpsteer")]
    assert keys == ["tone", "helpfulness", "correctness", "coherence", "complexity", "verbosity"]
    with pytest.raises(Refused, match="preset given is 'x'"):
        preset(rated, "x")


def test_a_key_is_made_of_the_name() -> None:
    assert key_of("Factual accuracy!") == "factual_accuracy"
    assert checked([{"words": " Factual accuracy ", "key": "", "low": 0, "high": 4}]) == [
        {"key": "factual_accuracy", "words": "Factual accuracy", "low": 0, "high": 4}
    ]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"words": ""}, "give each a name"),
        ({"words": "x" * 61}, "up to 60"),
        ({"key": "9lives"}, "begin with a letter"),
        ({"key": "rating.tone"}, "begin with a letter"),
        ({"words": "日本"}, "key of 日本 is ''"),
        ({"low": None}, "from None to 5; give two whole numbers"),
        ({"low": 5}, "from 5 to 5"),
        ({"low": 6}, "from 6 to 5"),
        ({"high": 50}, "by 20 at most"),
        ({"low": 990, "high": 1000}, "between -100 and 100"),
    ],
)
def test_a_row_that_is_no_attribute_is_refused_by_its_name(row: dict[str, Any], words: str) -> None:
    base = {**TONE, "key": ""} if "words" in row else TONE
    with pytest.raises(Refused, match=words):
        checked([{**base, **row}])


def test_keys_are_given_once_and_there_are_ten_attributes_at_most() -> None:
    with pytest.raises(Refused, match="'tone' is given twice"):
        checked([TONE, TONE])
    with pytest.raises(Refused, match=f"There are {MOST + 1} attributes"):
        checked([{**TONE, "key": f"tone{n}"} for n in range(MOST + 1)])


@pytest.mark.django_db(transaction=True)
def test_two_owners_who_step_down_at_once_leave_one() -> None:
    project = world.make_project()
    set_role(project=project, username="ben", role="owner")

    def step_down(name: str) -> bool:
        try:
            set_role(project=project, username=name, role="lead")
        except Refused:
            return False
        return True

    assert sorted(world.together([lambda: step_down("ada"), lambda: step_down("ben")])) == [False, True]
