"""How often does the gate promote by mistake, how often does it see what is there, and does it find planted copies?

    python benchmarks/gates.py [--quick]

Runs the gate's own decision (evaluation/weighing.py) on simulated marks; no database. Prints one JSON object as its
last line, with the groups false_promotion, guardrails, power, forgetting_blocked (rates from 0 to 1, each beside the
number of simulations) and contamination. Entries named "plain_" are what a simpler rule does with the same marks: they
are there to be wrong. Two processes.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from numpy.random import Generator

from evaluation.weighing import BETTER, Tries, Values, weigh, weigh_rails

ALPHA, MARGIN, TRIED = 0.05, 0.02, 10
DOCUMENTS = [str(n) for n in np.repeat(np.arange(60), 5)]
Array = np.ndarray[Any, Any]


def champion(rng: Generator, n: int) -> Array:
    return (rng.random(n) < 0.65).astype(float)


def flipped(rng: Generator, a: Array, gain: float, flips: float = 0.2) -> Array:
    """Marks of a candidate: a share `flips` of all cases turns, so that the pass rate moves by `gain`."""
    up, down = (flips + gain) / 2, (flips - gain) / 2
    drawn = rng.random(len(a))
    turn = np.where(a == 0, drawn < up / 0.35, drawn < down / 0.65)
    return np.where(turn, 1 - a, a)


def binary(rng: Generator, gain: float, n: int = 300) -> Values:
    a = champion(rng, n)
    return Values(a.tolist(), flipped(rng, a, gain).tolist())


def clustered(rng: Generator, gain: float) -> Values:
    """300 cases of 60 documents; whole documents are easier or harder for a candidate."""
    a = champion(rng, 300)
    pull = np.repeat(rng.uniform(-0.14, 0.14, 60), 5)  # around 0, so that the true gain is the one asked for
    b = np.array([flipped(rng, a[i : i + 1], gain + pull[i])[0] for i in range(300)])
    return Values(a.tolist(), b.tolist(), DOCUMENTS)


def skewed(rng: Generator, gain: float) -> Values:
    """Scores of a judge, crowded at the top."""
    a = 1 - rng.exponential(0.15, 300)
    return Values(a.tolist(), (a + gain + 0.1 * (rng.exponential(1.0, 300) - 1)).tolist())


def promotes(values: Values, tries: Tries | None = None, alpha: float = ALPHA) -> bool:
    return weigh(values, alpha=alpha, margin=MARGIN, tries=tries).verdict == BETTER


def one(make: Callable[[Generator, float], Values]) -> Callable[[Generator], dict[str, bool]]:
    def draw(rng: Generator) -> dict[str, bool]:
        values = make(rng, 0.0)
        sums = np.asarray(values.b).sum() > np.asarray(values.a).sum()
        return {make.__name__: promotes(values), f"plain_{make.__name__}_higher_wins": bool(sums)}

    return draw


def many(rng: Generator) -> dict[str, bool]:
    """Ten candidates as good as the champion on the same cases, one after another and all in one run."""
    a = champion(rng, 300)
    found = [Values(a.tolist(), flipped(rng, a, 0.0).tolist()) for _ in range(TRIED)]
    return {
        "ten_in_turn": any(promotes(each, Tries(k, 1)) for k, each in enumerate(found)),
        "ten_together": any(promotes(each, Tries(0, TRIED)) for each in found),
        "ten_two_by_two": any(promotes(each, Tries(k - k % 2, 2)) for k, each in enumerate(found)),
        "plain_ten_uncorrected": any(
            promotes(each, alpha=2 * ALPHA) for each in found
        ),  # 2: the first gets a half
        "plain_ten_by_looks_so_far": any(
            promotes(each, alpha=2 * ALPHA / (k + 1)) for k, each in enumerate(found)
        ),
    }


def rails(rng: Generator) -> dict[str, bool]:
    """Candidates that are worse by exactly the margin (5 points)."""
    values = [binary(rng, -0.05) for _ in range(3)]
    alone = weigh_rails([(values[0], 0.05)], alpha=ALPHA)
    three = weigh_rails([(each, 0.05) for each in values], alpha=ALPHA)
    return {
        "one_at_the_margin": alone[0].passed,
        "any_of_three_at_the_margin": any(each.passed for each in three),
        "documents_at_the_margin": weigh_rails([(clustered(rng, -0.05), 0.05)], alpha=ALPHA)[0].passed,
        "scores_at_the_margin": weigh_rails([(skewed(rng, -0.05), 0.05)], alpha=ALPHA)[0].passed,
        "plain_seen_difference_inside_margin": float(np.mean(values[0].b)) - float(np.mean(values[0].a))
        > -0.05,
    }


def power(rng: Generator) -> dict[str, bool]:
    """Five points better, a fifth of the cases flips."""
    found = {f"plus_5_points_of_{n}": promotes(binary(rng, 0.05, n)) for n in (500, 1000, 1500)}
    return found | {"fifth_candidate_of_1500": promotes(binary(rng, 0.05, 1500), Tries(4, 1))}


def forgot(rng: Generator) -> dict[str, bool]:
    """A skill that falls by 10 points, of 300 cases; and one that stays."""
    fallen = weigh_rails([(binary(rng, -0.1), MARGIN)], alpha=ALPHA)[0].passed
    lost = Values([1.0] * 300, rng.permutation([0.0] * 90 + [1.0] * 210).tolist())
    return {
        "fell_by_10_points": not fallen,
        "answers_shuffled": not weigh_rails([(lost, MARGIN)], alpha=ALPHA)[0].passed,
        "kept_of_4000_blocked": not weigh_rails([(binary(rng, 0.0, 4000), MARGIN)], alpha=ALPHA)[0].passed,
    }


GROUPS: dict[str, list[tuple[Callable[[Generator], dict[str, bool]], int]]] = {
    "false_promotion": [(one(binary), 4000), (one(clustered), 2000), (one(skewed), 2000), (many, 2000)],
    "guardrails": [(rails, 2000)],
    "power": [(power, 1000)],
    "forgetting_blocked": [(forgot, 1000)],
}


def chunk(group: str, place: int, part: int, times: int) -> dict[str, int]:
    rng, draw = np.random.default_rng([20261129, len(group), place, part]), GROUPS[group][place][0]
    counts: dict[str, int] = {}
    for _ in range(times):
        for name, hit in draw(rng).items():
            counts[name] = counts.get(name, 0) + bool(hit)
    return counts


def contamination(count: int) -> dict[str, float]:
    """Copies of every case planted among strangers: exact, with other case and white space, with one word changed."""
    import django

    django.setup()
    from evaluation.contamination import Index
    from labeling.intake import prompt_hash

    rng = np.random.default_rng(7)
    words = [f"word{n}" for n in range(4000)]

    def text(pool: list[str]) -> str:
        return " ".join(rng.choice(pool, int(rng.integers(12, 40))))

    def row(prompt: str) -> dict[str, Any]:
        messages = [{"role": "user", "content": prompt}]
        return {"prompt": messages, "prompt_hash": prompt_hash(messages), "completion": "ok"}

    asked = [text(words[:2000]) for _ in range(count)]
    cases: list[Any] = [
        SimpleNamespace(pk=n, reference=None, **{key: row(each)[key] for key in ("prompt", "prompt_hash")})
        for n, each in enumerate(asked)
    ]
    index = Index.of(cases)
    strangers = [row(text(words[2000:])) for _ in range(5 * count)]

    def share(rows: list[dict[str, Any]]) -> float:
        return len({case for case, _ in index.met(rows)}) / count

    def changed(prompt: str) -> str:
        parts = prompt.split()
        parts[int(rng.integers(len(parts)))] = "other"
        return " ".join(parts)

    start = time.perf_counter()
    control = share(strangers)
    seconds = time.perf_counter() - start
    return {
        "exact": share([*strangers[:count], *map(row, asked)]),
        "case_and_white_space": share([row(f"  {each.upper()}".replace(" ", " \n\t")) for each in asked]),
        "one_word_changed": share([row(changed(each)) for each in asked]),
        "disjoint_control": control,
        "cases": count,
        "rows_per_second": round(5 * count / seconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a twentieth of the simulations")
    share = 0.05 if parser.parse_args().quick else 1.0
    result: dict[str, Any] = {}
    with ProcessPoolExecutor(2) as pool:
        jobs = [
            (group, max(10, round(times * share)), [
                pool.submit(chunk, group, place, part, max(5, round(times * share / 2))) for part in range(2)
            ])
            for group, tasks in GROUPS.items() for place, (_, times) in enumerate(tasks)
        ]  # fmt: skip
        for group, times, parts in jobs:
            counts: dict[str, int] = {}
            for part in parts:
                for name, hits in part.result().items():
                    counts[name] = counts.get(name, 0) + hits
            for name, hits in counts.items():
                result.setdefault(group, {})[name] = {"rate": round(hits / times, 4), "simulations": times}
                print(f"{group:20} {name:40} {hits / times:.4f} of {times}", flush=True)
    result["contamination"] = contamination(200 if share < 1 else 2000)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
