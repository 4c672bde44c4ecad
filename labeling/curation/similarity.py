"""How alike texts are: shared runs of words, and MinHash for near-duplicates.

Texts are compared by their words: case, width, punctuation and white space do not count; each Chinese, Japanese or
Korean character is a word. All hashes are fixed: the same texts give the same result in every process.
"""

import math
import re
import shutil
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
ASCII_WORD = re.compile(r"[a-z0-9_]+")
BANDS, ROWS = (
    16,
    4,
)  # a pair of similarity s is looked at with chance 1 - (1 - s^4)^16: 0.9998 at 0.8, 0.23 at 0.4
HASHES = BANDS * ROWS
NGRAM = 13  # as in GPT-3's decontamination (Brown et al. 2020, arXiv 2005.14165, appendix C)
BATCH = 2000  # texts hashed at a time
LIMIT = 200_000  # words whose hash is remembered
Hashes = np.ndarray[Any, np.dtype[np.uint64]]
Signatures = np.ndarray[Any, np.dtype[np.uint32]]
Numbers = np.ndarray[Any, np.dtype[np.int64]]

_random = np.random.default_rng(20240917)
_FACTORS = _random.integers(1, 2**63, HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_OFFSETS = _random.integers(0, 2**63, HASHES, dtype=np.uint64)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_known: dict[str, int] = {}


def words_of(text: str) -> list[str]:
    if text.isascii():
        return ASCII_WORD.findall(text.lower())
    return WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def word_hashes(text: str) -> list[int]:
    """A 32-bit hash of each word of the text, in order."""
    found = []
    for word in words_of(text):
        value = _known.get(word)
        if value is None:
            if len(_known) >= LIMIT:
                _known.clear()
            value = _known[word] = zlib.crc32(word.encode())
        found.append(value)
    return found


def ngrams(text: str, n: int = NGRAM) -> Hashes:
    """A 64-bit hash of each run of n words; empty for shorter texts."""
    hashes = np.array(word_hashes(text), dtype=np.uint64)
    if len(hashes) < n:
        return np.empty(0, dtype=np.uint64)
    runs = np.zeros(len(hashes) - n + 1, dtype=np.uint64)
    for place in range(n):
        runs = (runs ^ hashes[place : place + len(runs)]) * _MIX
        runs ^= runs >> np.uint64(29)
    return runs


def shingles(text: str) -> set[tuple[int, int]]:
    """What the similarity of two texts is over: pairs of neighbouring words, with the text's ends as words."""
    hashes = [1, *word_hashes(text), 2]
    return set(pairwise(hashes))


def jaccard(one: set[tuple[int, int]], two: set[tuple[int, int]]) -> float:
    """Size of the intersection over that of the union, 0 to 1."""
    return len(one & two) / len(one | two)


def signatures(texts: Sequence[str]) -> Signatures:
    """MinHash (Broder 1997): an array texts x HASHES. Two texts agree in as many places, on average, as their shingles
    have Jaccard similarity."""
    found = np.empty((len(texts), HASHES), dtype=np.uint32)
    for start in range(0, len(texts), BATCH):
        part = [[1, *word_hashes(text), 2] for text in texts[start : start + BATCH]]
        flat = np.fromiter((value for words in part for value in words), dtype=np.uint64)
        pairs = (flat[:-1] * _MIX) ^ flat[1:]
        lengths = np.array([len(words) for words in part])
        ends = np.cumsum(lengths)
        inside = np.ones(len(pairs), dtype=bool)
        inside[ends[:-1] - 1] = False  # no pair goes from one text to the next
        pairs = pairs[inside]
        starts = np.concatenate([[0], np.cumsum(lengths - 1)[:-1]])
        for number in range(HASHES):
            mixed = (pairs * _FACTORS[number] + _OFFSETS[number]) >> np.uint64(32)
            found[start : start + len(part), number] = np.minimum.reduceat(mixed, starts)
    return found


class SignatureFile:
    """The signatures of any number of texts, kept in a folder: memory is a few bytes a text, the folder 192.

    Of each hash one byte is kept for comparing: two that differ look equal once in 256 times.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self._hashes = (folder / "hashes").open("wb")
        self._bands = [(folder / f"band{band}").open("wb") for band in range(BANDS)]
        self._waiting: list[str] = []
        self._count = 0

    def add(self, text: str) -> None:
        self._waiting.append(text)
        self._count += 1
        if len(self._waiting) >= BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            found = signatures(self._waiting)
            self._hashes.write(found.astype(np.uint8).tobytes())
            for file, keys in zip(self._bands, band_keys(found), strict=True):
                file.write(keys.tobytes())
            self._waiting = []

    def clusters(self, threshold: float, beat: Callable[[], None] = lambda: None) -> Numbers:
        """For each text the first text that it is joined with, itself where it is alone. To be asked once, at the end.

        Texts are joined where their signatures agree in `threshold` of the places or nearly so: two standard errors of
        that share are allowed for, so that a pair as similar as the threshold is missed once in fifty times, and a few
        less similar ones are joined too. So are those joined with the same text. Raises OSError where a file cannot be
        written.
        """
        threshold -= 2 * math.sqrt(threshold * (1 - threshold) / HASHES)
        self._flush()
        for file in (self._hashes, *self._bands):
            file.close()
        parent = np.arange(self._count)
        after = np.fromfile(self._folder / "band0", dtype=np.uint64)
        for band in reversed(range(BANDS if self._count > 1 else 0)):
            beat()
            keys = np.fromfile(self._folder / f"band{band}", dtype=np.uint64)
            order = np.lexsort((after, keys))  # within a band's key the likest stand beside each other
            after, sorted_keys = keys, keys[order]
            new = np.concatenate([[True], sorted_keys[1:] != sorted_keys[:-1]])
            first = order[np.maximum.accumulate(np.where(new, np.arange(len(new)), 0))]
            for other in (first[~new], order[:-1][~new[1:]]):
                self._join(parent, order[~new], other, threshold)
        return _roots(parent)

    def _join(self, parent: Numbers, one: Numbers, two: Numbers, threshold: float) -> None:
        """Join those of the pairs that are alike, a batch at a time."""
        hashes = np.memmap(self._folder / "hashes", dtype=np.uint8, mode="r", shape=(self._count, HASHES))
        for start in range(0, len(one), BATCH):
            a, b = one[start : start + BATCH], two[start : start + BATCH]
            apart = parent[a] != parent[b]
            a, b = a[apart], b[apart]
            alike = (hashes[a] == hashes[b]).mean(axis=1) >= threshold
            for left, right in zip(a[alike].tolist(), b[alike].tolist(), strict=True):
                here, there = _find(parent, left), _find(parent, right)
                parent[max(here, there)] = min(here, there)

    def close(self) -> None:
        for file in (self._hashes, *self._bands):
            file.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _find(parent: Numbers, one: int) -> int:
    while parent[one] != one:
        parent[one] = parent[parent[one]]
        one = int(parent[one])
    return one


def _roots(parent: Numbers) -> Numbers:
    while True:
        further = parent[parent]
        if (further == parent).all():
            return parent
        parent = further


class Known:
    """Texts that others are compared with: those of evaluation."""

    def __init__(self, texts: Iterable[str], threshold: float) -> None:
        self._texts = sorted({text for text in texts if text})
        self._threshold = threshold
        self._runs = np.unique(
            np.concatenate([np.empty(0, np.uint64), *(ngrams(text) for text in self._texts)])
        )
        self._shingles = [shingles(text) for text in self._texts]
        self._bands: dict[tuple[int, int], list[int]] = {}
        if self._texts:
            for number, keys in enumerate(band_keys(signatures(self._texts)).T.tolist()):
                for band, key in enumerate(keys):
                    self._bands.setdefault((band, key), []).append(number)

    def shares_run(self, text: str) -> bool:
        """Whether the text has NGRAM words in a row with one of the known texts."""
        return bool(len(self._runs)) and bool(np.isin(ngrams(text), self._runs).any())

    def near(self, texts: Sequence[str]) -> Iterator[bool]:
        """Whether each text is at least as similar to a known one as the threshold says."""
        if not self._texts:
            yield from (False for _ in texts)
            return
        for text, keys in zip(texts, band_keys(signatures(texts)).T.tolist(), strict=True):
            found = {number for band, key in enumerate(keys) for number in self._bands.get((band, key), ())}
            own = shingles(text) if found else set()
            yield any(jaccard(own, self._shingles[number]) >= self._threshold for number in found)


def band_keys(found: Signatures) -> Hashes:
    """An array BANDS x texts: texts with an equal key in any band are candidates for being alike."""
    keys = np.zeros((BANDS, len(found)), dtype=np.uint64)
    for row in range(ROWS):
        keys = (keys ^ found[:, row::ROWS].T.astype(np.uint64)) * _MIX
        keys ^= keys >> np.uint64(31)
    return keys
