"""Adapters on the tiny model, made in a process that has the libraries loaded, and recipes run in such a process."""

import json
import os
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.tiny_model import tiny_model
from training.recipes import contract

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.training.preload"])
PROBE = [
    [{"role": "user", "content": f"Name {n} things."}, {"role": "assistant", "content": "red green " * n}]
    for n in range(1, 5)
]


def _configs(kind: str) -> Any:
    import peft

    low_rank = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"}
    match kind:
        case "lora" | "dora" | "rslora":
            options = {"dora": {"use_dora": True}, "rslora": {"use_rslora": True}}.get(kind, {})
            return peft.LoraConfig(task_type="CAUSAL_LM", **low_rank, **options)
        case "reward":
            return peft.LoraConfig(task_type="SEQ_CLS", **low_rank)
        case "ia3":
            return peft.IA3Config(task_type="CAUSAL_LM")
        case "prompt":
            return peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    return peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)


def _make(kind: str, folder: str, base: str) -> None:
    import peft
    import torch
    import transformers

    torch.manual_seed(3)
    head = "AutoModelForSequenceClassification" if kind == "reward" else "AutoModelForCausalLM"
    one = {"num_labels": 1} if kind == "reward" else {}
    model = getattr(transformers, head).from_pretrained(base, dtype=torch.float32, **one)
    adapted = peft.get_peft_model(model, _configs(kind))
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad and "magnitude" not in name:
            parameter.data += 0.02 * torch.randn_like(parameter)
    adapted.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(base).save_pretrained(folder)


def _halve(folder: str, base: str) -> None:
    import torch
    import transformers

    transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(base).save_pretrained(folder)


def _carry(method: str, run_dir: str, fault: tuple[str, int, int] | None, patch: dict[str, Any]) -> None:
    sys.stdout = sys.stderr = (Path(run_dir) / "log").open("a")
    module = __import__(f"training.recipes.{method}", fromlist=["work"])
    for name, value in patch.items():
        setattr(module, name, value)
    if fault:
        event = contract.Run.event

        def faulty(run: contract.Run, type: str, step: int = 0, **values: object) -> None:
            event(run, type, step, **values)
            if (type, step) == fault[:2]:
                os.kill(os.getpid(), fault[2])

        contract.Run.event = faulty  # type: ignore[method-assign]
    os._exit(contract.process([method, run_dir], method, module.work))


def _inside(target: Any, *given: Any) -> int:
    process = CONTEXT.Process(target=target, args=given)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def make_adapter(kind: str, folder: Path, base: Path | None = None) -> Path:
    """An adapter whose every trained number is away from its start."""
    assert _inside(_make, kind, str(folder), str(base or tiny_model())) == 0
    return folder


def half_base(folder: Path) -> Path:
    """The tiny model in bfloat16."""
    assert _inside(_halve, str(folder), str(tiny_model())) == 0
    return folder


def carry(path: Path, fault: tuple[str, int, int] | None = None, **patch: Any) -> int:
    """Run the recipe that spec.json names; `fault` = (event, step, signal), `patch` = constants of the recipe."""
    method = json.loads((path / "spec.json").read_text())["method"]
    return _inside(_carry, method, str(path), fault, patch)


def write_merge(path: Path, adapter: Path, base: Path | None = None, adaptation: str = "lora") -> Path:
    path.mkdir(parents=True)
    spec = {
        "method": "merge",
        "base": str(base or tiny_model()),
        "adapter": str(adapter),
        "adaptation": adaptation,
    }
    (path / "spec.json").write_text(json.dumps(spec))
    (path / "probe.jsonl").write_text("".join(json.dumps({"messages": turns}) + "\n" for turns in PROBE))
    return path


def write_deltas(path: Path, folder: Path, against: Path | None) -> Path:
    path.mkdir(parents=True)
    spec = {"method": "deltas", "folder": str(folder), "against": against and str(against)}
    (path / "spec.json").write_text(json.dumps(spec))
    return path


def result(path: Path) -> dict[str, Any]:
    return dict(json.loads((path / "result.json").read_text()))


def last_words(path: Path) -> str:
    errors = [event for event in contract.read_lines(path / "events.jsonl") if event["type"] == "error"]
    return str(errors[-1]["values"]["message"])
