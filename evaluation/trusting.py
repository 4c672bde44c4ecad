"""Whether a judge may carry a decision: what its newest agreement card says, if that is about the same judge and the
same questions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from evaluation.cards import PAIRS, Card, read_card
from evaluation.drawing_reviews import has_reviews
from evaluation.judges import identity_of
from evaluation.models import AgreementCard, EvalRun, JudgeVersion
from evaluation.scorers import SCORERS, Need, Scorer
from labeling.lifecycle import Status

MEASURES = [about.value for about in AgreementCard.About if about != PAIRS]
ENOUGH, THRESHOLD = 50, 0.667
SILENT, MOST_SKIPPED = 0.2, 0.5


def trusted(
    version_id: int, threshold: float = THRESHOLD, *, identity: str = "", about: str = PAIRS, scorer: int = 0
) -> tuple[bool, str]:
    """Whether a judge's version may carry a decision, and why: its newest check has an alpha of `threshold` or more on
    ENOUGH pairs, and the same answered then that answers today. A check of another version does not count, and one
    about something else neither.

    `identity` is who answered as that version, if not who answers today, and `scorer` the version of the questions of a
    measure, if not today's; their own newest check is then what counts.
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
    scorer = scorer or scorer_version(about)
    row = (
        rows.filter(result__identity=identity, result__scorer=scorer).first()
        or rows.filter(result__identity=identity).first()
        or rows.first()
    )
    card = read_card(row) if row else None
    if identity != today and (card is None or card.identity != identity):
        who = version.endpoint or version.checkpoint
        return False, (
            f"What stands behind {who} was changed after {version} judged this, and nobody held against people what "
            "stood there then; check it and score this again."
        )
    return trust(version, card, threshold, identity=identity, about=about, scorer=scorer)


def scorer_version(about: str) -> int:
    """The version of the questions that a measure asks today; 0 where a judge is asked by its rubric."""
    return 0 if about == PAIRS else SCORERS[about].version


def trusted_in(
    run: EvalRun, number: int, threshold: float = THRESHOLD, *, about: str = PAIRS, scorer: int = 0
) -> tuple[bool, str]:
    """The same of who judged a run: what was frozen with it."""
    frozen = run.spec.get("judges", {}).get(f"judge:{number}", {})
    return trusted(number, threshold, identity=frozen.get("identity", ""), about=about, scorer=scorer)


@dataclass(frozen=True, slots=True)
class Judged:
    """The metrics of a run that one judge reads, and what a card that speaks for them is about: PAIRS where it reads by
    its rubric, a measure with questions of its own (`scorer` is the version of them), or empty: there are no cards of
    that."""

    number: int
    metrics: tuple[str, ...]
    about: str
    scorer: int = 0


def judged_in(run: EvalRun, *, decides: Callable[[Mapping[str, Any]], bool] = bool) -> list[Judged]:
    """Who judges what in a run, of the metrics (as its plan has them) that decide."""
    specs = [spec for spec in run.metrics if spec.get("judge") and decides(spec)]
    numbers = {spec["judge"] for spec in specs}
    kinds = dict(JudgeVersion.objects.filter(pk__in=numbers).values_list("pk", "judge__kind"))
    found: dict[tuple[int, str, int], list[str]] = {}
    for spec in specs:
        about = _about(SCORERS.get(spec["scorer"]), kinds.get(spec["judge"]))
        version = spec.get("version", 0) if about in MEASURES else 0
        found.setdefault((spec["judge"], about, version), []).append(spec["name"])
    return [
        Judged(number, tuple(names), about, version)
        for (number, about, version), names in sorted(found.items())
    ]


def _about(scorer: Scorer | None, kind: str | None) -> str:
    """What a card is about that speaks for a scorer with a judge of this kind."""
    if scorer is None or Need.JUDGE not in scorer.needs or scorer.judge_kind == (kind or scorer.judge_kind):
        return PAIRS
    return scorer.key if scorer.key in MEASURES else ""


