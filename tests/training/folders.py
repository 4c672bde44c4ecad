"""Model folders that are whole and hold nothing: enough for whoever looks before a process starts."""

import json
from pathlib import Path
from typing import Any

NO_TENSORS = b"\x02\x00\x00\x00\x00\x00\x00\x00{}"


def write_model(
    path: Path, *, template: str = "{{ messages }}", head: str = "ForCausalLM", **config: Any
) -> Path:
    path.mkdir(parents=True)
    config = {"model_type": "llama", "architectures": [f"Llama{head}"], **config}
    (path / "config.json").write_text(json.dumps(config))
    (path / "model.safetensors").write_bytes(NO_TENSORS)
    (path / "tokenizer.json").write_text("{}")
    if template:
        (path / "chat_template.jinja").write_text(template)
    return path


def write_adapter(path: Path, base: Path | str, *, type: str = "LORA", task: str = "CAUSAL_LM") -> Path:
    path.mkdir(parents=True)
    config = {"peft_type": type, "task_type": task, "base_model_name_or_path": str(base)}
    (path / "adapter_config.json").write_text(json.dumps(config))
    (path / "adapter_model.safetensors").write_bytes(NO_TENSORS)
    return path
