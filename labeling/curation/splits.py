"""Which split a prompt falls into: by its hash, and near-duplicates together."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from labeling.curation.recipe import Recipe
from labeling.models.datasets import SPLITS

TRAIN, VALIDATION, TEST = SPLITS


def split_of(prompt_hash: str, recipe: Recipe) -> str:
    """All rows of one prompt fall on the same side."""
    place = int(hashlib.sha256(f"{recipe.seed}:{prompt_hash}".encode()).hexdigest()[:13], 16) / 16**13
    if place < recipe.test_share:
        return TEST
    return VALIDATION if place < recipe.test_share + recipe.validation_share else TRAIN


def alike(
    prompts: Iterable[tuple[str, str]], threshold: float, folder: Path, beat: Callable[[], None]
) -> Mapping[str, str]:
    """Groups of near-duplicate prompts: hash → the hash that stands for its group, for those that are not alone.

    `prompts` are (hash, text) in the order of the hashes, each once. `folder` is made and removed.
    """
    from labeling.curation.similarity import SignatureFile  # brings numpy, which a page does without

    hashes: list[bytes] = []
    file = SignatureFile(folder)
    try:
        for prompt_hash, text in prompts:
            hashes.append(bytes.fromhex(prompt_hash))
            file.add(text)
        groups = file.clusters(threshold, beat)
    finally:
        file.close()
    return {
        hashes[place].hex(): hashes[first].hex()
        for place, first in enumerate(groups.tolist())
        if place != first
    }
