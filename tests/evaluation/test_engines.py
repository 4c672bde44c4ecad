"""Engines: asked once for all, told on as it comes, gone on with after a stop or a kill, refused with a sentence."""

import json
import os
import signal
import threading
from pathlib import Path

import pytest

from evaluation.engines import ENGINES, Interrupted, default_engine
from evaluation.engines.fake import Died, FakeEngine
from evaluation.engines.fake import answer as fake_answer
from evaluation.engines.files import Tail
from evaluation.engines.processes import versions
from evaluation.engines.protocol import Answer, Limits, Request, Sampling, Service, Weights
from evaluation.engines.vllm import vllm_version
from labeling.errors import Refused
from tests.training.fake_service import fails, says, service
from training.processes import Cancel, Stop

LIMITS = Limits(concurrency=2, timeout=60, tries=1)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def requests(count: int = 12, target: str = "api", **more) -> list[Request]:
    sampling = Sampling(temperature=1.0, stop=("end",))
    return [
        Request(
            f"r{i}", target, **{"kind": "complete", "messages": [{"role": "user", "content": f"Say {i}."}]} | more,
            sampling=sampling,
        )
        for i in range(count)
    ]  # fmt: skip


class Taken:
    """What an engine told; `stop` is raised by the watch after so many answers."""

    def __init__(self, stop_after: int | None = None, stop: type[Stop] = Stop) -> None:
        self.answers: list[Answer] = []
        self.watched: list[tuple[int, int]] = []
        self.stop_after, self.stop = stop_after, stop

    def take(self, answers) -> None:
        self.answers += answers

    def watch(self, done: int, total: int) -> None:
        self.watched.append((done, total))
        if self.stop_after is not None and done >= self.stop_after:
            raise self.stop

    @property
    def ids(self) -> set[str]:
        return {answer.id for answer in self.answers}


def ask(engine, folder: Path, told=None, taken: Taken | None = None, wanted=None) -> Taken:
    taken = taken or Taken()
    targets = [Service("api", told.url, "big")] if told else [Weights("api", "/base")]
    engine.ask(
        requests=requests() if wanted is None else wanted, targets=targets, folder=folder, limits=LIMITS,
        take=taken.take, watch=taken.watch,
    )  # fmt: skip
    return taken


def test_answers_are_told_as_they_come_and_again_when_the_folder_is_done(tmp_path):
    with service() as told:
        first = ask(ENGINES["openai"](), tmp_path / "run", told)
        second = ask(ENGINES["openai"](), tmp_path / "run", told, wanted=[])
    assert len(first.answers) == len(first.ids) == 12
    assert first.watched[0] == (0, 12)
    assert first.watched[-1] == (12, 12)
    assert first.answers[0].text == "fine"
    assert {answer.id: answer for answer in second.answers} == {answer.id: answer for answer in first.answers}
    assert second.watched == [(12, 12)]
    assert len(told.asked) == 12
    assert told.asked[0]["stop"] == ["end"]


def test_an_engine_that_is_stopped_says_so_and_asks_only_for_the_rest(tmp_path):
    with service(*[says("fine")] * 3, "hang", "hang") as told:
        with pytest.raises(Interrupted):
            ask(ENGINES["openai"](), tmp_path / "run", told, Taken(3, Cancel))
        assert len(told.asked) == 5
        taken = ask(ENGINES["openai"](), tmp_path / "run", told, wanted=[])
    assert len(taken.answers) == len(taken.ids) == 12
    assert len(told.asked) == 5 + 9


def test_a_stop_before_the_process_starts_is_an_interruption(tmp_path):
    with service() as told, pytest.raises(Interrupted):
        ask(ENGINES["openai"](), tmp_path / "run", told, Taken(0))
    assert not told.asked


def test_a_process_that_is_killed_has_asked_nothing_twice_when_it_is_done(tmp_path, settings):
    settings.PREFLOOP_RECIPE_PYTHON = ""  # what is killed is the process itself
    lock = tmp_path / "run" / "lock"

    def reply(body):
        if len(told.asked) == 7:
            os.kill(int(lock.read_text()), signal.SIGKILL)
        return says(body["messages"][0]["content"])

    with service(rest=reply) as told:
        with pytest.raises(Interrupted, match="killed by signal 9"):
            ask(ENGINES["openai"](), tmp_path / "run", told)
        kept = [
            json.loads(line)["id"] for line in (tmp_path / "run" / "answers.jsonl").read_text().splitlines()
        ]
        before = len(told.asked)
        with (tmp_path / "run" / "answers.jsonl").open("a") as out:
            out.write('{"id": "r11", "target": "api", "ki')  # the line that the kill tore
        taken = ask(ENGINES["openai"](), tmp_path / "run", told)
    assert len(told.asked) - before == 12 - len(kept)
    assert len(taken.answers) == len(taken.ids) == 12
    assert {answer.text for answer in taken.answers} == {f"Say {i}." for i in range(12)}


def test_what_stops_everything_is_refused_with_the_recipe_s_own_sentence(tmp_path):
    with (
        service(rest=lambda body: fails(404, "no such model")) as told,
        pytest.raises(Refused, match="no such model"),
    ):
        ask(ENGINES["openai"](), tmp_path / "run", told)


def test_who_takes_answers_may_refuse_them_and_the_process_ends(tmp_path):
    def refuse(answers):
        raise Refused("The budget is spent.")

    taken = Taken()
    taken.take = refuse
    with service() as told, pytest.raises(Refused, match="budget"):
        ask(ENGINES["openai"](), tmp_path / "run", told, taken)
    assert len((tmp_path / "run" / "answers.jsonl").read_text().splitlines()) > 0


