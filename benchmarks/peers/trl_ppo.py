"""PPO as TRL 1.12 had it, the last release with a PPO trainer: `python trl_ppo.py SETTINGS.json`, one JSON object out.

It runs in an environment of its own. SETTINGS: base and reward (model folders, the reward model whole), prompts (JSONL
of token ids), out, config (arguments of PPOConfig), lora (arguments of LoraConfig, or null for full training) and
lora_value (whether the value model, which TRL trains whole, is given as one with LoRA too).
"""

import json
import os
import re
import sys
import time
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}


def main(settings: dict) -> dict:
    import torch
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    updates: list[dict] = []

    class Told(PPOTrainer):
        def log(self, logs, *args, **kwargs):
            if "objective/kl" in logs:
                updates.append(
                    {
                        "at": time.monotonic(),
                        "reward": logs["objective/scores"],
                        "kl": logs["objective/kl"],
                        "value_loss": logs["loss/value_avg"],
                    }
                )

    def scoring() -> torch.nn.Module:
        return AutoModelForSequenceClassification.from_pretrained(
            settings["reward"], num_labels=1, dtype=torch.float32
        )

    tokenizer = AutoTokenizer.from_pretrained(settings["base"], padding_side="left")
    rows = [{"input_ids": json.loads(line)} for line in Path(settings["prompts"]).read_text().splitlines()]
    lora, value = settings["lora"], scoring()
    if lora and settings["lora_value"]:
        value = get_peft_model(value, LoraConfig(task_type="SEQ_CLS", **lora))
    trainer = Told(
        args=PPOConfig(output_dir=settings["out"], **settings["config"]),
        processing_class=tokenizer,
        model=AutoModelForCausalLM.from_pretrained(settings["base"], dtype=torch.float32),
        ref_model=None,
        reward_model=scoring(),
        value_model=value,
        train_dataset=Dataset.from_list(rows),
        eval_dataset=Dataset.from_list(rows[:2]),
        peft_config=LoraConfig(task_type="CAUSAL_LM", **lora) if lora else None,
    )
    begun = time.monotonic()
    trainer.train()
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return {"begun": begun, "updates": updates, "peak_bytes": int(peak[1]) * 1024 if peak else None}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))))
