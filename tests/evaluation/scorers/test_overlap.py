"""ROUGE-L by hand, BLEU and chrF as sacrebleu has them."""

import random
from collections.abc import Sequence

import pytest
import sacrebleu

from evaluation.scorers import find_scorer, read_params
from evaluation.scorers.overlap import longest_common
from tests.evaluation.scorers.made import case, score

PAIRS = [
    ("The cat sat on the mat.", "The cat is on the mat."),
    ("It is a guide to action which ensures that the military always obeys.", "It is a guide to action."),
    ("Berlin", "The capital of Germany is Berlin."),
    ("", "The capital of Germany is Berlin."),
    ("nothing shared whatever", "It costs 5 euros"),
]


@pytest.mark.parametrize(
    ("answer", "reference", "precision", "recall", "value"),
    [
        # Lin (2004), section 3.1: "police killed the gunman" against two candidates.
        ("police kill the gunman", "police killed the gunman", 3 / 4, 3 / 4, 3 / 4),
        ("the gunman kill police", "police killed the gunman", 2 / 4, 2 / 4, 2 / 4),
        ("the gunman police killed", "police killed the gunman", 2 / 4, 2 / 4, 2 / 4),
        ("a b c d e", "a c e", 3 / 5, 1.0, 0.75),  # 2 * 0.6 * 1 / 1.6
        ("The cat sat on the mat.", "the cat is on the mat", 5 / 6, 5 / 6, 5 / 6),
        ("a a a", "a", 1 / 3, 1.0, 0.5),
        ("东京很大", "东京大", 3 / 4, 1.0, 6 / 7),
        ("x", "y", 0.0, 0.0, 0.0),
        ("", "y", 0.0, 0.0, 0.0),
    ],
)
def test_rouge_l_by_hand(answer: str, reference: str, precision: float, recall: float, value: float) -> None:
    mark = score("rouge_l", answer, case(reference=reference))
    assert mark.value == pytest.approx(value)
    assert mark.detail == pytest.approx({"precision": precision, "recall": recall})


def by_table(one: Sequence[str], other: Sequence[str]) -> int:
    """The textbook's table."""
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, left in enumerate(one, start=1):
        for j, right in enumerate(other, start=1):
            table[i][j] = table[i - 1][j - 1] + 1 if left == right else max(table[i - 1][j], table[i][j - 1])
    return table[-1][-1]


def test_the_fast_common_subsequence_is_the_table_of_the_textbook() -> None:
    draw = random.Random(1)
    for _ in range(300):
        one, other = (draw.choices("abcd", k=draw.randrange(0, 90)) for _ in range(2))
        assert longest_common(one, other) == by_table(one, other)


@pytest.mark.parametrize(("answer", "reference"), PAIRS)
def test_bleu_is_that_of_sacrebleu(answer: str, reference: str) -> None:
    wanted = sacrebleu.sentence_bleu(answer, [reference], use_effective_order=True).score / 100
    assert score("bleu", answer, case(reference=reference)).value == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(("answer", "reference"), PAIRS)
@pytest.mark.parametrize("order", [0, 2])
def test_chrf_is_that_of_sacrebleu(answer: str, reference: str, order: int) -> None:
    wanted = sacrebleu.sentence_chrf(answer, [reference], word_order=order).score / 100
    mark = score("chrf", answer, case(reference=reference), params={"word_order": order})
    assert mark.value == pytest.approx(wanted, abs=1e-12)


def test_bleu_by_hand() -> None:
    # Shared are 6 of 7 tokens, 4 of 6 pairs, 2 of 5 threes (on the mat, the mat .) and 1 of 4 fours; equal lengths.
    by_hand = (6 / 7 * 4 / 6 * 2 / 5 * 1 / 4) ** 0.25
    mark = score("bleu", "The cat sat on the mat.", case(reference="The cat is on the mat."))
    assert mark.value == pytest.approx(by_hand)


@pytest.mark.parametrize("key", ["rouge_l", "bleu", "chrf"])
def test_an_equal_answer_is_one_and_a_reference_without_words_is_unscorable(key: str) -> None:
    assert score(key, "a b c d e", case(reference="a b c d e")).value == pytest.approx(1.0)
    mark = score(key, "a", case(reference=" "))
    assert (mark.state, mark.reason) == ("unscorable", "the reference of this case holds no words")


def test_chinese_has_a_tokeniser_of_its_own() -> None:
    facts = case(reference="今天天气很好")
    assert score("bleu", "今天天气不好", facts).value == 0.0
    assert (score("bleu", "今天天气不好", facts, params={"tokenize": "zh"}).value or 0) > 0.4


def test_signatures_say_how_it_was_counted() -> None:
    bleu, chrf = find_scorer("bleu"), find_scorer("chrf")
    version = sacrebleu.__version__
    signature = bleu.facts(read_params(bleu, {"tokenize": "char"}))["signature"]
    assert signature == f"nrefs:1|case:mixed|eff:yes|tok:char|smooth:exp|version:{version}"
    signature = chrf.facts(read_params(chrf, {"word_order": 2}))["signature"]
    assert signature == f"nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no|version:{version}"
