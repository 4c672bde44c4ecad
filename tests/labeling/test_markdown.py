"""Markdown as people and models write it looks as they meant it: exact outputs, so that a change is seen."""

import re
from html import unescape

import pytest

from labeling.rendering import render
from labeling.rendering.code import LANGUAGES, MAX_CODE, MAX_LINE, MAX_SPACE, SECONDS, Clock, highlighted


def shown(text: str) -> str:
    return render(text).removeprefix('<div class="prose">').removesuffix("</div>").strip()


def math(inside: str) -> str:
    return f'<math dir="ltr">{inside}</math>'


GOLDEN = {
    "a table with alignment and a bar in a cell": (
        "| Model | Score |\n|:--|--:|\n| a \\| b | **0.7** |",
        '<div class="prose-table" aria-label="Table" role="group" tabindex="0" dir="auto"><table>\n<thead>\n<tr>\n'
        '<th scope="col" class="to-left">Model</th>\n<th scope="col" class="to-right">Score</th>\n</tr>\n</thead>\n'
        '<tbody>\n<tr>\n<td class="to-left">a | b</td>\n<td class="to-right"><strong>0.7</strong></td>\n</tr>\n'
        "</tbody>\n</table></div>",
    ),
    "a table whose corner is empty": (
        "| | A |\n|-|:-:|\n| x | 1 |",
        '<div class="prose-table" aria-label="Table" role="group" tabindex="0" dir="auto"><table>\n<thead>\n<tr>\n'
        '<td></td>\n<th scope="col" class="to-center">A</th>\n</tr>\n</thead>\n'
        '<tbody>\n<tr>\n<td>x</td>\n<td class="to-center">1</td>\n</tr>\n</tbody>\n</table></div>',
    ),
    "code with its language": (
        "```py\nx = 'a' # <b>\n```",
        '<pre dir="ltr"><code>x = <span class="code-string">\'a\' </span>'
        '<span class="code-comment"># &lt;b&gt;\n</span></code></pre>',
    ),
    "code in a language unknown here": (
        "~~~klingon extra\n<b> & 'c'\n~~~",
        "<pre dir=\"ltr\"><code>&lt;b&gt; &amp; 'c'\n</code></pre>",
    ),
    "indented code": ("    a <b>\n      c", '<pre dir="ltr"><code>a &lt;b&gt;\n  c\n</code></pre>'),
    "lists in lists": (
        "3. a\n   - b\n     1. c\n4. d",
        '<ol start="3" dir="auto">\n<li>a\n<ul>\n<li>b\n<ol>\n<li>c</li>\n</ol>\n</li>\n</ul>\n</li>\n'
        "<li>d</li>\n</ol>",
    ),
    "every line break of a verse": ("a\nb  \nc", '<p dir="auto">a<br>\nb<br>\nc</p>'),
    "emphasis": ("~~a~~ **b** _c_", '<p dir="auto"><s>a</s> <strong>b</strong> <em>c</em></p>'),
    "formulas in a line": (
        r"$x^2$ and \(y\)",
        f'<p dir="auto">{math("<msup><mi>x</mi><mn>2</mn></msup>")} and {math("<mi>y</mi>")}</p>',
    ),
    "a formula of its own": (
        "Then:\n$$\na=b\n$$",
        '<p dir="auto">Then:</p>\n<div class="tex-block"><math dir="ltr" display="block">'
        "<mi>a</mi><mo>=</mo><mi>b</mi></math></div>",
    ),
    "right to left with code and a formula": (
        "# שלום\n\nשלום `a` $x$\n\n- English\n\n> اقتباس",
        '<h3 dir="auto">שלום</h3>\n<p dir="auto">שלום <code dir="ltr">a</code> <math dir="ltr"><mi>x</mi></math></p>\n'
        '<ul dir="auto">\n<li>English</li>\n</ul>\n<blockquote dir="auto">\n<p>اقتباس</p>\n</blockquote>',
    ),
    "emoji": ("😀 👩‍👩‍👧 🏳️‍🌈 漢字", '<p dir="auto">😀 👩‍👩‍👧 🏳️‍🌈 漢字</p>'),
    "bad TeX": (
        r"a $\foo<b>$",
        '<p dir="auto">a <code class="tex-source" dir="ltr">$\\foo&lt;b&gt;$</code></p>',
    ),
    "a rule": ("a\n\n---", '<p dir="auto">a</p>\n<hr>'),
    "nothing": ("", ""),
}


