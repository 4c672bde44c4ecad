"""A nano model as the demo makes it, with three adapters: a real vLLM server writes what transformers does."""

import json
from pathlib import Path

import pytest

from tests.training.asking import answers, wanted, write_asked
from tests.training.forked import command, dpo_rows, kto_rows, run, says, sft_rows, trained
from tests.training.test_answer_vllm import AGREE, VLLM
from tests.training.test_answer_vllm import run as run_with

pytestmark = [pytest.mark.slow, pytest.mark.heavy]
ASKED = [
    "How can I improve my time management skills?",
    "Write a short email to a customer whose order arrived late.",
    "Tom has 3 apples and buys 4 more. How many apples does he have?",
    "What should I check before I return a product?",
    "Name thing 3.",
    "Explain why the sky is blue.",
    "Give me three ideas for a birthday present.",
    "How do I reset my password?",
]


@pytest.fixture(scope="module")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nano") / "run"
    path.mkdir()
    (path / "spec.json").write_text(
        json.dumps({"method": "nano", "seed": 42, "max_steps": 400, "budget_seconds": 600})
    )
    made = command(path, "nano")
    assert made.returncode == 0, made.stderr[-2000:]
    return path / "final"


def test_base_and_three_adapters_of_a_nano_model_write_the_same_with_both_engines(
    nano: Path, tmp_path: Path
) -> None:
    """At least 90 % of the greedy answers of up to 48 tokens are the same to the letter."""
    rows = {"sft": sft_rows(), "dpo": dpo_rows(), "kto": kto_rows()}
    places = {
        name: trained(tmp_path / name, name, some, base=nano, learning_rate=3e-3, lora_r=8) / "final"
        for name, some in rows.items()
    }
    targets = [{"id": "base"}, *({"id": name, "adapter": str(place)} for name, place in places.items())]
    greedy = {"temperature": 0.0, "max_tokens": 48}
    asked = [
        wanted(f"{one['id']}:{n}", one["id"], messages=says("user", text), sampling=greedy)
        for one in targets
        for n, text in enumerate(ASKED)
    ]
    settings = {"base": str(nano), "max_length": 256}
    theirs = write_asked(tmp_path / "vllm", asked, targets, engine="vllm", **settings)
    ours = write_asked(tmp_path / "here", asked, targets, **settings)
    assert run_with(theirs, VLLM) == 0, (theirs / "log").read_text()[-3000:]
    assert run(ours) == 0
    said, known = answers(theirs), answers(ours)
    same = [said[key]["text"] == known[key]["text"] for key in known]
    assert sum(same) / len(same) >= AGREE, f"{sum(same)} of {len(same)}"
    assert len({row["text"] for row in known.values()}) > 0.6 * len(known), "they do not all say the same"
