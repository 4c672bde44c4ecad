"""Answers by vLLM: one real server for a base and three adapters says what transformers says; faults by a stand-in."""

import json
import os
import shutil
import signal
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.tiny_model import ROOT, tiny_model
from tests.training.asking import answers, wanted, write_asked
from tests.training.forked import call, dpo_rows, events, kto_rows, result, says, sft_rows, trained
from tests.training.forked import run as run_here
from training.recipes import answer, contract

pytestmark = pytest.mark.slow
VLLM = ROOT / ".venv-vllm" / "bin" / "vllm"
FAKE = f"{sys.executable} {Path(__file__).with_name('fake_answers.py')}"
AGREE, APART = 0.9, 1e-3  # share of equal greedy answers, nats of a likelihood
TARGETS = ("base", "sft", "dpo", "kto")


def carried(path: str, vllm: str, how: str, kill_at: int) -> int:
    event = contract.Run.event

    def deadly(run, type, step=0, **values):
        event(run, type, step, **values)
        if type == "progress" and step >= kill_at > 0:
            os.kill(os.getpid(), signal.SIGKILL)

    contract.Run.event = deadly
    os.environ |= {"PREFLOOP_VLLM": vllm, "FAKE_ANSWERS": how}
    sys.stdout = sys.stderr = (Path(path) / "log").open("a")
    return contract.process(["answer", path], "answer", answer.work)


def run(path, vllm=FAKE, how="", kill_at=0):
    return call(partial(carried, str(path), str(vllm), how, kill_at))


