"""The process that chooses rows: what it writes, that a stop changes nothing, and what it refuses."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny_model import tiny_model
from tests.training.forked import command, events, result, run, says, sft_rows, trained
from training.recipes import contract

TOPICS = ["Write a poem about the sea", "Sort this list of numbers", "Translate into French", "Plan a dinner"]


def rows(count: int = 60) -> list[dict[str, Any]]:
    """Rows of four topics, the first of which has most; each tenth number is used twice."""
    made = []
    for n in range(count):
        topic = TOPICS[0] if n % 5 else TOPICS[n // 5 % 4]
        prompt = f"{topic}, number {n - n % 10 if n % 10 == 1 else n}"
        made.append(
            {
                "row": 2 * n,  # numbers in a version, not places in this file
                "prompt": prompt,
                "messages": says("user", prompt),
                "response": "Here it is: " + "word " * (n % 7),
                "quality": n % 13 / 13,
            }
        )
    return made


def write_choice(path: Path, **settings: Any) -> Path:
    path.mkdir()
    spec = {"method": "subset", "base": str(tiny_model()), "k": 8, "batch_size": 8} | settings
    (path / "spec.json").write_text(json.dumps(spec))
    (path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))
    return path


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_choice(tmp_path_factory.mktemp("c") / "whole")
    assert run(path) == 0
    return path


def test_what_was_chosen_is_told_with_its_reasons(chosen: Path) -> None:
    picks, by_row = contract.read_lines(chosen / "picks.jsonl"), {row["row"]: row for row in rows()}
    assert len({pick["row"] for pick in picks}) == 8
    assert picks[0]["near"] is None
    for pick in picks:
        assert (pick["prompt"], pick["quality"]) == (
            by_row[pick["row"]]["prompt"],
            by_row[pick["row"]]["quality"],
        )
        assert pick["near"] is None or pick["near"] in {each["row"] for each in picks}
    left = contract.read_lines(chosen / "left.jsonl")
    assert {row["row"] for row in left}.isdisjoint(pick["row"] for pick in picks)
    assert [row["worse"] for row in left] == sorted((row["worse"] for row in left), reverse=True)
    better = {row["row"]: sum(other["quality"] < row["quality"] for other in rows()) / 59 for row in rows()}
    assert {row["row"]: row["worse"] for row in left} == pytest.approx(
        {r["row"]: better[r["row"]] for r in left}
    )
    assert {row["near"] for row in left} <= {pick["row"] for pick in picks}
    flat = contract.read_lines(chosen / "map.jsonl")
    assert {point["row"] for point in flat} == set(by_row)
    assert {point["row"] for point in flat if point["chosen"]} == {pick["row"] for pick in picks}
    said = result(chosen)
    assert (said["rows"], said["chosen"], said["cut"], said["dimensions"]) == (60, 8, 0, 64)
    assert said["reach"] < np.mean(said["reach_random"]), (
        "a diverse choice is nearer to all than a random one"
    )
    assert said["worse"] > np.mean(said["worse_random"])


def test_a_vector_is_the_mean_of_the_last_states_and_equal_texts_are_read_once(chosen: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    vectors = np.fromfile(chosen / "vectors.f32", dtype=np.float32).reshape(-1, 64)
    assert len(vectors) == len({row["prompt"] for row in rows()}) < 60
    tokenizer, model = (
        AutoTokenizer.from_pretrained(tiny_model()),
        AutoModel.from_pretrained(tiny_model()).eval(),
    )
    texts = {tuple(tokenizer(row["prompt"])["input_ids"]) for row in rows()}
    for place, ids in enumerate(
        sorted(texts, key=lambda ids: (-len(ids), np.array(ids, np.int32).tobytes()))
    ):
        with torch.no_grad():
            states = model(torch.tensor([ids])).last_hidden_state[0]
        assert vectors[place] == pytest.approx(states.mean(dim=0).numpy(), abs=1e-4)


@pytest.mark.parametrize("left", [0, 1, 777, 64 * 4 * 8 * 3])
def test_whatever_a_killed_process_left_the_choice_is_the_same(
    chosen: Path, tmp_path: Path, left: int
) -> None:
    again = write_choice(tmp_path / "again")
    (again / "vectors.f32").write_bytes((chosen / "vectors.f32").read_bytes()[:left])
    assert run(again) == 0
    for name in ("vectors.f32", "picks.jsonl", "left.jsonl", "map.jsonl"):
        assert (again / name).read_bytes() == (chosen / name).read_bytes(), name


def test_a_stopped_process_goes_on_where_it_was(chosen: Path, tmp_path: Path) -> None:
    path = write_choice(tmp_path / "stopped")
    assert run(path, ("progress", 16, signal.SIGTERM)) == contract.STOPPED
    assert (path / "vectors.f32").stat().st_size == 16 * 64 * 4
    assert not (path / "result.json").exists()
    assert run(path) == 0
    assert (path / "picks.jsonl").read_bytes() == (chosen / "picks.jsonl").read_bytes()
    assert [event["step"] for event in events(path, "progress")][:3] == [8, 16, 24]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = trained(
        tmp_path_factory.mktemp("s") / "run",
        "sft",
        sft_rows(),
        learning_rate=1e-2,
        epochs=4.0,
        lora_dropout=0.1,
        packing="off",
        sort_batches=False,
    )
    return path / "final"


def test_difficulty_is_how_little_the_prompt_helps(tmp_path: Path, adapter: Path) -> None:
    """Read by an adapter that has learned some of the responses to their prompts, and none of the others."""
    path = write_choice(tmp_path / "hard", quality="difficulty", weight=1.0, adapter=str(adapter))
    learned = [
        {
            "row": number,
            "prompt": row["prompt"][0]["content"],
            "messages": row["prompt"],
            "response": row["completion"][0]["content"],
            "quality": None,
        }
        for number, row in enumerate(sft_rows(), start=1000)
    ]
    (path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows(), *learned]))
    assert run(path) == 0
    losses = np.fromfile(path / "losses.f32", dtype=np.float32).reshape(-1, 2)
    ratio = np.exp(losses[:, 0] - losses[:, 1])
    fitting = ratio[ratio < 1]
    assert len(ratio) == 84
    assert len(fitting) >= 24 / 2
    assert result(path)["misfits"] == 84 - len(fitting) > 0
    picks = contract.read_lines(path / "picks.jsonl")
    assert [pick["quality"] for pick in picks] == pytest.approx(sorted(fitting, reverse=True)[:8], rel=1e-5)
    assert all(pick["worse"] >= result(path)["misfits"] / 83 for pick in picks)


def test_clusters_and_an_adapter(tmp_path: Path, adapter: Path) -> None:
    path = write_choice(tmp_path / "clusters", algorithm="kmeans", adapter=str(adapter), weight=0.2)
    assert run(path) == 0
    picks = contract.read_lines(path / "picks.jsonl")
    assert [pick["group"] for pick in picks] == sorted((pick["group"] for pick in picks), reverse=True)
    plain = write_choice(tmp_path / "plain", algorithm="kmeans", weight=0.2)
    assert run(plain) == 0
    assert (plain / "vectors.f32").read_bytes() != (path / "vectors.f32").read_bytes(), (
        "the adapter is read through"
    )


def test_long_texts_are_cut_and_counted(tmp_path: Path) -> None:
    path = write_choice(tmp_path / "cut", text="both", max_length=16)
    assert run(path) == 0
    assert 0 < result(path)["cut"] <= 60


def test_rows_that_the_model_cannot_read_whole_are_no_misfits(tmp_path: Path) -> None:
    path = write_choice(tmp_path / "long", quality="difficulty", max_length=24)
    assert run(path) == 0
    said = result(path)
    assert said["limit"] == 24
    assert said["too_long"] > 0
    assert said["too_long"] + said["misfits"] <= 60


def test_rows_that_all_have_one_text_are_refused(tmp_path: Path) -> None:
    path = write_choice(tmp_path / "same")
    same = [{**row, "prompt": "Say it again"} for row in rows()]
    (path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in same))
    assert run(path) == contract.FAILED
    assert "all rows have the same text" in events(path, "error")[0]["values"]["message"]


def test_choosing_all_rows_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = write_choice(tmp_path / "all", k=60)
    assert command(path, "subset").returncode == contract.FAILED
    assert events(path, "error")[0]["values"]["message"] == "60 of 60 rows leaves none out; choose fewer"
    shutil.rmtree(path)
