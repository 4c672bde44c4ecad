"""What is known to hurt a run, said before it starts: one sentence each, with its source. None of it is refused."""

from __future__ import annotations

import math

from training.specs import PEAK_RATES, RewardSpec, SftSpec, TrainSpec

SMALL_DATA, MANY_EPOCHS = 1_000, 3  # rows, passes over them
FEWEST_STEPS = 10
FEWEST_PAIRS = 500
LARGEST_LORA_BATCH = 128  # rows in one optimizer step
VLLM_RANK = 16
PARAMETERS_A_TOKEN = 1_000
TOO_NEAR_FULL = 2  # times the default rate of full training, where LoRA wants about ten times
TOO_HIGH = {  # for all weights
    "sft": 1e-4,
    "reward": 3e-5,
    "dpo": 1e-5,
    "kto": 1e-5,
    "ppo": 1e-5,
    "rloo": 1e-5,
    "best_of_n": 1e-4,
}
SMALL_BASE = 1_000_000_000  # parameters below which SFT of all weights takes far higher rates (SmolLM2: 1e-3)
LOW_RANK = ("lora", "qlora")
WITHOUT_REGRET = "LoRA Without Regret, Thinking Machines 2025"


def warnings(
    spec: TrainSpec,
    *,
    rows: int,
    supervised_tokens: int | None = None,
    parameters: int | None = None,
    trainable: int | None = None,
    tokens: int | None = None,
) -> list[str]:
    """Return one sentence for each setting that is known to hurt with so much data; empty where none is.

    `rows` are training rows (pairs for DPO and reward models), `tokens` all of an epoch and `supervised_tokens` those
    with a loss, `parameters` and `trainable` those of the base and those trained. What is not known is not judged.
    """
    found = [
        _epochs(spec, rows),
        _steps(spec, rows, tokens),
        _rank(spec, rows, supervised_tokens, trainable),
        _served_rank(spec),
        _low_rate(spec),
        _high_rate(spec, parameters),
        _batch(spec),
        _pairs(spec, rows),
    ]
    return [sentence for sentence in found if sentence is not None]


def optimizer_steps(spec: TrainSpec, rows: int, tokens: int | None = None) -> int:
    """Updates of the weights in a whole run; packed rows are counted where the tokens of an epoch are known."""
    if isinstance(spec, SftSpec) and spec.packs and tokens is not None:
        rows = min(rows, math.ceil(tokens / spec.max_length))
    batches = math.ceil(rows / spec.batch_size)
    return math.ceil(math.ceil(batches / spec.gradient_accumulation) * spec.epochs)


def _epochs(spec: TrainSpec, rows: int) -> str | None:
    if spec.epochs <= MANY_EPOCHS or rows >= SMALL_DATA:
        return None
    return (
        f"{spec.epochs:g} epochs over {rows:,} rows learn them by heart; take at most {MANY_EPOCHS}, or more rows "
        "(the validation loss of InstructGPT's SFT rose after one: Ouyang et al. 2203.02155, section 3.5)."
    )


def _steps(spec: TrainSpec, rows: int, tokens: int | None) -> str | None:
    steps = optimizer_steps(spec, rows, tokens)
    if steps >= FEWEST_STEPS:
        return None
    return (
        f"{rows:,} rows in batches of {_batch_rows(spec)} make {steps} optimizer {'step' if steps == 1 else 'steps'}, "
        "too few to learn from; lower batch_size or gradient_accumulation, or add rows "
        f"(even runs of 100 steps are short, and want higher rates: {WITHOUT_REGRET})."
    )


def _batch_rows(spec: TrainSpec) -> int:
    return spec.batch_size * spec.gradient_accumulation


def _rank(spec: TrainSpec, rows: int, supervised: int | None, trainable: int | None) -> str | None:
    if spec.adaptation not in LOW_RANK:
        return None
    if spec.lora_r > rows:
        return (
            f"lora_r {spec.lora_r} is above the {rows:,} rows there are; lower it or add rows (rank is room for what "
            f"data teach, and small sets fill little of it: {WITHOUT_REGRET})."
        )
    if not supervised or trainable is None or trainable <= PARAMETERS_A_TOKEN * supervised:
        return None
    return (
        f"{trainable:,} trainable parameters stand against {supervised:,} tokens to learn, above "
        f"{PARAMETERS_A_TOKEN:,} a token; lower lora_r or add rows (a token teaches about 1 bit and a parameter holds "
        f"about 2: {WITHOUT_REGRET}; the factor is ours)."
    )


def _served_rank(spec: TrainSpec) -> str | None:
    if spec.adaptation not in LOW_RANK or spec.lora_r <= VLLM_RANK:
        return None
    return (
        f"vLLM refuses adapters of rank {spec.lora_r} unless it is started with --max-lora-rank {spec.lora_r} or more; "
        f"merge the adapter, start vLLM so, or take a rank of at most {VLLM_RANK}, its default (vLLM's LoRAConfig)."
    )


def _low_rate(spec: TrainSpec) -> str | None:
    full = PEAK_RATES[spec.method, "full"].value
    if spec.adaptation not in LOW_RANK or spec.learning_rate > TOO_NEAR_FULL * full:
        return None
    return (
        f"learning_rate {spec.learning_rate:g} is one of full training; LoRA takes about ten times as much, "
        f"here {PEAK_RATES[spec.method, spec.adaptation].value:g} ({WITHOUT_REGRET})."
    )


def _high_rate(spec: TrainSpec, parameters: int | None) -> str | None:
    small = spec.method == "sft" and parameters is not None and parameters < SMALL_BASE
    if spec.adaptation != "full" or small or spec.learning_rate <= TOO_HIGH[spec.method]:
        return None
    rate = PEAK_RATES[spec.method, "full"]
    return (
        f"learning_rate {spec.learning_rate:g} suits adapters, and would undo what the base knows if all weights are "
        f"trained; lower it to about {rate.value:g} ({rate.source})."
    )


def _batch(spec: TrainSpec) -> str | None:
    if spec.adaptation not in LOW_RANK or _batch_rows(spec) <= LARGEST_LORA_BATCH:
        return None
    return (
        f"{_batch_rows(spec)} rows a step are many for LoRA, which loses more by large batches than full training, at "
        f"any rank; take at most {LARGEST_LORA_BATCH} ({WITHOUT_REGRET}; the limit is ours)."
    )


def _pairs(spec: TrainSpec, rows: int) -> str | None:
    if not isinstance(spec, RewardSpec) or rows >= FEWEST_PAIRS:
        return None
    held = max(1, round(rows / 10))
    return (
        f"{rows:,} pairs are few for a reward model: of a tenth held out, {held}, its accuracy is known to "
        f"{100 * 1.96 * math.sqrt(0.25 / held):.0f} points either way (95 %, binomial); judge at least {FEWEST_PAIRS}, "
        "better thousands (Huang et al. 2403.17031 train on 92,000)."
    )
