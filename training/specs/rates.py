"""Peak learning rates by method and adaptation, each with where it comes from."""

from __future__ import annotations

from typing import NamedTuple


class Rate(NamedTuple):
    """A default and its source."""

    value: float
    source: str


ZEPHYR_SFT = "Zephyr 7B SFT, alignment-handbook"
ZEPHYR_DPO = "Zephyr 7B DPO, alignment-handbook"
QLORA = "QLoRA, Dettmers et al. 2305.14314, 7B and 13B"
LORA = "LoRA Without Regret: about ten times the rate of full fine-tuning, whatever the rank"
SUMMARIES = "N+ implementation details of RLHF, Huang et al. 2403.17031"
TRL_REWARD = "TRL's default for reward models"
KTO = "KTO, Ethayarajh et al. 2402.01306"
PROMPT = "a tenth of Lester et al. 2104.08691, whose Adafactor scales its steps; ours, on small models"
IA3 = "T-Few, Liu et al. 2205.05638"
TEN_TIMES = "ten times the rate of full fine-tuning, as for LoRA in SFT"
FAMILY = "the rate that this adaptation takes in SFT, lowered as DPO's is for LoRA; ours"
TEN_TIMES_PPO = "ten times the rate of full fine-tuning in N+ details, 2403.17031, as for LoRA in SFT"

PEAK_RATES: dict[tuple[str, str], Rate] = {
    ("sft", "full"): Rate(2e-5, ZEPHYR_SFT),
    ("sft", "lora"): Rate(2e-4, LORA),
    ("sft", "qlora"): Rate(2e-4, QLORA),
    ("sft", "prompt"): Rate(3e-2, PROMPT),
    ("sft", "prefix"): Rate(1e-2, PROMPT),
    ("sft", "ia3"): Rate(3e-3, IA3),
    ("reward", "full"): Rate(3e-6, SUMMARIES),
    ("reward", "lora"): Rate(1e-4, TRL_REWARD),
    ("reward", "qlora"): Rate(1e-4, TRL_REWARD),
    ("reward", "ia3"): Rate(3e-3, IA3),
    ("dpo", "full"): Rate(5e-7, ZEPHYR_DPO),
    ("dpo", "lora"): Rate(5e-6, ZEPHYR_DPO),
    ("dpo", "qlora"): Rate(5e-6, ZEPHYR_DPO),
    ("dpo", "prompt"): Rate(1e-3, FAMILY),
    ("dpo", "prefix"): Rate(1e-3, FAMILY),
    ("dpo", "ia3"): Rate(1e-4, FAMILY),
    ("kto", "full"): Rate(5e-7, KTO),
    ("kto", "lora"): Rate(5e-6, TEN_TIMES),
    ("kto", "qlora"): Rate(5e-6, TEN_TIMES),
    ("kto", "prompt"): Rate(1e-3, FAMILY),
    ("kto", "prefix"): Rate(1e-3, FAMILY),
    ("kto", "ia3"): Rate(1e-4, FAMILY),
    ("ppo", "full"): Rate(3e-6, SUMMARIES),
    ("ppo", "lora"): Rate(3e-5, TEN_TIMES_PPO),
    ("ppo", "qlora"): Rate(3e-5, TEN_TIMES_PPO),
    ("rloo", "full"): Rate(3e-6, SUMMARIES),
    ("rloo", "lora"): Rate(3e-5, TEN_TIMES_PPO),
    ("rloo", "qlora"): Rate(3e-5, TEN_TIMES_PPO),
    ("best_of_n", "full"): Rate(2e-5, ZEPHYR_SFT),
    ("best_of_n", "lora"): Rate(2e-4, LORA),
    ("best_of_n", "qlora"): Rate(2e-4, QLORA),
}