def test_what_came_while_the_process_was_ended_is_handed_on_whoever_ended_it(tmp_path):
    halted, taken = threading.Event(), Taken()

    def enough(done: int, total: int) -> None:
        if done >= 3:
            halted.set()
            raise Refused("The budget is spent.")

    def late(body):
        halted.wait()
        return says("late")

    taken.watch = enough
    with service(*[says("fine")] * 3, rest=late) as told, pytest.raises(Refused, match="budget"):
        ask(ENGINES["openai"](), tmp_path / "run", told, taken)
    assert sum(answer.text == "late" for answer in taken.answers) >= 2
    assert len(taken.answers) == len(taken.ids) == len(told.asked)


def test_targets_of_another_engine_or_of_several_bases_are_refused(tmp_path):
    service_target, weights = Service("api", "http://x", "big"), Weights("one", "/a")
    for name, targets in (
        ("openai", [weights]), ("transformers", [service_target]), ("vllm", [weights, Weights("two", "/b")])
    ):  # fmt: skip
        with pytest.raises(Refused, match="The engine"):
            ENGINES[name]().spec(targets, LIMITS)


def test_a_spec_names_everything_and_holds_no_key():
    named = Service("api", "http://x", "big", key_variable="PREFLOOP_ENDPOINT_KEY_X", requests_per_minute=3)
    spec = ENGINES["openai"]().spec([named], LIMITS)
    assert spec["endpoints"][0]["key_variable"] == "PREFLOOP_ENDPOINT_KEY_X"
    from training.specs import AnswerJob, parse

    assert parse(AnswerJob, spec).endpoints[0].requests_per_minute == 3
    judge = Weights("judge", "/base", adapter="/adapter", content_hash="h", rewards=True)
    job = parse(AnswerJob, ENGINES["transformers"]().spec([Weights("b", "/base"), judge], LIMITS))
    assert [(one.id, one.adapter, one.rewards) for one in job.targets] == [
        ("b", None, False),
        ("judge", "/adapter", True),
    ]


def test_half_a_line_is_no_answer_until_it_is_whole(tmp_path):
    path, tail = tmp_path / "answers.jsonl", Tail(tmp_path / "answers.jsonl")
    assert list(tail.new(10)) == []
    whole = json.dumps({"id": "a", "target": "t", "kind": "complete", "text": "é", "later": 1}) + "\n"
    path.write_text(whole + whole[:9])
    assert [answer.text for chunk in tail.new(10) for answer in chunk] == ["é"]
    with path.open("a") as out:
        out.write(whole[9:] + "{torn\n" + whole)
    assert [len(chunk) for chunk in tail.new(2)] == [1, 1], "two lines at a time, one of them torn"
    assert tail.seen == 3


def test_the_default_is_vllm_where_there_is_one(settings):
    settings.PREFLOOP_VLLM = ""
    assert default_engine() == "transformers"
    settings.PREFLOOP_VLLM = "vllm"
    assert default_engine() == "vllm"
    assert set(ENGINES) == {"transformers", "vllm", "openai"}, "the fake one is none of them"


def test_profiles_tell_versions_without_importing(settings, tmp_path):
    settings.PREFLOOP_RECIPE_PYTHON = ""
    profile = ENGINES["transformers"]().profile()
    assert profile["engine"] == "transformers"
    assert {"transformers", "torch", "peft", "dtype"} <= profile.keys()
    assert versions("/no/such/python", "torch") == {}
    place = tmp_path / "lib" / "python3.11" / "site-packages" / "vllm-0.31.0+cpu.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.31.0+cpu\n")
    program = tmp_path / "bin" / "vllm"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 0.99\n")
    program.chmod(0o755)
    settings.PREFLOOP_VLLM = str(program)
    assert ENGINES["vllm"]().profile()["vllm"] == "0.31.0+cpu"
    assert vllm_version(f"{program} serve") == "0.99", "a command of several words is asked itself"
    assert vllm_version("/no/such/vllm") == ""


def test_the_fake_engine_gives_the_same_answers_and_never_answers_twice(tmp_path):
    told = ask(FakeEngine(), tmp_path / "whole")
    with pytest.raises(Died):
        ask(FakeEngine(dies_after=9), tmp_path / "run")
    engine = FakeEngine()
    again = ask(engine, tmp_path / "run", wanted=[])
    assert engine.asked == 5, "seven were kept before it died"
    assert again.answers == told.answers
    with pytest.raises(Refused):
        ask(FakeEngine(fails_after=2), tmp_path / "fails")
    with pytest.raises(Interrupted):
        ask(FakeEngine(), tmp_path / "stops", taken=Taken(7))
    assert [bool(answer.error) for answer in ask(FakeEngine(garbled=["r1"]), tmp_path / "odd").answers][:3] == [
        False, True, False
    ]  # fmt: skip


def test_fake_answers_of_every_kind_are_whole():
    for one in requests(3, kind="choose", labels=("A", "B")):
        assert sum(fake_answer(one).probabilities.values()) == pytest.approx(1)
    (text,) = requests(1, kind="likelihood", completion="two words")
    assert fake_answer(text).logprob < 0
    assert (fake_answer(text).tokens, fake_answer(text).bytes) == (3, 9)
    (judged,) = requests(1, kind="reward", completion="x")
    assert -2 <= fake_answer(judged).reward <= 2
