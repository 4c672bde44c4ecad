"""Errors by slice: how common one kind is among the failures with a tag, and where it differs from the rest."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.comparison import MIN_SLICE
from evaluation.errors.table import Read
from evaluation.verdicts_cases import share
from labeling.estimates import Estimate

MOST = 20
MARKED = 0.05


@dataclass(frozen=True, slots=True)
class SliceRow:
    """A tag: its failures that were read, and the share of one kind among them and among the others. `p_value` is of
    Fisher's exact test, Benjamini and Hochberg's over the slices; None where all that were read have the tag."""

    tag: str
    read: int
    share: Estimate
    rest: Estimate | None
    p_value: float | None

    @property
    def marked(self) -> bool:
        return self.p_value is not None and self.p_value < MARKED

    @property
    def words(self) -> str:
        """What the mark says, for those who see no colour."""
        if not self.marked or self.rest is None:
            return ""
        return "more than elsewhere" if self.share.value > self.rest.value else "less than elsewhere"


def slices_of(reads: Sequence[Read], key: str) -> list[SliceRow]:
    """One kind of error on each slice with MIN_SLICE failures or more, the largest first."""
    import numpy as np
    from scipy.stats import fisher_exact

    from evaluation.statistics import benjamini_hochberg

    counts = Counter(tag for read in reads for tag in set(read.tags))
    tags = [tag for tag, count in counts.most_common(MOST) if count >= MIN_SLICE]
    total = sum(key in read.categories for read in reads)
    rows, tested = [], []
    for tag in tags:
        inside = sum(key in read.categories for read in reads if tag in read.tags)
        n, others = counts[tag], len(reads) - counts[tag]
        if others:
            grid = [[inside, n - inside], [total - inside, others - total + inside]]
            tested.append(float(fisher_exact(np.array(grid)).pvalue))
        rows.append((tag, n, inside, others))
    corrected = iter(benjamini_hochberg([min(1.0, p) for p in tested]))
    return [
        SliceRow(
            tag=tag,
            read=n,
            share=share(inside, n),
            rest=share(total - inside, others) if others else None,
            p_value=next(corrected) if others else None,
        )
        for tag, n, inside, others in rows
    ]
