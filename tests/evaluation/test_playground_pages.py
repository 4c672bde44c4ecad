"""The pages and the API of the playground: what Ada sees, what nobody else does, and nothing told too early."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from evaluation.endpoints import EndpointDraft, add_endpoint
from evaluation.models import Case, Conversation, Reply, Turn
from evaluation.playground import ask, begin, vote
from evaluation.suites import create_suite
from labeling.errors import Refused
from labeling.models import Judgment, Membership, Project, User
from tests import world
from tests.evaluation.chatting import Chatter, answered, pretended, said, served, talk
from tests.training.runs import root_checkpoint

SECRETS = re.compile(
    r'csrfmiddlewaretoken" value="\w+"|X-CSRFToken": "\w+"|nonce="[^"]+"|datetime="[^"]+"|title="20[^"]+"'
)


@pytest.fixture
def chatter(monkeypatch: pytest.MonkeyPatch) -> Chatter:
    return pretended(monkeypatch)


@pytest.fixture
def browser(ada: User) -> Client:
    return world.sign_in(ada)


def url(project: Project, one: Conversation | None = None, more: str = "") -> str:
    return f"/p/{project.slug}/playground/" + (f"{one.pk}/{more}" if one else "")


def test_ada_begins_says_something_and_reads_the_answers(
    project: Project, chatter: Chatter, browser: Client
) -> None:
    empty = browser.get(url(project)).text
    assert "Nobody to talk to yet" in empty
    before, after = root_checkpoint("before"), root_checkpoint("after")
    assert (
        "No conversation yet"
        in browser.get(f"{url(project)}?checkpoint={before.pk}&checkpoint={after.pk}").text
    )
    values = {"first": f"checkpoint:{before.pk}", "second": f"checkpoint:{after.pk}", "seed": "3"}
    begun = browser.post(url(project), values)
    one = Conversation.objects.get()
    assert begun["Location"] == url(project, one)
    assert "Say something" in browser.get(url(project, one)).text
    sent = {
        "do": "ask",
        "text": "<script>Hello?</script>",
        "contexts": "One\u2028more\r\n --- \r\nTwo\r\nlines",
        "temperature": "0",
        "system": "Be\r\nbrief",
    }
    assert browser.post(url(project, one), sent).status_code == 302
    turn = Turn.objects.get()
    assert turn.contexts == ["One\u2028more", "Two\nlines"]
    assert turn.settings["system"] == "Be\nbrief"
    assert (turn.settings["seed"], turn.settings["temperature"]) == (3, 0)
    assert "data-live" in browser.get(url(project, one)).text
    chatter.says = lambda row: f"**bold {row['target']}** <img src=x onerror=alert(1)>"
    served(one)
    page = browser.get(url(project, one)).text
    assert "<strong>bold 0</strong>" in page
    assert "<script>Hello" not in page
    assert "<img" not in page
    assert "data-live" not in page
    assert "Which answer is better?" in page
    assert "Hello?" in browser.get(url(project)).text


def test_a_message_that_is_refused_is_a_sentence_and_stays_in_the_box(
    project: Project, chatter: Chatter, browser: Client
) -> None:
    one = talk(project)
    ask(conversation=one, text="First")
    reply = browser.post(url(project, one), {"do": "ask", "text": "Second, too early"})
    assert reply.status_code == 422
    assert "still on its way" in reply.text
    assert "Second, too early" in reply.text
    wrong = browser.post(url(project, one), {"do": "ask", "text": "x", "temperature": "9"})
    assert "9.0 is too much; give 2 or less" in wrong.text or "9 is too much" in wrong.text


@pytest.mark.parametrize("stage", ["asked", "half", "answered", "failed", "lost"])
def test_page_state_and_api_are_the_same_whoever_stands_on_the_left(
    project: Project, chatter: Chatter, browser: Client, stage: str
) -> None:
    """Two worlds that differ in the draw alone, with the same texts in the same places, look alike to the letter."""
    one = talk(project, blind=True)
    seen = []
    turn = ask(conversation=one, text="Hello?")
    if stage == "answered":
        served(one)
    for left in (0, 1):
        Conversation.objects.update(left=left)
        for reply in Reply.objects.select_related("voice"):
            place = "left" if reply.voice.index == left else "right"
            arranged(reply, place, stage)
        seen.append(everything(browser, project, one, turn))
    assert seen[0] == seen[1]
    if stage == "failed":
        assert "/models/after" not in seen[0]
    assert "before and after" in re.sub(r"\s+", " ", seen[0])


def arranged(reply: Reply, place: str, stage: str) -> None:
    if stage == "answered":
        Reply.objects.filter(pk=reply.pk).update(text=f"The {place} text", tokens=len(place), ms=len(place))
    elif stage == "failed" and place == "right":
        Reply.objects.filter(pk=reply.pk).update(
            error=f"/models/{reply.voice} is gone", finished_at=reply.turn.created_at
        )
    elif stage == "failed":
        Reply.objects.filter(pk=reply.pk).update(error="", finished_at=None)
    elif stage == "half":
        folder = reply.turn.conversation.servings.get().path / "live"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{reply.pk}.txt").write_text(f"The {place} te")
    elif stage == "lost":
        reply.turn.conversation.servings.update(status="failed", error=f"/models/{reply.voice} is gone.")


def everything(browser: Client, project: Project, one: Conversation, turn: Turn) -> str:
    pages = [url(project, one), url(project), url(project, one, f"state/?turn={turn.pk}&left=0&right=0")]
    api = f"/api/v1/projects/{project.slug}/"
    pages += [f"{api}conversations/", f"{api}conversations/{one.pk}/", f"{api}conversation-turns/{turn.pk}/"]
    return SECRETS.sub("", "\n".join(browser.get(page).text for page in pages))


def test_the_page_is_told_only_what_is_new_and_everything_where_it_began_anew(
    project: Project, chatter: Chatter, browser: Client
) -> None:
    one = talk(project, two=False)
    turn = ask(conversation=one, text="Hello?")
    folder = one.servings.get().path / "live"
    folder.mkdir(parents=True)
    file = folder / f"{said(turn)[0].pk}.txt"
    file.write_text("Grüße aus dem")
    state = url(project, one, f"state/?turn={turn.pk}&left=")
    reply = browser.get(f"{state}6").json()["replies"][0]
    assert (reply["text"], reply["next"], reply["again"]) == ("aus dem", 13, False)
    file.write_text("Gr")
    reply = browser.get(f"{state}13").json()["replies"][0]
    assert (reply["text"], reply["next"], reply["again"]) == ("Gr", 2, True)
    assert browser.get(url(project, one, "state/?turn=999")).json() == {"changed": True}
    served(one)
    assert browser.get(f"{state}0").json()["live"] is False


def test_ada_presses_every_button_of_a_turn(
    project: Project, chatter: Chatter, browser: Client, ada: User
) -> None:
    one = talk(project, blind=True)
    turn = answered(one)
    act = url(project, one, f"turns/{turn.pk}/")
    htmx = {"HTTP_HX_REQUEST": "true"}
    voted = browser.post(act, {"do": "vote", "verdict": "left", "project": project.slug}, **htmx)  # type: ignore[arg-type]
    assert voted.status_code == 200
    assert "You preferred the left answer, by" in voted.text
    assert "without knowing who wrote what" in voted.text
    assert "<html" not in voted.text
    assert Judgment.objects.get().person == ada
    edited = browser.post(
        act, {"do": "edit", "place": "right", "text": "Better", "project": project.slug}, **htmx
    )  # type: ignore[arg-type]
    assert "As the model wrote it" in edited.text
    queued = browser.post(act, {"do": "queue"}, **htmx)  # type: ignore[arg-type]
    assert "of the queue" in queued.text
    nothing = browser.post(act, {"do": ""}, **htmx)  # type: ignore[arg-type]
    assert (nothing.status_code, "press one of the buttons" in nothing.text) == (422, True)
    browser.post(act, {"do": "again"})
    browser.post(url(project, one, f"turns/{Turn.objects.latest('pk').pk}/"), {"do": "stop"})
    assert browser.post(url(project, one), {"do": "delete"}).status_code == 422
    anew = browser.post(url(project, one), {"do": "anew"})
    assert Conversation.objects.filter(blind=True, revealed_at=None).count() == 1
    assert browser.post(anew["Location"], {"do": "reveal"}).status_code == 302
    assert browser.post(anew["Location"], {"do": "delete"})["Location"] == url(project)


def test_nobody_reads_adas_conversation_and_an_owner_sees_how_many_there_are(
    project: Project, chatter: Chatter, emma: User, ben: User, mallory: User, browser: Client
) -> None:
    one = talk(project, "emma")
    answered(one, "A secret of Emma")
    listed = browser.get(url(project)).text
    assert "emma" in listed
    assert "A secret" not in listed
    for path in (url(project, one), url(project, one, "state/")):
        told = browser.get(path)
        assert (told.status_code, "A secret" in told.text) == (422, False)
    assert (
        "somebody else"
        in browser.get(f"/api/v1/projects/{project.slug}/conversations/{one.pk}/").json()["detail"]
    )
    assert world.sign_in(ben).get(url(project)).status_code == 403
    assert world.sign_in(mallory).get(url(project, one)).status_code == 404


def test_endpoints_are_for_those_who_may_train(
    project: Project, chatter: Chatter, cleo: User, ada: User, emma: User
) -> None:
    draft = EndpointDraft("Elsewhere", "http://127.0.0.1:9/v1", "m")
    endpoint = add_endpoint(project=project, draft=draft, person=ada)
    root_checkpoint("before")
    assert "Elsewhere" not in world.sign_in(cleo).get(url(project)).text
    assert "Elsewhere" in world.sign_in(ada).get(url(project)).text
    path = f"/api/v1/projects/{project.slug}/conversations/"
    given = {"endpoints": ["Elsewhere"]}
    assert world.sign_in(cleo).post(path, given, "application/json").status_code == 403
    assert world.sign_in(ada).post(path, given, "application/json").status_code == 201
    one = begin(project=project, person=emma, sources=[endpoint])
    Membership.objects.filter(user=emma).update(role="reviewer")
    with pytest.raises(Refused, match="your role may not ask those"):
        ask(conversation=one, text="Hello?")


def test_a_script_begins_asks_reads_and_votes(project: Project, chatter: Chatter, browser: Client) -> None:
    root_checkpoint("before"), root_checkpoint("after")
    api = f"/api/v1/projects/{project.slug}/"

    def post(path: str, **values: Any) -> Any:
        return browser.post(f"{api}{path}", values, "application/json")

    begun = post("conversations/", checkpoints=["before", "after"], blind=True, settings={"seed": 5})
    assert begun.status_code == 201, begun.text
    one = begun.json()
    assert (one["hidden"], one["settings"]["seed"], "left" in one) == (True, 5, False)
    turn = post(f"conversations/{one['id']}/turns/", text="Hello?", contexts=["A passage"]).json()
    assert ([reply["name"] for reply in turn["replies"]], turn["over"]) == (["", ""], False)
    served(Conversation.objects.get())
    read = browser.get(f"{api}conversation-turns/{turn['id']}/").json()
    assert read["over"]
    assert all(reply["text"] and not reply["name"] for reply in read["replies"])
    voted = post(f"conversation-turns/{turn['id']}/vote/", verdict="right").json()
    assert {voted["left"], voted["right"]} == {"before", "after"}
    assert voted["judgment"] == Judgment.objects.get().pk
    same = post(f"conversation-turns/{turn['id']}/edit/", text="Better", project=project.slug)
    assert (same.status_code, same.json()["item"]) == (201, Judgment.objects.latest("pk").item_id)
    suite = create_suite(project=project, name="S", person=world.person("ada"))
    case = post(f"conversation-turns/{turn['id']}/case/", suite=suite.pk).json()
    assert Case.objects.get(uid=case["case"]).reference == "Better"
    assert post(f"conversation-turns/{turn['id']}/queue/").json()["item"] == voted["item"]
    other = post(f"conversation-turns/{turn['id']}/again/", text="Hi?").json()
    assert (other["text"], other["settings"]["seed"]) == ("Hi?", 5)
    assert post(f"conversation-turns/{turn['id']}/vote/", verdict="left").status_code == 422
    assert post(f"conversation-turns/{other['id']}/stop/").json()["over"]
    again = post(f"conversation-turns/{other['id']}/again/", next_seed=True)
    assert (again.status_code, again.json()["settings"]["seed"]) == (202, 6)
    assert post(f"conversation-turns/{again.json()['id']}/stop/").json()["over"]
    assert browser.delete(f"{api}conversations/{one['id']}/").status_code == 422
    anew = post(f"conversations/{one['id']}/anew/").json()
    assert (anew["blind"], anew["hidden"], anew["id"] > one["id"]) == (True, True, True)
    whole = browser.get(f"{api}conversations/{one['id']}/").json()
    assert [row["settings"]["seed"] for row in whole["turns"]] == [6]


def test_queries_do_not_grow_with_turns_or_conversations(
    project: Project, chatter: Chatter, browser: Client
) -> None:
    def count(path: str) -> int:
        with CaptureQueriesContext(connection) as found:
            assert browser.get(path).status_code == 200
        return len(found)

    one = talk(project)
    turn = answered(one, "One?")
    vote(turn=turn, person=world.person("ada"), verdict="left")
    few = count(url(project, one)), count(url(project))
    for n in range(4):
        turn = answered(one, f"Turn {n}?")
        vote(turn=turn, person=world.person("ada"), verdict="left")
        talk(project)
    assert (count(url(project, one)), count(url(project))) == few
