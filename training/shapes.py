"""Which rows a method learns from."""

from labeling.curation.shapes import FROM

READS = {  # method → the shapes that its recipe reads, the fullest first
    "sft": ("sft", "text"),
    "reward": ("reward", "preference"),
    "dpo": ("preference",),
    "kto": ("unpaired",),
}


def kinds_for(method: str) -> list[str]:
    """The kinds of dataset version that a method can learn from."""
    return sorted({kind for shape in READS[method] for kind in FROM[shape]})


def shape_for(method: str, kind: str) -> str:
    """The shape in which a version of this kind is given to a method; where there is none, the one it would need."""
    return next((shape for shape in READS[method] if kind in FROM[shape]), READS[method][0])
