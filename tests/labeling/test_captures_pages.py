"""The pages of captures, as Ada, Emma and Cleo meet them."""

import re
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from labeling.capturing.queueing import queue_captures
from labeling.capturing.sampling import save_rule
from labeling.models import Capture, CaptureRule, CaptureToken, Project, User
from tests import world
from tests.labeling.captured import a_capture, a_token, send, took


def at(project: Project, name: str, *numbers: int) -> str:
    return reverse(f"labeling:{name}", args=[project.slug, *numbers])


def test_ada_makes_a_token_that_is_shown_once_and_revokes_it(project: Project, ada: User) -> None:
    client, url = world.sign_in(ada), at(project, "capture_tokens")
    assert "No tokens" in client.get(url).text
    made = client.post(url, {"do": "make", "name": "web shop", "per_minute": "600"})
    (secret,) = set(re.findall(r"pfc_[\w-]{40,}", made.text))
    assert made["Cache-Control"] == "no-store"
    assert send(secret, a_capture()).status_code == 201
    assert secret not in client.get(url).text
    token = CaptureToken.objects.get()
    assert (token.limit, token.created_by) == (600, ada)
    gone = client.post(url, {"do": "revoke", "revoke": token.pk}, follow=True)
    assert "The token web shop opens nothing any more" in gone.text
    assert send(secret, a_capture()).status_code == 401
    again = client.post(url, {"do": "revoke", "revoke": token.pk})
    assert (again.status_code, "This token holds no more" in again.text) == (422, True)
    nameless = client.post(url, {"do": "make", "name": "", "per_minute": "0"})
    assert (nameless.status_code, "0 is too little; give 1 or more" in nameless.text) == (422, True)


def test_an_empty_list_shows_how_to_send_the_first_capture(project: Project, emma: User) -> None:
    page = world.sign_in(emma).get(at(project, "captures"))
    assert "Nothing was sent yet" in page.text
    assert "curl http://testserver/api/v1/captures" in page.text
    assert "An owner of the project makes the token" in page.text
    file = world.sign_in(emma).get(at(project, "capture_client"))
    assert "class Prefloop" in file.text
    assert 'filename="prefloop_captures.py"' in file["Content-Disposition"]
    assert len([line for line in file.text.split('"""', 2)[2].splitlines() if line.strip()]) <= 60


def test_emma_finds_captures_by_what_was_said_and_by_what_became_of_them(
    project: Project, emma: User
) -> None:
    token, _ = a_token(project)
    save_rule(project=project, person=None, voice="bad")
    took(token, a_capture(1, thumbs="down", slice="shipping"), a_capture(2, thumbs="up"), {"prompt": "x"})
    queue_captures(project)
    client, url = world.sign_in(emma), at(project, "captures")
    whole = client.get(url).text
    assert "Where is parcel 1?" in whole
    assert "Does not fit the project" in whole
    for query in ("voice=good", "state=left", "q=parcel+2", "slice=none"):
        found = client.get(f"{url}?{query}").text
        assert "parcel 1?" not in found, query
    assert "No capture matches" in client.get(f"{url}?day=2001-01-01").text
    assert "No capture matches" in client.get(f"{url}?day=2999-12-31").text
    for query in ("slice=Shipping&day=nonsense&after=nonsense", "slice=|shipping+", "day=9999-12-31"):
        assert "parcel 1?" in client.get(f"{url}?{query}").text, query
    opened = client.get(at(project, "capture", Capture.objects.earliest("pk").pk)).text
    assert "In Berlin, 1." in opened
    assert "shipping" in opened


def test_what_the_user_said_is_hidden_from_whoever_may_still_judge_the_item(emma: User, leo: User) -> None:
    project = world.make_project()
    token, _ = a_token(project)
    save_rule(project=project, person=None)
    took(token, a_capture(1, answer=None, answers=["a", "b"], chosen=1, model="secret-model"))
    queue_captures(project)
    client, listed = world.sign_in(emma), at(project, "captures")
    page = at(project, "capture", Capture.objects.get().pk)
    told = (
        *((page, words) for words in ("secret-model", "Chosen</span>", ">a rule</a>")),
        *((listed, "One of several chosen</span>"), (f"{listed}?voice=chose", "Where is parcel 1?")),
    )
    assert "are hidden from you" in client.get(page).text
    assert [words for url, words in told if words in client.get(url).text] == []
    api = f"/api/v1/projects/{project.slug}/captures/"
    one = client.get(f"{api}{Capture.objects.get().pk}/").json()
    assert [one[name] for name in ("voice", "model", "comment", "chosen", "rule")] == [None] * 5
    assert client.get(api).json()["captures"][0]["voice"] is None
    assert client.get(f"{api}?voice=chose").json()["captures"] == []
    world.judge_all(project, emma)
    assert [words for url, words in told if words not in client.get(url).text] == []


