"""Text that people judge, as HTML that is safe to show: Markdown, code and mathematics, on the server.

Two fences stand one behind the other. Raw HTML in a text is shown as text, never obeyed (`markdown`); and what was made
of it is parsed again and rebuilt from what is allowed (`sanitising`). Nothing that comes out loads, runs, styles or
sends anything; links leave only for http, https and mailto, in a window of their own.
"""

import hashlib
import logging
import re
from collections.abc import Callable
from html import escape

from django.utils.safestring import SafeString, mark_safe

from labeling.rendering.caching import Cache
from labeling.rendering.limits import TooMuch
from labeling.rendering.markdown import to_html
from labeling.rendering.marking import to_marked_html, written
from labeling.rendering.placing import Unplaced
from labeling.rendering.sanitising import sanitised, sanitised_with_places

MAX_CHARS = 250_000
CACHE_BYTES = 16 * 2**20

cache = Cache(limit=CACHE_BYTES)
logger = logging.getLogger(__name__)
Show = Callable[[str], str]

_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")  # what HTML and UTF-8 have no way to write


def render(text: str) -> SafeString:
    """A `<div class="prose">` that shows `text`; the same text gives the same element, from memory while it lasts.

    A text beyond MAX_CHARS, or one built to be slow (`limits.TooMuch`), comes as `<div class="prose prose-plain">`
    with its source, escaped and complete. Never raises.
    """
    return _kept(b"", text, lambda text: sanitised(to_html(text)), escape)


def render_to_mark(text: str) -> SafeString:
    """The same for a text whose spans are marked: each piece says where it stands in `text` (see `marking`)."""
    return _kept(b"to mark", text, lambda text: sanitised_with_places(to_marked_html(text)), written)


def render_written(text: str) -> SafeString:
    """`text` as it is written, in pieces that say where they stand in it."""
    return mark_safe(written(_UNWRITABLE.sub("\ufffd", text)))  # noqa: S308 - `written` escapes


def _kept(kind: bytes, text: str, formatted: Show, plain: Show) -> SafeString:
    key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, person=kind).digest()
    shown = cache.get(key)
    if shown is None:
        # Safe: what formats sanitises, and what shows plainly escapes.
        shown = mark_safe(_shown(_UNWRITABLE.sub("\ufffd", text), formatted, plain))  # noqa: S308
        cache.put(key, shown)
    return shown


def _shown(text: str, formatted: Show, plain: Show) -> str:
    try:
        if len(text) <= MAX_CHARS:
            return f'<div class="prose">{formatted(text)}</div>'
    except (TooMuch, Unplaced):
        pass
    except Exception:
        # One odd text must not keep a person from the rest of the queue.
        logger.exception("A text could not be rendered and is shown as it is.")
    return f'<div class="prose prose-plain" dir="auto">{plain(text)}</div>'
