"""From what people said to the numbers of a look. Imports SciPy: for those who take looks."""

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from scipy import stats

from evaluation import agreeing
from evaluation.statistics import Disconnected, bradley_terry, prediction_powered_mean
from evaluation.statistics.rating import CENTRE, POINTS, Ratings
from evaluation.statistics.repeated import FEWEST_PROMPTS, repeated_share, repeated_win_rate
from evaluation.studies.counting import LOSS, WIN, WORTH, Counted, Key, PromptSaid, Said
from evaluation.studies.results import JudgeLine, RatingLine, Result, SliceLine, Versus
from labeling.agreement import alpha_estimate
from labeling.bias import position_bias
from labeling.errors import Refused
from labeling.estimates import Estimate
from labeling.values import BOTH_BAD, TIE

MOST_SLICES = 20
JUDGED = {agreeing.FIRST: WORTH[WIN], agreeing.SECOND: WORTH[LOSS], agreeing.TIE: WORTH[TIE]}


@dataclass(frozen=True, slots=True)
class JudgeSaid:
    """What a judge said of each item; its first is the first model. `pairs` are all of the study: prompt, first,
    second, item and unit."""

    name: str
    by_item: Mapping[int, agreeing.Said]
    pairs: Sequence[tuple[int, int, int, int | None, str]] = ()

    def worth(self, item: int | None) -> float | None:
        """What it said, a tie where the texts are the same; None where it said nothing."""
        return WORTH[TIE] if item is None else JUDGED.get(self.by_item[item].judge)


def reckon(
    counted: Counted, names: Sequence[str], *, boundary: float, alpha: float, judge: JudgeSaid | None = None
) -> Result:
    """The numbers of a look with this critical value. Its intervals hold at every look, with probability 1 - `alpha`
    for one pair of models. Raises Refused where there are too few prompts for a test."""
    tail = float(2 * stats.norm.sf(boundary))
    prompts, said = counted.prompts, counted.said
    pairs = list(combinations(range(len(names)), 2))
    agreement = _agreement(prompts, pairs)
    found = Result(
        level=1 - alpha,
        prompts=len(prompts),
        judgments=len(said),
        people=len({one.person for one in said}),
        lost=counted.lost,
        withdrawn=counted.withdrawn,
        pairs=[_versus(counted, key, names, tail, boundary, judge) for key in pairs],
        agreement=agreement,
        position=_position(said),
        judge=_judge_line(judge, prompts, agreement) if judge else None,
    )
    if len(names) > 2:
        found.ratings, found.no_ratings = _ratings(prompts, pairs, names, tail)
    return found


def _versus(
    counted: Counted,
    key: Key,
    names: Sequence[str],
    tail: float,
    boundary: float,
    judge: JudgeSaid | None,
) -> Versus:
    prompts = counted.prompts
    units = [prompt.unit for prompt in prompts]
    given = [one for prompt in prompts for one in prompt.said.get(key, ())]
    counts = Counter(one.label for one in given)
    rate = repeated_win_rate([prompt.worth(key) for prompt in prompts], units, tail=tail)
    if rate is None:
        raise Refused(
            f"The {len(prompts)} complete prompts come from fewer than {FEWEST_PROMPTS} sources that are independent "
            f"of each other, and a look needs as many. {counted.way_on}"
        )

    def share(*labels: str) -> Estimate | None:
        return repeated_share([_share(prompt, key, labels) for prompt in prompts], units, tail=tail)

    return Versus(
        first=names[key[0]],
        second=names[key[1]],
        prompts=len(prompts),
        judgments=len(given),
        wins=counts[WIN],
        ties=counts[TIE],
        losses=counts[LOSS],
        both_bad=counts[BOTH_BAD],
        same=sum(key not in prompt.items for prompt in prompts),
        rate=rate.rate,
        preferred=share(WIN, TIE, BOTH_BAD),
        tied=share(TIE, BOTH_BAD),
        bad=share(BOTH_BAD),
        z=rate.z,
        spread=rate.spread,
        beyond=abs(rate.z) >= boundary,
        position=_position(given),
        agreement=_agreement(prompts, [key]),
        judge_rate=_judge_rate(prompts, key, judge, tail) if judge else None,
        joined=_joined(prompts, key, judge, tail) if judge else None,
        slices=_slices(prompts, key, tail),
    )


def _share(prompt: PromptSaid, key: Key, labels: Collection[str]) -> float:
    """The share of a prompt's judgments with one of these labels; the same texts are a tie."""
    given = prompt.said.get(key)
    if not given:
        return float(TIE in labels)
    return sum(one.label in labels for one in given) / len(given)


def _slices(prompts: Sequence[PromptSaid], key: Key, tail: float) -> list[SliceLine]:
    """The commonest tags."""
    tagged: dict[str, list[PromptSaid]] = defaultdict(list)
    for prompt in prompts:
        for name in prompt.slices:
            tagged[name].append(prompt)
    ranked = sorted(tagged.items(), key=lambda each: (-len(each[1]), each[0]))
    return [
        SliceLine(name, _rate([(one.worth(key), one.unit) for one in some], tail), len(some))
        for name, some in ranked[:MOST_SLICES]
    ]


