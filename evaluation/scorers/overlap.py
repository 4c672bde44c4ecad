"""How much of the reference's wording is in the answer: ROUGE-L, BLEU, chrF. All from 0 to 1, higher is better.

They count words, not meaning: good for summaries and translations beside each other, poor for free answers.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, Literal

from pydantic import Field
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from evaluation.scorers.base import Facts, Given, Mark, Need, Params, Scorer, unscorable
from evaluation.scorers.matching import tokens

TWO_TEXTS = frozenset({Need.ANSWER, Need.REFERENCE})
EMPTY = "the reference of this case holds no words"


def longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence.

    Bit-parallel (Hyyrö 2004, "Bit-parallel LCS-length computation revisited"): a row of the table is one integer.
    """
    places: dict[str, int] = {}
    for index, token in enumerate(one):
        places[token] = places.get(token, 0) | (1 << index)
    full = (1 << len(one)) - 1
    row = full
    for token in other:
        matched = row & places.get(token, 0)
        row = ((row + matched) | (row - matched)) & full
    return len(one) - row.bit_count()


def rouge_l(answer: Sequence[str], reference: Sequence[str]) -> tuple[float, float, float]:
    """(F, precision, recall) of the longest common subsequence of two token lists, each 0 to 1.

    Sentence-level ROUGE-L of Lin (2004), "ROUGE: A Package for Automatic Evaluation of Summaries", section 3.1, with
    beta = 1 as rouge_score has it: F = 2PR / (P + R), P = LCS / tokens of the answer, R = LCS / those of the reference.
    """
    common = longest_common(reference, answer)
    if not common:
        return 0.0, 0.0, 0.0
    precision, recall = common / len(answer), common / len(reference)
    return 2 * precision * recall / (precision + recall), precision, recall


class RougeL(Scorer):
    """ROUGE-L F of the answer against the reference; tokens as in rouge_score, without stemming."""

    key = "rouge_l"
    label = "ROUGE-L"
    about = "The longest sequence of words that answer and reference share, as an F score from 0 to 1."
    needs = TWO_TEXTS

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        wanted = tokens(case.reference or "")
        if not wanted:
            return unscorable(EMPTY)
        value, precision, recall = rouge_l(tokens(given.text or ""), wanted)
        return Mark(value, detail={"precision": precision, "recall": recall})


class BleuParams(Params):
    tokenize: Literal["13a", "intl", "zh", "char"] = Field(
        default="13a",
        description="How words are found: 13a for most languages, zh for Chinese, char for signs.",
    )


class Bleu(Scorer):
    """Sentence BLEU by sacrebleu (Post 2018), effective order, exponential smoothing, divided by 100.

    The mean over cases is not the corpus BLEU that papers report. The signature stands in the run's facts.
    """

    key = "bleu"
    label = "BLEU"
    about = "Runs of up to four words that answer and reference share, sentence by sentence, from 0 to 1."
    needs = TWO_TEXTS
    Params: ClassVar[type[Params]] = BleuParams

    def facts(self, params: Any) -> dict[str, str]:
        return {"signature": _signature(_bleu(params.tokenize))}

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        return _by(_bleu(params.tokenize), case, given)


class ChrfParams(Params):
    word_order: Literal[0, 2] = Field(
        default=0, description="0 is chrF, 2 is chrF++, which also counts words."
    )


class Chrf(Scorer):
    """Sentence chrF by sacrebleu (Popović 2015; chrF++ 2017), divided by 100. Needs no words, so it fits any script."""

    key = "chrf"
    label = "chrF"
    about = "Runs of up to six letters that answer and reference share, as an F score from 0 to 1."
    needs = TWO_TEXTS
    Params: ClassVar[type[Params]] = ChrfParams

    def facts(self, params: Any) -> dict[str, str]:
        return {"signature": _signature(_chrf(params.word_order))}

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        return _by(_chrf(params.word_order), case, given)


def _by(metric: BLEU | CHRF, case: Facts, given: Given) -> Mark:
    reference = case.reference or ""
    if not reference.strip():
        return unscorable(EMPTY)
    score = metric.sentence_score(given.text or "", [reference]).score / 100
    return Mark(min(max(score, 0.0), 1.0))


@lru_cache
def _bleu(tokenize: str) -> BLEU:
    return BLEU(tokenize=tokenize, effective_order=True)


@lru_cache
def _chrf(word_order: int) -> CHRF:
    return CHRF(word_order=word_order)


def _signature(metric: BLEU | CHRF) -> str:
    """As sacrebleu writes it, to be quoted beside the number; a metric knows it once it has scored something."""
    metric.sentence_score("a", ["a"])
    return str(metric.get_signature())
