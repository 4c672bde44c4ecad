"""Base models for benchmarks: random weights in a shape, where only time and memory count, or a small trained one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any


def write_base(place: Path, shape: dict[str, Any] | None, nano: str) -> None:
    """Write `place`: a Llama of this shape with random weights and the nano model's tokenizer, or the nano model."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    if shape is None:
        shutil.copytree(nano, place)
        return
    tokenizer = AutoTokenizer.from_pretrained(nano)
    config = LlamaConfig(
        **shape,
        vocab_size=len(tokenizer),
        num_attention_heads=shape["hidden_size"] // 64,
        num_key_value_heads=max(1, shape["hidden_size"] // 256),
        max_position_embeddings=1024,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(place)
    tokenizer.save_pretrained(place)
