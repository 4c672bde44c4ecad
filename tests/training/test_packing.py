"""Packed rows: as many steps as without, no row sees another, and the fast way to that gives the same numbers."""

import random

import pytest

from tests.tiny_model import tiny_model
from tests.training.forked import call, events, sft_rows, text_rows, trained, write_run
from training.recipes import contract
from training.recipes.sft import bin_size, bins

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("lengths", "batch_size", "steps"),
    [([24] * 24, 4, 6), ([5] * 9, 8, 2), ([10], 8, 1), ([400] + [10] * 70, 8, 3)],
)
def test_bins_are_as_many_as_batches_would_be_and_take_the_longest_row(lengths, batch_size, steps):
    size = bin_size(lengths, batch_size)
    assert bins(lengths, size) == steps
    assert size >= max(lengths)


def test_bins_of_rows_of_many_lengths_are_nearly_full():
    lengths = [5 + int(random.Random(n).lognormvariate(5, 0.4)) for n in range(4000)]
    size = bin_size(lengths, 8)
    assert 0.95 * 500 <= bins(lengths, size) <= 500
    assert sum(lengths) / (bins(lengths, size) * size) > 0.9


def compared():
    """Largest differences of logits and gradients: packed row by row, packed under transformers' mask, rows alone."""
    import torch
    from transformers import AutoModelForCausalLM

    from training.recipes import segments

    rows = [torch.randint(5, 400, (1, length)) for length in (9, 23, 4)]
    bounds = torch.tensor([0, 9, 32, 36], dtype=torch.int32)
    told = {"cu_seq_lens_q": bounds, "cu_seq_lens_k": bounds, "max_length_q": 23, "max_length_k": 23}
    positions = torch.cat([torch.arange(row.shape[1]) for row in rows])[None]
    found = {}
    for name in ("alone", "masked", "segments"):
        model = AutoModelForCausalLM.from_pretrained(tiny_model(), dtype=torch.float32)
        if name == "segments":
            assert segments.use_segments(model)
        if name == "alone":
            logits = torch.cat([model(input_ids=row, use_cache=False).logits for row in rows], dim=1)
        else:
            logits = model(
                input_ids=torch.cat(rows, dim=1), position_ids=positions, use_cache=False, **told
            ).logits
        logits.logsumexp(-1).sum().backward()
        found[name] = (logits.detach(), torch.cat([p.grad.flatten() for p in model.parameters()]))
    return [
        (found[name][part] - found["alone"][part]).abs().max().item()
        / found["alone"][part].abs().max().item()
        for name in ("masked", "segments")
        for part in (0, 1)
    ]


def test_a_packed_bin_gives_the_logits_and_gradients_of_its_rows_alone():
    assert max(call(compared)) < 1e-5


def refusals():
    """Whether models that cannot attend row by row keep what they had: windows, other kernels, ends that get lost."""
    import torch
    from transformers import AutoModelForCausalLM

    from training.recipes import segments

    def load(**options):
        return AutoModelForCausalLM.from_pretrained(tiny_model(), dtype=torch.float32, **options)

    windowed, eager, deaf = load(), load(attn_implementation="eager"), load()
    windowed.config.sliding_window = 16
    forward = deaf.forward
    deaf.forward = lambda *args, cu_seq_lens_q=None, **options: forward(*args, **options)
    return [
        (segments.use_segments(model), model.config._attn_implementation) for model in (windowed, eager, deaf)
    ]


def test_a_model_that_cannot_attend_row_by_row_keeps_its_own_way():
    assert call(refusals) == [(False, "sdpa"), (False, "eager"), (False, "sdpa")]


def train_under_the_mask(path):
    from training.recipes import segments, sft

    segments.use_segments = lambda model: False
    return contract.process(["sft", path], "sft", sft.train)


@pytest.mark.parametrize("rows", [sft_rows, text_rows])
def test_a_packed_run_has_the_losses_of_one_under_the_mask(tmp_path, rows):
    fast = trained(tmp_path / "fast", "sft", rows(), held=rows(4))
    slow = write_run(tmp_path / "slow", "sft", rows(), held=rows(4))
    assert call(train_under_the_mask, str(slow)) == 0
    pairs = zip(losses(fast), losses(slow), strict=True)
    assert max(abs(one - other) for one, other in pairs) < 1e-4


def losses(path):
    return [event["values"]["loss"] for event in events(path) if event["type"] in ("log", "eval")]
