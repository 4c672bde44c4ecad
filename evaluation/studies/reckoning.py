"""From what people said to the numbers of a look. Imports SciPy: for those who take looks."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from scipy import stats

from evaluation import agreeing
from evaluation.statistics import Disconnected, bradley_terry
from evaluation.statistics.rating import CENTRE, POINTS, Ratings
from evaluation.statistics.repeated import repeated_share, repeated_win_rate
from evaluation.studies.counting import LOSS, WIN, Counted, Key, PromptSaid, Said
from evaluation.studies.results import JudgeLine, RatingLine, Result, SliceLine, Versus
from labeling.agreement import alpha_estimate
from labeling.bias import position_bias
from labeling.estimates import Estimate
from labeling.values import BOTH_BAD, TIE

MOST_SLICES = 20


@dataclass(frozen=True, slots=True)
class JudgeSaid:
    """What a judge said of each item, and the position at which each stores its first model's answer."""

    name: str
    by_item: Mapping[int, agreeing.Said]
    places: Mapping[int, int]

    def worth(self, item: int) -> float | None:
        """1 where the judge prefers the first model, 0 the second, 0.5 neither; None where it said nothing."""
        said = self.by_item.get(item)
        if said is None or not said.judge:
            return None
        if said.judge == "tie":
            return 0.5
        return float((said.judge == "first") == (self.places[item] == 0))


def reckon(
    counted: Counted,
    names: Sequence[str],
    *,
    boundary: float,
    alpha: float,
    judge: JudgeSaid | None = None,
) -> Result:
    """The numbers of a look with this critical value. Its intervals hold at every look, with probability 1 - `alpha`
    for one pair of models."""
    tail = float(2 * stats.norm.sf(boundary))
    pairs = list(combinations(range(len(names)), 2))
    versus = [_versus(counted.prompts, key, names, tail, boundary) for key in pairs]
    for key, one in zip(pairs, versus, strict=True):
        one.judge_rate = _judge_rate(counted.prompts, key, judge, tail)
    every = _labels(counted.prompts, pairs)
    units = {place: prompt for place, (prompt, _) in every.items()}
    labels: dict[Hashable, Mapping[Hashable, Hashable]] = {
        place: given for place, (_, given) in every.items()
    }
    agreement = alpha_estimate(labels, clusters=units)
    found = Result(
        level=1 - alpha,
        prompts=len(counted.prompts),
        judgments=sum(one.judgments for one in versus),
        people=len({one.person for prompt in counted.prompts for one in _all(prompt, pairs)}),
        lost=counted.lost,
        withdrawn=counted.withdrawn,
        pairs=versus,
        agreement=agreement,
        position=_position([one for prompt in counted.prompts for one in _all(prompt, pairs)]),
        judge=_judge_line(judge, counted.prompts, pairs, agreement) if judge else None,
    )
    if len(names) > 2:
        found.ratings, found.no_ratings = _ratings(counted.prompts, pairs, names, tail)
    return found


def _versus(
    prompts: Sequence[PromptSaid],
    key: Key,
    names: Sequence[str],
    tail: float,
    boundary: float,
) -> Versus:
    units = [prompt.unit for prompt in prompts]
    given = [one for prompt in prompts for one in prompt.said.get(key, ())]
    counts = Counter(one.label for one in given)
    rate = repeated_win_rate([prompt.worth(key) for prompt in prompts], units, tail=tail)

    def share(*labels: str) -> Estimate | None:
        return repeated_share([_share(prompt, key, labels) for prompt in prompts], units, tail=tail)

    labels: dict[Hashable, Mapping[Hashable, Hashable]] = {
        prompt.number: {one.person: one.label for one in prompt.said.get(key, ())} for prompt in prompts
    }
    return Versus(
        first=names[key[0]],
        second=names[key[1]],
        prompts=len(prompts),
        judgments=len(given),
        wins=counts[WIN],
        ties=counts[TIE],
        losses=counts[LOSS],
        both_bad=counts[BOTH_BAD],
        same=sum(key in prompt.same for prompt in prompts),
        rate=rate.rate if rate else None,
        preferred=share(WIN, TIE, BOTH_BAD),
        tied=share(TIE, BOTH_BAD),
        bad=share(BOTH_BAD),
        z=rate.z if rate else None,
        spread=rate.spread if rate else None,
        beyond=rate is not None and abs(rate.z) >= boundary,
        position=_position(given),
        agreement=alpha_estimate(labels),
        slices=_slices(prompts, key, tail),
    )


