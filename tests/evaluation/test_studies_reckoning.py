"""The numbers of a look, of what people said."""

import random
from collections import Counter
from dataclasses import replace
from itertools import combinations

from evaluation import agreeing
from evaluation.studies.counting import Counted, PromptSaid, Said
from evaluation.studies.reckoning import JudgeSaid, reckon


def counted(*, same: bool) -> Counted:
    """Three models, two people: every other prompt is a tie of everybody, or, where `same`, has one text."""
    prompts = []
    for number in range(60):
        tie = number % 2 == 0
        label = "tie" if tie else ("win", "loss", "win")[number % 3]
        asked = [] if tie and same else list(combinations(range(3), 2))
        said = {pair: [Said(number, person, label, None) for person in (1, 2)] for pair in asked}
        prompts.append(PromptSaid(number, str(number), [], dict.fromkeys(asked, number), said))
    return Counted(prompts, 0, True, [], 0, 2, 0, Counter())


def test_the_same_text_weighs_as_much_as_a_tie_of_everybody() -> None:
    names = ["a", "b", "c"]
    one, other = (reckon(counted(same=same), names, boundary=2.4, alpha=0.05) for same in (True, False))
    assert [pair.rate for pair in one.pairs] == [pair.rate for pair in other.pairs]
    assert one.ratings == other.ratings
    assert [line.name for line in one.ratings] == names


def test_people_and_a_judge_together_say_more_of_all_prompts_than_people_alone() -> None:
    """A judge that errs in one of ten reads 600 prompts, of which people have judged every fifth."""
    key, rng = (0, 1), random.Random(5)
    prompts, by_item = [], {}
    for number in range(600):
        label = "win" if rng.random() < 0.7 else "loss"
        right = rng.random() < 0.9
        verdict = agreeing.FIRST if (label == "win") == right else agreeing.SECOND
        by_item[number] = agreeing.Said("", verdict, str(number), (9, 9))
        if number % 5 == 0:
            said = {key: [Said(number, 1, label, None)]}
            prompts.append(PromptSaid(number, str(number), [], {key: number}, said))
    judge = JudgeSaid("j", by_item, [(number, *key, number, str(number)) for number in by_item])
    there = Counted(prompts, 0, False, [], 0, 1, 0, Counter())
    (pair,) = reckon(there, ["a", "b"], boundary=2.4, alpha=0.05, judge=judge).pairs
    assert pair.joined
    assert pair.joined.low < 0.7 < pair.joined.high
    assert pair.joined.high - pair.joined.low < 0.9 * (pair.rate.high - pair.rate.low)
    alone = replace(judge, pairs=judge.pairs[::5])  # nobody but people's own prompts
    assert reckon(there, ["a", "b"], boundary=2.4, alpha=0.05, judge=alone).pairs[0].joined is None
