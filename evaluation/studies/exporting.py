"""A study as files: its looks as CSV, its result as Markdown that stands by itself. No number that no look showed."""

import csv
import io
from collections.abc import Sequence

from evaluation.charts_files import safe
from evaluation.models import Study, StudyLook
from evaluation.studies.design import read_design
from evaluation.studies.results import Result, Versus, result_of
from evaluation.studies.sentences import equivalent, headline, intervals, percent, ranks, stage, stopping
from labeling.estimates import Estimate

COUNTS = ("prompts", "judgments", "wins", "ties", "losses", "both_bad", "same")
SHARES = ("rate", "preferred", "tied", "bad", "position", "agreement", "judge_rate")


def as_csv(looks: Sequence[StudyLook]) -> bytes:
    """One line for each look and pair of models, and one for each slice beneath it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    ends = [f"{name}_{end}" for name in SHARES for end in ("value", "low", "high")]
    head = ["look", "taken_at", "share", "boundary", "spent", "first", "second", "slice", "z", "beyond"]
    writer.writerow([*head, *COUNTS, *ends])
    for look in looks:
        start = [look.number, look.taken_at.isoformat(), look.fraction, look.boundary, look.spent]
        for one in result_of(look).pairs:
            names = [safe(one.first), safe(one.second)]
            counts = [getattr(one, name) for name in COUNTS]
            shares = [cell for name in SHARES for cell in _ends(getattr(one, name))]
            writer.writerow([*start, *names, "", one.z, one.beyond, *counts, *shares])
            for line in one.slices:
                blank = [""] * (len(COUNTS) - 1 + 3 * (len(SHARES) - 1))
                cells = [
                    line.prompts,
                    *blank[: len(COUNTS) - 1],
                    *_ends(line.rate),
                    *blank[len(COUNTS) - 1 :],
                ]
                writer.writerow([*start, *names, safe(line.name), "", "", *cells])
    return out.getvalue().encode()


def as_markdown(study: Study, looks: Sequence[StudyLook]) -> str:
    """The result of the last look, with how the study was laid out."""
    look = looks[-1] if looks else None
    design = read_design(study.design)
    parts = [f"# {_plain(study.name)}", _plain(headline(study, look)), f"{stage(study)[1]}."]
    if look is not None:
        result = result_of(look)
        parts += [_plain(stopping(study, look)), intervals(result)]
        parts += [part for one in result.pairs for part in _pair(one)]
        parts += _whole(result)
    table = [["Look", "Taken", "Prompts", "Boundary", "Z", "Alpha spent"]]
    table += [
        [str(one.number), f"{one.taken_at:%Y-%m-%d %H:%M}", f"{one.prompts:,}", f"±{one.boundary:.3f}",
         ", ".join(f"{z:+.3f}" for *_, z in one.zs if z is not None) or "–", f"{one.spent:.4f}"]
        for one in looks
    ]  # fmt: skip
    parts += ["## Looks", _table(table) if looks else "None was taken."]
    parts += [
        "## Design",
        f"{', '.join(map(_plain, study.names))} on {study.planned or study.prompts:,} prompts from "
        f"{_plain(study.facts.get('from', ''))}; {design.annotators} annotator{'s' * (design.annotators != 1)} a pair, "
        f"blind, both orders. Planned to find a win rate of {100 * design.win_rate:.4g} % with a power of "
        f"{100 * design.power:.4g} % at a two-sided alpha of {design.alpha:g}, {design.looks} looks, "
        f"spending {design.spending}.",
    ]
    return "\n\n".join(parts) + "\n"


def _pair(one: Versus) -> list[str]:
    rows = [
        ["Measure", "Value"],
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
    title = f"## {_plain(one.first)} against {_plain(one.second)}"
    return [title, _plain(equivalent(one)), _table(rows)] if equivalent(one) else [title, _table(rows)]


def _whole(result: Result) -> list[str]:
    parts = []
    if result.ratings:
        rows = [["Model", "Rating", "Rank"]]
        rows += [
            [_plain(one.name), _rating(one.rating), ranks(one.best, one.worst)] for one in result.ratings
        ]
        parts += ["## Ranking (Bradley-Terry)", _table(rows)]
    elif result.no_ratings:
        parts += ["## Ranking", _plain(result.no_ratings)]
    if result.judge is not None:
        judge = result.judge
        parts += [
            "## Judge",
            f"{_plain(judge.name)} says the same as most people on {percent(judge.raw)} of {judge.n:,} pairs; "
            f"Krippendorff's alpha {_number(judge.alpha)}, among people {_number(judge.people)}.",
        ]
    return parts


def _rating(found: Estimate | None) -> str:
    return "not enough data" if found is None else f"{found.value:.0f} ({found.low:.0f} to {found.high:.0f})"


def _number(found: Estimate | None) -> str:
    return "not enough data" if found is None else f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def _ends(found: Estimate | None) -> list[float | str]:
    return ["", "", ""] if found is None else [found.value, found.low, found.high]


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, f"|{' --- |' * len(rows[0])}", *body])


def _plain(text: str) -> str:
    """Names as they are written, whatever Markdown would make of them."""
    return "".join(f"\\{letter}" if letter in "\\`*[]<>|_" else letter for letter in " ".join(text.split()))
