"""Real recipe processes behind the playground: one that is killed, one that waits for a silent service, and the tiny
model, which says the same by the same seed."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evaluation.endpoints import EndpointDraft, add_endpoint
from evaluation.models import Conversation, Serving, Turn
from evaluation.playground import again, ask, begin, serving, stop
from evaluation.playground.standing import shown_turn
from labeling.lifecycle import Status
from labeling.models import Project
from tests import world
from tests.evaluation.chatting import said, served
from tests.tiny_model import tiny_model
from tests.training.fake_stream import Streamer, streaming
from training.registry import register_base


def with_service(project: Project, told: Streamer, name: str = "Elsewhere") -> Conversation:
    draft = EndpointDraft(name, told.url, "m")
    ada = world.person("ada")
    return begin(
        project=project, person=ada, sources=[add_endpoint(project=project, draft=draft, person=ada)]
    )


def once(ready: Callable[[], bool], act: Callable[[], None]) -> threading.Thread:
    """Act in the background as soon as it is time."""
    pause = threading.Event()

    def wait() -> None:
        while not ready():
            pause.wait(0.02)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def written(turn: Turn) -> str:
    return serving.live_text(Serving.objects.get(), said(turn)[0].pk)


def test_a_killed_process_is_started_again_and_answers_from_the_beginning(
    project: Project, settings: Any, var: Path
) -> None:
    settings.PREFLOOP_RECIPE_PYTHON = ""
    settings.PREFLOOP_CHAT_IDLE_S = 0.2
    with streaming("red ", "green ", "blue") as told:
        told.silent_after = 2
        turn = ask(conversation=with_service(project, told), text="Hello?")
        folder, key = Serving.objects.get().path, said(turn)[0].pk
        file = folder / "live" / f"{key}.txt"
        thread = once(
            lambda: file.exists() and file.read_text() == "red green ",
            lambda: os.kill(int((folder / "lock").read_text()), signal.SIGKILL),
        )
        assert served(turn.conversation).status == Status.QUEUED
        thread.join()
        reply = shown_turn(turn).replies[0]
        assert (reply.text, reply.state) == ("red green ", "waiting")
        told.silent_after = 9
        assert served(turn.conversation).status == Status.SUCCEEDED
        assert len(told.asked) == 2
    reply = shown_turn(Turn.objects.select_related("conversation").get()).replies[0]
    assert (reply.text, reply.state, reply.tokens) == ("red green blue", "done", 3)
    assert told.asked[0]["messages"] == told.asked[1]["messages"]
    assert {"seed", "temperature", "top_p", "max_tokens"} <= set(told.asked[0])


def test_a_stop_reaches_a_service_that_says_nothing_more_and_refusals_are_sentences(
    project: Project, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PREFLOOP_RECIPE_PYTHON = ""
    settings.PREFLOOP_CHAT_IDLE_S = 0.2
    look = serving._Work._look
    with streaming("red ", "green") as told:
        told.silent_after = 1
        one = with_service(project, told)
        turn = ask(conversation=one, text="Hello?")

        def looking(work: Any) -> None:
            look(work)
            if written(turn):
                stop(turn=turn)

        monkeypatch.setattr(serving._Work, "_look", looking)
        assert served(one).status == Status.SUCCEEDED
        assert (said(turn)[0].text, said(turn)[0].finish) == ("red ", "stopped")
        monkeypatch.setattr(serving._Work, "_look", look)
        told.silent_after = 9
        told.refuses = [(400, "Unknown field stream_options"), (401, "who are you")]
        second = ask(conversation=one, text="And now?")
        assert served(one).status == Status.SUCCEEDED
        assert "stream_options" not in told.asked[-1]
    assert "does not take the key" in said(second)[0].error


def test_a_service_that_streams_what_is_no_text_breaks_off_and_the_conversation_goes_on(
    project: Project, settings: Any
) -> None:
    settings.PREFLOOP_RECIPE_PYTHON = ""
    settings.PREFLOOP_CHAT_IDLE_S = 0.2
    with streaming("red ", [{"type": "text", "text": "green"}]) as told:
        told.silent_after = 9
        one = with_service(project, told)
        ask(conversation=one, text="Hello?")
        assert served(one).status == Status.SUCCEEDED
        told.words.append(5)
        second = ask(conversation=one, text="And now?")
        assert served(one).status == Status.SUCCEEDED
    assert told.asked[1]["messages"][1]["content"] == "red green"
    assert said(second)[0].error == "The service broke off its answer: an answer that is no chat completion."


@pytest.mark.slow
def test_the_tiny_model_says_the_same_by_the_same_seed_and_another_thing_by_the_next(
    project: Project, settings: Any
) -> None:
    settings.PREFLOOP_CHAT_IDLE_S = 0.2
    tiny = register_base(name="tiny", location=str(tiny_model()))
    how = {"temperature": 1.0, "max_tokens": 16}
    one = begin(project=project, person=world.person("ada"), sources=[tiny], settings=how)
    first = ask(conversation=one, text="Tell me more.")
    assert served(one).status == Status.SUCCEEDED, Serving.objects.get().error
    same = again(turn=first, next_seed=False)
    served(one)
    other = again(turn=same)
    served(one)
    texts = [said(turn)[0].text for turn in (first, same, other)]
    assert texts[0]
    assert texts[0] == texts[1]
    assert texts[2] != texts[0]
