"""A training script as TRL's own examples have it: `python bare_trl.py SETTINGS.json`; prints one JSON object.

SETTINGS: method (sft or dpo), base, train and held (JSONL), out, config (arguments of SFTConfig or DPOConfig), lora
(arguments of LoraConfig, or null). Held-out loss is taken once, after training, and is not part of the time.
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}


def main(settings: dict) -> dict:
    import trl
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        begun = ended = 0.0

        def on_train_begin(self, *_, **__):
            self.begun = time.monotonic()

        def on_train_end(self, *_, **__):
            self.ended = time.monotonic()

    def rows(name: str) -> Dataset:
        return Dataset.from_list([json.loads(line) for line in Path(settings[name]).read_text().splitlines()])

    config_of, trainer_of = {
        "sft": (trl.SFTConfig, trl.SFTTrainer),
        "dpo": (trl.DPOConfig, trl.DPOTrainer),
    }[settings["method"]]
    clock = Clock()
    built = time.monotonic()
    trainer = trainer_of(
        model=settings["base"],
        args=config_of(output_dir=settings["out"], **settings["config"]),
        train_dataset=rows("train"),
        eval_dataset=rows("held"),
        peft_config=LoraConfig(task_type="CAUSAL_LM", **settings["lora"]) if settings["lora"] else None,
        callbacks=[clock],
    )
    before = time.monotonic() - built
    trainer.train()
    trainer.save_model(str(Path(settings["out"]) / "final"))
    history = trainer.state.log_history
    return {
        "seconds": clock.ended - clock.begun,
        "before": before,
        "losses": {entry["step"]: entry["loss"] for entry in history if "loss" in entry},
        "held": trainer.evaluate()["eval_loss"],
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))))
