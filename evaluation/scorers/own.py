"""A project's own scorers: Python files in the folder PREFLOOP_SCORERS, run in a process of their own.

    def score(case: dict, answer: str) -> float | bool | dict | None

`case` has id, messages, reference, rejected, contexts, checks, tags, baseline, finish and tokens. A dictionary has
`value` and whatever else should stand beside it; None means that this case cannot be scored.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from pydantic import Field

from evaluation.scorers.base import Facts, Given, Mark, Marker, Params, Scale, Scorer, failed, unscorable
from evaluation.scorers.sandbox import Broken, Sandbox
from labeling.errors import Refused

FILE = r"[A-Za-z0-9_][A-Za-z0-9_-]*\.py"
LARGEST_FILE = 1024 * 1024  # bytes


class OwnParams(Params):
    file: str = Field(pattern=rf"^{FILE}$", max_length=100, description="A file in the folder of scorers.")
    function: str = Field(
        default="score", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100, description="A function in it."
    )
    seconds: float = Field(default=5.0, gt=0, le=300, description="Seconds that a case may take.")
    memory_mb: int = Field(default=512, ge=64, le=65_536, description="Megabytes that its process may use.")


class Own(Scorer):
    """What the function returns, on its own scale; higher is better. Whatever it does, only its cases are errors.

    Limits: `seconds` of the clock and of the processor per case, `memory_mb` of address space, replies of 64 KB, no
    files written, an empty environment; no network where the kernel allows to give it up (see sandbox.py).
    """

    key = "own"
    label = "Your own scorer"
    about = (
        "A Python function in the folder of scorers gives each answer a number of any size; higher is better."
    )
    scale = Scale.NUMBER
    Params: ClassVar[type[Params]] = OwnParams

    def check(self, params: Any) -> None:
        own_file(params.file)

    def facts(self, params: Any) -> dict[str, str]:
        return {"sha256": hashlib.sha256(own_file(params.file).read_bytes()).hexdigest()}

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        with self.session(params) as mark:
            return mark(case, given)

    @contextmanager
    def session(self, params: Any) -> Iterator[Marker]:
        """One process for all cases; it is started anew after a case that ended it."""
        limits = {"seconds": params.seconds, "memory_mb": params.memory_mb}
        with Sandbox(own_file(params.file), params.function, **limits) as sandbox:
            yield lambda case, given: _mark(sandbox, f"{params.file}: ", case, given)


class OwnShare(Own):
    """The same for functions that return true, false or a number from 0 to 1; anything else is an error."""

    key = "own_share"
    label = "Your own scorer, 0 to 1"
    about = (
        "A Python function in the folder of scorers gives each answer true, false or a number from 0 to 1."
    )
    scale = Scale.SHARE


def own_files() -> list[str]:
    """The files that may be chosen; none where there is no folder."""
    folder = _folder()
    names = [path.name for path in folder.glob("*.py")] if folder else []
    return sorted(name for name in names if re.fullmatch(FILE, name))


def own_file(name: str) -> Path:
    """The path of a file of scorers. Raises Refused with a sentence where there is no such file."""
    folder = _folder()
    if folder is None:
        raise Refused("This installation has no folder of scorers; whoever runs it can set PREFLOOP_SCORERS.")
    path = folder / name
    if not re.fullmatch(FILE, name) or not path.is_file():
        known = ", ".join(own_files()) or "none yet"
        raise Refused(f"There is no scorer {name[:100]!r} in the folder of scorers. Known: {known}.")
    if path.stat().st_size > LARGEST_FILE:
        raise Refused(f"The scorer {name} is larger than 1 MB; make it smaller.")
    return path


def _folder() -> Path | None:
    folder = getattr(settings, "PREFLOOP_SCORERS", None)
    return Path(folder).resolve() if folder else None


def _mark(sandbox: Sandbox, prefix: str, case: Facts, given: Given) -> Mark:
    told = {"baseline": given.baseline, "finish": given.finish, "tokens": given.tokens}
    try:
        reply = sandbox.ask({**asdict(case), **told}, given.text or "")
    except Broken as error:
        return failed(prefix + str(error))
    value, detail = reply.get("value"), reply.get("detail")
    if value is None:
        return unscorable(prefix + "it has no value for this case")
    if not isinstance(value, int | float):
        return failed(prefix + "it replied with something that is no number")
    return Mark(float(value), detail=detail if isinstance(detail, dict) else None)
