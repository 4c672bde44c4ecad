"""The model card of a checkpoint: Markdown with a YAML head, made of what is stored and nothing else."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import yaml
from django.db.models import Count

from labeling.curation.describing import recipe_sentences
from labeling.models import DatasetEntry, DatasetVersion
from training.charts_registry import change_sentence
from training.lineage import stale_checkpoints
from training.models import Checkpoint, TrainingRun
from training.registry import ancestors

NOT_METRICS = {"steps", "seconds", "parameters", "trainable", "step", "loss_first", "loss_last"}
METHODS = {
    "sft": "supervised fine-tuning",
    "reward": "reward modelling",
    "dpo": "DPO",
    "kto": "KTO",
    "ppo": "PPO",
    "rloo": "RLOO",
    "best_of_n": "learning the best of n answers",
}


def model_card(checkpoint: Checkpoint) -> str:
    """The whole README.md. The same checkpoint, notes and stage give the same text."""
    return f"---\n{_head(checkpoint)}---\n\n{card_body(checkpoint)}"


def card_body(checkpoint: Checkpoint) -> str:
    """The card without its YAML head, as the page shows it."""
    run = trained_in(checkpoint)
    parts = [f"# {_inline(checkpoint.name)}", _opening(checkpoint, run), *_warnings(checkpoint)]
    if run is not None:
        parts += [
            "## Data",
            *_data(run.dataset_version),
            "## Training",
            *_training(run),
            "## Scores",
            _scores(run),
        ]
    parts += [*_merge(checkpoint), *_changed(checkpoint)]
    parts += ["## Base model", _base(checkpoint), "## Lineage", _lineage(checkpoint)]
    if run is not None and run.result.get("environment"):
        parts += ["## Environment", _table(("Package", "Version"), run.result["environment"].items())]
    newest = checkpoint.notes.first()
    parts += [
        "## Intended use and notes",
        newest.text if newest and newest.text else "Nobody has written any yet.",
    ]
    return "\n\n".join(parts) + "\n"


def trained_in(checkpoint: Checkpoint) -> TrainingRun | None:
    """The run that made the weights; for merged ones that of their adapter; None for a base model."""
    if checkpoint.run is not None or checkpoint.parent is None:
        return checkpoint.run
    return checkpoint.parent.run


def metrics(run: TrainingRun) -> list[tuple[str, float]]:
    """What the run measured: losses first, then every number of its result, whatever it is called."""
    found = [("first training loss", run.loss_first), ("last training loss", run.loss_last)]
    return [(name, value) for name, value in found if value is not None] + list(_numbers(run.result))


def _numbers(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        words = f"{before}{name}".replace("_", " ")
        if isinstance(value, dict) and name != "environment":
            yield from _numbers(value, f"{words}: ")
        elif isinstance(value, int | float) and not isinstance(value, bool) and name not in NOT_METRICS:
            yield words, value


@lru_cache(maxsize=64)
def licences(version: int) -> tuple[tuple[str, int], ...]:
    """(licence, items) behind a frozen version, the most frequent first; it never changes."""
    rows = DatasetEntry.objects.filter(version=version).order_by().values("item__licence")
    counted = rows.annotate(items=Count("item", distinct=True))
    found = [(row["item__licence"] or "not known", row["items"]) for row in counted]
    return tuple(sorted(found, key=lambda pair: (-pair[1], pair[0])))


def _head(checkpoint: Checkpoint) -> str:
    run = trained_in(checkpoint)
    adapter = checkpoint.kind == Checkpoint.Kind.ADAPTER
    values = {
        "base_model": checkpoint.base.name if checkpoint.base.is_local else checkpoint.base.location,
        "license": checkpoint.base.licence or "unknown",
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": "text-classification"
        if checkpoint.line == Checkpoint.Line.REWARD
        else "text-generation",
        "tags": ["prefloop", *([run.method] if run else []), str(checkpoint.kind), str(checkpoint.stage)],
    }
    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


def _opening(checkpoint: Checkpoint, run: TrainingRun | None) -> str:
    kind = {"adapter": "An adapter on", "full": "Full weights grown from", "base": "The base model"}[
        checkpoint.kind
    ]
    said = f"{kind} {_inline(checkpoint.base.name)}"
    if run is not None:
        version = run.dataset_version
        said += f", by {METHODS.get(run.method, run.method)} on {version} ({version.rows:,} rows)"
    merged = " The adapter was merged into the weights." if checkpoint.run is None and run is not None else ""
    stage = "" if checkpoint.kind == Checkpoint.Kind.BASE else f", stage {checkpoint.stage}"
    return f"{said}.{merged} Content hash `{checkpoint.content_hash or 'not computed'}`{stage}."


def _warnings(checkpoint: Checkpoint) -> list[str]:
    if checkpoint.pk not in stale_checkpoints():
        return []
    return ["**Stale**: it learned from judgments or items that were withdrawn since."]


def _data(version: DatasetVersion) -> list[str]:
    splits = ", ".join(f"{name} {split['rows']:,}" for name, split in version.ordered_splits)
    known = ", ".join(f"{_inline(name)} ({count:,} items)" for name, count in licences(version.pk))
    facts = [
        ("Version", f"{version}, frozen {version.created_at:%Y-%m-%d}"),
        ("Rows", splits),
        ("Content hash", f"`{version.content_hash}`"),
        ("Licences", known or "not known"),
    ]
    chosen = ["The rows were chosen out of another version."] if version.parent_id else []
    sentences = "\n".join(f"- {_inline(words)}" for words in [*recipe_sentences(version.recipe), *chosen])
    return [_table(facts[0], facts[1:]), "The recipe:", sentences]


def _training(run: TrainingRun) -> list[str]:
    took = "" if run.seconds is None else f", in {run.seconds:,.0f} s"
    steps = run.result.get("steps", run.step)
    start = _inline(run.start.name)
    said = f"Run {run.pk}, {_inline(run.name)}: {run.method}, {steps:,} steps{took}, started from {start}."
    settings = [
        (name.replace("_", " "), value if isinstance(value, str) else json.dumps(value))
        for name, value in run.spec.items()
    ]
    return [said, _table(("Setting", "Value"), settings)]


def _scores(run: TrainingRun) -> str:
    found = [
        (name, f"{value:,}" if isinstance(value, int) else f"{value:.5g}") for name, value in metrics(run)
    ]
    return _table(("Measured in the run", "Value"), found) if found else "The run measured nothing."


def _merge(checkpoint: Checkpoint) -> list[str]:
    merge = getattr(checkpoint, "merge", None)
    return [] if merge is None else ["## Merge", merge_sentence(merge.result)]


def merge_sentence(result: Mapping[str, Any]) -> str:
    """How well merged weights say what the adapter said."""
    exact, saved, limits = result["exact"], result["saved"], result["limits"]
    kind = str(result["dtype"]).removeprefix("torch.")
    said = (
        f"On {result['rows']:,} rows ({result['tokens']:,} tokens) merged weights and adapter differ by at most "
        f"{exact['difference']:.2g} in a logit before rounding (allowed {limits['exact']:g}), and by "
        f"{saved['difference']:.2g} as saved in {kind}"
    )
    said += (
        "."
        if saved["kl"] is None
        else f"; mean KL {saved['kl']:.2g} nats a token (allowed {limits['kl']:g})."
    )
    four = result.get("quantized")
    if four is None:
        return said
    far = (
        f"by {four['difference']:.2g}"
        if four["kl"] is None
        else f"by a mean KL of {four['kl']:.2g} nats a token"
    )
    return f"{said} From the adapter beside the 4-bit weights that it learned with they differ {far}."


def _changed(checkpoint: Checkpoint) -> list[str]:
    return [] if checkpoint.deltas is None else ["## What changed", change_sentence(checkpoint.deltas)]


def _base(checkpoint: Checkpoint) -> str:
    base = checkpoint.base
    facts = [
        ("Name", _inline(base.name)),
        ("From", _inline(base.location.rpartition("/")[2] if base.is_local else base.place)),
        ("Licence", _inline(base.licence) or "not known"),
        ("Parameters", "not known" if base.parameters is None else f"{base.parameters:,}"),
        ("Content hash", f"`{base.content_hash}`" if base.content_hash else "not computed"),
    ]
    return _table(facts[0], facts[1:])


def _lineage(checkpoint: Checkpoint) -> str:
    lines = []
    for each in [*ancestors(checkpoint), checkpoint]:
        run = each.run
        how = f": {run.method} on {run.dataset_version} in run {run.pk}" if run else ""
        how += f", rewarded by {_inline(run.reward.name)}" if run and run.reward else ""
        how = ": merged" if run is None and each.kind == Checkpoint.Kind.FULL else how
        lines.append(f"1. {_inline(each.name)} ({each.get_kind_display().lower()}){how}")
    return "\n".join(lines)


def _table(head: tuple[str, str], rows: Any) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    return "\n".join(
        [*lines, *(f"| {_cell(_inline(str(name)))} | {_cell(str(value))} |" for name, value in rows)]
    )


def _inline(text: str) -> str:
    """A person's words as one line of Markdown text: nothing in them is markup."""
    flat = " ".join(text.split())
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>#~$" else char for char in flat)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
