"""Retrieved contexts as they may be stored."""

from collections.abc import Sequence

from labeling.errors import Refused
from labeling.intake import ContextDraft
from labeling.rag.answers import LONGEST_CHUNK, LONGEST_TITLE, MOST_CHUNKS


def checked_contexts(contexts: Sequence[ContextDraft]) -> list[ContextDraft]:
    """The contexts as they are. Raises Refused where there are too many or one is too long to be a chunk."""
    if len(contexts) > MOST_CHUNKS:
        raise Refused(f"There are {len(contexts)} contexts; {MOST_CHUNKS} is the most that an item takes.")
    for number, context in enumerate(contexts, start=1):
        if len(context.text) > LONGEST_CHUNK:
            raise Refused(
                f"Context {number} has {len(context.text):,} characters; cut it into chunks of {LONGEST_CHUNK:,} "
                "at most."
            )
        if not context.text.strip():
            raise Refused(f"Context {number} is empty; leave it out, or give its text.")
        for words, value in (("title", context.title), ("reference", context.ref)):
            if len(value) > LONGEST_TITLE:
                raise Refused(
                    f"The {words} of context {number} has {len(value):,} characters; {LONGEST_TITLE} is the most."
                )
    return list(contexts)
