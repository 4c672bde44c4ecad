"""The last fence: HTML parsed as a browser parses it and rebuilt from what is allowed here, and from nothing else."""

import nh3

from labeling.rendering.code import CODE_CLASSES
from labeling.rendering.formulas.drawing import CLASSES as TEX_CLASSES
from labeling.rendering.markdown import MARKDOWN_CLASSES

_HTML = "a blockquote br code div em h3 h4 h5 h6 hr li ol p pre s span strong table tbody td th thead tr ul"
_MATHML = (
    "math mfrac mi mn mo mover mpadded mphantom mroot mrow mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr"
    " munder munderover"
)
TAGS = frozenset(f"{_HTML} {_MATHML}".split(" "))
# With any value, since none of these can load, run, style or name anything; everything else is a choice from a few.
ATTRIBUTES: dict[str, set[str]] = {
    "*": set(),
    "a": {"href"},
    "ol": {"start"},
    "mspace": {"width"},
    "mo": {"lspace", "rspace", "minsize", "maxsize"},
}
_FLAG = {"true", "false"}
_SCROLLED = {"role": {"group"}, "tabindex": {"0"}, "aria-label": {"Table", "Formula"}}
CHOICES = {
    **{tag: {"dir": {"auto"}} for tag in ("p", "h3", "h4", "h5", "h6", "ul", "ol", "blockquote")},
    **{tag: {"dir": {"ltr"}} for tag in ("pre", "code")},
    "span": _SCROLLED,
    "div": _SCROLLED | {"dir": {"auto"}},
    "th": {"scope": {"col"}},
    "math": {"dir": {"ltr"}, "display": {"block"}},
    "mi": {"mathvariant": {"normal"}},
    "mo": {"stretchy": _FLAG, "movablelimits": _FLAG, "form": {"prefix", "infix", "postfix"}},
    "mfrac": {"displaystyle": _FLAG, "linethickness": {"0"}},
    "mstyle": {"displaystyle": _FLAG, "scriptlevel": {"0", "1"}},
    "mtable": {"displaystyle": _FLAG},
    "mover": {"accent": _FLAG},
    "munder": {"accentunder": _FLAG},
    "mpadded": {"width": {"0"}},
}
CLASSES = MARKDOWN_CLASSES | CODE_CLASSES | TEX_CLASSES
SCHEMES = frozenset({"http", "https", "mailto"})
REL = "noopener noreferrer nofollow"

# Where a piece of a text that is to be marked stands in it (`marking`): numbers that only our own script reads.
PLACES = {"span": {"data-at", "data-to"}, "div": {"data-at", "data-to"}}


def _cleaner(attributes: dict[str, set[str]]) -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(TAGS),
        attributes=attributes,
        tag_attribute_values=CHOICES,
        allowed_classes={
            tag: set(CLASSES) for tag in ("div", "span", "code", "th", "td", "mrow", "mtd", "mtext")
        },
        url_schemes=set(SCHEMES),
        url_relative="deny",
        link_rel=REL,
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


_plain, _placed = _cleaner(ATTRIBUTES), _cleaner(ATTRIBUTES | PLACES)


def sanitised(html: str) -> str:
    """`html` with only TAGS, ATTRIBUTES, CHOICES, CLASSES and absolute addresses of SCHEMES; links open elsewhere.

    Sanitising twice changes nothing more.
    """
    return _plain.clean(html)


def sanitised_with_places(html: str) -> str:
    """The same, with PLACES as well."""
    return _placed.clean(html)
