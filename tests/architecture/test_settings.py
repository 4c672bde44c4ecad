"""Whoever runs Prefloop finds every setting in .env.example, with a sentence."""

import ast
import re

from tests.architecture.source import ROOT, files

READERS = {"env.text", "env.flag", "env.number", "env.words", "env.choices"}
LINE = re.compile(r"^([A-Z][A-Z0-9_]+)=", re.MULTILINE)


def read_by_settings() -> set[str]:
    found = set()
    for path in files("config/settings"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in READERS:
                assert isinstance(node.args[0], ast.Constant), f"{path}: name the setting with a literal"
                found.add(str(node.args[0].value))
    return found


def documented() -> dict[str, str]:
    """Name → the line above it."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    pairs = zip(["", *lines], lines, strict=False)
    return {match[1]: above for above, line in pairs if (match := LINE.match(line))}


def test_every_setting_is_documented_and_nothing_else_is() -> None:
    assert read_by_settings() | {"DJANGO_SETTINGS_MODULE"} == set(documented())


def test_every_setting_has_its_sentence() -> None:
    assert [name for name, above in documented().items() if not re.match(r"# .{15,}\.$", above)] == []


def test_the_environment_is_read_in_one_place() -> None:
    allowed = {"config/env.py", "config/celery.py", "config/wsgi.py", "config/asgi.py"}
    readers = {
        str(path.relative_to(ROOT))
        for path in files("config", "labeling", "evaluation")
        if re.search(r"os\.environ\b(?!\})(?!\))|os\.getenv", path.read_text())
    }
    assert readers <= allowed