def at_work_in(path):
    """Processes whose environment names a folder."""
    mark = f"PREFLOOP_BESIDE={path}".encode()
    found = []
    for place in Path("/proc").glob("[0-9]*/environ"):
        try:
            found += [place] if mark in place.read_bytes().split(b"\0") else []
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def adapters(tmp_path_factory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("v")
    rows = {"sft": sft_rows(), "dpo": dpo_rows(), "kto": kto_rows()}
    return {
        name: trained(place / name, name, rows[name], learning_rate=1e-2, lora_r=4 + 6 * at) / "final"
        for at, name in enumerate(rows)
    }


def named(adapters) -> list[dict]:
    return [{"id": "base"}, *({"id": name, "adapter": str(place)} for name, place in adapters.items())]


def questions() -> list[dict]:
    found = []
    for target in TARGETS:
        for i in range(8):
            given = {"messages": says("user", f"Name thing {i}. " + "More. " * (i % 3))}
            greedy = {"temperature": 0.0, "max_tokens": 10}
            found += [
                wanted(f"{target}:complete:{i}", target, **given, sampling=greedy),
                wanted(
                    f"{target}:likelihood:{i}",
                    target,
                    "likelihood",
                    **given,
                    completion="red stone " * (i % 3),
                ),
                wanted(f"{target}:choose:{i}", target, "choose", **given, labels=["A", "B"]),
                wanted(f"{target}:words:{i}", target, "choose", **given, labels=["yes", "not so"]),
            ]
    hot = {"temperature": 1.0, "max_tokens": 10, "top_p": 0.9, "top_k": 50}
    found += [wanted(f"hot:{i}", sampling=hot | {"seed": i // 2}) for i in range(8)]
    found += [
        *(
            wanted(
                f"stopped:{i}",
                messages=says("user", f"Name thing {i}."),
                sampling=greedy | {"stop": ["e", "t"]},
            )
            for i in range(8)
        ),
        wanted("long", messages=says("user", "Tell me more. " * 200)),
        wanted("whole", kind="likelihood", messages=says("user", "More. " * 200), completion="yes"),
    ]
    return found


def shaken(folder: Path, place: Path) -> Path:
    """A copy whose weights are off by chance: the tiny model itself says the same to everything."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, place)
    torch.manual_seed(0)
    for file in place.glob("*.safetensors"):
        weights = {name: value + 0.1 * torch.randn_like(value) for name, value in load_file(file).items()}
        save_file(weights, file, metadata={"format": "pt"})
    return place


@pytest.fixture(scope="module")
def asked(tmp_path_factory, adapters):
    """The same questions, put to both engines."""
    assert VLLM.exists(), "vLLM is missing: run make vllm"
    place = tmp_path_factory.mktemp("v")
    base = call(shaken, tiny_model(), place / "base")
    names = named({name: call(shaken, folder, place / name) for name, folder in adapters.items()})
    settings = {"base": str(base), "max_length": 256}
    theirs = write_asked(place / "vllm", questions(), names, engine="vllm", **settings)
    assert run(theirs, VLLM) == 0, (theirs / "log").read_text()[-3000:]
    ours = write_asked(place / "transformers", questions(), names, **settings)
    assert run_here(ours) == 0
    return theirs, ours


@pytest.mark.heavy
def test_one_real_server_answers_for_the_base_and_three_adapters(asked, adapters):
    theirs, ours = (answers(path) for path in asked)
    assert theirs.keys() == ours.keys()
    greedy = [key for key in ours if ":complete:" in key]
    assert len({ours[key]["text"] for key in greedy}) > len(greedy) / 2
    same = sum(theirs[key]["text"] == ours[key]["text"] for key in greedy) / len(greedy)
    assert same >= AGREE, same
    for key in greedy:
        for name in ("prompt_hash", "prompt_tokens"):
            assert theirs[key][name] == ours[key][name]
        if theirs[key]["text"] == ours[key]["text"]:
            assert (theirs[key]["tokens"], theirs[key]["finish"]) == (
                ours[key]["tokens"],
                ours[key]["finish"],
            )
    for key in (key for key in ours if ":likelihood:" in key):
        assert theirs[key]["logprob"] == pytest.approx(ours[key]["logprob"], abs=APART), key
        assert (theirs[key]["tokens"], theirs[key]["bytes"]) == (ours[key]["tokens"], ours[key]["bytes"])
    for key in (key for key in ours if ":choose:" in key or ":words:" in key):
        assert theirs[key]["probabilities"] == pytest.approx(ours[key]["probabilities"], abs=APART), key
        assert theirs[key]["mass"] == pytest.approx(ours[key]["mass"], abs=APART), key
    assert len({theirs[f"{target}:likelihood:1"]["logprob"] for target in TARGETS}) == len(TARGETS)


@pytest.mark.heavy
def test_a_real_server_samples_by_seeds_stops_where_asked_and_refuses_what_is_too_long(asked):
    theirs, ours = (answers(path) for path in asked)
    texts = [theirs[f"hot:{i}"]["text"] for i in range(8)]
    assert texts[::2] == texts[1::2], "equal seeds"
    assert len(set(texts)) > 1
    stopped = [f"stopped:{i}" for i in range(8)]
    same = [
        all(theirs[key][part] == ours[key][part] for part in ("text", "tokens", "finish")) for key in stopped
    ]
    assert sum(same) / len(same) >= AGREE
    assert not any(letter in theirs[key]["text"] for key in stopped for letter in "et")
    assert "stop" in {theirs[key]["finish"] for key in stopped}
    assert "a row may have 256" in theirs["long"]["error"]
    assert theirs["whole"]["truncated"]
    assert theirs["whole"]["logprob"] == pytest.approx(ours["whole"]["logprob"], abs=APART)


@pytest.mark.heavy
def test_a_real_server_is_started_once_checked_and_gone_in_the_end(asked):
    path, _ = asked
    assert len(events(path, "serving")) == 1
    canaries = {
        event["values"]["checkpoint"]: event["values"]["difference"] for event in events(path, "canary")
    }
    assert canaries.keys() == set(TARGETS) - {"base"}
    assert min(canaries.values()) > 1e-3
    assert not at_work_in(path)
    assert run(path, VLLM) == 0, "done before: nothing is started"
    assert len(events(path, "serving")) == 1


def few(count=20, target="sft", kind="complete", **more) -> list[dict]:
    return [wanted(f"r{i}", target, kind, says("user", f"Name {i}."), **more) for i in range(count)]


def sentence(path):
    return events(path, "error")[-1]["values"]["message"]


def write_few(place, adapters, rows=None, **settings):
    settings = {"engine": "vllm", "concurrency": 4} | settings
    return write_asked(place, rows or few(), [{"id": "sft", "adapter": str(adapters["sft"])}], **settings)


def test_a_server_that_leaves_an_adapter_out_ends_the_run(tmp_path, adapters):
    path = write_few(tmp_path / "run", adapters)
    assert run(path, how="silent") == contract.FAILED
    assert "adapter sft silently answers as the base" in sentence(path)
    assert not answers(path)
    assert not at_work_in(path)


def test_an_adapter_that_was_never_trained_is_a_warning(tmp_path, adapters):
    from safetensors.torch import load_file, save_file

    idle = tmp_path / "idle"
    idle.mkdir()
    for file in adapters["sft"].iterdir():
        (idle / file.name).write_bytes(file.read_bytes())
    weights = load_file(idle / "adapter_model.safetensors")
    save_file(
        {name: value * ("lora_A" in name) for name, value in weights.items()},
        idle / "adapter_model.safetensors",
    )
    path = write_few(tmp_path / "run", {"sft": idle})
    assert run(path, how="silent") == 0
    assert "its weights are zero" in events(path, "warning")[0]["values"]["message"]


def test_a_server_that_dies_is_started_again_and_asked_for_the_rest_alone(tmp_path, adapters):
    path = write_few(tmp_path / "run", adapters)
    assert run(path, how="dies at 15") == 0, sentence(path)
    assert len(answers(path)) == 20
    assert len(events(path, "serving")) == 2
    assert "vLLM died and was started again" in events(path, "warning")[0]["values"]["message"]
    given = [json.loads(line) for line in (path / "serving" / "asked.jsonl").read_text().splitlines()]
    repeated = [name for name in set(given) if given.count(name) > 1]
    assert len(repeated) <= 4, "those that were under way"


def test_a_run_that_is_killed_leaves_no_server_and_asks_for_the_rest_alone(tmp_path, adapters):
    path = write_few(tmp_path / "run", adapters, concurrency=1)
    with pytest.raises(EOFError):
        run(path, kill_at=8)
    assert len(answers(path)) == 8
    assert run(path) == 0
    assert len(answers(path)) == 20
    given = (path / "serving" / "asked.jsonl").read_text().splitlines()
    assert len(given) - len(set(given)) <= 1, "the one that was under way"
    assert result(path)["skipped"] == 8
    assert not at_work_in(path)


def test_a_server_that_gives_no_numbers_ends_the_run(tmp_path, adapters):
    path = write_few(tmp_path / "run", adapters)
    assert run(path, how="no numbers") == contract.FAILED
    assert "it diverged in training" in sentence(path)


def test_a_server_that_dies_again_and_again_ends_the_run_with_its_last_words(tmp_path, adapters):
    path = write_few(tmp_path / "run", adapters)
    assert run(path, how="always dies at 3") == contract.FAILED
    assert "vLLM died 3 times, the last time with: RuntimeError: no more of this" in sentence(path)
    assert len(events(path, "serving")) == 3


def test_a_server_that_runs_out_of_memory_is_asked_half_as_much(tmp_path, adapters):
    path = write_few(tmp_path / "run", adapters, few(kind="likelihood", completion="red"))
    assert run(path, how="takes 1 at a time") == 0
    assert len(answers(path)) == 20
    assert len(events(path, "serving")) == 1
    assert not [row for row in answers(path).values() if row.get("error")]


def test_one_request_that_always_fails_is_an_error_and_the_others_are_answered(tmp_path, adapters):
    path = write_few(tmp_path / "run", adapters)
    assert run(path, how="chokes on 7") == 0
    bad = {key: row["error"] for key, row in answers(path).items() if row.get("error")}
    assert bad == {"r7": "vLLM could not answer this: no seven."}
    assert result(path)["errors"] == 1


def test_what_the_server_calls_wrong_is_an_error(tmp_path, adapters):
    path = write_few(tmp_path / "run", adapters)
    assert run(path, how="refuses 7") == 0
    bad = {key: row["error"] for key, row in answers(path).items() if row.get("error")}
    assert bad == {"r7": "vLLM does not take this request: no seven."}


def test_a_server_that_does_not_start_ends_the_run(tmp_path, adapters):
    path = write_few(tmp_path / "run", adapters)
    assert run(path, how="does not start") == contract.FAILED
    assert "vLLM did not start: RuntimeError: no such attention" in sentence(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"use_dora": True}, "an adapter with DoRA"),
        ({"peft_type": "IA3"}, "an adapter of the kind IA3"),
        ({"modules_to_save": ["lm_head"]}, "whole layers of the base's own"),
        ({"alpha_pattern": {"q_proj": 3}}, "scales that differ between layers"),
        ({"bias": "all"}, "an adapter with biases"),
        ({"init_lora_weights": "pissa"}, "an adapter that began as pissa"),
        ({"r": 1024}, "an adapter of rank 1024"),
    ],
)
def test_what_vllm_cannot_serve_is_refused_before_it_starts(tmp_path, change, words):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    config = {"peft_type": "LORA", "r": 4} | change
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    path = write_few(tmp_path / "run", {"sft": adapter})
    assert run(path) == contract.FAILED
    assert words in sentence(path)
    assert "choose the engine transformers, or merge it into a model first" in sentence(path)
    assert not events(path, "serving")


def test_an_adapter_on_the_output_head_is_refused_and_a_place_stays_free_behind_the_others(
    tmp_path, adapters
):
    from training.recipes.answering.adapters import name, options, unserved
    from training.specs import Asked

    targets = [Asked(id=one, adapter=str(place)) for one, place in adapters.items()]
    assert [unserved(target) for target in targets] == ["", "", ""]
    names = {target.id: name(target) for target in targets}
    assert len({one.rsplit("-", 1)[1] for one in names.values()}) == 3
    told = options(targets, names, cuda=False)
    assert told[told.index("--max-loras") + 1] == told[told.index("--max-cpu-loras") + 1] == "4"
    assert told[told.index("--max-lora-rank") + 1] == "16"
    assert "lm_head" not in told[told.index("--lora-target-modules") :]
    assert options(targets, names, cuda=True)[2] == "3"
    assert options([Asked(id="base")], {}, cuda=True) == []

    import torch
    from safetensors.torch import save_file

    head = tmp_path / "head"
    head.mkdir()
    (head / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2}))
    save_file(
        {"base_model.model.lm_head.lora_A.weight": torch.zeros(2, 4)}, head / "adapter_model.safetensors"
    )
    assert unserved(Asked(id="head", adapter=str(head))) == "an adapter on the output head"


def test_without_vllm_the_run_says_what_to_set(tmp_path, adapters):
    path = write_few(tmp_path / "run", adapters)
    assert run(path, "") == contract.FAILED
    assert "engine was given as vllm, and PREFLOOP_VLLM is not set" in sentence(path)
