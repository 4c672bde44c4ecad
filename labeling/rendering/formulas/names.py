"""What TeX's names mean: the tables from which `grammar` draws."""

from html.entities import html5


def _pairs(text: str) -> dict[str, str]:
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# HTML's named characters come from TeX's; below are the names that it lacks or uses for something else.
SYMBOLS = {name[:-1]: char for name, char in html5.items() if name.endswith(";")} | _pairs(
    r"""varepsilon ε epsilon ϵ varphi φ phi ϕ ast ∗ circ ∘ asymp ≍ cdot ⋅ star ⋆ oslash ⊘ triangle △ square □ Box □
    blacksquare ■ perp ⟂ iff ⟺ implies ⟹ impliedby ⟸ to → gets ← leadsto ⇝ ldots … dots … dotsc … dotso … cdots ⋯
    dotsb ⋯ dotsm ⋯ vdots ⋮ ddots ⋱ neg ¬ lnot ¬ land ∧ lor ∨ neq ≠ lll ⋘ gtreqless ⋛ coloneqq ≔ infty ∞ partial ∂
    exists ∃ nexists ∄ emptyset ∅ setminus ∖ owns ∋ iint ∬ bigsqcap ⨅ hslash ℏ degree ° checkmark ✓ qed ∎
    lvert | rvert | lVert ‖ rVert ‖ vert | Vert ‖ | ‖ lbrace { rbrace } { { } } lbrack [ rbrack ] lparen ( rparen )
    lang ⟨ rang ⟩ backslash \ slash / % % $ $ # # & & _ _ S § P ¶ dag † ddag ‡ pounds £ copyright © surd √"""
)
LETTERS = frozenset('∞∅⊤⊥∠△□■◊°ℏℵ∂∇∀∃∄…⋯⋮⋱%$#&_\\§¶†‡£✓∎©√′″‴@"`?')
OPENING, CLOSING = "([{⟨⌊⌈", ")]}⟩⌋⌉"
BARE = "|‖/\\."
UPRIGHT_ARROWS = "↑↓↕⇑⇓⇕"
SIGNS = "+−±∓"
WITH_LIMITS = frozenset("∑∏∐⋃⋂⋁⋀⨁⨂⨀⨄⨆⨅")

FUNCTIONS = _words(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh coth log ln lg exp dim ker deg arg hom erf"
)
LIMIT_WORDS = {word: word for word in _words("lim max min sup inf det gcd Pr")} | {
    "limsup": "lim sup",
    "liminf": "lim inf",
    "argmax": "arg max",
    "argmin": "arg min",
}
ACCENTS = _pairs(
    r"""hat ^ widehat ^ bar ‾ vec → overrightarrow → overleftarrow ← dot ˙ ddot ¨ tilde ~ widetilde ~
    check ˇ breve ˘ acute ´ grave ` mathring ˚ overbrace ⏞ underbrace ⏟"""
)
STRETCHED = frozenset(name for name in ACCENTS if name.startswith(("wide", "over", "under")))
LINES = {"overline": "tex-line-above", "underline": "tex-line-below"}
ARROWS = _pairs("xrightarrow → xleftarrow ← xRightarrow ⇒ xLeftarrow ⇐ xleftrightarrow ↔ xmapsto ↦")
SPACES = {",": 3, "thinspace": 3, ":": 4, ">": 4, ";": 5, " ": 4.5, "enspace": 9, "quad": 18, "qquad": 36}
_SIZES = {"big": 1.2, "Big": 1.8, "bigg": 2.4, "Bigg": 3.0}
BIG = {size + side: em for size, em in _SIZES.items() for side in ("", "l", "r", "m")}
SAME = _words("mathop mathrel mathbin mathord mathopen mathclose mathpunct mathinner smash ensuremath")
NOTHING = _words("! nonumber notag displaylimits allowbreak hfill")
FRACTIONS = {"frac": "", "dfrac": "true", "cfrac": "true", "tfrac": "false"}
BINOMIALS = {"binom": "", "dbinom": "true", "tbinom": "false"}

# The words with which Unicode names a letter in that font; the first that exists is taken.
FONTS: dict[str, tuple[str, ...]] = {
    "mathnormal": (),
    "mathit": (),
    "mathrm": (),
    "mathbb": ("DOUBLE-STRUCK",),
    "mathcal": ("SCRIPT",),
    "mathfrak": ("FRAKTUR", "BLACK-LETTER"),
    "mathbf": ("BOLD",),
    "boldsymbol": ("BOLD ITALIC", "BOLD"),
    "mathsf": ("SANS-SERIF",),
    "mathtt": ("MONOSPACE",),
}
FONTS |= {"bm": FONTS["boldsymbol"], "pmb": FONTS["boldsymbol"]}
FONTS |= {"mathds": FONTS["mathbb"], "Bbb": FONTS["mathbb"], "mathscr": FONTS["mathcal"]}
SWITCHES = {"bf": "mathbf", "rm": "mathrm", "it": "mathit", "cal": "mathcal", "tt": "mathtt", "sf": "mathsf"}
TEXTS = dict.fromkeys(_words("text textrm textnormal textup textsf mbox hbox"), "") | {
    "textbf": "tex-bold",
    "textit": "tex-italic",
    "emph": "tex-italic",
    "texttt": "tex-mono",
    "fbox": "tex-box",
}
STYLES = {"displaystyle": ("true", 0), "textstyle": ("false", 0), "scriptstyle": ("false", 1)}
INFIX = {"over": "", "atop": "..", "choose": "()"}

FENCES = {"pmatrix": "()", "bmatrix": "[]", "Bmatrix": "{}", "vmatrix": "||", "Vmatrix": "‖‖", "cases": "{."}
FENCES |= {"dcases": "{.", "rcases": ".}"} | dict.fromkeys(_words("matrix smallmatrix array subarray"), "..")
ALIGNED = _words("align aligned alignat alignedat split eqnarray flalign")
CENTRED = _words("gather gathered equation multline")
WITH_COLUMNS = _words("array subarray alignat alignedat")