def _rate(worth: Sequence[tuple[float, str]], tail: float) -> Estimate | None:
    rate = repeated_win_rate([value for value, _ in worth], [unit for _, unit in worth], tail=tail)
    return rate.rate if rate else None


def _position(given: Iterable[Said]) -> Estimate | None:
    """The share of decided judgments that went to the answer shown first."""
    known = [one for one in given if one.earlier is not None and one.label in (WIN, LOSS)]
    first = sum((one.label == WIN) == one.earlier for one in known)
    return position_bias(first, len(known) - first)


def _agreement(prompts: Sequence[PromptSaid], pairs: Sequence[Key]) -> Estimate | None:
    """Alpha of what each person said of these pairs, in terms of their first model."""
    labels: dict[Hashable, Mapping[Hashable, Hashable]] = {}
    units: dict[Hashable, Hashable] = {}
    for prompt in prompts:
        for key in pairs:
            units[prompt.number, key] = prompt.unit
            labels[prompt.number, key] = {one.person: one.label for one in prompt.said.get(key, ())}
    return alpha_estimate(labels, clusters=units)


def _ratings(
    prompts: Sequence[PromptSaid], pairs: Sequence[Key], names: Sequence[str], tail: float
) -> tuple[list[RatingLine], str]:
    """Bradley-Terry ratings, one row a judgment, clustered by what prompts depend on each other by. The same text is a
    tie of as many people as judge other pairs: each prompt counts alike."""
    people = max((len(some) for prompt in prompts for some in prompt.said.values()), default=1)
    rows: list[tuple[Any, ...]] = [
        (names[key[0]], names[key[1]], worth, prompt.unit)
        for prompt in prompts
        for key in pairs
        for worth in [one.worth for one in prompt.said.get(key, ())] or [WORTH[TIE]] * people
    ]
    try:
        found = bradley_terry(*zip(*rows, strict=True))
    except Disconnected as refusal:
        return [], str(refusal)
    assert found is not None
    quantile = float(stats.t.isf(tail / 2, max(1, found.clusters - 1)))
    order = sorted(range(len(names)), key=lambda place: -float(found.theta[place]))
    return [_rating(found, place, quantile) for place in order], ""


def _rating(found: Ratings, place: int, quantile: float) -> RatingLine:
    """A rating, and the ranks that contrasts beyond the boundary leave open: at every look all of them hold together,
    because the boundary is that of alpha shared out among the pairs. A contrast without variance tells nothing."""
    models, theta = found.models, found.theta
    better = worse = 0
    for other in range(len(models)):
        error = found.contrast_error(models[place], models[other])
        if error > 1e-12:
            z = float(theta[place] - theta[other]) / error
            better += z < -quantile
            worse += z > quantile
    error = float(found.covariance[place, place]) ** 0.5
    value, low, high = (
        CENTRE + POINTS * float(theta[place] + side * quantile * error) for side in (0, -1, 1)
    )
    rating = Estimate(value, low, high, found.n) if error > 1e-12 else None
    return RatingLine(str(models[place]), rating, 1 + better, len(models) - worse)


def _judge_rate(prompts: Sequence[PromptSaid], key: Key, judge: JudgeSaid, tail: float) -> Estimate | None:
    """The win rate by the judge, on the prompts on which it said something."""
    found = []
    for prompt in prompts:
        worth = judge.worth(prompt.items.get(key))
        if worth is not None:
            found.append((worth, prompt.unit))
    return _rate(found, tail)


def _joined(prompts: Sequence[PromptSaid], key: Key, judge: JudgeSaid, tail: float) -> Estimate | None:
    """The win rate on all prompts by PPI++: what the judge says of all, corrected by what people say of those that are
    complete. Prompts come to people in a random order, so that these are a sample of all."""
    complete = {prompt.number: prompt.worth(key) for prompt in prompts}
    people, same, units, rest, others = [], [], [], [], []
    for number, first, second, item, unit in judge.pairs:
        worth = judge.worth(item) if (first, second) == key else None
        if worth is None:
            continue
        if number in complete:
            people.append(complete[number])
            same.append(worth)
            units.append(unit)
        else:
            rest.append(worth)
            others.append(unit)
    found = prediction_powered_mean(
        people, same, rest, clusters=units, unlabelled_clusters=others, ends=(0.0, 1.0), tail=tail
    )
    return found.estimate if found else None


def _judge_line(judge: JudgeSaid, prompts: Sequence[PromptSaid], people: Estimate | None) -> JudgeLine:
    """The judge beside what most people said of each pair, counted as on its agreement card."""
    told = []
    for prompt in prompts:
        for key, item in prompt.items.items():
            worth = prompt.worth(key)
            majority = agreeing.TIE if worth == 0.5 else agreeing.FIRST if worth > 0.5 else agreeing.SECOND
            told.append(replace(judge.by_item[item], people=majority, prompt=prompt.unit))
    found = agreeing.numbers(told)
    return JudgeLine(
        name=judge.name,
        n=found["n"],
        errors=found["errors"],
        raw=found["raw"],
        alpha=found["alpha"],
        flips=found["flips"],
        people=people,
    )
