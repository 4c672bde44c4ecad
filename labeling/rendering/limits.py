"""What the rendering of one text may cost, so that a text built to be slow is shown as it is written."""

from markdown_it.utils import EnvType

MAX_WORK = 100_000
MAX_TOKENS = 150_000
MAX_NESTING = 40


class TooMuch(Exception):
    """A text that would take longer than its length deserves, or nests deeper than anyone reads."""


def work(env: EnvType, units: int) -> None:
    """Take units from what is left in `env`. TooMuch where nothing is."""
    env["work"] -= units
    if env["work"] < 0:
        raise TooMuch
