"""What a study says, in sentences that can be forwarded. Every number comes from a look that was taken."""

from evaluation.models import Study, StudyLook
from evaluation.studies.design import Design, read_design
from evaluation.studies.results import FUTILE, Result, Versus, result_of
from labeling.estimates import Estimate
from labeling.lifecycle import Status

TOO_FEW = "not enough data"


def stage(study: Study) -> tuple[str, str]:
    """Where a study stands: a key for its looks, and the word."""
    if study.closed_as:
        return (
            "cancelled" if study.closed_as == Study.Closed.CANCELLED else "succeeded"
        ), study.get_closed_as_display()
    if study.status == Status.SUCCEEDED:
        return "running", "People are judging"
    if study.status in (Status.FAILED, Status.CANCELLED):
        return str(study.status), study.get_status_display()
    return str(study.status), "Getting the answers"


def headline(study: Study, look: StudyLook | None) -> str:
    """The result in one sentence or two; what is awaited while there is none."""
    if look is None:
        return awaited(study)
    result = result_of(look)
    if len(result.pairs) == 1:
        return pair_sentence(result.pairs[0], study, look)
    shown = [one for one in result.pairs if one.beyond]
    settled = f"{len(shown)} of {len(result.pairs)} differences are shown"
    if not result.ratings:
        return f"{settled}. {' '.join(pair_sentence(one, study, look) for one in shown)}".strip()
    ranked = ", ".join(f"{one.name} (rank {one.ranks})" for one in result.ratings)
    return f"{settled}: {ranked}, on {result.prompts:,} prompts with {result.judgments:,} judgments."


def awaited(study: Study) -> str:
    if study.closed_as == Study.Closed.CANCELLED:
        return "The study was cancelled before a look was taken, so it says nothing about the models."
    if study.closed_as:
        return (
            "The study ended without a look, because too few prompts, or too few sources of them, had all their "
            "judgments; it says nothing about the models."
        )
    if study.status == Status.FAILED:
        return study.error
    if study.status == Status.CANCELLED:
        return (
            "Getting the answers was stopped. What was answered is kept; go on, and only the rest is asked."
        )
    if study.status != Status.SUCCEEDED:
        return "The models are answering the prompts; then people are asked."
    return "People are judging. No result is shown before a look is taken, because each look spends part of alpha."


def pair_sentence(one: Versus, study: Study, look: StudyLook) -> str:
    """What is known of two models."""
    design = read_design(study.design)
    first, second, rate = one.first, one.second, one.rate
    basis = f"on {one.prompts:,} prompts with {one.judgments:,} judgments"
    if one.beyond:
        if rate.value < 0.5:
            first, second = second, first
            rate = Estimate(1 - rate.value, 1 - rate.high, 1 - rate.low, rate.n)
        return f"People prefer {first} to {second}: win rate {percent(rate)}, {basis}."
    said = f"the win rate of {first} against {second} is {percent(rate)}, {basis}"
    if not look.final and not study.closed_as:
        return f"Undecided at look {look.number}: {said}."
    return f"No preference is shown: {said}. {_excluded(rate, design)}"


def equivalent(one: Versus) -> str:
    """The share that found the first model as good or better, as the LIMA paper says it."""
    if one.preferred is None:
        return ""
    return f"{one.first} is equivalent or preferred in {percent(one.preferred)} of cases."


def stopping(study: Study, look: StudyLook) -> str:
    """Whether the boundary was passed, and what that means for going on."""
    number = look.number
    held = f"Z {', '.join(f'{z:+.2f}' for *_, z in look.zs)} against a boundary of ±{look.boundary:.2f}"
    if study.closed_as == Study.Closed.EFFICACY and look.fraction < 1:
        return f"The study stopped at look {number}, at {share(look.fraction)} of its prompts: {held}."
    if study.closed_as == Study.Closed.FUTILITY:
        return (
            f"It was stopped at look {number} because a difference had become unlikely to be found: {held}."
        )
    if study.closed_as in (Study.Closed.COMPLETE, Study.Closed.EFFICACY):
        return f"The last look was number {number}, at {share(look.fraction)} of the planned prompts: {held}."
    if study.closed_as == Study.Closed.CANCELLED:
        return f"The study was cancelled after look {number}: {held}. Its numbers stand; no more are shown."
    return f"Look {number}, at {share(look.fraction)} of the prompts: {held}. {_going_on(study, result_of(look))}"


def percent(estimate: Estimate | None) -> str:
    """58.2 % (53.1 to 63.3 %)."""
    if estimate is None:
        return TOO_FEW
    value, low, high = (100 * number for number in (estimate.value, estimate.low, estimate.high))
    return f"{value:.1f} % ({low:.1f} to {high:.1f} %)"


def share(value: float) -> str:
    """A share without an interval, such as how far a study is: 70 %, or under 1 %."""
    return "under 1 %" if 0 < value < 0.01 else f"{100 * value:.0f} %"


def intervals(result: Result) -> str:
    """How the intervals are to be read."""
    return (
        f"Intervals are repeated confidence intervals: with {100 * result.level:.4g} % they hold the truth at every "
        "look together, whenever the study stops."
    )


def _going_on(study: Study, result: Result) -> str:
    design = read_design(study.design)
    most = max(one.chance for one in result.pairs if one.chance is not None and not one.beyond)
    chance = f"if {100 * design.win_rate:.4g} % were true, the chance to show it by the end is {share(most)}"
    if most < FUTILE:
        return f"It may be stopped as futile: {chance}. Going on costs no error either."
    return f"It goes on: {chance}."


def _excluded(rate: Estimate, design: Design) -> str:
    low, high = 1 - design.win_rate, design.win_rate
    if low < rate.low and rate.high < high:
        return f"A preference as large as the planned {100 * high:.4g} % is ruled out, either way."
    return f"A preference as large as the planned {100 * high:.4g} % is not ruled out."
