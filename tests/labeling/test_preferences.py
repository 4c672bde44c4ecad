"""What a person sets for themselves: their keys never clash, their choices follow them."""

import pytest
from django.test import Client
from django.urls import reverse

from labeling.errors import Refused
from labeling.models import Project, User
from labeling.preferences import ACTIONS, USUAL, keys_of, last_read, mark_read, prefer, set_keys
from tests import world

HTMX = {"HX-Request": "true"}


def test_the_usual_keys_clash_with_nothing(ben: User) -> None:
    set_keys(person=ben, keys=USUAL)
    assert keys_of(ben.preferences) == USUAL
    assert ben.preferences["keys"] == {}


def test_ben_keeps_his_own_keys_and_gets_new_actions_by_their_usual_ones(ben: User) -> None:
    set_keys(person=ben, keys={"skip": "X", "undo": "z"})
    ben.refresh_from_db()
    assert keys_of(ben.preferences) == {**USUAL, "skip": "x", "undo": "z"}
    assert ben.preferences["keys"] == {"skip": "x", "undo": "z"}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"skip": "u"}, "given to “Skip; then a digit for the reason” and to “Undo: change my last answer”"),
        ({"tie": "b"}, "given to “Tie: equally good” and to “Both bad, or all bad”"),
        ({"skip": "j"}, "The key j is used on every page to go to the next row; choose another for “Skip"),
        ({"raw": "?"}, "used on every page to show the keys"),
        ({"skip": "3"}, "The key 3 stands for a response or a value; choose one that is no digit for “Skip"),
        ({"equal": "Shift+2"}, "The key ⇧2 stands for a response"),
        ({"skip": ""}, "is empty; choose one letter, digit or sign"),
        ({"skip": "F5"}, "is 'F5'; choose one letter"),
        ({"skip": "\x00"}, "choose one letter"),
    ],
)
def test_a_key_that_means_something_already_is_refused_with_both_names(
    ben: User, keys: dict[str, str], words: str
) -> None:
    set_keys(person=ben, keys={"later": "y"})
    with pytest.raises(Refused) as refusal:
        set_keys(person=ben, keys=keys)
    assert words in refusal.value.sentence
    ben.refresh_from_db()
    assert ben.preferences["keys"] == {"later": "y"}


def test_kinds_that_never_meet_on_a_page_may_share_a_key(ben: User) -> None:
    set_keys(person=ben, keys={"equal": "t", "write": "t", "tie": "t"})
    assert keys_of(ben.preferences)["write"] == "t"


def test_two_actions_can_change_places(ben: User) -> None:
    set_keys(person=ben, keys={"first": "2", "second": "1"})
    assert keys_of(ben.preferences)["first"] == "2"


def test_choices_are_kept_beside_each_other(ben: User, project: Project) -> None:
    set_keys(person=ben, keys={"skip": "x"})
    prefer(person=User.objects.get(pk=ben.pk), what="layout", value="stacked")
    mark_read(person=User.objects.get(pk=ben.pk), project_id=project.pk, number=3)
    ben.refresh_from_db()
    assert ben.preferences == {"keys": {"skip": "x"}, "layout": "stacked", "read": {str(project.pk): 3}}
    assert last_read(ben.preferences, project.pk) == 3
    assert last_read(ben.preferences, project.pk + 1) == 0


def test_a_choice_that_there_is_not_changes_nothing(ben: User) -> None:
    client = world.sign_in(ben)
    reply = client.post(reverse("labeling:prefer"), {"what": "layout", "value": "upside down"})
    assert (reply.status_code, "side or stacked" in reply.text) == (422, True)
    ben.refresh_from_db()
    assert ben.preferences == {}
    assert client.post(reverse("labeling:prefer"), {"what": "raw", "value": "raw"}).status_code == 204


def test_the_page_of_keys_names_every_action_and_keeps_what_was_typed_when_it_refuses(ben: User) -> None:
    client = world.sign_in(ben)
    page = client.get(reverse("labeling:keys"))
    for action in ACTIONS:
        assert f'name="{action.name}"' in page.text
    reply = client.post(reverse("labeling:keys"), {**USUAL, "skip": "u"})
    assert reply.status_code == 422
    assert (
        "is given to “Skip; then a digit for the reason” and to “Undo: change my last answer”" in reply.text
    )
    assert 'name="skip" value="u"' in reply.text


def test_ben_saves_his_keys_and_takes_the_usual_ones_back(ben: User, project: Project) -> None:
    client, url = world.sign_in(ben), reverse("labeling:keys")
    reply = client.post(url, {**USUAL, "skip": "x", "project": project.slug})
    assert reply["Location"] == f"{url}?project={project.slug}"
    ben.refresh_from_db()
    assert keys_of(ben.preferences)["skip"] == "x"
    assert reverse("labeling:rank", args=[project.slug]) in client.get(reply["Location"]).text
    client.post(url, {**USUAL, "skip": "x", "reset": "1"})
    ben.refresh_from_db()
    assert keys_of(ben.preferences) == USUAL


def test_mallory_is_not_told_of_a_project_by_the_way_back_to_it(mallory: User, project: Project) -> None:
    page = world.sign_in(mallory).get(reverse("labeling:keys"), {"project": project.slug})
    assert project.slug not in page.text


def test_preferences_are_for_people_who_are_signed_in() -> None:
    for name in ("labeling:keys", "labeling:prefer"):
        assert Client().post(reverse(name), headers=HTMX).status_code == 401


def test_bens_own_keys_stand_on_his_buttons_and_in_his_help(ben: User, bea: User, project: Project) -> None:
    world.fill(project, 3)
    set_keys(person=ben, keys={"first": "q", "skip": "x"})
    url = reverse("labeling:rank", args=[project.slug])
    page = world.sign_in(ben).get(url)
    assert '<kbd class="js-only" aria-hidden="true">q</kbd>' in page.text
    assert "<dt><kbd>x</kbd></dt><dd>Skip; then a digit for the reason</dd>" in page.text
    assert "&quot;first&quot;: &quot;q&quot;" in page.text
    assert "&quot;first&quot;: &quot;1&quot;" in world.sign_in(bea).get(url).text
