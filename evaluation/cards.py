"""What is known of how far a judge agrees with people: plain data, stored with its card and shown on pages."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import Any

from pydantic import TypeAdapter

from evaluation.judges import identity_of
from evaluation.models import AgreementCard, EvalRun, JudgeVersion
from evaluation.scorers import SCORERS, Need
from labeling.estimates import Estimate
from labeling.lifecycle import Status

ENOUGH, THRESHOLD = 50, 0.667
SILENT = 0.2
DIFFERENCES = "differences.jsonl"
Counts = dict[str, int]


@dataclass(slots=True)
class Card:
    """A judge's version held against people, who had to choose one of two answers, shown in a random order.

    `drawn` pairs were put to the judge; `n` of them have its judgment, for `errors` there is none and `reasons` says
    why. `confusion` counts by what people said ("first", "second") and the judge ("first", "second", "tie").
    `sensitivity` is how often the judge says first where people did, `specificity` second where people did. `flips` is
    the share of pairs on which another order made another winner (pairwise), `first_place` how often that was the
    answer shown first. `longer_judge` and `longer_people` are shares of decided pairs that went to the longer answer.
    `mass` is how much of the judge's probability lies on its labels. `people` is Krippendorff's alpha among people, the
    most that a judge can reach. `seen` pairs were left out because the judge had learned from their prompts.
    """

    drawn: int
    n: int
    errors: int
    clusters: int
    identity: str
    rubric: int
    dataset: str
    at: str
    splits: Counts
    confusion: dict[str, Counts]
    reasons: dict[str, int] = field(default_factory=dict)
    seen: int = 0
    alpha: Estimate | None = None
    kappa: Estimate | None = None
    raw: Estimate | None = None
    sensitivity: Estimate | None = None
    specificity: Estimate | None = None
    flips: Estimate | None = None
    first_place: Estimate | None = None
    longer_judge: Estimate | None = None
    longer_people: Estimate | None = None
    mass: float | None = None
    people: Estimate | None = None
    cost: float | None = None
    differing: int = 0

    @property
    def ties(self) -> int:
        return sum(said.get("tie", 0) for said in self.confusion.values())

    @property
    def answered(self) -> float:
        """The share of drawn pairs that have a judgment."""
        return self.n / self.drawn if self.drawn else 0.0


@cache
def _adapter() -> TypeAdapter[Card]:
    return TypeAdapter(Card)


def as_result(card: Card) -> dict[str, Any]:
    """A card as plain JSON."""
    found: dict[str, Any] = _adapter().dump_python(card, mode="json")
    return found


def read_card(row: AgreementCard) -> Card | None:
    """What a finished check found; None before that."""
    return _adapter().validate_python(row.result) if row.result else None


def newest_cards(versions: list[int]) -> dict[int, AgreementCard]:
    """The newest finished check of each of these versions."""
    rows = AgreementCard.objects.filter(version__in=versions, status=Status.SUCCEEDED).order_by("pk")
    return {row.version_id: row for row in rows}


def trusted(version_id: int, threshold: float = THRESHOLD, *, identity: str = "") -> tuple[bool, str]:
    """Whether a judge's version may carry a decision, and why: its newest check has an alpha of `threshold` or more on
    ENOUGH pairs, and the same answered then that answers today. A check of another version does not count.

    `identity` is who answered as that version, if not who answers today; its own newest check is then what counts.
    """
    version = (
        JudgeVersion.objects.select_related("judge", "checkpoint__base", "endpoint")
        .filter(pk=version_id)
        .first()
    )
    if version is None:
        return False, "There is no such judge any more; choose another."
    rows = AgreementCard.objects.filter(version=version, status=Status.SUCCEEDED)
    today = identity_of(version)
    identity = identity or today
    row = rows.filter(result__identity=identity).first() or rows.first()
    card = read_card(row) if row else None
    if identity != today and (card is None or card.identity != identity):
        who = version.endpoint or version.checkpoint
        return False, (
            f"What stands behind {who} was changed after {version} judged this, and nobody held against people what "
            "stood there then; check it and score this again."
        )
    return trust(version, card, threshold, identity=identity)


def trusted_in(run: EvalRun, number: int, threshold: float = THRESHOLD) -> tuple[bool, str]:
    """The same of who judged a run: what was frozen with it."""
    frozen = run.spec.get("judges", {}).get(f"judge:{number}", {})
    return trusted(number, threshold, identity=frozen.get("identity", ""))


@dataclass(frozen=True, slots=True)
class Judged:
    """The metrics of a run that one judge reads: all by its rubric, or all by questions of their own."""

    number: int
    metrics: tuple[str, ...]
    own: bool


def judged_in(run: EvalRun, *, decides: Callable[[Mapping[str, Any]], bool] = bool) -> list[Judged]:
    """Who judges what in a run, of the metrics (as its plan has them) that decide."""
    specs = [spec for spec in run.metrics if spec.get("judge") and decides(spec)]
    numbers = {spec["judge"] for spec in specs}
    kinds = dict(JudgeVersion.objects.filter(pk__in=numbers).values_list("pk", "judge__kind"))
    found: dict[tuple[int, bool], list[str]] = {}
    for spec in specs:
        scorer, kind = SCORERS.get(spec["scorer"]), kinds.get(spec["judge"])
        own = (
            scorer is not None
            and Need.JUDGE in scorer.needs
            and scorer.judge_kind != (kind or scorer.judge_kind)
        )
        found.setdefault((spec["judge"], own), []).append(spec["name"])
    return [Judged(number, tuple(names), own) for (number, own), names in sorted(found.items())]


def trusted_for(run: EvalRun, judged: Judged, threshold: float = THRESHOLD) -> tuple[bool | None, str]:
    """Whether the judge may carry a decision on these metrics; None where no card can tell."""
    if judged.own:
        return None, (
            f"{', '.join(judged.metrics)}: the judge is asked other questions than its rubric, and how far it agrees "
            "with people on those was not measured; read some of its judgments."
        )
    return trusted_in(run, judged.number, threshold)


def trust(
    version: JudgeVersion, card: Card | None, threshold: float, *, identity: str = ""
) -> tuple[bool, str]:
    """The same for a version whose newest card is known; its checkpoint or endpoint should be too."""
    if card is None:
        others = AgreementCard.objects.filter(version__judge=version.judge, status=Status.SUCCEEDED).exists()
        more = " Cards of other versions do not count for it." if others else ""
        return False, f"{version} was not held against people yet; check it on its page.{more}"
    if card.identity != (identity or identity_of(version)):
        who = version.endpoint or version.checkpoint
        return False, f"What stands behind {who} was changed after {version} was checked; check it again."
    if card.n < ENOUGH or card.alpha is None:
        return (
            False,
            f"{version} was held against {card.n:,} judgments of people; {ENOUGH} are needed. Check it on more.",
        )
    if 1 - card.answered > SILENT:
        silent = 1 - card.answered
        return (
            False,
            f"{version} gave no judgment on {silent:.0%} of the pairs; find out why before you rely on it.",
        )
    words = f"Krippendorff's alpha of {version} with people is {card.alpha}"
    if card.alpha.value < threshold:
        return (
            False,
            f"{words}, below the {threshold:g} that is asked for. Make the rubric sharper and check again.",
        )
    return True, f"{words}; {threshold:g} is asked for."


def differences(row: AgreementCard, *, start: int = 0, count: int | None = None) -> list[dict[str, Any]]:
    """Pairs on which judge and people differ, the surest first; none where the file is gone."""
    try:
        with (row.path / DIFFERENCES).open(encoding="utf-8") as file:
            lines: Iterator[str] = islice(file, start, None if count is None else start + count)
            return [json.loads(line) for line in lines]
    except (OSError, ValueError):
        return []
