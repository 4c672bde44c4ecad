"""Training rows that hold what is used for evaluation: equal prompts, runs of words, near-duplicates."""

from collections.abc import Sequence

from labeling.curation.recipe import Recipe
from labeling.curation.rows import Made, texts_of
from labeling.models import Project, ProtectedFingerprint
from labeling.protection import hashes_of

NEAR = 0.8  # Jaccard similarity from which a prompt counts as one of evaluation, where the recipe names none


class Material:
    """The prompts that evaluation uses, ready for comparing."""

    def __init__(self, hashes: set[str], texts: Sequence[str], recipe: Recipe) -> None:
        self._hashes, self._rules = hashes, recipe.decontaminate
        self._known = None
        if texts and self._rules:
            from labeling.curation.similarity import Known  # brings numpy, which a page does without

            self._known = Known(texts, recipe.near_duplicates or NEAR)

    @property
    def any(self) -> bool:
        return bool(self._hashes)

    def reasons(self, rows: Sequence[Made]) -> list[str | None]:
        """For each row the rule that drops it, None where it may stay."""
        if not self._hashes:
            return [None] * len(rows)
        prompts = [made.asked_text for made in rows]
        near = iter([False] * len(rows))
        if self._known is not None and "minhash" in self._rules and rows:
            near = self._known.near(prompts)
        return [
            self._reason(made, text, alike) for made, text, alike in zip(rows, prompts, near, strict=True)
        ]

    def _reason(self, made: Made, prompt: str, alike: bool) -> str | None:
        if not self._hashes.isdisjoint(hashes_of(made.row, made.asked)):
            return "protected"
        text = "\n".join([prompt, *texts_of(made.row)])
        if self._known is not None and "ngram" in self._rules and self._known.shares_run(text):
            return "ngram"
        return "near_evaluation" if alike else None


def read(projects: Sequence[Project], recipe: Recipe) -> Material:
    """The evaluation material of these projects."""
    rows = ProtectedFingerprint.objects.filter(project__in=projects).values_list("prompt_hash", "text")
    known = list(rows)
    return Material({key for key, _ in known}, sorted({text for _, text in known if text}), recipe)
