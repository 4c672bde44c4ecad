"""The numbers of a look, of what people said."""

from collections import Counter
from itertools import combinations

from evaluation.studies.counting import Counted, PromptSaid, Said
from evaluation.studies.reckoning import reckon


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
