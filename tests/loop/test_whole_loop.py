"""The whole loop on real data, in processes of its own: import, judge over HTTP, freeze, train, evaluate."""

import json
import os
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from evaluation.demo.data import BUNDLED, VOTERS, read
from labeling.agreement import cohen_kappa

ROOT = Path(__file__).parents[2]
ANNOTATORS = ("ben", "bea", "bo")
# The hash of the rows frozen from the bundled votes with seed 0. It changes only when the rows themselves do.
DATASET_HASH = "07ecd7527792cc3cbaae764307d60fdb621e0b6f9362d20317e056996aec59f2"

pytestmark = [pytest.mark.slow, pytest.mark.heavy]


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings.dev",
        "PREFLOOP_VAR": str(tmp_path_factory.mktemp("loop")),
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("DATABASE_URL", None)
    command = [
        "manage.py",
        "demo",
        "--once",
        "--part",
        "--json",
        "--nano-seconds",
        "1500",
        "--nano-steps",
        "40",
    ]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def test_every_item_got_the_three_votes_of_the_file(loop: dict[str, Any]) -> None:
    rows = len(read(BUNDLED))
    assert loop["items"] == rows
    assert loop["judgments"] == 3 * rows


def test_the_agreement_printed_is_that_of_the_published_votes(loop: dict[str, Any]) -> None:
    votes = {
        name: [row[voter] for row in read(BUNDLED)] for name, voter in zip(ANNOTATORS, VOTERS, strict=True)
    }
    for a, b in combinations(sorted(ANNOTATORS), 2):
        assert loop["cohen_kappa"][f"{a}-{b}"]["value"] == pytest.approx(cohen_kappa(votes[a], votes[b]))


def test_the_same_seed_gives_the_same_dataset_hash(loop: dict[str, Any]) -> None:
    assert loop["dataset_hash"] == DATASET_HASH


def test_the_frozen_rows_are_those_with_a_majority_and_two_texts_each_once(loop: dict[str, Any]) -> None:
    kept = set()
    for row in read(BUNDLED):
        winner, count = Counter(row[voter] for voter in VOTERS).most_common(1)[0]
        texts = [str(row[f"response{n}"]) for n in (1, 2)]
        if winner in (1, 2) and count >= 2 and all(text.strip() for text in texts):
            kept.add((row["instruction"], row["input"], texts[winner - 1], texts[2 - winner]))
    assert sum(split["rows"] for split in loop["rows"].values()) == len(kept)


def test_training_lowers_the_loss_on_rows_that_were_held_out(loop: dict[str, Any]) -> None:
    for losses in loop["loss"].values():
        assert losses["held_out"][-1] < losses["held_out"][0]


def test_every_score_has_its_interval_and_the_trained_ones_their_difference(loop: dict[str, Any]) -> None:
    assert list(loop["scores"]) == ["nano", "sft-lora", "dpo-lora"]
    for name, score in loop["scores"].items():
        assert score["low"] <= score["value"] <= score["high"]
        assert score["n"] == loop["rows"]["test"]["rows"]
        assert score["perplexity"]["low"] > 1
        same = score["value"] == loop["scores"]["nano"]["value"]  # then there may be no pair that differs
        assert score["against_base"] is None if name == "nano" else same or score["against_base"]
