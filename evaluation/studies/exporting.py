"""A study as files: its looks as CSV, its result as Markdown that stands by itself. No number that no look showed."""

import csv
import io
from collections.abc import Sequence

from evaluation.charts_files import safe
from evaluation.models import Study, StudyLook
from evaluation.records import plain, table
from evaluation.studies.design import read_design
from evaluation.studies.results import Result, Versus, result_of
from evaluation.studies.sentences import TOO_FEW, equivalent, headline, intervals, percent, stage, stopping
from labeling.estimates import Estimate

ABOUT = ("look", "taken_at", "share", "boundary", "spent", "first", "second", "slice", "z", "beyond")
COUNTS = ("prompts", "judgments", "wins", "ties", "losses", "both_bad", "same")
SHARES = ("rate", "preferred", "tied", "bad", "position", "agreement", "judge_rate", "joined")
ENDS = ("value", "low", "high")


def as_csv(looks: Sequence[StudyLook]) -> bytes:
    """One line for each look and pair of models, and one for each slice beneath it."""
    out = io.StringIO()
    columns = [*ABOUT, *COUNTS, *(f"{name}_{end}" for name in SHARES for end in ENDS)]
    writer = csv.DictWriter(out, columns, lineterminator="\r\n")
    writer.writeheader()
    for look in looks:
        taken = {
            "look": look.number,
            "taken_at": look.taken_at.isoformat(),
            "share": look.fraction,
            "boundary": look.boundary,
            "spent": look.spent,
        }
        for one in result_of(look).pairs:
            pair = {**taken, "first": safe(one.first), "second": safe(one.second)}
            row = {**pair, **{name: getattr(one, name) for name in ("z", "beyond", *COUNTS)}}
            for name in SHARES:
                row |= _ends(name, getattr(one, name))
            writer.writerow(row)
            for line in one.slices:
                sliced = {"slice": safe(line.name), "prompts": line.prompts}
                writer.writerow({**pair, **sliced, **_ends("rate", line.rate)})
    return out.getvalue().encode()


def as_markdown(study: Study, looks: Sequence[StudyLook]) -> str:
    """The result of the last look, with how the study was laid out."""
    look = looks[-1] if looks else None
    design = read_design(study.design)
    parts = [f"# {plain(study.name)}", plain(headline(study, look)), f"{stage(study)[1]}."]
    if look is not None:
        result = result_of(look)
        parts += [plain(stopping(study, look)), intervals(result)]
        parts += [part for one in result.pairs for part in _pair(one)]
        parts += _whole(result)
    rows = [
        [str(one.number), f"{one.taken_at:%Y-%m-%d %H:%M}", f"{one.prompts:,}", f"±{one.boundary:.3f}",
         ", ".join(f"{z:+.3f}" for *_, z in one.zs), f"{one.spent:.4f}"]
        for one in looks
    ]  # fmt: skip
    head = ["Look", "Taken", "Prompts", "Boundary", "Z", "Alpha spent"]
    parts += ["## Looks", table(head, rows) if rows else "None was taken."]
    parts += [
        "## Design",
        f"{', '.join(map(plain, study.names))} on {study.planned or study.prompts:,} prompts from "
        f"{plain(study.facts.get('from', ''))}; {design.annotators} annotator{'s' * (design.annotators != 1)} a pair, "
        f"blind, both orders. Planned to find a win rate of {100 * design.win_rate:.4g} % with a power of "
        f"{100 * design.power:.4g} % at a two-sided alpha of {design.alpha:g}, {design.looks} looks, "
        f"spending {design.spending}.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _pair(one: Versus) -> list[str]:
    rows = [
        ["Win rate", percent(one.rate)],
        ["Equivalent or preferred", percent(one.preferred)],
        ["Wins, ties, losses", f"{one.wins:,}, {one.ties + one.both_bad:,}, {one.losses:,} judgments"],
        ["Both bad", percent(one.bad)],
        ["Same text, counted as ties", f"{one.same:,} prompts"],
        ["Shown first and chosen", percent(one.position)],
        ["Alpha among people", _number(one.agreement)],
    ]
    if one.judge_rate is not None:
        rows.append(["Win rate by the judge", percent(one.judge_rate)])
    if one.joined is not None:
        rows.append(["Win rate by people and the judge, all prompts", percent(one.joined)])
    title = f"## {plain(one.first)} against {plain(one.second)}"
    return [title, plain(equivalent(one)), table(["Measure", "Value"], rows)]


def _whole(result: Result) -> list[str]:
    parts = []
    if result.ratings:
        rows = [[one.name, _number(one.rating, places=0), one.ranks] for one in result.ratings]
        parts += ["## Ranking (Bradley-Terry)", table(["Model", "Rating", "Rank"], rows)]
    elif result.no_ratings:
        parts += ["## Ranking", plain(result.no_ratings)]
    if result.judge is not None:
        judge = result.judge
        parts += [
            "## Judge",
            f"{plain(judge.name)} says the same as most people on {percent(judge.raw)} of {judge.n:,} pairs; "
            f"Krippendorff's alpha {_number(judge.alpha)}, among people {_number(judge.people)}.",
        ]
    return parts


def _number(found: Estimate | None, places: int = 2) -> str:
    if found is None:
        return TOO_FEW
    value, low, high = (f"{number:.{places}f}" for number in (found.value, found.low, found.high))
    return f"{value} ({low} to {high})"


def _ends(name: str, found: Estimate | None) -> dict[str, float]:
    return {f"{name}_{end}": getattr(found, end) for end in ENDS} if found else {}
