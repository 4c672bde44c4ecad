"""Ada talks to a model, or to two side by side; it survives what happens to workers, files and checkpoints."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from evaluation.models import Conversation, Outcome, Reply, Serving, Turn
from evaluation.playground import again, ask, begin, change_message, delete_conversation, serve, stop, sweep
from evaluation.playground.standing import shown_turn, shown_turns
from evaluation.playground.talking import go_on
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Project, User
from labeling.workers import record_pulse
from tests import world
from tests.evaluation.chatting import Chatter, answered, pretended, said, served, settings_of, talk
from tests.evaluation.planned import tuned
from tests.training.runs import launched, root_checkpoint
from training import devices
from training.models import Device, TrainingRun


@pytest.fixture
def chatter(monkeypatch: pytest.MonkeyPatch) -> Chatter:
    return pretended(monkeypatch)


def test_both_sides_get_the_same_prompt_seed_and_settings_and_the_better_answer_goes_on(
    project: Project, chatter: Chatter
) -> None:
    one = talk(project, settings={"temperature": 1.0, "seed": 7, "system": "Be brief."})
    first = answered(one, "Hello?")
    asked = chatter.asked[:2]
    assert [row["target"] for row in asked] == ["0", "1"]
    assert (
        asked[0]["messages"]
        == asked[1]["messages"]
        == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello?"},
        ]
    )
    assert settings_of(asked[0]) == settings_of(asked[1])
    assert (settings_of(asked[0])["seed"], settings_of(asked[0])["temperature"]) == (7, 1.0)
    answered(one, "And then?", carries="right", settings={"seed": 9})
    assert chatter.asked[2]["messages"] == chatter.asked[3]["messages"]
    assert chatter.asked[2]["messages"][2] == {"role": "assistant", "content": said(first)[1].text}
    assert settings_of(chatter.asked[3])["seed"] == 9
    assert all(serving.status == Status.SUCCEEDED for serving in Serving.objects.all())
    assert not any(folder.exists() for folder in chatter.folders), "what was said stays in the rows alone"


def test_again_takes_the_next_seed_and_another_message_drops_what_came_after(
    project: Project, chatter: Chatter
) -> None:
    one = talk(project, two=False)
    first, second = answered(one, "One?"), answered(one, "Two?")
    made = again(turn=second)
    served(one)
    assert (made.number, made.settings["seed"]) == (2, 1)
    assert again(turn=made, next_seed=False).settings["seed"] == 1
    served(one)
    change_message(turn=first, text="Another?")
    served(one)
    assert [shown.turn.text for shown in shown_turns(one)] == ["Another?"]
    assert shown_turns(one)[0].tries == 2
    assert said(second)[0].text, "what was dropped can still be what a judgment rests on"
    with pytest.raises(Refused, match="asked again meanwhile"):
        again(turn=first)


@pytest.mark.data_layer
def test_two_tabs_that_send_at_once_make_one_turn_and_one_sentence(
    project: Project, chatter: Chatter
) -> None:
    one = talk(project)
    ask(conversation=one, text="From the first tab")
    with pytest.raises(Refused, match="still on its way"):
        ask(conversation=one, text="From the second tab")
    assert Serving.objects.count() == 1


def test_a_stop_keeps_what_was_written_and_one_before_the_start_keeps_nothing(
    project: Project, chatter: Chatter
) -> None:
    one = talk(project, two=False)
    chatter.says = lambda row: "red green blue stone"
    chatter.meanwhile = lambda: stop(turn=Turn.objects.latest("pk"))
    turn = answered(one)
    assert (said(turn)[0].text, said(turn)[0].finish) == ("red green ", "stopped")
    chatter.meanwhile = lambda: None
    waiting = ask(conversation=one, text="Are you there?")
    stop(turn=waiting)
    assert said(waiting)[0].finish == "stopped"
    assert shown_turn(waiting).is_over


def test_text_can_be_read_while_it_is_written(project: Project, chatter: Chatter) -> None:
    one = talk(project, two=False)
    chatter.says = lambda row: "red green blue stone"
    seen: list[Any] = []
    chatter.meanwhile = lambda: seen.append(shown_turns(one)[0].replies[0])
    answered(one)
    assert [(reply.text, reply.state) for reply in seen] == [("red green ", "writing")]


@pytest.mark.data_layer
def test_a_killed_process_answers_again_from_the_beginning_and_nothing_twice(
    project: Project, chatter: Chatter
) -> None:
    one, chatter.dies_at = talk(project), 2
    turn = ask(conversation=one, text="Hello?")
    assert served(one).status == Status.QUEUED
    assert [reply.finished_at is None for reply in said(turn).values()] == [False, True]
    assert served(one).status == Status.SUCCEEDED
    assert [row["target"] for row in chatter.asked] == ["0", "1", "1"]
    assert all(reply.text and not reply.error for reply in said(turn).values())


def test_what_is_asked_while_the_worker_leaves_is_taken_up(project: Project, chatter: Chatter) -> None:
    one = talk(project, two=False)
    answered(one)
    late = ask(conversation=one, text="Still there?")
    Serving.objects.filter(conversation=one, status=Status.QUEUED).delete()  # a worker that died as it ended
    assert shown_turn(late).is_lost
    sweep()
    served(one)
    assert shown_turn(late).replies[0].state == "done"


def test_each_wait_and_each_fault_is_said(
    project: Project, chatter: Chatter, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = talk(project, two=False)
    turn = ask(conversation=one, text="Hello?")

    def words() -> str:
        return shown_turn(Turn.objects.get(pk=turn.pk)).replies[0].words

    assert "No worker is running" in words()
    record_pulse(name="celery@here")
    assert words() == "Waiting for a worker to take it up."
    Serving.objects.update(status=Status.STARTING, heartbeat_at=timezone.now())
    assert words() == "Loading the models."
    Serving.objects.update(status=Status.RUNNING, heartbeat_at=timezone.now() - timedelta(minutes=1))
    assert "fell silent" in words()
    Serving.objects.update(status=Status.QUEUED, heartbeat_at=None)

    def full(*_: Any, **__: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("evaluation.playground.serving.run_recipe", full)
    served(one)
    assert "No space left on device" in words()
    assert shown_turn(turn).is_lost
    monkeypatch.setattr("evaluation.playground.serving.run_recipe", chatter)
    go_on(conversation=one)
    served(one)
    assert shown_turn(Turn.objects.get(pk=turn.pk)).replies[0].state == "done"


def test_a_checkpoint_that_is_gone_is_named_before_anything_is_asked(
    project: Project, chatter: Chatter
) -> None:
    with pytest.raises(Refused, match="/nowhere/tuned"):
        begin(project=project, person=world.person("ada"), sources=[tuned(project)])
    one = talk(project)
    answered(one)
    one.voices.filter(index=1).update(checkpoint=None)
    with pytest.raises(Refused, match="after was deleted; what it said stays"):
        ask(conversation=one, text="And now?")
    assert Turn.objects.count() == 1


def test_what_cannot_be_is_refused_in_a_sentence(project: Project, chatter: Chatter) -> None:
    one, ada = talk(project), world.person("ada")
    both = [root_checkpoint("before"), root_checkpoint("after")]
    for words, options in (
        ("one alone cannot be blind", {"sources": both[:1], "blind": True}),
        ("Both sides are before", {"sources": both[:1] * 2}),
        ("3 were chosen", {"sources": [*both, root_checkpoint("third")]}),
        ("Temperature was given as 9.0", {"sources": both, "settings": {"temperature": 9.0}}),
        ("The engine given is 'abacus'", {"sources": both, "engine": "abacus"}),
    ):
        with pytest.raises(Refused, match=f"(?i){words}"):
            begin(project=project, person=ada, **options)
    for words, options in (
        ("message is empty", {"text": " \n"}),
        ("100,001 characters", {"text": "a" * 100_001}),
        ("NUL character", {"text": "a\0"}),
        ("half of a surrogate", {"text": "\ud800"}),
        ("Context 1 has 100,001 characters", {"text": "Hi", "contexts": ["a" * 100_001]}),
    ):
        with pytest.raises(Refused, match=words):
            ask(conversation=one, **options)
    assert not Turn.objects.exists()


def test_only_so_many_are_warm_and_an_idle_one_gives_way(project: Project, chatter: Chatter) -> None:
    first, second = talk(project, two=False), talk(project, "emma", two=False)
    ask(conversation=first, text="Hello?")
    waiting = ask(conversation=second, text="Hello?")

    def meanwhile() -> None:
        record_pulse(name="celery@here")
        served(second)
        assert "waits until another conversation pauses" in shown_turn(waiting).replies[0].words

    chatter.meanwhile = meanwhile
    served(first)
    chatter.meanwhile = lambda: None
    assert {"end": True} in chatter.told, "the idle one was asked to end"
    served(second)
    assert shown_turn(waiting).is_over


def test_a_gpu_that_trains_is_waited_for_and_a_training_waits_for_no_idle_conversation(
    project: Project, chatter: Chatter, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = devices.Found(Device.Kind.GPU, 0, "H200", None)
    monkeypatch.setattr(devices, "gpus", lambda: (gpu,))
    run = launched(project, name="nightly")
    record_pulse(name="celery@here")
    one = talk(project, two=False)
    turn = ask(conversation=one, text="Hello?")
    serving = Serving.objects.get()
    token = uuid.uuid4()
    sent: list[Serving] = []
    monkeypatch.setattr(Serving, "enqueue", lambda serving: sent.append(serving))
    with devices.held(token):
        TrainingRun.objects.filter(pk=run.pk).update(claim_token=token, status=Status.RUNNING)
        serve(serving)
        assert sent == [], "it waits for the sweep, and asks no worker again and again"
        assert "GPU 0 is held by run nightly" in shown_turn(turn).replies[0].words
    TrainingRun.objects.filter(pk=run.pk).update(claim_token=None, status=Status.QUEUED, waiting="waits")
    served(one)
    assert chatter.environments[-1]["CUDA_VISIBLE_DEVICES"] == "0"
    assert shown_turn(turn).is_over
    assert {"end": True} in chatter.told
    assert Device.objects.get().holder is None


def test_a_conversation_goes_with_everything_said_unless_a_judgment_rests_on_it(
    project: Project, chatter: Chatter, ada: User, settings: Any
) -> None:
    one, other = talk(project), talk(project)
    turn = answered(one)
    ask(conversation=other, text="On its way")
    folder = Serving.objects.get(conversation=other).path
    folder.mkdir(parents=True)
    delete_conversation(conversation=other)
    assert not folder.exists()
    world.fill(project, 1)
    judgment = world.judge_next(project, world.person("ben"))
    made = Outcome.objects.create(turn=turn, kind="vote", judgment=judgment, created_by=ada)
    with pytest.raises(Refused, match="A judgment rests on turn 1"):
        delete_conversation(conversation=one)
    Conversation.objects.update(used_at=timezone.now() - timedelta(days=100))
    sweep()
    assert Conversation.objects.count() == 1
    made.delete()
    settings.PREFLOOP_CHAT_DAYS = 0
    sweep()
    assert Conversation.objects.count() == 1
    settings.PREFLOOP_CHAT_DAYS = 90
    sweep()
    assert (Conversation.objects.count(), Reply.objects.count()) == (0, 0)
