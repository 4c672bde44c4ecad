"""What a model of the people says of each pair: Dawid and Skene's, over everything that a recipe takes."""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from labeling.curation.pairing import ByPair, Pair, winners
from labeling.curation.recipe import Recipe
from labeling.curation.votes import REVIEW, Votes
from labeling.models import Project, User
from labeling.values import BOTH_BAD

VERDICT = (0, 0)  # in the place of a pair: what is said of the one answer that was reviewed
Said = tuple[str, str, Pair, str, str, int]


def chances_by_item(
    projects: Sequence[Project], recipe: Recipe, newest: int, beat: Callable[[], None]
) -> Mapping[int, ByPair]:
    """Item → pair → chance of each outcome; empty where the recipe asks for no such model.

    It holds every label in memory, some 200 bytes each: the model needs to see them together. The order in which it
    sees them follows from texts and names, so that every database gives the same chances.
    """
    if recipe.aggregation != "dawid_skene":
        return {}
    compared: list[Said] = []
    reviewed: list[Said] = []
    for chunk in Votes(projects, recipe, newest).chunks():
        beat()
        people = {vote.person_id for prompt in chunk for item in prompt for vote in item.votes}
        names = dict(User.objects.filter(pk__in=people).values_list("pk", "username"))
        votes = [
            vote
            for prompt in chunk
            for item in prompt
            if item.dropped is None
            for vote in item.votes
            if vote.kind in ("pairwise", REVIEW) or (vote.kind == "ranking" and vote.label != BOTH_BAD)
        ]
        for vote in votes:
            said = reviewed if vote.kind == REVIEW else compared
            parts = [(VERDICT, vote.label)] if vote.kind == REVIEW else winners(vote.label)
            who = names[vote.person_id]
            said += [(vote.item_hash, vote.project, pair, who, label, vote.item_id) for pair, label in parts]
    return _fitted(compared) | _fitted(reviewed)


def _fitted(labels: list[Said]) -> dict[int, dict[Pair, dict[str, float]]]:
    """Item → pair → chance of each label, in an order that no database decides."""
    from labeling.reliability import dawid_skene

    labels.sort()
    fitted = dawid_skene(((item, pair), name, label) for _, _, pair, name, label, item in labels)
    found: dict[int, dict[Pair, dict[str, float]]] = {}
    if fitted is None:
        return found
    for unit, row in zip(fitted.units, fitted.posteriors.tolist(), strict=True):
        item, pair = cast(tuple[int, Pair], unit)
        found.setdefault(item, {})[pair] = {
            str(name): round(chance, 6) for name, chance in zip(fitted.categories, row, strict=True)
        }
    return found
