"""How far weights moved: the small matrix gives what the large one would, and files give what was put into them."""

import math
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_model import tiny_model
from tests.training.adapters import carry, last_words, make_adapter, result, write_deltas, write_merge
from training.recipes import contract
from training.recipes.deltas import effective_rank, leading, low_rank, place, scale, spectrum, stable_rank

pytestmark = pytest.mark.slow


def test_the_small_matrix_has_the_singular_values_of_the_large_one() -> None:
    import torch

    torch.manual_seed(0)
    a, b = torch.randn(8, 300), torch.randn(200, 8)
    whole = np.linalg.svd(2.0 * (b.double() @ a.double()).numpy(), compute_uv=False)
    assert np.abs(np.array(low_rank(a, b, 2.0)) - whole[:8]).max() < 1.9e-6
    assert np.abs(whole[8:]).max() < 1e-9


def test_measures_of_rank_of_spectra_that_are_known() -> None:
    assert effective_rank([3.0] * 5) == pytest.approx(5)
    assert effective_rank([1.0, 0.0, 0.0]) == pytest.approx(1)
    assert effective_rank([0.5, 0.25, 0.25]) == pytest.approx(math.exp(1.5 * math.log(2)))
    assert (effective_rank([0.0]), stable_rank([0.0]), leading([0.0])) == (None, None, None)
    assert stable_rank([2.0, 1.0, 1.0]) == pytest.approx(1.5)
    assert leading([3.0, 1.0, 0.0]) == 1, "9 of 10 of the energy"
    assert leading([2.0, 1.0, 1.0]) == 3
    assert leading([1.0], energy=10.0) is None, "the part that is known does not reach 90 %"


def test_a_large_matrix_is_sketched_and_its_leading_values_are_right() -> None:
    import torch

    torch.manual_seed(0)
    change = torch.randn(1100, 30) @ torch.randn(30, 1030)
    values, whole = spectrum(change)
    exact = torch.linalg.svdvals(change).tolist()
    assert not whole
    assert values[:30] == pytest.approx(exact[:30], rel=1e-3)
    assert stable_rank(values, change.square().sum().item()) == pytest.approx(stable_rank(exact), rel=1e-3)


def test_names_and_scales_are_read_as_peft_writes_them() -> None:
    assert place("base_model.model.model.layers.3.mlp.up_proj.lora_A.weight") == (
        "model.layers.3.mlp.up_proj",
        "lora_A",
    )
    assert place("base_model.model.score.weight") == ("score.weight", "whole")
    config = {"lora_alpha": 16, "alpha_pattern": {"q_proj": 4}}
    assert (scale("a.q_proj", 8, config), scale("a.k_proj", 8, config)) == (0.5, 2.0)
    assert scale("a.k_proj", 16, {**config, "use_rslora": True}) == 4.0


@pytest.mark.parametrize("kind", ["lora", "dora", "rslora", "ia3"])
def test_what_an_adapter_says_it_changes_is_what_merging_changes(kind: str, tmp_path: Path) -> None:
    adapter = make_adapter(kind, tmp_path / kind)
    assert carry(write_merge(tmp_path / "merge", adapter)) == 0
    said, done = (write_deltas(tmp_path / name, folder, tiny_model()) for name, folder in
                  (("said", adapter), ("done", tmp_path / "merge" / "final")))  # fmt: skip
    assert (carry(said), carry(done)) == (0, 0)
    by_module = {row["module"]: row for row in result(done)["modules"]}
    rows = result(said)["modules"]
    assert len(rows) == (6 if kind == "ia3" else 14)
    for row in rows:
        merged = by_module[row["module"]]
        assert row["norm"] == pytest.approx(merged["norm"], rel=1e-3)
        assert row["relative"] == pytest.approx(merged["relative"], rel=1e-3)
        assert (row["layer"], row["part"]) == (merged["layer"], merged["part"])
        if kind in ("lora", "rslora"):
            assert row["effective_rank"] == pytest.approx(merged["effective_rank"], rel=0.02)
            assert (row["k90"], row["use"]) == (merged["k90"], merged["k90"] / 4)
    assert result(said)["adapter"] == ("ia3" if kind == "ia3" else "lora")
    assert result(done)["parameters"] == 127_296


def test_a_base_alone_is_hashed_and_counted(tmp_path: Path) -> None:
    path = write_deltas(tmp_path / "run", tiny_model(), None)
    assert carry(path) == 0
    found = result(path)
    assert (found["modules"], found["parameters"], found["norm"]) == ([], 127_296, 0.0)
    assert found["content_hash"] == contract.content_hash(tiny_model())


def test_what_cannot_be_measured_is_refused_with_a_sentence(tmp_path: Path) -> None:
    prompt = write_deltas(tmp_path / "prompt", make_adapter("prompt", tmp_path / "adapter"), tiny_model())
    assert carry(prompt) == 1
    assert "changes no weight" in last_words(prompt)
    empty = write_deltas(tmp_path / "empty", tmp_path / "empty", None)
    assert carry(empty) == 1
    assert "holds no safetensors file" in last_words(empty)
    damaged = write_deltas(tmp_path / "damaged", tmp_path / "damaged", None)
    (damaged / "model.safetensors").write_bytes((tiny_model() / "model.safetensors").read_bytes()[:5000])
    assert carry(damaged) == 1
    assert "the folder is damaged" in last_words(damaged)
    far = write_deltas(tmp_path / "far", tiny_model(), Path("nobody/has-this"))
    assert carry(far) == 1
    assert "is not on this machine; start a run with it" in last_words(far)
