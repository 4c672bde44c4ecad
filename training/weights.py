"""Read a model folder without any ML library: is it whole, and what shapes do its tensors have.

A safetensors file begins with the length of its header (8 bytes, little-endian) and the header as JSON: for each tensor
its dtype, shape and place in the file (https://github.com/huggingface/safetensors, "Format"). Only headers are read, so
a folder of any size takes milliseconds.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

LARGEST_HEADER = 100_000_000  # bytes, the limit of the safetensors library
WIDTH = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "BF16": 2, "F16": 2, "I16": 2, "U16": 2}
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
ADAPTER, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
TOKENIZERS = (
    ("tokenizer.json",),
    ("tokenizer.model",),
    ("spiece.model",),
    ("sentencepiece.bpe.model",),
    ("vocab.json", "merges.txt"),
)


class WeightsDamaged(ValueError):
    """A model folder is not whole; the message says in one sentence what is wrong and what to do."""


class Tensor(NamedTuple):
    """One stored tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Numbers in it."""
        return math.prod(self.shape)


def check_folder(path: Path, *, tokenizer: bool = True) -> None:
    """Check a saved model or adapter: configuration, weights of the length they declare, tokenizer if asked for.

    Raises `WeightsDamaged` about the first thing that is wrong.
    """
    if not path.is_dir():
        raise WeightsDamaged(f"{path} is not a folder; give the folder of a saved model")
    if is_adapter(path):
        read_json(path / ADAPTER)
        read_header(path / ADAPTER_WEIGHTS)
        return
    read_config(path)
    read_tensors(path)
    if tokenizer and not any(all((path / name).is_file() for name in names) for names in TOKENIZERS):
        raise WeightsDamaged(
            f"{path} has no tokenizer files (tokenizer.json, tokenizer.model or vocab.json with merges.txt); "
            "save the tokenizer into the same folder"
        )


def folder_of(location: str, cache: Path | None = None) -> Path | None:
    """Return the folder of a base model: itself, or where the Hugging Face cache keeps a hub id; None if nowhere.

    The cache is laid out as models--ORG--NAME/snapshots/REVISION, with refs/main naming the revision
    (huggingface_hub's documentation, "Understand caching").
    """
    if Path(location).is_absolute():
        return Path(location) if Path(location).is_dir() else None
    if location.count("/") > 1 or ".." in location:
        return None
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    cache = cache or Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    model = cache / f"models--{location.replace('/', '--')}"
    try:
        revision = (model / "refs" / "main").read_text().strip()
    except OSError:
        return None
    folder = model / "snapshots" / revision
    return folder if revision and folder.is_dir() else None


def is_adapter(path: Path) -> bool:
    """Say whether a folder holds an adapter and not a model. Raises `WeightsDamaged` where half of one is there."""
    configured, weights = (path / ADAPTER).exists(), (path / ADAPTER_WEIGHTS).exists()
    if weights and not configured:
        raise WeightsDamaged(
            f"{path} has {ADAPTER_WEIGHTS} and no {ADAPTER}; copy the whole folder of the adapter again"
        )
    if configured and not weights and not (path / WEIGHTS).exists() and not (path / INDEX).exists():
        raise WeightsDamaged(
            f"{path} has {ADAPTER} and no {ADAPTER_WEIGHTS}; copy the whole folder of the adapter again"
        )
    return configured and weights


def read_config(path: Path) -> dict[str, Any]:
    """Return config.json of a model folder. Raises `WeightsDamaged`."""
    config = read_json(path / "config.json")
    if "model_type" not in config:
        raise WeightsDamaged(
            f"{path / 'config.json'} names no model_type; give the folder of a model saved by transformers"
        )
    return config


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object from a file. Raises `WeightsDamaged`."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise WeightsDamaged(
            f"{path.parent} holds no {path.name}; give the folder of a saved model, or copy it again"
        ) from None
    except (OSError, ValueError) as error:
        raise WeightsDamaged(f"{path} cannot be read ({error}); copy the model again") from None
    if not isinstance(value, dict):
        raise WeightsDamaged(f"{path} holds no JSON object; copy the model again")
    return value


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return every tensor of a model folder by name, from one file or from shards.

    Raises `WeightsDamaged` where a file or a tensor named in the index is absent, or a file has another length than
    its header says.
    """
    if (path / WEIGHTS).is_file():
        return read_header(path / WEIGHTS)
    if not (path / INDEX).is_file():
        pickled = next((file.name for file in sorted(path.glob("pytorch_model*.bin"))), None)
        found = f"only {pickled}, which can run code when it is read," if pickled else "no weights"
        raise WeightsDamaged(f"{path} has {found} and no {WEIGHTS}; save the model as safetensors there")
    where = read_json(path / INDEX).get("weight_map")
    if not isinstance(where, dict) or not where:
        raise WeightsDamaged(f"{path / INDEX} maps no tensor to a file; copy the model again")
    tensors: dict[str, Tensor] = {}
    for shard in sorted({str(name) for name in where.values()}):
        if Path(shard).name != shard or not (path / shard).is_file():
            raise WeightsDamaged(f"{path} lacks {shard}, which {INDEX} names; copy that file again")
        tensors |= read_header(path / shard)
    absent = sorted(set(where) - set(tensors))
    if absent:
        raise WeightsDamaged(
            f"no file of {path} holds {absent[0]}, which {INDEX} names; copy the model again"
        )
    return tensors


def read_header(path: Path) -> dict[str, Tensor]:
    """Return the tensors of one safetensors file. Raises `WeightsDamaged` where it is not what its header says."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            text = file.read(length) if length <= min(size, LARGEST_HEADER) else b""
        entries = json.loads(text)
        entries.pop("__metadata__", None)
        tensors = {name: Tensor(entry["dtype"], tuple(entry["shape"])) for name, entry in entries.items()}
        ends = {name: entry["data_offsets"] for name, entry in entries.items()}
        expected = 8 + length + max((end for _, end in ends.values()), default=0)
        odd = [
            name for name, (begin, end) in ends.items() if end - begin != _bytes(tensors[name], end - begin)
        ]
    except FileNotFoundError:
        raise WeightsDamaged(f"{path} does not exist; copy the model again") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise WeightsDamaged(
            f"{path} is no safetensors file, or only its beginning; copy that file again"
        ) from None
    if size != expected:
        raise WeightsDamaged(
            f"{path} has {size:,} bytes and its header asks for {expected:,}; copy that file again"
        )
    if odd:
        raise WeightsDamaged(f"{path} gives {odd[0]} a place of the wrong size; copy that file again")
    return tensors


def _bytes(tensor: Tensor, otherwise: int) -> int:
    """Bytes that a tensor takes; dtypes of less than two bytes are packed in ways of their own."""
    return tensor.size * WIDTH[tensor.dtype] if tensor.dtype in WIDTH else otherwise


def chat_template(path: Path) -> str | None:
    """Return the chat template of a saved tokenizer; None where it has none. A named one stands for `default`."""
    try:
        return (path / "chat_template.jinja").read_text(encoding="utf-8")
    except FileNotFoundError:
        pass
    if not (path / "tokenizer_config.json").is_file():
        return None
    template = read_json(path / "tokenizer_config.json").get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, Mapping)}
        template = named.get("default")
    return template if isinstance(template, str) else None


def vocabulary(path: Path) -> str | None:
    """Return the SHA-256 of a saved tokenizer's words and how it splits text; None without tokenizer.json."""
    if not (path / "tokenizer.json").is_file():
        return None
    model = read_json(path / "tokenizer.json").get("model")
    return hashlib.sha256(json.dumps(model, sort_keys=True).encode()).hexdigest()


def template_hash(text: str) -> str:
    """SHA-256 of a chat template, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