def _share(prompt: PromptSaid, key: Key, labels: Iterable[str]) -> float:
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
    found = []
    for name, some in ranked[:MOST_SLICES]:
        rate = repeated_win_rate([one.worth(key) for one in some], [one.unit for one in some], tail=tail)
        found.append(SliceLine(name, rate.rate if rate else None, len(some)))
    return found


def _position(given: Iterable[Said]) -> Estimate | None:
    """The share of decided judgments that went to the answer shown first."""
    known = [one for one in given if one.earlier is not None and one.label in (WIN, LOSS)]
    first = sum((one.label == WIN) == one.earlier for one in known)
    return position_bias(first, len(known) - first)


def _all(prompt: PromptSaid, pairs: Iterable[Key]) -> list[Said]:
    return [one for key in pairs for one in prompt.said.get(key, ())]


def _labels(
    prompts: Sequence[PromptSaid], pairs: Sequence[Key]
) -> dict[Hashable, tuple[int, dict[Hashable, Hashable]]]:
    """What each person said of each pair, in terms of its first model, and the prompt it is of."""
    return {
        (prompt.number, key): (prompt.number, {one.person: one.label for one in prompt.said[key]})
        for prompt in prompts
        for key in pairs
        if key in prompt.said
    }


def _ratings(
    prompts: Sequence[PromptSaid], pairs: Sequence[Key], names: Sequence[str], tail: float
) -> tuple[list[RatingLine], str]:
    """Bradley-Terry ratings, one row a judgment, clustered by what prompts depend on each other by."""
    first: list[Hashable] = []
    second: list[Hashable] = []
    outcomes: list[float] = []
    units: list[Hashable] = []
    for prompt in prompts:
        for key in pairs:
            for worth in [one.worth for one in prompt.said.get(key, ())] or [0.5]:
                first.append(key[0])
                second.append(key[1])
                outcomes.append(worth)
                units.append(prompt.unit)
    try:
        found = bradley_terry(first, second, outcomes, units)
    except Disconnected as refusal:
        return [], str(refusal)
    if found is None:
        return [], "Nobody has compared the models yet."
    quantile = float(stats.t.isf(tail / 2, max(1, found.clusters - 1)))
    ordered = sorted(found.models, key=lambda model: -float(found.theta[found.models.index(model)]))
    return [_rating(found, model, names, quantile) for model in ordered], ""


def _rating(found: Ratings, model: Hashable, names: Sequence[str], quantile: float) -> RatingLine:
    """A rating, and the ranks that contrasts beyond the boundary leave open: at every look all of them hold together,
    because the boundary is that of alpha shared out among the pairs."""
    better = worse = 0
    for other in found.models:
        if other != model and (error := found.contrast_error(model, other)) > 1e-12:
            place, at = found.models.index(other), found.models.index(model)
            z = float(found.theta[at] - found.theta[place]) / error
            better += z < -quantile
            worse += z > quantile
    place = found.models.index(model)
    error, theta = float(found.covariance[place, place]) ** 0.5, float(found.theta[place])
    rating = None
    if error > 1e-12:
        value, low, high = (CENTRE + POINTS * (theta + side * quantile * error) for side in (0, -1, 1))
        rating = Estimate(value, low, high, found.n)
    return RatingLine(names[int(str(model))], rating, 1 + better, len(found.models) - worse)


def _judge_rate(
    prompts: Sequence[PromptSaid], key: Key, judge: "JudgeSaid | None", tail: float
) -> Estimate | None:
    """The win rate by the judge, on the prompts on which it said something."""
    if judge is None:
        return None
    worth, units = [], []
    for prompt in prompts:
        found = 0.5 if key in prompt.same else judge.worth(prompt.items[key])
        if found is not None:
            worth.append(found)
            units.append(prompt.unit)
    rate = repeated_win_rate(worth, units, tail=tail)
    return rate.rate if rate else None


def _judge_line(
    judge: "JudgeSaid", prompts: Sequence[PromptSaid], pairs: Sequence[Key], people: Estimate | None
) -> JudgeLine:
    """The judge beside what most people said of each pair, counted as on its agreement card."""
    told = []
    for prompt in prompts:
        for key in pairs:
            if key in prompt.said and (said := judge.by_item.get(prompt.items[key])) is not None:
                worth = prompt.worth(key)
                won = worth > 0.5 if judge.places[prompt.items[key]] == 0 else worth < 0.5
                majority = "tie" if worth == 0.5 else "first" if won else "second"
                told.append(replace(said, people=majority, prompt=prompt.unit))
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
