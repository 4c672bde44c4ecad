"""Refusals. Each carries a sentence for the person: what was given, what is allowed, what to do."""


class Refused(Exception):
    """The request cannot be done as given; nothing was changed."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class StaleLease(Refused):
    """The slot belongs to somebody else by now; the answer was kept as a draft."""


class ImportRefused(Refused):
    """The file as a whole cannot be read."""


class RecipeRefused(Refused):
    """The recipe cannot give a dataset."""


class RowRefused(Refused):
    """One row of a file cannot become an item."""