@pytest.mark.parametrize("what", GOLDEN)
def test_golden(what: str) -> None:
    text, html = GOLDEN[what]
    assert shown(text) == html


@pytest.mark.parametrize(
    "text",
    [
        "It costs $5 and $10.",
        "$1,000 or $2,000, not US$ 5",
        "between $5-$10, ($5)($6), $5/$10",
        "I have $5 and she has 7$.",
        "echo $HOME/$PATH and $USER",
        "a single $ and another $ apart",
        r"\$x\$",
        "$$ and nothing else",
        "$ x $",
    ],
)
def test_money_and_variables_stay_text(text: str) -> None:
    assert "<math" not in render(text)
    assert re.sub(r"<[^>]*>", "", shown(text)) == text.replace("\\", "")


@pytest.mark.parametrize(
    "text",
    [
        "$x$", "$5 + 5$", "$n$th", "($x$)", "$a_i * b_i$", "$$x$$", "in $$x$$ text", r"\(x\)", r"\[x^2\]", r"\[ x \].",
        "\\[\nx\n\\]", "> $$\n> x\n> $$", "- a\n  $$\n  x\n  $$", "| $x$ |\n|-|", "**$x$**", "# $x$",
        "\\begin{align}\na&=b\\\\\nc&=d\n\\end{align}", "$5\\%$", "$x\ny$",
    ],
)  # fmt: skip
def test_what_is_mathematics_is_drawn(text: str) -> None:
    assert render(text).count("<math") == 1
    assert "$" not in shown(text)


@pytest.mark.parametrize(
    "text", [r"\[1\]", r"see \[a\](b)", r"\\(x\\)", "`$x$`", "```\n$x$\n```", "$$\nx\n\ny\n$$"]
)
def test_escaped_brackets_and_code_are_no_mathematics(text: str) -> None:
    assert "<math" not in render(text)


def test_a_wide_formula_can_be_scrolled_by_keyboard_and_a_short_one_is_no_stop() -> None:
    assert 'tabindex="0"' in render("$$" + "+".join("abcdefghijklmnopqrstuvw") + "$$")
    assert "tabindex" not in render("$$a+b$$")


@pytest.mark.parametrize(
    ("written", "drawn"),
    [
        ("# a\n## b\n# c", ["h3", "h4", "h3"]),
        ("### a\n###### b\n## c", ["h3", "h4", "h3"]),
        ("# a\n## b\n### c\n#### d\n##### e", ["h3", "h4", "h5", "h6", "h6"]),
        ("a\n===\nb\n---", ["h3", "h4"]),
        ("#\n\n# a", ["h3"]),
    ],
)
def test_headings_stay_below_those_of_the_page_and_never_skip_a_level(written: str, drawn: list[str]) -> None:
    assert re.findall(r"<(h\d)", render(written)) == drawn


def test_a_link_that_leads_nowhere_safe_is_shown_as_written() -> None:
    assert shown("[a](/logout) [b](javascript:x) <c:d>") == (
        '<p dir="auto">[a](/logout) [b](javascript:x) &lt;c:d&gt;</p>'
    )


@pytest.mark.parametrize("language", sorted(set(LANGUAGES.values())))
def test_colours_never_change_the_code(language: str) -> None:
    code = "def f(x): # a\n  'b' <c d=\"e\"> {1.5: $x}\n\t/* g */ -- h\n+ i\n- j\r\f\x00\u2028é😀\n<?php echo 1 ?>\n\n"
    drawn = highlighted(code, language, Clock())
    assert unescape(re.sub(r"<[^>]*>", "", drawn)) == code


@pytest.mark.parametrize(
    "code",
    ["x = 1\n" * (MAX_CODE // 6 + 1), "x = 1 " * (MAX_LINE // 6 + 1), "x = 1" + "\n" * MAX_SPACE],
)
def test_code_that_a_lexer_could_choke_on_is_plain(code: str) -> None:
    assert highlighted(code, "python", Clock()) == code


def test_colours_end_when_the_time_for_them_is_spent() -> None:
    clock = Clock()
    assert "code-" in highlighted("x = 1", "python", clock)
    assert 0 < clock.spent < SECONDS
    clock.spent = SECONDS
    assert highlighted("x = 1", "python", clock) == "x = 1"
