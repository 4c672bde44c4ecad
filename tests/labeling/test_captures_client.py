"""The Python client that products copy: nothing is lost, nothing blocks for good, and nobody waits for the network."""

import io
import json
import logging
import threading
import urllib.error
from collections import Counter
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from labeling.capturing import client
from labeling.capturing.client import Prefloop
from tests import world
from tests.labeling.captured import a_capture, a_token

HTML = b"<html><h1>What went wrong</h1></html>"


class Server:
    """Stands in for urlopen: answers as the API does, or with a code and a page of HTML as a proxy does."""

    def __init__(self) -> None:
        self.code, self.most = 200, 5_000_000
        self.got: list[str] = []
        self.asked = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def __call__(self, request: Any, timeout: float) -> io.BytesIO:
        rows = json.loads(request.data)["captures"]
        self.asked.set()
        self.open.wait(timeout)
        code = 413 if len(request.data) > self.most else self.code
        if code == 0:
            raise urllib.error.URLError("refused")
        if code != 200:
            raise urllib.error.HTTPError(request.full_url, code, "", Message(), io.BytesIO(HTML))
        self.got += [row["idempotency_key"] for row in rows]
        stored, refused = {"status": "stored"}, {"status": "refused", "detail": "No consent."}
        return io.BytesIO(
            json.dumps({"results": [stored if row["consent"] else refused for row in rows]}).encode()
        )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    found = Server()
    monkeypatch.setattr(client.urllib.request, "urlopen", found)
    monkeypatch.setattr(client, "PAUSE_S", 0.001)
    return found


@pytest.fixture
def refused() -> list[tuple[Any, str]]:
    return []


@pytest.fixture
def prefloop(server: Server, refused: list[tuple[Any, str]]) -> Iterator[Prefloop]:
    found = Prefloop("http://prefloop", "pfc_x", lambda capture, why: refused.append((capture, why)))
    yield found
    server.open.set()
    found.close()  # its thread then has nothing more to do


def send(prefloop: Prefloop, count: int = 1, **values: Any) -> None:
    for _ in range(count):
        prefloop.capture(**{"prompt": "p", "answer": "a", "consent": True, **values})


def test_what_eight_threads_send_arrives_once_each(prefloop: Prefloop, server: Server) -> None:
    world.together([lambda: send(prefloop, 250)] * 8)
    assert prefloop.close() == 0
    assert len(server.got) == len(set(server.got)) == 2_000


def test_a_batch_that_is_too_large_is_halved_and_one_that_is_alone_too_large_is_handed_over(
    prefloop: Prefloop, server: Server, refused: list[tuple[Any, str]]
) -> None:
    server.most = 100_000
    send(prefloop, 30, comment="x" * 9_000)
    send(prefloop, comment="x" * 200_000)
    send(prefloop, 30, comment="x" * 9_000)
    send(prefloop, comment="x" * 5_000_000)
    assert (prefloop.close(), len(server.got)) == (0, 60)
    assert [len(capture["comment"]) for capture, _ in refused] == [200_000, 5_000_000]
    assert all("answered 413: <html>" in why for _, why in refused)


def test_what_the_server_refuses_is_handed_over_with_its_sentence(
    prefloop: Prefloop, refused: list[tuple[Any, str]]
) -> None:
    send(prefloop)
    send(prefloop, consent=False)
    assert prefloop.close() == 0
    ((capture, why),) = refused
    assert (capture["consent"], why) == (False, "No consent.")


@pytest.mark.parametrize("code", [0, 401, 429, 502])
def test_what_cannot_be_sent_waits_until_the_server_is_back(
    prefloop: Prefloop, server: Server, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    server.code = code
    with caplog.at_level(logging.WARNING, "prefloop"):
        send(prefloop, 3)
        for _ in range(2):  # asked again, it has told of the first time
            assert server.asked.wait(30)
            server.asked.clear()
        assert prefloop.close(seconds=0.1) == 3
    assert (f"answered {code}: {HTML.decode()}" if code else "refused") in caplog.text
    server.code = 200
    send(prefloop)
    assert (prefloop.close(), len(set(server.got))) == (0, 4)


def test_nobody_waits_for_a_server_that_hangs_and_what_waits_has_a_limit(
    prefloop: Prefloop, server: Server, refused: list[tuple[Any, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MOST_WAITING", 250)
    server.open.clear()
    send(prefloop)
    assert server.asked.wait(10)
    send(prefloop, 250)
    send(prefloop)
    assert (server.got, prefloop.waiting.unfinished_tasks, len(refused)) == ([], 251, 1)
    assert refused[0][1] == "250 captures wait already."
    server.open.set()
    assert (prefloop.close(), len(server.got)) == (0, 251)


def test_an_answer_that_is_none_of_ours_or_a_callback_that_fails_loses_nothing(
    prefloop: Prefloop, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.urllib.request, "urlopen", lambda *_, **__: io.BytesIO(HTML))
    send(prefloop, 2)
    assert prefloop.close(seconds=0.1) == 2
    prefloop.refused = lambda *_: 1 / 0
    monkeypatch.setattr(client.urllib.request, "urlopen", server)
    send(prefloop, consent=False)
    send(prefloop)
    assert (prefloop.close(), len(set(server.got))) == (0, 4)


def in_the_readme() -> dict[str, Any]:
    """The client that the README shows, as somebody pastes it."""
    text = (Path(__file__).parents[2] / "README.md").read_text()
    source = text.split("```python\n")[1].split("```")[0]
    assert len([line for line in source.splitlines() if line]) <= 30
    found: dict[str, Any] = {}
    exec(source, found)
    return found


@pytest.mark.django_db(transaction=True)
def test_the_thirty_lines_of_the_readme_send_everything_once(project: Any, live_server: Any) -> None:
    _, secret = a_token(project)
    send_all = in_the_readme()["send"]
    rows = [a_capture(n, idempotency_key=f"k{n}") for n in range(230)]
    assert Counter(fate["status"] for fate in send_all(live_server.url, secret, rows)) == {"stored": 230}
    again = [*rows[:5], a_capture(900, consent=False), a_capture(901)]
    kinds = [fate["status"] for fate in send_all(f"{live_server.url}/", secret, again)]
    assert kinds == ["duplicate"] * 5 + ["refused", "stored"]
    assert project.captures.count() == 231
    with pytest.raises(urllib.error.HTTPError, match="401"):
        send_all(live_server.url, "pfc_wrong", rows[:1])


@pytest.mark.parametrize(("code", "asked"), [(503, 3), (429, 3), (0, 3), (413, 1)])
def test_the_thirty_lines_ask_again_where_that_helps(
    server: Server, monkeypatch: pytest.MonkeyPatch, code: int, asked: int
) -> None:
    found = in_the_readme()
    waits: list[float] = []
    monkeypatch.setattr(found["time"], "sleep", waits.append)
    server.code = code
    with pytest.raises(OSError, match=str(code) if code else "refused"):
        found["send"]("http://prefloop", "pfc_x", [{"prompt": "p", "answer": "a", "consent": True}], tries=3)
    assert len(waits) == asked - 1
    assert waits == [1, 2][: asked - 1]
