"""The chat recipe: answers come while the file of questions grows, the same seed gives the same text, and models stay
loaded."""

import json
import os
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_model import ROOT, tiny_model
from tests.training.adapters import make_adapter
from tests.training.forked import call, run, says, sft_rows, trained
from training.recipes import chat, contract
from training.recipes.answering.ledger import Wanted
from training.recipes.answering.talking import Show, Talk, Writing
from training.specs import ChatJob, parse

FAKE = f"{sys.executable} {Path(__file__).with_name('fake_answers.py')}"
VLLM = ROOT / ".venv-vllm" / "bin" / "vllm"
HOT = {"temperature": 1.0, "max_tokens": 12, "top_p": 0.95}


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("adapters")
    return {kind: make_adapter(kind, place / kind) for kind in ("lora", "prompt")}


def folder(path: Path, targets: dict[str, Path | None], *lines: dict[str, Any], **settings: Any) -> Path:
    path.mkdir()
    voices = [
        {"id": name, "base": str(tiny_model()), "adapter": place and str(place)}
        for name, place in targets.items()
    ]
    spec = {"method": "chat", "engine": "transformers", "base": str(tiny_model()), "targets": voices}
    (path / "spec.json").write_text(json.dumps(spec | {"idle_seconds": 30.0} | settings))
    tell(path, *lines)
    return path


def tell(path: Path, *lines: dict[str, Any]) -> None:
    for line in lines:
        contract.append_line(path / "requests.jsonl", json.dumps(line))


def asks(id: str, target: str, seed: int = 0, text: str = "Tell me more.", **sampling: Any) -> dict[str, Any]:
    return {
        "id": id,
        "target": target,
        "messages": says("user", text),
        "sampling": HOT | {"seed": seed} | sampling,
    }


def answers(path: Path) -> dict[str, dict[str, Any]]:
    rows = contract.read_lines(path / "answers.jsonl")
    assert len({row["id"] for row in rows}) == len(rows), "a question was answered twice"
    return {row["id"]: row for row in rows}


def test_each_voice_answers_as_it_does_alone_and_the_same_seed_gives_the_same_text(
    tmp_path: Path, adapters: dict[str, Path]
) -> None:
    targets = {"base": None, **adapters}
    order = ["base", "lora", "base", "prompt", "lora", "prompt", "base"]
    lines = [asks(f"a{n}", name) for n, name in enumerate(order)]
    path = folder(tmp_path / "all", targets, *lines, asks("other", "base", seed=1), {"end": True})
    assert run(path) == 0, (path / "log").read_text()
    found = answers(path)
    texts = {name: {found[f"a{n}"]["text"] for n, one in enumerate(order) if one == name} for name in targets}
    assert all(len(some) == 1 for some in texts.values()), texts
    assert len({text for some in texts.values() for text in some}) == 3
    assert found["other"]["text"] not in texts["base"]
    spec = {
        "method": "answer",
        "engine": "transformers",
        "base": str(tiny_model()),
        "targets": [{"id": "base"}],
    }
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "spec.json").write_text(json.dumps(spec))
    (alone / "requests.jsonl").write_text(json.dumps(asks("a", "base") | {"kind": "complete"}) + "\n")
    assert run(alone) == 0
    assert {answers(alone)["a"]["text"]} == texts["base"]
    live = (path / "live" / "a0.txt").read_text()
    assert live
    assert live == found["a0"]["text"].rstrip("\ufffd"), "an answer that came at once can be read live too"
    assert json.loads((path / "result.json").read_text())["answered"] == 8


def test_it_waits_for_questions_stops_in_the_middle_and_goes_on_where_it_was(tmp_path: Path) -> None:
    path = folder(tmp_path / "talk", {"base": None}, asks("a1", "base"), max_length=512)
    process = threading.Thread(target=run, args=(path,))
    process.start()
    waited(lambda: "a1" in answers(path))
    tell(path, asks("a2", "base", max_tokens=400, temperature=1.9), asks("a3", "nobody"), {"stop": "a4"})
    waited(lambda: (path / "live" / "a2.txt").exists())
    tell(path, {"stop": "a2"}, asks("a4", "base"), {"end": True})
    process.join()
    found = answers(path)
    assert (found["a2"]["finish"], found["a4"]["finish"], found["a4"]["text"]) == ("stopped", "stopped", "")
    assert "Nobody here is called nobody" in found["a3"]["error"]
    (path / "result.json").unlink()
    whole = (path / "answers.jsonl").read_bytes()
    (path / "answers.jsonl").write_bytes(whole[: len(whole.splitlines(True)[0]) - 9])
    assert run(path) == 0
    assert answers(path)["a1"]["text"] == found["a1"]["text"]


class Scripted:
    """Writes a word when it is asked for one, three times, and notes whose turn it was."""

    def __init__(self, turns: list[str]) -> None:
        self.turns = turns

    def write(self, wanted: Wanted, show: Show) -> Writing:
        said: list[str] = []
        show(lambda: " ".join(said))
        for word in ("one", "two", "three"):
            yield False  # gives way, as if nothing had come yet
            said.append(word)
            self.turns.append(wanted.id)
        return wanted.answer(text=" ".join(said), finish="stop")


