"""A recipe in sentences, and a check's findings as lines."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from labeling.curation.lint import Finding, LintReport
from labeling.curation.recipe import KINDS, read_recipe
from labeling.estimates import Estimate
from labeling.models import Item

AGGREGATED = {
    "majority": "The answer that more than half of the people gave decides.",
    "adjudicated": "Only answers that a reviewer settled are used.",
    "dawid_skene": "Dawid and Skene's model weighs people by how often they are right; its likeliest answer decides.",
    "bradley_terry": "Bradley and Terry's model of each item decides, and gives a soft label.",
}
PAIRS = {
    "all": "Rankings give all their pairs.",
    "adjacent": "Rankings give pairs of neighbours.",
    "extremes": "Rankings give their best against their worst.",
}
TIES = {
    "drop": "Ties are left out",
    "both": "Ties give a row in each direction, with soft label 0.5",
    "unpaired": "In a tie both responses are good",
}


def recipe_sentences(values: Mapping[str, Any]) -> list[str]:
    """What the recipe says, a rule a sentence, in the order in which the rules are applied."""
    recipe = read_recipe(values)
    return list(_sentences(recipe))


def _sentences(recipe: Any) -> Iterator[str]:
    yield f"{KINDS[recipe.kind]}."
    yield from _taking(recipe)
    if recipe.kind == "retriever":
        yield (
            "Only reviews that blame the retriever are used. What most call relevant is to be found, and what most "
            "call not relevant is a near miss."
        )
    elif recipe.kind != "prompts":
        yield from _deciding(recipe)
    yield from _measuring(recipe)
    yield from _splitting(recipe)


def _taking(recipe: Any) -> Iterator[str]:
    if recipe.projects:
        yield f"Judgments of {', '.join(recipe.projects)} are used too."
    if len(recipe.statuses) < 3:
        yield f"Only answers that are {' or '.join(name.replace('_', ' ') for name in recipe.statuses)} count."
    plural = "s" if recipe.min_judgments > 1 else ""
    complete = " and that nobody may still be given" if recipe.complete else ""
    yield f"Items with at least {recipe.min_judgments} judgment{plural}{complete} are used."
    if recipe.annotator_cap:
        yield f"At most {recipe.annotator_cap:,} answers of one person count."
    if recipe.licences is not None:
        yield f"Licences: {', '.join(name or 'unknown' for name in recipe.licences)}."
    if recipe.synthetic != "include":
        yield (
            "Only items that a model wrote." if recipe.synthetic == "only" else "No items that a model wrote."
        )


def _deciding(recipe: Any) -> Iterator[str]:
    yield AGGREGATED[recipe.aggregation]
    if recipe.min_agreement > 0.5:
        yield f"At least {recipe.min_agreement:.0%} must agree."
    bad = (
        "all-bad items are left out" if recipe.both_bad == "drop" else "of all-bad items each response is bad"
    )
    yield f"{TIES[recipe.ties]}; {bad}."
    yield PAIRS[recipe.ranking_pairs]
    if recipe.kind == "reward":
        yield f"The margin of a response that all called much better is {recipe.margin_scale:g}."


def _measuring(recipe: Any) -> Iterator[str]:
    if recipe.min_tokens or recipe.max_tokens:
        unit = "words" if recipe.tokenizer == "words" else f"tokens of {recipe.tokenizer}"
        low, high = recipe.min_tokens or 0, recipe.max_tokens
        yield f"Prompt and response have {low:,} to {high:,} {unit}." if high else f"At least {low:,} {unit}."
    if recipe.prompt_cap:
        yield f"At most {recipe.prompt_cap:,} rows of one prompt, the surest first."


def _splitting(recipe: Any) -> Iterator[str]:
    near = ""
    if recipe.near_duplicates is not None:
        near = f", and so are prompts that are {recipe.near_duplicates:.0%} alike"
    held = f"{recipe.test_share:.0%} of the prompts are held out for evaluation"
    if recipe.validation_share:
        held += f" and {recipe.validation_share:.0%} for choosing a checkpoint"
    yield f"{held} (seed {recipe.seed}); all rows of one prompt are on one side{near}."
    what = {
        "ngram": "that share 13 words in a row with such a prompt",
        "minhash": "whose prompt is nearly such a one",
    }
    rules = ["rows whose prompt is used for evaluation", *(what[rule] for rule in recipe.decontaminate)]
    yield f"Not trained on: {', '.join(rules[:-1])}{' or ' if rules[1:] else ''}{rules[-1]}."


@dataclass(frozen=True, slots=True)
class Check:
    """One finding as a page shows it: its estimate where it has one, and the items of its first rows."""

    found: Finding
    estimate: Estimate | None
    items: list[tuple[int, str]]


def checks(report: LintReport) -> list[Check]:
    """The findings of a report, those that block first."""
    wanted = {item for finding in report.findings for item in finding.items}
    previews = dict(Item.objects.filter(pk__in=wanted).values_list("pk", "preview"))
    return [
        Check(
            finding,
            Estimate.from_dict(finding.estimate) if finding.estimate else None,
            [(item, previews.get(item, "")) for item in dict.fromkeys(finding.items)],
        )
        for finding in sorted(report.findings, key=lambda finding: not finding.blocks)
    ]
