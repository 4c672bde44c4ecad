"""How far a verdict can be trusted: what it was measured on, by whom, what is missing, and what is wrong with that."""

import math
from dataclasses import dataclass

from evaluation.findings import cases_in as cases_of
from evaluation.models import EvalRun
from evaluation.reading import FEW_CLUSTERS, TargetLine, spoken_of
from evaluation.specs import CONTEXT_WORDS, LimitsSpec
from evaluation.trusting import judged_in, trusted_for
from evaluation.wear import wear_of
from labeling.estimates import Estimate

MISSING = 0.05
BATCHES = "transformers"


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the footer; `doubt` marks what a reader should not pass over."""

    label: str
    words: str
    doubt: bool = False


def trust(run: EvalRun, lines: list[TargetLine], line: TargetLine | None) -> list[Fact]:
    """The footer: cases, suite, wear, judges, contamination, missing and cut values, engine, sampling."""
    return [
        _cases(run, lines),
        Fact(
            "Suite", f"{run.version}, {run.get_split_display().lower()}, hash {run.version.content_hash[:12]}"
        ),
        *_wear(run, line),
        *_judges(run),
        *_training(run, lines),
        _unscored(lines),
        *_cut(lines),
        Fact("Engine", f"{run.engine}{_reused(lines)}"),
        *_warnings(run),
        *_latency(run, lines),
        Fact("Sampling", sampling_words(run)),
        *_contexts(run),
    ]


def footer(run: EvalRun, lines: list[TargetLine]) -> list[Fact]:
    """The same of the candidate that the verdict is about; nothing before there are numbers."""
    return trust(run, lines, spoken_of(lines)) if lines else []


def _cases(run: EvalRun, lines: list[TargetLine]) -> Fact:
    own = lines[0].primary.own if lines else None
    clusters = own.clusters if own else 0
    words = (
        f"{cases_of(run):,}, {own.n if own else 0:,} of them scored, {clusters:,} independent of each other"
    )
    if clusters < FEW_CLUSTERS:
        return Fact(
            "Cases", f"{words}: too few clusters, intervals from fewer than {FEW_CLUSTERS} are rough", True
        )
    return Fact("Cases", words)


def _wear(run: EvalRun, line: TargetLine | None) -> list[Fact]:
    delta = line.primary.delta if line else None
    error = math.sqrt(delta.spread / delta.n) if delta and delta.spread and delta.n else None
    bounded = line is not None and line.primary.metric.is_bounded
    found = wear_of([run.suite], {run.suite_id: error if bounded else None}, run.split)[run.suite_id]
    return [Fact("Wear", found.words, bool(found.points and found.points >= 1))]


def _judges(run: EvalRun) -> list[Fact]:
    found = ((judged, *trusted_for(run, judged)) for judged in judged_in(run))
    return [Fact(f"Judge of {', '.join(judged.metrics)}", words, not holds) for judged, holds, words in found]


def _training(run: EvalRun, lines: list[TargetLine]) -> list[Fact]:
    said, doubt = [], False
    for line in lines:
        if "dirty" in line.facts:
            count = len(line.facts["dirty"])
            doubt = doubt or count > 0
            said.append(f"{line.name} {count:,}")
        elif line.target.endpoint_id:
            said.append(f"{line.name} not known (an endpoint)")
    if not said:
        return [Fact("Seen in training", "not looked at", True)]
    return [Fact("Seen in training", f"of {cases_of(run):,} cases: {', '.join(said)}", doubt)]


def _unscored(lines: list[TargetLine]) -> Fact:
    said, doubt = [], False
    for place, reading in enumerate(lines[0].readings if lines else []):
        itself = reading.metric.versus_half  # the baseline is not compared with itself: nothing is missing
        counts = [line.readings[place].counts for line in lines if not (itself and line.is_baseline)]
        errors, unscorable, total = (sum(each[at] for each in counts) for at in range(3))
        if errors or unscorable:
            parts = [
                f"{errors:,} error{'s' if errors != 1 else ''}" if errors else "",
                f"{unscorable:,} unscorable" if unscorable else "",
            ]
            words = ", ".join(part for part in parts if part)
            said.append(
                f"{reading.metric.name}: {words} of {total:,} {'answers' if reading.states else 'cases'}"
            )
            doubt = doubt or (errors + unscorable) > MISSING * max(total, 1)
    return Fact("Without a value", "; ".join(said) or "none", doubt)


def _cut(lines: list[TargetLine]) -> list[Fact]:
    """Likelihoods of less than the whole prompt and text."""
    said, doubt = [], False
    for place, reading in enumerate(lines[0].readings if lines else []):
        cut = sum(line.facts.get("cut", {}).get(reading.metric.name, 0) for line in lines)
        if cut:
            total = sum(line.readings[place].counts[2] for line in lines)
            said.append(
                f"{reading.metric.name}: {cut:,} of {total:,} texts with their prompts are longer than the model reads"
            )
            doubt = doubt or cut > MISSING * total
    return [Fact("Read in part", "; ".join(said), doubt)] if said else []


def _warnings(run: EvalRun) -> list[Fact]:
    found = run.facts.get("warnings")
    return [Fact("The engine warns", " ".join(found), True)] if found else []


def _latency(run: EvalRun, lines: list[TargetLine]) -> list[Fact]:
    """From when until when an answer's time is taken, which hangs on how many are under way at once."""
    timed = [line for line in lines if line.latency]
    limits = LimitsSpec.model_validate(run.spec.get("limits", {}), strict=False)
    said = []
    if any(run.engine == BATCHES and line.target.checkpoint_id for line in timed):
        said.append(f"from the start of a batch of up to {limits.batch_size:,} to the end of each answer")
    if any(run.engine != BATCHES or line.target.endpoint_id for line in timed):
        said.append(f"from a request to its answer, with up to {limits.concurrency:,} under way")
    return [Fact("Latency", "; of endpoints ".join(said))] if said else []


