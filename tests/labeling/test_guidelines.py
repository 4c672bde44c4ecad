"""Guidelines: numbered versions that never change, and two people who write at once lose nothing."""

from functools import partial

import pytest
from django.urls import reverse

from labeling.errors import Refused
from labeling.guidelines import DiffLine, Overtaken, compare, save_guideline
from labeling.models import Guideline, Project, User
from labeling.models.appendonly import Unchangeable
from tests import world

pytestmark = pytest.mark.data_layer


def url(project: Project) -> str:
    return reverse("labeling:guidelines", args=[project.slug])


def test_each_save_makes_the_next_version_and_the_project_goes_by_it(project: Project, ada: User) -> None:
    first = save_guideline(project=project, text="Prefer what is true.", person=ada)
    second = save_guideline(project=project, text="Prefer what is true.\nThen what is short.", person=ada)
    project.refresh_from_db()
    assert (first.number, second.number, project.guideline) == (1, 2, second)
    assert Guideline.objects.get(number=1).text == "Prefer what is true."


def test_the_same_text_makes_no_new_version(project: Project, ada: User, cleo: User) -> None:
    first = save_guideline(project=project, text="Be kind.\n", person=ada)
    again = save_guideline(project=project, text="Be kind.  \r\n\r\n", person=cleo)
    assert again == first
    assert project.guidelines.count() == 1


def test_a_judgment_knows_the_version_by_which_it_was_made(project: Project, ada: User, ben: User) -> None:
    world.fill(project, 2)
    first = save_guideline(project=project, text="One", person=ada)
    project.refresh_from_db()
    world.judge_next(project, ben)
    second = save_guideline(project=project, text="Two", person=ada)
    project.refresh_from_db()
    world.judge_next(project, ben)
    assert [judgment.guideline for judgment in project.judgments.all()] == [first, second]


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 100_001, "a\0b"])
def test_a_text_that_cannot_be_guidelines_is_refused(project: Project, ada: User, text: str) -> None:
    with pytest.raises(Refused):
        save_guideline(project=project, text=text, person=ada)
    assert not project.guidelines.exists()


def test_a_version_cannot_be_changed_or_deleted(project: Project, ada: User) -> None:
    saved = save_guideline(project=project, text="One", person=ada)
    saved.text = "Another"
    with pytest.raises(Unchangeable):
        saved.save()
    with pytest.raises(Unchangeable):
        saved.delete()


def test_who_began_from_an_older_version_is_told_and_nothing_is_stored(
    project: Project, ada: User, cleo: User
) -> None:
    save_guideline(project=project, text="One", person=ada, base=0)
    save_guideline(project=project, text="Cleo's", person=cleo, base=1)
    with pytest.raises(Overtaken, match="cleo saved version 2 while you were writing") as told:
        save_guideline(project=project, text="Ada's", person=ada, base=1)
    assert told.value.current.text == "Cleo's"
    assert project.guidelines.count() == 2
    assert save_guideline(project=project, text="Ada's", person=ada, base=2).number == 3


@pytest.mark.django_db(transaction=True)
def test_of_six_people_who_save_at_once_one_is_first_and_five_are_told() -> None:
    project = world.make_project()

    def save(number: int) -> bool:
        try:
            save_guideline(project=project, text=f"Text {number}", person=None, base=0)
        except Overtaken:
            return False
        return True

    saved = world.together([partial(save, number) for number in range(6)])
    assert sorted(saved) == [False] * 5 + [True]
    assert list(project.guidelines.values_list("number", flat=True)) == [1]


def test_a_comparison_shows_changes_with_two_lines_around_them() -> None:
    old = "\n".join(f"line {n}" for n in range(12))
    new = old.replace("line 5", "line five").replace("\nline 11", "")
    assert compare(old, new) == [
        DiffLine("…", "3 lines"),
        DiffLine(" ", "line 3"),
        DiffLine(" ", "line 4"),
        DiffLine("-", "line 5"),
        DiffLine("+", "line five"),
        DiffLine(" ", "line 6"),
        DiffLine(" ", "line 7"),
        DiffLine("…", "1 line"),
        DiffLine(" ", "line 9"),
        DiffLine(" ", "line 10"),
        DiffLine("-", "line 11"),
    ]
    assert compare(old, old) == []
    assert compare("", "new") == [DiffLine("+", "new")]


@pytest.mark.parametrize(("old", "new"), [("a\nb\nc", "b\nc\nd"), ("", "x\ny"), ("one\ntwo", "")])
def test_a_comparison_holds_both_texts(old: str, new: str) -> None:
    lines = compare(old, new)
    assert [line.text for line in lines if line.sign in " -"] == old.splitlines()
    assert [line.text for line in lines if line.sign in " +"] == new.splitlines()


def test_ada_writes_previews_and_saves(project: Project, ada: User) -> None:
    client = world.sign_in(ada)
    assert "No guidelines yet" in client.get(url(project)).text

    shown = client.post(url(project), {"text": "Prefer *truth*.", "base": 0, "action": "preview"})
    assert shown.status_code == 200
    assert not project.guidelines.exists()

    saved = client.post(url(project), {"text": "Prefer *truth*.", "base": 0}, follow=True)
    assert "Version 1 is what people judge by from now on" in saved.text
    same = client.post(url(project), {"text": "Prefer *truth*.", "base": 1}, follow=True)
    assert "Nothing changed" in same.text


def test_cleos_text_is_still_there_when_ada_was_faster(project: Project, ada: User) -> None:
    save_guideline(project=project, text="Ada's line", person=ada)
    late = world.sign_in(ada).post(url(project), {"text": "My line", "base": 0})
    assert late.status_code == 409
    assert "ada saved version 1 while you were writing" in late.text
    assert "My line</textarea>" in late.text
    assert "Ada&#x27;s line" in late.text
    assert 'name="base" value="1"' in late.text
    again = world.sign_in(ada).post(url(project), {"text": "My line", "base": 1}, follow=True)
    assert "Version 2" in again.text


def test_an_empty_text_comes_back_with_its_sentence(project: Project, ada: User) -> None:
    reply = world.sign_in(ada).post(url(project), {"text": " ", "base": 0})
    assert reply.status_code == 422
    assert "The guidelines are empty" in reply.text


def test_reviewers_read_versions_and_differences_but_do_not_write(
    project: Project, ada: User, cleo: User
) -> None:
    for text in ("First thought", "Second thought", "Third thought"):
        save_guideline(project=project, text=text, person=ada)
    client = world.sign_in(cleo)
    listed = client.get(url(project))
    assert "<textarea" not in listed.text
    assert client.post(url(project), {"text": "Mine", "base": 3}).status_code == 403
    page = client.get(reverse("labeling:guideline", args=[project.slug, 3]))
    assert "Third thought" in page.text
    assert "Second thought" in page.text
    other = client.get(reverse("labeling:guideline", args=[project.slug, 3]) + "?against=1")
    assert "First thought" in other.text
    assert client.get(reverse("labeling:guideline", args=[project.slug, 9])).status_code == 404
    odd = client.get(reverse("labeling:guideline", args=[project.slug, 3]) + "?against=x%00")
    assert odd.status_code == 200


def test_hostile_guidelines_are_shown_as_text(project: Project, ada: User) -> None:
    save_guideline(project=project, text="<script>alert(1)</script><img src=x onerror=alert(2)>", person=ada)
    for page in (url(project), reverse("labeling:guideline", args=[project.slug, 1])):
        assert "<script>alert" not in world.sign_in(ada).get(page).text
        assert "<img src=x" not in world.sign_in(ada).get(page).text
