"""Which cases a checkpoint may have met in training: looked for in the rows that it and its ancestors were trained on.

Three ways to be dirty, each a reason: "prompt" (the same prompt, case and white space evened out), "run" (13 words in a
row, as in Brown et al. 2020, appendix C, of prompt or reference), "near" (a prompt whose pairs of neighbouring words
have Jaccard similarity 0.8 or more).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from evaluation.models import Case
from evaluation.planning import trained_on
from labeling.curation import rowfile
from labeling.curation.rows import texts_of
from labeling.curation.similarity import band_keys, jaccard, ngrams, shingles, signatures
from labeling.protection import hashes_of
from labeling.rag.prompting import question_of
from training.models import Checkpoint

NEAR = 0.8
BATCH = 1000
REASONS = {
    "prompt": "the same prompt",
    "run": "13 words in a row",
    "near": f"a prompt at least {NEAR:.0%} alike".replace("%", " %"),
}


@dataclass
class Index:
    """The cases that are looked for, by what gives each away."""

    prompts: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    runs: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    bands: dict[tuple[int, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    shingles: dict[int, set[tuple[int, int]]] = field(default_factory=dict)

    @classmethod
    def of(cls, cases: Iterable[Case]) -> "Index":
        index, texts, ids = cls(), [], []
        for case in cases:
            text = asked_text(question_of(case.prompt))
            ids.append(case.pk)
            texts.append(text)
            index.prompts[case.prompt_hash].append(case.pk)
            index.shingles[case.pk] = shingles(text)
            for run in {*ngrams(text).tolist(), *ngrams(case.reference or "").tolist()}:
                index.runs[run].append(case.pk)
        if texts:
            for pk, keys in zip(ids, band_keys(signatures(texts)).T.tolist(), strict=True):
                for band, key in enumerate(keys):
                    index.bands[band, key].append(pk)
        return index

    def met(self, rows: Sequence[dict[str, Any]]) -> Iterator[tuple[int, str]]:
        """The cases that these training rows give away, each with the reason."""
        prompts = [asked_text(row["prompt"]) if row.get("prompt") else "" for row in rows]
        for row, prompt in zip(rows, prompts, strict=True):
            for key in hashes_of(row):
                yield from ((case, "prompt") for case in self.prompts.get(key, ()))
            for text in (prompt, *texts_of(row)):
                for run in ngrams(text).tolist():
                    if run in self.runs:
                        yield from ((case, "run") for case in self.runs[run])
        asked = [text for row in rows if (text := asked_text(question_of(row.get("prompt") or ())))]
        if asked and self.shingles:
            for prompt, keys in zip(asked, band_keys(signatures(asked)).T.tolist(), strict=True):
                yield from ((case, "near") for case in self._near(prompt, keys))

    def _near(self, prompt: str, keys: Sequence[int]) -> Iterator[int]:
        found = {case for band, key in enumerate(keys) for case in self.bands.get((band, key), ())}
        own = shingles(prompt) if found else set()
        return (case for case in found if jaccard(own, self.shingles[case]) >= NEAR)


def asked_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """A prompt without its system message, which whole projects share and which gives no case away."""
    return "\n".join(message["content"] for message in messages if message["role"] != "system")


def dirty_cases(
    cases: Iterable[Case], checkpoints: Sequence[Checkpoint], beat: Callable[[], object] = lambda: None
) -> dict[int, dict[int, str]]:
    """For each checkpoint those of the cases that it may have met, with the first reason found. Texts are read; `beat`
    is called now and then."""
    index = Index.of(cases)
    met: dict[int, dict[int, str]] = {}
    found: dict[int, dict[int, str]] = {}
    for checkpoint in checkpoints:
        found[checkpoint.pk] = {}
        for version in trained_on(checkpoint):
            if version.pk not in met:
                met[version.pk] = _of_version(index, rowfile.read(version.path, split="train"), beat)
            found[checkpoint.pk] = met[version.pk] | found[checkpoint.pk]
    return found


def _of_version(index: Index, rows: Iterator[dict[str, Any]], beat: Callable[[], object]) -> dict[int, str]:
    found: dict[int, str] = {}
    while some := list(islice(rows, BATCH)):
        beat()
        for case, reason in index.met(some):
            found.setdefault(case, reason)
    return found