def _contexts(run: EvalRun) -> list[Fact]:
    """What stood in the prompts beside the question, where it was not left to the cases."""
    found = run.spec.get("contexts", "apart")
    seed = f", seed {run.spec.get('contexts_seed', 0)}" if found == "shuffled" else ""
    some = f"; {len(run.spec['only']):,} chosen cases" if run.spec.get("only") else ""
    return [Fact("Contexts", f"{CONTEXT_WORDS[found]}{seed}{some}")] if found != "apart" or some else []


def _reused(lines: list[TargetLine]) -> str:
    reused = sum(line.facts.get("reused", 0) for line in lines)
    total = sum(line.facts.get("answers", 0) for line in lines)
    return f"; {reused:,} of {total:,} answers taken from earlier runs" if reused else ""


def sampling_words(run: EvalRun) -> str:
    """How answers were sampled, in words."""
    found = run.spec.get("sampling") or {}
    heat = found.get("temperature", 0)
    how = (
        "the likeliest token each time"
        if not heat
        else f"temperature {heat:g}, top p {found.get('top_p', 1):g}"
    )
    samples = found.get("samples", 1)
    many = f", {samples} answers a case" if samples > 1 else ""
    return f"{how}{many}, up to {found.get('max_tokens', 0):,} tokens, seed {found.get('seed', 0)}"


def remarks(run: EvalRun, lines: list[TargetLine], line: TargetLine | None) -> list[str]:
    """What a reader must know beside the verdict: suites that cannot tell, cases that were met in training."""
    said = []
    cases, metric = cases_of(run), lines[0].primary.metric if lines else None
    if cases == 1:
        said.append("This suite has one case. One case is an anecdote: add at least 20 that are independent.")
    values = [own.value for each in lines if (own := each.primary.own) is not None and own.value is not None]
    if metric and metric.is_bounded and not metric.versus_half and len(values) == len(lines):
        for bound, words in ((1.0, "passes"), (0.0, "fails")):
            if all(value == bound for value in values):
                harder = "harder" if words == "passes" else "easier"
                every = f"Every target {words} every case in {metric.name}"
                said.append(f"{every}: this suite cannot tell them apart. Add {harder} cases.")
    if line and cases > 1 and all(each.is_same for each in line.readings if each.delta):
        said.append(f"Make sure that {line.name} is not {lines[0].name} under another name.")
    if line and (dirty := line.facts.get("dirty")):
        said.append(
            f"{line.name} may have met {len(dirty):,} of {cases:,} cases in training: its number may be too good."
        )
    return said


def why_none(run: EvalRun, lines: list[TargetLine]) -> str:
    """Why a finished run has no verdict."""
    if not lines:
        return "This evaluation ended without numbers."
    metric = lines[0].primary.metric.name
    if len(lines) == 1:
        return f"No verdict: only {lines[0].name} was scored. A verdict compares two; evaluate a candidate beside it."
    scored: list[Estimate] = [each.primary.estimate for each in lines[1:] if each.primary.estimate]
    if scored:
        return f"No verdict: there is no candidate among {', '.join(each.name for each in lines)}."
    most = max((own.n for each in lines[1:] if (own := each.primary.own) is not None), default=0)
    if most == 0:
        return f"No verdict: no case has a value of {metric}. The reasons are listed below."
    have = "has" if most == 1 else "have"
    return (
        f"No verdict: {counted(most)} {have} a value of {metric}, too few or too much alike for an interval."
    )


def counted(cases: int) -> str:
    return "1 case" if cases == 1 else f"{cases:,} cases"