def test_everyone_writes_by_turns_and_one_is_stopped_while_the_other_goes_on(tmp_path: Path) -> None:
    path = folder(tmp_path / "turns", {"base": None}, asks("a1", "base"), asks("a2", "base"), {"end": True})
    spec = json.loads((path / "spec.json").read_text())
    talk, turns = Talk(contract.Run(path, spec, writes=True), parse(ChatJob, spec)), list[str]()
    talk.carry_out({"base": Scripted(turns)})
    assert turns == ["a1", "a2"] * 3
    tell(path, {"stop": "b1"}, asks("b1", "base"), asks("b2", "base"), {"end": True})
    talk.carry_out({"base": Scripted(turns)})
    found = answers(path)
    assert (found["b1"]["finish"], found["b2"]["text"]) == ("stopped", "one two three")
    assert (path / "live" / "a1.txt").read_text() == "one two three"


def test_both_sides_write_at_once_and_what_they_write_is_what_each_writes_alone(
    tmp_path: Path, adapters: dict[str, Path]
) -> None:
    """The base beside an adapter on it, and beside a model that answers by `generate`."""
    targets = {"base": None, **adapters}

    def said(place: str, *names: str) -> list[str]:
        asked = [asks(f"a{n}", name, temperature=1.9, max_tokens=40) for n, name in enumerate(names)]
        path = folder(tmp_path / place, targets, *asked, {"end": True}, max_length=512)
        assert run(path) == 0, (path / "log").read_text()
        return [answers(path)[one["id"]]["text"] for one in asked]

    alone = {name: said(name, name) for name in targets}
    assert said("one", "base", "lora") == alone["base"] + alone["lora"]
    assert said("two", "lora", "prompt") == alone["lora"] + alone["prompt"]
    assert said("three", "prompt", "prompt") == alone["prompt"] * 2


def waited(done: Any) -> None:
    """Until it is so; the process would be killed by the limit of the suite."""
    pause = threading.Event()
    for _ in range(1200):
        if done():
            return
        pause.wait(0.05)
    raise AssertionError("it never came")


def test_a_prompt_that_leaves_no_room_is_told_and_the_next_one_answered(tmp_path: Path) -> None:
    lines = [asks("long", "base", text="more " * 900), asks("short", "base"), {"end": True}]
    path = folder(tmp_path / "long", {"base": None}, *lines, max_length=64)
    assert run(path) == 0
    assert "a row may have 64" in answers(path)["long"]["error"]
    assert answers(path)["short"]["text"]


def through_vllm(path: str, how: str, command: str = FAKE) -> int:
    os.environ |= {"PREFLOOP_VLLM": command, "FAKE_ANSWERS": how}
    sys.stdout = sys.stderr = (Path(path) / "log").open("a")
    return contract.process(["chat", path], "chat", chat.work)


def test_a_vllm_server_streams_stays_up_and_where_it_dies_the_run_says_so(
    tmp_path: Path, adapters: dict[str, Path]
) -> None:
    lines = [asks("a1", "base"), asks("a2", "lora"), {"end": True}]
    path = folder(tmp_path / "v", {"base": None, "lora": adapters["lora"]}, *lines, engine="vllm")
    assert call(partial(through_vllm, str(path), "")) == 0, (path / "log").read_text()
    found = answers(path)
    assert [(found[key]["tokens"], found[key]["finish"]) for key in ("a1", "a2")] == [(3, "stop")] * 2
    assert found["a1"]["text"]
    dead = folder(tmp_path / "d", {"base": None}, *lines, engine="vllm")
    assert call(partial(through_vllm, str(dead), "always dies 1")) == 1
    errors = [row for row in contract.read_lines(dead / "events.jsonl") if row["type"] == "error"]
    assert "vLLM does not answer any more" in errors[-1]["values"]["message"]


@pytest.mark.heavy
def test_a_real_server_says_what_transformers_says_and_the_same_seed_gives_the_same_text(
    tmp_path: Path,
) -> None:
    adapter = trained(tmp_path / "trained", "sft", sft_rows(), learning_rate=1e-2, lora_r=4) / "final"
    targets = {"base": None, "lora": adapter}
    sure = [
        asks(f"{name}{n}", name, text=f"Name thing {n}.", temperature=0.0, top_p=1.0)
        for name in targets
        for n in range(4)
    ]
    hot = [asks(f"hot{n}", "lora", seed=n % 2) for n in range(4)] + [asks("plain", "base")]
    theirs = folder(tmp_path / "vllm", targets, *sure, *hot, {"end": True}, engine="vllm")
    ours = folder(tmp_path / "here", targets, *sure, {"end": True})
    assert call(partial(through_vllm, str(theirs), "", str(VLLM))) == 0, (theirs / "log").read_text()[-3000:]
    assert run(ours) == 0
    said, known = answers(theirs), answers(ours)
    same = [said[key]["text"] == known[key]["text"] for key in known]
    assert sum(same) >= 7, (said, known)
    assert said["plain"]["text"] != said["hot0"]["text"], "the adapter is asked"
    assert said["hot0"]["text"] == said["hot2"]["text"] != said["hot1"]["text"] == said["hot3"]["text"]
    for key, answer in said.items():
        assert (theirs / "live" / f"{key}.txt").read_text() == answer["text"].rstrip("\ufffd")


def test_a_full_disk_ends_it_with_a_sentence(tmp_path: Path) -> None:
    path = folder(tmp_path / "full", {"base": None}, asks("a1", "base"), {"end": True})
    (path / "live").mkdir()
    (path / "live" / "a1.txt").symlink_to("/dev/full")
    assert run(path) == 1
    errors = [row for row in contract.read_lines(path / "events.jsonl") if row["type"] == "error"]
    assert "The disk is full" in errors[-1]["values"]["message"]