def test_emma_orders_rules_that_say_what_they_would_have_taken(project: Project, emma: User) -> None:
    token, _ = a_token(project)
    took(token, *(a_capture(n, thumbs="down" if n % 4 else "up") for n in range(8)))
    client, url = world.sign_in(emma), at(project, "capture_rules")
    assert "No rule yet" in client.get(url).text
    client.post(url, {"do": "add", "voice": "bad", "share": "100"})
    client.post(url, {"do": "add", "share": "2.5", "daily_cap": "10"})
    page = client.get(url).text
    assert re.search(r'data-label="Would have taken" class="num">6<', page)
    assert "2.5 %" in page
    assert "Counted over the 8 captures of the last 7 days" in page
    first, second = CaptureRule.objects.all()
    client.post(url, {"do": f"up:{second.pk}"})
    assert list(CaptureRule.objects.all()) == [second, first]
    client.post(url, {"do": f"off:{second.pk}"})
    changed = client.post(url, {"do": f"save:{first.pk}", "voice": "good", "share": "50"}, follow=True)
    assert "The rule holds for what comes from now on" in changed.text
    client.post(url, {"do": f"save:{first.pk}", "voice": "bad", "share": "100"})
    taken = client.post(url, {"do": "apply"}, follow=True)
    assert "6 captures of the last 7 days are on their way into the queue" in taken.text
    wrong = client.post(url, {"do": "add", "share": "0"})
    assert (wrong.status_code, "is too little; give" in wrong.text) == (422, True)
    gone = client.post(url, {"do": "remove:999999"})
    assert (gone.status_code, "There is no such rule any more" in gone.text) == (422, True)
    assert client.post(url, {"do": "dance"}).status_code == 422


def test_the_list_reads_no_text_and_costs_the_same_with_more_rows(project: Project, emma: User) -> None:
    token, _ = a_token(project)
    client, url = world.sign_in(emma), at(project, "captures")

    def statements() -> list[dict[str, Any]]:
        with CaptureQueriesContext(connection) as seen:
            client.get(url)
        return [query for query in seen.captured_queries if "labeling_capture" in query["sql"]]

    took(token, a_capture(0))
    one = statements()
    took(token, *(a_capture(n) for n in range(1, 120)))
    many = statements()
    assert len(many) == len(one)
    assert not [query for query in many if '"body"' in query["sql"]]
    after = re.search(r"after=(\d+)", client.get(url).text)
    assert after is not None
    assert "Where is parcel 60?" in client.get(f"{url}?after={after[1]}").text


def test_a_program_makes_a_token_sets_rules_and_reads_what_came(project: Project, ada: User) -> None:
    client, root = world.sign_in(ada), f"/api/v1/projects/{project.slug}/"

    def call(method: str, path: str, body: Any = None) -> Any:
        return getattr(client, method)(f"{root}{path}", body or {}, "application/json")

    made = call("post", "capture-tokens/", {"name": "web shop", "per_minute": 600})
    assert (made.status_code, made["Cache-Control"]) == (201, "no-store")
    secret = made.json()["secret"]
    down = a_capture(1, thumbs="down", comment="Wrong city", slice="shipping")
    assert send(secret, down).status_code == send(secret, a_capture(2)).status_code == 201
    listed = client.get(f"{root}capture-tokens/")
    assert (secret in listed.text, listed.json()["results"][0]["created_by"]) == (False, "ada")
    whole = call("post", "capture-rules/", {"voice": "bad"})
    half = call("post", "capture-rules/", {"share": 0.5, "daily_cap": 10})
    assert (whole.status_code, whole.json()["share"], half.json()["share"]) == (201, 1.0, 0.5)
    moved = call("post", f"capture-rules/{half.json()['id']}/move/", {"up": True}).json()
    assert [rule["id"] for rule in moved["rules"]] == [half.json()["id"], whole.json()["id"]]
    off = call("patch", f"capture-rules/{half.json()['id']}/", {"is_on": False, "share": 0.25}).json()
    assert (off["is_on"], off["share"], off["daily_cap"]) == (False, 0.25, 10)
    seen = client.get(f"{root}capture-rules/").json()
    assert (seen["looked_at"], seen["left"], seen["would_take"]) == (2, 1, {str(whole.json()["id"]): 1})
    assert call("post", "capture-rules/apply/").json() == {"taken": 1}
    for share in (0, 2, "nan", "inf"):
        assert call("post", "capture-rules/", {"share": share}).status_code == 400, share
    assert call("delete", f"capture-rules/{half.json()['id']}/").status_code == 204
    assert call("delete", f"capture-rules/{half.json()['id']}/").status_code == 422
    (bad,) = client.get(f"{root}captures/?voice=bad").json()["captures"]
    assert (bad["state"], bad["tags"], bad["hidden"]) == ("taken", ["shipping"], False)
    read = client.get(f"{root}captures/{bad['id']}/").json()
    assert (read["answers"], read["comment"], read["token"]) == (["In Berlin, 1."], "Wrong city", "web shop")
    assert call("delete", f"capture-tokens/{made.json()['id']}/").status_code == 204
    assert send(secret, down).status_code == 401
