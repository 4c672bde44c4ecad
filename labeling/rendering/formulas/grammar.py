"""The grammar of formulas: each method takes from the tokens what it draws, and returns it."""

from collections.abc import Callable, Mapping

from labeling.rendering.formulas import drawing, names
from labeling.rendering.formulas.drawing import EMPTY, one
from labeling.rendering.formulas.reading import END, Reader, Refused

Drawn = tuple[
    str, bool
]  # an element (empty where a command draws nothing), and whether its scripts are limits
Commands = Mapping[str, Callable[["Formula", str], Drawn]]


class Formula(Reader):
    """One pass over a formula, which gives MathML or ends in Refused."""

    def __init__(self, tex: str, *, commands: Commands, depth: int = 0) -> None:
        super().__init__(tex, depth=depth)
        self.commands = commands
        self.font = "mathnormal"
        self.before = ""

    def whole(self) -> str:
        return "".join(self.row(END))

    def within(self, tex: str) -> str:
        """Another formula, drawn as a part of this one."""
        return type(self)(tex, commands=self.commands, depth=self.depth + 1).whole()

    def row(self, *stops: str) -> list[str]:
        """What is drawn up to one of `stops`, which is left to be taken."""
        self.deeper()
        items: list[str] = []
        font = self.font
        while (mark := self.peek()) not in stops:
            name = mark[1:] if mark.startswith("\\") else ""
            self.before = items[-1] if items else ""
            if name in names.SWITCHES:
                self.take()
                self.font = names.SWITCHES[name]
            elif name in names.STYLES:
                items.append(self.styled(*stops))
            elif name in names.INFIX:
                self.take()
                items = [drawing.fraction(one(items), one(self.row(*stops)), fences=names.INFIX[name])]
            elif drawn := self.scripted():
                items.append(drawn)
        self.font = font
        self.deeper(-1)
        return items

    def styled(self, *stops: str) -> str:
        display, level = names.STYLES[self.take()[1:]]
        return f'<mstyle displaystyle="{display}" scriptlevel="{level}">{"".join(self.row(*stops))}</mstyle>'

    def scripted(self) -> str:
        base, limits = self.atom()
        below = above = primes = ""
        while True:
            mark = self.peek()
            if mark in (r"\limits", r"\nolimits"):
                limits = self.take() == r"\limits"
            elif mark == "_":
                below = self.script(below)
            elif mark == "^":
                above = self.script(above)
            elif mark.startswith("'"):
                primes = self.script(primes or above)
            else:
                break
        above = one([primes, above]) if primes and above else primes or above
        return drawing.scripts(base, below, above, limits=limits)

    def script(self, taken: str) -> str:
        """A script, of which there may be one of a kind."""
        if taken:
            raise Refused
        mark = self.take()
        return f"<mo>{'′' * len(mark)}</mo>" if mark.startswith("'") else self.argument()

    def argument(self) -> str:
        """One group, command, letter or digit, as TeX takes it after a command or a script."""
        mark = self.peek()
        if mark in ("^", "_") or mark.startswith("'"):
            raise Refused
        if mark[:1].isdigit() and len(mark) > 1:
            self.tokens[self.at] = mark[1:]
            return drawing.number(mark[0], self.font)
        self.deeper()
        self.before = ""
        drawn = self.atom()[0]
        self.deeper(-1)
        return drawn or EMPTY

    def atom(self) -> Drawn:
        mark = self.take()
        if mark == "{":
            drawn = one(self.row("}"))
            self.take()
            return drawn, False
        if mark[:1].isdigit():
            return drawing.number(mark, self.font), False
        if mark in ("^", "_") or mark.startswith("'"):
            self.at -= 1
            return EMPTY, False
        if mark == "~":
            return drawing.space(0.25), False
        if len(mark) > 1:
            return self.command(mark[1:])
        if mark in (END, "}", "&", "#", "$", "\\"):
            raise Refused
        return drawing.symbol(mark, self.font, self.before), False

    def command(self, name: str) -> Drawn:
        if name in self.commands:
            return self.commands[name](self, name)
        char = names.SYMBOLS.get(name)
        if char is None:
            raise Refused
        return drawing.symbol(char, self.font, self.before), char in names.WITH_LIMITS
