"""Formulas are drawn as TeX draws them, or refused as a whole; a hostile one costs no more than its length."""

import random
import xml.etree.ElementTree as ET

import pytest

from labeling.rendering.formulas import MAX_TEX, mathml
from labeling.rendering.formulas.commands import COMMANDS
from labeling.rendering.formulas.drawing import MAX_SPACE_EM
from labeling.rendering.formulas.names import SYMBOLS
from labeling.rendering.formulas.reading import MAX_DEPTH
from labeling.rendering.sanitising import sanitised


def drawn(tex: str) -> str:
    html = mathml(tex, display=False)
    assert html is not None, tex
    return html.removeprefix('<math dir="ltr">').removesuffix("</math>")


def mi(letter: str) -> str:
    return f"<mi>{letter}</mi>"


def mn(number: str) -> str:
    return f"<mn>{number}</mn>"


GOLDEN = {
    r"\frac12": f"<mfrac>{mn('1')}{mn('2')}</mfrac>",
    r"x^23": f"<msup>{mi('x')}{mn('2')}</msup>{mn('3')}",
    r"x_i^2": f"<msubsup>{mi('x')}{mi('i')}{mn('2')}</msubsup>",
    r"x''": f"<msup>{mi('x')}<mo>′′</mo></msup>",
    r"x'_1": f"<msubsup>{mi('x')}{mn('1')}<mo>′</mo></msubsup>",
    r"x'^2": f"<msup>{mi('x')}<mrow><mo>′</mo>{mn('2')}</mrow></msup>",
    r"-x": f'<mo form="prefix">−</mo>{mi("x")}',
    r"a=-b": f'{mi("a")}<mo>=</mo><mo form="prefix">−</mo>{mi("b")}',
    r"a-b": f"{mi('a')}<mo>−</mo>{mi('b')}",
    r"\sqrt[3]{x}": f"<mroot>{mi('x')}<mrow>{mn('3')}</mrow></mroot>",
    r"\sum_{i=1}^n": f"<munderover><mo>∑</mo><mrow>{mi('i')}<mo>=</mo>{mn('1')}</mrow>{mi('n')}</munderover>",
    r"\int_0^1": f"<msubsup><mo>∫</mo>{mn('0')}{mn('1')}</msubsup>",
    r"\lim_{x}": f'<munder><mo lspace="0" rspace="0.167em" movablelimits="true">lim</mo>{mi("x")}</munder>',
    r"2\sin x": f'{mn("2")}<mo lspace="0.167em" rspace="0.167em">sin</mo>{mi("x")}',
    r"\sin(x)": '<mo lspace="0" rspace="0">sin</mo><mo stretchy="false">(</mo><mi>x</mi><mo stretchy="false">)</mo>',
    r"\mathbb{R}\mathcal{P}\mathbf{x1}\boldsymbol\theta": (
        f"{mi('ℝ')}{mi('𝒫')}<mrow>{mi('𝐱')}{mn('𝟏')}</mrow>{mi('𝜽')}"
    ),
    r"\mathrm{d}x": f'<mi mathvariant="normal">d</mi>{mi("x")}',
    r"\epsilon\varepsilon\Gamma\infty": f'{mi("ϵ")}{mi("ε")}<mi mathvariant="normal">Γ</mi>{mi("∞")}',
    r"\text{if $x$ < 1}": f"<mrow><mtext>if\u00a0</mtext>{mi('x')}<mtext>\u00a0&lt;\u00a01</mtext></mrow>",
    r"\left(x\right.": f'<mrow><mo form="prefix" stretchy="true">(</mo>{mi("x")}</mrow>',
    r"\not\in": "<mo>∉</mo>",
    r"\hat x": f'<mover accent="true">{mi("x")}<mo stretchy="false">^</mo></mover>',
    r"{a \over b}": f"<mfrac>{mi('a')}{mi('b')}</mfrac>",
    r"a \le b < c": f"{mi('a')}<mo>≤</mo>{mi('b')}<mo>&lt;</mo>{mi('c')}",
    r"\begin{matrix}a&b\\c\end{matrix}": (
        f"<mtable><mtr><mtd>{mi('a')}</mtd><mtd>{mi('b')}</mtd></mtr><mtr><mtd>{mi('c')}</mtd></mtr></mtable>"
    ),
    r"\begin{array}{l|r}a&b\\\hline\end{array}": (
        '<mtable><mtr><mtd class="tex-line-below tex-left tex-line-right">'
        f'{mi("a")}</mtd><mtd class="tex-line-below tex-right">{mi("b")}</mtd></mtr></mtable>'
    ),
    "1.5 % a comment": mn("1.5"),
}
HONEST = [
    r"\frac{-b \pm \sqrt{b^2 - 4ac}}{2a}",
    r"\nabla_\theta J = \mathbb{E}_{x \sim \mathcal{D}}\left[\sum_{t=0}^{T} \log \pi_\theta(a_t \mid s_t)\right]",
    r"\begin{align*} a &= b \label{x} \\[4pt] &= c \tag{1} \nonumber \end{align*}",
    r"f(x) = \begin{cases} x^2 & \text{if } x > 0 \\ 0 & \text{otherwise} \end{cases}",
    r"\operatorname*{arg\,max}_\pi \mathrm{KL}(p \,\|\, q) + \underbrace{a + \dots + a}_{n \text{ times}}",
    r"\left\{ x \,\middle|\, y \right\} \bigl( \Bigr] \xrightarrow[b]{a} \overset{!}{=} \binom{n}{k} \pmod{n}",
    r"\boxed{42} \cancel{x} \phantom{x} \overline{AB} \vec{v} \textcolor{red}{x} \color{red} y \mathop{x}\limits_a",
    r"\sum_{\substack{i<n \\ j<m}} {\bf x} \displaystyle \int\limits_a^b x \hspace{1cm} \bmod 5, 50\%",
    "a = b \\\\ c = d",
    "a &= b \\\\ &= c",
]
BAD = [
    r"\foo", r"\frac{1", r"\frac1", "x_1_2", "x^1^2", "{x", "x}", "a & b", r"\left( x", r"\right)", "x^", "x^^2", "x^'",
    r"\begin{matrix}x\end{pmatrix}", r"\begin{matrix}x", r"\begin{foo}x\end{foo}", r"\end{matrix}", "#1", "$", "\\",
    r"\text{x", r"\text{\foo}", r"\sqrt[3{x}", r"\def\a{x}\a", r"\newcommand{\a}{x}", r"\href{javascript:x}{y}",
    r"\hspace{wide}", r"\left x y \right)", r"\operatorname{<b>}", r"\not{x}", r"\ce{H2O}",
]  # fmt: skip


