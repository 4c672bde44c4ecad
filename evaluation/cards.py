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
from evaluation.scorers import SCORERS, Need, Scorer
from labeling.estimates import Estimate
from labeling.lifecycle import Status

PAIRS = AgreementCard.About.PAIRS.value
NOUNS = {
    PAIRS: "pairs",
    "context_relevance": "contexts",
    "groundedness": "sentences",
    "answer_relevance": "answers",
}
ENOUGH, THRESHOLD = 50, 0.667
SILENT = 0.2
DIFFERENCES = "differences.jsonl"
Counts = dict[str, int]


@dataclass(slots=True)
class Card:
    """A judge's version held against people: by its rubric, where people had to choose one of two answers, shown in a
    random order; or about a measure of answers from given texts, where people reviewed contexts, sentences or answers.

    `drawn` pairs were put to the judge; `n` of them have its judgment, for `errors` there is none and `reasons` says
    why. `confusion` counts by what people said ("first", "second") and the judge ("first", "second", "tie").
    `sensitivity` is how often the judge says first where people did, `specificity` second where people did. `flips` is
    the share of pairs on which another order made another winner (pairwise), `first_place` how often that was the
    answer shown first. `longer_judge` and `longer_people` are shares of decided pairs that went to the longer answer.
    `mass` is how much of the judge's probability lies on its labels. `people` is Krippendorff's alpha among people, the
    most that a judge can reach. `warnings` are those of its engine. `seen` pairs were left out because the judge had
    learned from their prompts.

    About a measure (`about`; `scorer` is the version of its questions) parts of `answers` answers stand in the place of
    pairs, and "yes" and "no" in that of "first" and "second"; "skip" is what the judge takes for no claim although
    people object to it. On `split` parts people are evenly split, and they are left out; `seen` counts answers.
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
    warnings: list[str] = field(default_factory=list)
    about: str = PAIRS
    scorer: int = 0
    answers: int = 0
    split: int = 0

    @property
    def noun(self) -> str:
        """What is counted."""
        return NOUNS[self.about]

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
    """The newest finished check of each of these versions by its rubric."""
    rows = AgreementCard.objects.filter(version__in=versions, about=PAIRS, status=Status.SUCCEEDED).order_by(
        "pk"
    )
    return {row.version_id: row for row in rows}


def measures_checked(version: JudgeVersion) -> dict[str, AgreementCard]:
    """The newest finished check of a version about each measure that it was held against people on."""
    rows = AgreementCard.objects.filter(version=version, status=Status.SUCCEEDED).exclude(about=PAIRS)
    return {row.about: row for row in rows.order_by("pk")}


def trusted(
    version_id: int, threshold: float = THRESHOLD, *, identity: str = "", about: str = PAIRS
) -> tuple[bool, str]:
    """Whether a judge's version may carry a decision, and why: its newest check has an alpha of `threshold` or more on
    ENOUGH pairs, and the same answered then that answers today. A check of another version does not count, and one
    about something else neither.

    `identity` is who answered as that version, if not who answers today; its own newest check is then what counts.
    """
    version = (
        JudgeVersion.objects.select_related("judge", "checkpoint__base", "endpoint")
        .filter(pk=version_id)
        .first()
    )
    if version is None:
        return False, "There is no such judge any more; choose another."
    rows = AgreementCard.objects.filter(version=version, about=about, status=Status.SUCCEEDED)
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
    return trust(version, card, threshold, identity=identity, about=about)


def trusted_in(
    run: EvalRun, number: int, threshold: float = THRESHOLD, *, about: str = PAIRS
) -> tuple[bool, str]:
    """The same of who judged a run: what was frozen with it."""
    frozen = run.spec.get("judges", {}).get(f"judge:{number}", {})
    return trusted(number, threshold, identity=frozen.get("identity", ""), about=about)


@dataclass(frozen=True, slots=True)
class Judged:
    """The metrics of a run that one judge reads, and what a card that speaks for them is about: PAIRS where it reads by
    its rubric, a measure with questions of its own, or empty: there are no cards of that."""

    number: int
    metrics: tuple[str, ...]
    about: str


def judged_in(run: EvalRun, *, decides: Callable[[Mapping[str, Any]], bool] = bool) -> list[Judged]:
    """Who judges what in a run, of the metrics (as its plan has them) that decide."""
    specs = [spec for spec in run.metrics if spec.get("judge") and decides(spec)]
    numbers = {spec["judge"] for spec in specs}
    kinds = dict(JudgeVersion.objects.filter(pk__in=numbers).values_list("pk", "judge__kind"))
    found: dict[tuple[int, str], list[str]] = {}
    for spec in specs:
        about = _about(SCORERS.get(spec["scorer"]), kinds.get(spec["judge"]))
        found.setdefault((spec["judge"], about), []).append(spec["name"])
    return [Judged(number, tuple(names), about) for (number, about), names in sorted(found.items())]


def _about(scorer: Scorer | None, kind: str | None) -> str:
    """What a card is about that speaks for a scorer with a judge of this kind."""
    if scorer is None or Need.JUDGE not in scorer.needs or scorer.judge_kind == (kind or scorer.judge_kind):
        return PAIRS
    return scorer.key if scorer.key in AgreementCard.About.values else ""


def trusted_for(run: EvalRun, judged: Judged, threshold: float = THRESHOLD) -> tuple[bool | None, str]:
    """Whether the judge may carry a decision on these metrics; None where no card can tell."""
    if not judged.about:
        return None, (
            f"{', '.join(judged.metrics)}: the judge is asked other questions than its rubric, and how far it agrees "
            "with people on those was not measured; read some of its judgments."
        )
    return trusted_in(run, judged.number, threshold, about=judged.about)


def trust(
    version: JudgeVersion, card: Card | None, threshold: float, *, identity: str = "", about: str = PAIRS
) -> tuple[bool, str]:
    """The same for a version whose newest card about this is known; its checkpoint or endpoint should be too."""
    on = "" if about == PAIRS else f" on {AgreementCard.About(about).label.lower()}"
    if card is None:
        rows = AgreementCard.objects.filter(version__judge=version.judge, status=Status.SUCCEEDED)
        more = " Cards of other versions do not count for it." if rows.filter(about=about).exists() else ""
        return False, f"{version} was not held against people{on} yet; check it on its page.{more}"
    if about != PAIRS and card.scorer != SCORERS[about].version:
        return False, f"What is asked about {on[4:]} changed after {version} was checked; check it again."
    if card.identity != (identity or identity_of(version)):
        who = version.endpoint or version.checkpoint
        return False, f"What stands behind {who} was changed after {version} was checked; check it again."
    if card.n < ENOUGH:
        return (
            False,
            f"{version} was held against {card.n:,} judgments of people{on}; {ENOUGH} are needed. Check it on more.",
        )
    if card.alpha is None:
        return False, (
            f"{version} and people said the same of everything{on}, or it was of too few prompts: that does not tell "
            "whether they agree. Check it on more."
        )
    if 1 - card.answered > SILENT:
        silent = 1 - card.answered
        return (
            False,
            f"{version} gave no judgment{on} on {silent:.0%} of {card.drawn:,}; find out why before you rely on it.",
        )
    words = f"Krippendorff's alpha of {version} with people{on} is {card.alpha}"
    if card.alpha.value < threshold:
        better = "Make the rubric sharper" if about == PAIRS else "Let another model judge"
        return False, f"{words}, below the {threshold:g} that is asked for. {better} and check again."
    return True, f"{words}; {threshold:g} is asked for."


def differences(row: AgreementCard, *, start: int = 0, count: int | None = None) -> list[dict[str, Any]]:
    """Pairs on which judge and people differ, the surest first; none where the file is gone."""
    try:
        with (row.path / DIFFERENCES).open(encoding="utf-8") as file:
            lines: Iterator[str] = islice(file, start, None if count is None else start + count)
            return [json.loads(line) for line in lines]
    except (OSError, ValueError):
        return []
