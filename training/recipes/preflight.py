"""The report before a run: what the trainer will see, token by token, and whether it can learn from it.

`python -m training.recipes.preflight RUN_DIR` checks a run without training: spec.json is
training.specs.PreflightJob, and result.json holds the report and a calibration (a few real steps, timed). Every run
makes the same report of itself before its first step, into preflight.json, and does not begin when something in it is
blocked. So what was shown before launch is what was trained on: dataset and template are compared by their hashes.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from training.recipes import contract
from training.recipes.rows import SEQUENCES
from training.specs import PreflightJob, RolloutSpec, parse

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

    from training.recipes.rows import Encoded
    from training.recipes.tuning import Plan

ENDS_SHARE = 0.99  # rows whose end-of-turn token must be learned
EXAMPLES, EXAMPLE_TOKENS, BINS = 5, 1500, 12
CALIBRATION_STEPS = 4
LONGEST_CHARACTER = 4  # bytes of UTF-8, each at least part of a token


def check(plan: Plan, model: PreTrainedModel | PeftModel) -> None:
    """Write the report of a run that is about to begin. Raises `RecipeFailed` with what is blocked."""
    made = report(plan, model)
    if plan.run.writes:
        contract.write_whole(plan.run.path / "preflight.json", json.dumps(contract.plain(made), indent=1))
    for finding in made["findings"]:
        if finding["level"] == "blocked":
            raise contract.RecipeFailed(finding["words"])


def report(plan: Plan, model: PreTrainedModel | PeftModel) -> dict[str, Any]:
    """Return the report as JSON can hold it; shares are from 0 to 1, lengths in tokens."""
    from training.recipes import adapting, tuning

    made = {
        "method": plan.spec.method,
        "adaptation": plan.spec.adaptation,
        "counts": tuning.counts(plan),
        "overlong": plan.spec.overlong,
        "dataset_hash": plan.job.data.hash,
        "template_hash": tuning.template_hash(plan.tokenizer),
        "tokens": tokens(plan),
        "lengths": histogram(plan.train.lengths, plan.spec.room),
        "coverage": adapting.coverage(model),
        "examples": [example(plan, row) for row in chosen_examples(plan.train)],
    }
    return made | {"findings": findings(plan, made)}


def tokens(plan: Plan) -> dict[str, Any]:
    """Count the tokens of all answers, those that are learned, and the answers whose end is learned."""
    total = learned = ends = answers = 0
    for row in plan.train.rows:
        for name in SEQUENCES:
            if name in row:
                ids, first = row[name]["ids"], first_learned(plan, row, name)
                total, learned, answers = total + len(ids), learned + len(ids) - first, answers + 1
                ends += any(token in plan.encoder.ends for token in ids[first:])
    return {"total": total, "learned": learned, "share": learned / total, "answers": answers, "ends": ends}


def first_learned(plan: Plan, row: dict[str, Any], name: str) -> int:
    """Return the place of the first token of an answer that makes part of the loss.

    A reward model learns one number, read at the last token of each answer: all of it counts.
    """
    from training.recipes.rows import supervised_from

    return supervised_from(row, name, plan.spec)


def histogram(lengths: list[int], limit: int) -> dict[str, Any]:
    """Count rows by length, before any is dropped or cut, in equal bins; those above the limit are `over`."""
    longest = max(lengths)
    width = max(1, -(-(longest + 1) // BINS))
    bins = [
        {"from": at * width, "to": (at + 1) * width - 1, "rows": 0}
        for at in range(-(-(longest + 1) // width))
    ]
    for length in lengths:
        bins[length // width]["rows"] += 1
    return {
        "bins": bins,
        "longest": longest,
        "mean": sum(lengths) / len(lengths),
        "limit": limit,
        "over": sum(length > limit for length in lengths),
    }


def chosen_examples(encoded: Encoded) -> list[dict[str, Any]]:
    """The first rows, the shortest and the longest."""
    rows = encoded.rows

    def size(place: int) -> int:
        return max(len(rows[place][name]["ids"]) for name in SEQUENCES if name in rows[place])

    places = range(len(rows))
    wanted = [*places[: EXAMPLES - 2], min(places, key=size), max(places, key=size)]
    return [rows[place] for place in dict.fromkeys(wanted)]


def example(plan: Plan, row: dict[str, Any]) -> dict[str, Any]:
    """Return one row as its tokens: [text, learned or not], at most 1,500 of each answer."""
    answers = []
    for name in SEQUENCES:
        if name in row:
            ids, first = row[name]["ids"], first_learned(plan, row, name)
            read, learned = ids[:first], ids[first:]
            shown = [[text, False] for text in token_texts(plan, read[:EXAMPLE_TOKENS])]
            room = max(0, EXAMPLE_TOKENS - len(read))
            shown += [[text, True] for text in token_texts(plan, learned[:room])]
            answers.append(
                {
                    "name": name,
                    "tokens": shown,
                    "count": len(ids),
                    "learned": len(learned),
                    "hidden": max(0, len(ids) - EXAMPLE_TOKENS),
                }
            )
    made: dict[str, Any] = {"answers": answers}
    return made | {name: row[name] for name in ("margin", "label") if name in row}


def token_texts(plan: Plan, ids: list[int]) -> list[str]:
    """Return what tokens stand for; those that are parts of one character are shown together."""
    texts: list[str] = []
    parts: list[int] = []
    for token in ids:
        parts.append(token)
        text = plan.tokenizer.decode(parts)
        if "\ufffd" not in text or len(parts) == LONGEST_CHARACTER:
            texts.append(text)
            parts = []
    return [*texts, plan.tokenizer.decode(parts)] if parts else texts


def findings(plan: Plan, made: dict[str, Any]) -> list[dict[str, str]]:
    """Return what was looked at, each {check, level, words}; level: ok, repaired, warning or blocked."""
    of_answers = (learned_share, ends_learned, boundary, held_out)
    of_prompts = (prompts_once,)
    checks = (
        *(of_prompts if isinstance(plan.spec, RolloutSpec) else of_answers),
        one_start,
        lengths_kept,
        adapter_reach,
        template,
    )
    found = [finding for look in checks for finding in look(plan, made)]
    return found + [{"check": "padding", "level": "repaired", "words": note} for note in plan.notes]


def learned_share(plan: Plan, made: dict[str, Any]) -> list[dict[str, str]]:
    """Nothing to learn from, or all of a conversation."""
    share, conversation = made["tokens"]["share"], "prompt" in plan.train.rows[0]
    words = f"{share:.1%} of the tokens are learned: {made['tokens']['learned']:,} of {made['tokens']['total']:,}."
    if not made["tokens"]["learned"]:
        return [
            one("learned", "blocked", "no token is learned; the responses are empty, so look at the data")
        ]
    if conversation and plan.spec.method == "sft" and share == 1:
        return [
            one(
                "learned",
                "warning",
                f"{words} Prompts are learned too; choose completion for loss_on if not meant.",
            )
        ]
    return [one("learned", "ok", words)]


def prompts_once(plan: Plan, made: dict[str, Any]) -> list[dict[str, str]]:
    """A prompt counts once, however many answers people compared."""
    words = f"{len(plan.train.rows):,} different prompts; the model writes the answers itself."
    if plan.train.repeated:
        words += f" {plan.train.repeated:,} rows repeat a prompt."
    return [one("prompts", "ok", words)]


def ends_learned(plan: Plan, made: dict[str, Any]) -> list[dict[str, str]]:
    """A model that never sees the end of a turn never stops."""
    count, of = made["tokens"]["ends"], made["tokens"]["answers"]
    if "text" in plan.train.rows[0]:
        return []  # a piece of a longer text has no end of its own
    words = f"The end-of-turn token is learned in {count:,} of {of:,} responses."
    if count < ENDS_SHARE * of:
        return [
            one(
                "end",
                "blocked",
                f"the end-of-turn token is learned in {count:,} of {of:,} responses and {ENDS_SHARE:.0%} are needed, "
                "or the model would not learn to stop; raise max_length, or choose drop for overlong",
            )
        ]
    if plan.train.added_end:
        return [
            one(
                "end",
                "repaired",
                f"{words} The template writes none; it was added to {plan.train.added_end:,}.",
            )
        ]
    return [one("end", "ok", words)]


def one_start(plan: Plan, made: dict[str, Any]) -> list[dict[str, str]]:
    """Two beginnings of sequence are a sequence that the model never saw."""
    if plan.train.doubled_start:
        return [
            one(
                "start",
                "blocked",
                f"{plan.train.doubled_start:,} rows begin with the beginning-of-sequence token twice, because the chat "
                "template writes two; correct the template of the base model",
            )
        ]
    if plan.train.mended_start:
        return [
            one(
                "start",
                "repaired",
                f"{plan.train.mended_start:,} texts began twice; the second start was removed.",
            )
        ]
    return [one("start", "ok", "No row begins twice.")]


def boundary(plan: Plan, made: dict[str, Any]) -> list[dict[str, str]]:
    """Where the prompt alone is rendered otherwise than before its response, training and use differ."""
    if not plan.train.diverging:
        return [one("boundary", "ok", "Prompts are rendered alike with and without their response.")]
    words = (
        f"In {plan.train.diverging:,} rows the prompt alone is rendered otherwise than before its response, so the "
        "model learns after another context than the one it will see; use a chat template that renders both alike."
    )
    return [one("boundary", "warning", words)]


def lengths_kept(plan: Plan, made: dict[str, Any]) -> list[dict[str, str]]:
    """Rows that are lost or shortened are told, never silent."""
    counts, limit = plan.train.counts, plan.spec.room
    came = len(plan.train.lengths)
    lost, cut = counts["dropped"], counts["truncated"]
    if not lost and not cut:
        pieces = f" {counts['split']:,} go on as another row." if counts["split"] else ""
        return [
            one(
                "length",
                "ok",
                f"All {came:,} rows are kept within {limit} tokens.{pieces}",
            )
        ]
    words = f"Of {came:,} rows {lost:,} are left out and {cut:,} are cut at {limit} tokens."
    return [one("length", "warning" if lost + cut > 0.05 * came else "ok", words)]


def adapter_reach(plan: Plan, made: dict[str, Any]) -> list[dict[str, str]]:
    """An adapter on a few layers learns little and says nothing of it."""
    reach = made["coverage"]
    part = reach["trainable"] / reach["parameters"]
    share = f"{reach['trainable']:,} of {reach['parameters']:,} parameters are trained ({part:.2%})"
    if not reach["trainable"]:
        return [
            one("adapter", "blocked", "nothing of the model is trained; choose another adaptation or start")
        ]
    if plan.spec.adaptation in ("prompt", "prefix"):
        return [one("adapter", "ok", f"{share}, in {plan.spec.virtual_tokens} virtual tokens.")]
    words = f"{share}, in {reach['covered_layers']} of {reach['linear_layers']} linear layers."
    whole = plan.spec.adaptation in ("lora", "qlora") and reach["covered_layers"] < reach["linear_layers"]
    return [one("adapter", "warning" if whole else "ok", words)]


def held_out(plan: Plan, made: dict[str, Any]) -> list[dict[str, str]]:
    """Without held-out rows nobody sees when a run begins to learn by heart."""
    if plan.held:
        return [
            one("held out", "ok", f"{len(plan.held.rows):,} held-out rows are scored as the run goes on.")
        ]
    return [
        one(
            "held out",
            "warning",
            "There are no held-out rows: the run cannot show whether it learns by heart.",
        )
    ]


def template(plan: Plan, made: dict[str, Any]) -> list[dict[str, str]]:
    """The template is kept with the weights, and named by its hash."""
    if "text" in plan.train.rows[0]:
        return []
    return [one("template", "ok", f"The chat template has the hash {made['template_hash'][:12]}.")]


def one(check: str, level: str, words: str) -> dict[str, str]:
    """A finding."""
    return {"check": check, "level": level, "words": words}


def work(run: contract.Run) -> None:
    """Make the report of a run that is thought of, and time a few of its steps; writes result.json."""
    from training.recipes import tuning

    job = parse(PreflightJob, run.spec)
    run.spec = job.job
    plan = tuning.prepare(run)
    run.event("begin", 0, total_steps=CALIBRATION_STEPS)
    run.stop_if_asked()
    recipe = importlib.import_module(f"training.recipes.{plan.spec.method}")
    if isinstance(plan.spec, RolloutSpec):
        from training.recipes.rl import driver

        session = driver.begin(plan)
        made = looked(plan, plan.model)
        try:
            speed = driver.calibrate(session, recipe.learn)
        finally:
            session.sampler.close()
    else:
        small = replace(plan, train=replace(plan.train, rows=a_few(plan)), held=None)
        trainer = recipe.trainer(small)
        made = looked(plan, trainer.model)
        speed = calibrate(small, trainer) | {"tokens": made["tokens"]["total"]}
    run.finish(
        status="succeeded",
        report=made,
        calibration=speed,
        environment=contract.environment(),
    )


def looked(plan: Plan, model: PreTrainedModel | PeftModel) -> dict[str, Any]:
    """Make the report and say that it is there."""
    made = report(plan, model)
    plan.run.event("report", 0, blocked=sum(finding["level"] == "blocked" for finding in made["findings"]))
    plan.run.stop_if_asked()
    return made


def a_few(plan: Plan) -> list[dict[str, Any]]:
    """Rows for a few steps: the longest ones for memory, then those in the middle, which are the usual ones."""
    wanted = CALIBRATION_STEPS * plan.spec.batch_size * plan.spec.gradient_accumulation
    rows = sorted(
        plan.train.rows, key=lambda row: -max(len(row[name]["ids"]) for name in SEQUENCES if name in row)
    )
    longest, rest = rows[: plan.spec.batch_size], rows[plan.spec.batch_size :]
    middle = max(0, len(rest) // 2 - (wanted - len(longest)) // 2)
    return [*longest, *rest[middle : middle + wanted - len(longest)]]


def calibrate(plan: Plan, trainer: Any) -> dict[str, Any]:
    """Take a few real steps and return seconds a token, after the first one, which warms up."""
    from transformers import TrainerCallback

    marks: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            marks.append(time.monotonic())
            if plan.run.stopping:
                control.should_training_stop = True

    trainer.args.max_steps, trainer.args.save_strategy = CALIBRATION_STEPS, "no"
    trainer.args.eval_strategy, trainer.args.eval_on_start, trainer.args.warmup_steps = "no", False, 0
    trainer.add_callback(Clock())
    seen = sum(len(row[name]["ids"]) for row in plan.train.rows for name in SEQUENCES if name in row)
    trainer.train()
    plan.run.stop_if_asked()
    rows_a_step = plan.spec.batch_size * plan.spec.gradient_accumulation
    tokens_a_step = rows_a_step * seen / len(plan.train.rows)
    steps = [after - before for before, after in pairwise(marks)]
    if not steps:
        return {"seconds_per_token": None, "steps": len(marks)}
    return {"seconds_per_token": sum(steps) / len(steps) / tokens_a_step, "steps": len(steps)}


if __name__ == "__main__":
    sys.exit(contract.process(sys.argv, "preflight", work))