def trusted_for(run: EvalRun, judged: Judged, threshold: float = THRESHOLD) -> tuple[bool | None, str]:
    """Whether the judge may carry a decision on these metrics; None where no card can tell."""
    if not judged.about:
        return None, (
            f"{', '.join(judged.metrics)}: the judge is asked other questions than its rubric, and how far it agrees "
            "with people on those was not measured; read some of its judgments."
        )
    return trusted_in(run, judged.number, threshold, about=judged.about, scorer=judged.scorer)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a version is trusted on one thing: by its rubric, or on a measure. `row` is its newest check of that."""

    about: str
    row: AgreementCard | None
    card: Card | None
    trusted: bool
    words: str

    @property
    def label(self) -> str:
        return AgreementCard.About(self.about).label


def standings(version: JudgeVersion, rows: Mapping[str, AgreementCard]) -> list[Standing]:
    """How far a version is trusted by its rubric, checked or not, then on each measure that it was checked on. `rows`
    are its newest checks by what they are about."""
    return [
        _standing(version, about, rows.get(about))
        for about in AgreementCard.About.values
        if about == PAIRS or about in rows
    ]


def _standing(version: JudgeVersion, about: str, row: AgreementCard | None) -> Standing:
    card = read_card(row) if row else None
    return Standing(about, row, card, *trust(version, card, THRESHOLD, about=about))


def trust(
    version: JudgeVersion,
    card: Card | None,
    threshold: float,
    *,
    identity: str = "",
    about: str = PAIRS,
    scorer: int = 0,
) -> tuple[bool, str]:
    """The same for a version whose newest card about this is known; its checkpoint or endpoint should be too."""
    on = "" if about == PAIRS else f" on {AgreementCard.About(about).label.lower()}"
    if card is None:
        return False, _never_checked(version, about, on)
    if doubt := _outdated(version, card, identity, about, scorer) or _too_little(version, card, on):
        return False, doubt
    assert card.alpha is not None
    words = f"Krippendorff's alpha of {version} with people{on} is {card.alpha}"
    if card.alpha.value < threshold:
        better = "Make the rubric sharper" if about == PAIRS else "Let another model judge"
        return False, f"{words}, below the {threshold:g} that is asked for. {better} and check again."
    return True, f"{words}; {threshold:g} is asked for."


def _never_checked(version: JudgeVersion, about: str, on: str) -> str:
    if about != PAIRS and not has_reviews(version.judge.project):
        return (
            f"{version} was not held against people{on}: there are no reviews of answers from given texts in "
            f"{version.judge.project}."
        )
    rows = AgreementCard.objects.filter(version__judge=version.judge, about=about, status=Status.SUCCEEDED)
    more = " Cards of other versions do not count for it." if rows.exists() else ""
    return f"{version} was not held against people{on} yet; check it on its page.{more}"


def _outdated(version: JudgeVersion, card: Card, identity: str, about: str, scorer: int) -> str:
    """Why the card is about another judge, or about other questions; empty where it is not."""
    today = scorer_version(about)
    if about != PAIRS and card.scorer != (scorer or today):
        label = AgreementCard.About(about).label.lower()
        if scorer in (0, today):
            return f"What is asked about {label} changed after {version} was checked; check it again."
        return f"What is asked about {label} changed after this was scored; score it again."
    if card.identity != (identity or identity_of(version)):
        who = version.endpoint or version.checkpoint
        return f"What stands behind {who} was changed after {version} was checked; check it again."
    return ""


def _too_little(version: JudgeVersion, card: Card, on: str) -> str:
    """Why the card does not tell whether the judge agrees; empty where it does."""
    if card.drawn and 1 - card.answered > SILENT:
        silent = 1 - card.answered
        return f"{version} gave no judgment{on} on {silent:.0%} of {card.drawn:,}; find out why before you rely on it."
    if card.n < ENOUGH:
        return f"{version} was held against {card.n:,} judgments of people{on}; {ENOUGH} are needed. Check it on more."
    if card.alpha is None:
        return (
            f"{version} and people said the same of everything{on}, or it was of too few prompts: that does not tell "
            "whether they agree. Check it on more."
        )
    every = card.n + card.skipped
    if card.skipped > MOST_SKIPPED * every:
        return (
            f"{version} takes {card.skipped:,} of {every:,} {card.noun} for no claim, and nobody marked them: it "
            "leaves out too much of what it is to judge."
        )
    return ""