@pytest.mark.parametrize("tex", GOLDEN)
def test_golden(tex: str) -> None:
    assert drawn(tex) == GOLDEN[tex]


@pytest.mark.parametrize("tex", HONEST)
def test_what_people_and_models_write_is_drawn(tex: str) -> None:
    html = mathml(tex, display=True)
    assert html is not None
    assert html.startswith('<math dir="ltr" display="block">')
    assert ET.fromstring(html).tag == "math"


@pytest.mark.parametrize("tex", BAD)
def test_what_is_not_understood_is_refused_as_a_whole(tex: str) -> None:
    assert mathml(tex, display=True) is None


def test_every_name_is_drawn_or_refused_and_passes_the_sanitiser_unchanged() -> None:
    drawn_names = 0
    for name in [*COMMANDS, *SYMBOLS]:
        pages = [mathml(rf"\{name}{rest}", display=True) for rest in ("", "{x}{y}", " x_1^2", "(x)")]
        drawn_names += any(pages)
        together = "".join(page for page in pages if page)
        assert shape(sanitised(together)) == shape(together), name
    assert drawn_names > 2_000


def shape(html: str) -> list[tuple[str, dict[str, str]]]:
    page = ET.fromstring(f"<div>{html.replace('&nbsp;', ' ')}</div>")
    return [(element.tag, element.attrib) for element in page.iter()]


def test_a_formula_is_drawn_as_deep_as_people_nest_and_refused_beyond() -> None:
    assert drawn(r"\sqrt{" * (MAX_DEPTH // 2 - 1) + "x" + "}" * (MAX_DEPTH // 2 - 1))
    for opener in (
        "{",
        r"\sqrt{",
        r"\hat",
        r"\left(",
        r"\begin{matrix}",
        "x^{",
        r"\text{$",
        r"\displaystyle",
        r"a\over ",
    ):
        assert mathml(opener * 900 + "x", display=True) is None


def test_no_space_pushes_a_page_apart() -> None:
    assert drawn(r"\hspace{9999cm}") == f'<mspace width="{MAX_SPACE_EM:g}em"></mspace>'
    assert drawn(r"\hspace{-9999cm}") == '<mspace width="0em"></mspace>'


def test_a_formula_longer_than_any_that_is_read_is_refused() -> None:
    assert mathml("x" * MAX_TEX, display=True) is not None
    assert mathml("x" * (MAX_TEX + 1), display=True) is None


@pytest.mark.parametrize("seed", range(6))
def test_noise_is_drawn_as_well_formed_mathml_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    pieces = (
        [rf"\{name}" for name in COMMANDS]
        + list(r"{}[]()^_&$#~'|<>+-=,./!x1 %é漢")
        + [r"\\", r"\left", r"\right"]
    )
    for _ in range(150):
        few = chance.sample(pieces, chance.randint(1, 8))
        tex = "".join(chance.choices(few, k=chance.choice([3, 12, 60, 300])))
        html = mathml(tex, display=True)
        assert html is None or (ET.fromstring(html) is not None and len(html) < 60 * len(tex) + 200)
