"""Markdown as nobody writes it on purpose, by chance: of every construct, with every line end, broken and whole."""

import random

SAID = """the court ruled in 1982 that a b c2 rain& R&D x<y 3>2 naïve Straße 日本 עברית مرحبا 👩🏽‍🚀 𝒳 e\u0301
&amp; &lt; &#233; &nbsp; &notit; \\* \\_ \\a \\\\ \\| `code` ``a ` b`` ` $x^2$ $5 \\(y\\) $$z$$
* _ ** ~~ ~ [ ] ( ) ! < > | # - + 1. :: \\ <b>bold</b> <script>x</script> <!--no-->
<http://a.example/ü> <me@a.example> http://b.example [1] [note]: ![p](http://c.example/i.png)"""
WORDS = [*SAID.split(), "[words](http://d.example/q?a=1&b=2 'why')", "[w](javascript:alert(1))"]
FORMS = [
    "{}",
    "*{}*",
    "**{}**",
    "***{}***",
    "_{}_",
    "~~{}~~",
    "`{}`",
    "[{}](http://e.example)",
    "({})",
    '"{}"',
]
ENDS = ["\n", "\n", "\n", "\r\n", "\r", "  \n", "\\\n", "\t\n"]


def inline(chance: random.Random, depth: int = 0) -> str:
    words = [chance.choice(WORDS) for _ in range(chance.randint(1, 6))]
    if depth < 2 and chance.random() < 0.5:
        words.insert(chance.randint(0, len(words)), chance.choice(FORMS).format(inline(chance, depth + 1)))
    return chance.choice(["", " ", " "]).join(words)


def block(chance: random.Random, depth: int = 0) -> list[str]:
    """Lines of one block."""
    kind = chance.choice(["p", "p", "p", "#", "code", "fence", "table", "math", "hr", "=", "quote", "list"])
    lines = [inline(chance) for _ in range(chance.randint(1, 3))]
    if kind in ("quote", "list") and depth < 3:
        inner = [line for _ in range(chance.randint(1, 2)) for line in [*block(chance, depth + 1), ""]][:-1]
        marker = chance.choice(["> ", ">"] if kind == "quote" else ["- ", "1. ", "12) ", "*\t", "-   "])
        rest = marker if kind == "quote" else chance.choice([" " * len(marker), "\t", ""])
        return [(rest if n else marker) + line for n, line in enumerate(inner)]
    if kind == "table":
        row = ["| " + " | ".join(inline(chance, 2) for _ in range(2)) + " |" for _ in lines]
        return [
            row[0],
            chance.choice(["|---|:-:|", "--- | ---"]),
            *row[1:],
            *chance.choice([[], ["| 1 | 2 | lost |"]]),
        ]
    return {
        "#": ["#" * chance.randint(1, 7) + " " + lines[0] + chance.choice(["", " ##", "#", "\t# "])],
        "code": [chance.choice(["    ", "\t", " \t"]) + line for line in lines],
        "fence": [chance.choice(["```python", "~~~ c x", "```"]), *lines, "def f(): return '<b>'", "```"],
        "math": chance.choice([["$$", "a = b", "$$"], ["\\[ \\frac{1}{2} \\]."], ["$$\\nope{$$"]]),
        "hr": ["---"],
        "=": [*lines, chance.choice(["===", "---"])],
    }.get(kind, lines)


def random_text(chance: random.Random) -> str:
    lines = [
        line for _ in range(chance.randint(1, 4)) for line in [*block(chance), *[""] * chance.randint(0, 2)]
    ]
    end = chance.choice(ENDS)
    mixed = chance.random() < 0.2
    return "".join(line + (chance.choice(ENDS) if mixed else end) for line in lines)
