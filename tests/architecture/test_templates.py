"""Pages carry no inline script or style and fetch nothing from elsewhere: the content security policy forbids it."""

import re
from pathlib import Path

import pytest

from tests.architecture.source import files, name

TEMPLATES = files("templates", suffix=".html")
RULES = {
    "an inline script": re.compile(
        r"<script(?![^>]*\bsrc=)(?![^>]*type=\"(application/json|speculationrules)\")", re.I
    ),
    "a style element": re.compile(r"<style\b", re.I),
    "a style attribute": re.compile(r"\sstyle=", re.I),
    "an event attribute": re.compile(r"\son[a-z]+=", re.I),
    "hx-on": re.compile(r"\shx-on", re.I),
    "a javascript: address": re.compile(r"javascript:", re.I),
    "an address elsewhere": re.compile(r"(?:src|href|action|srcset|hx-[a-z]+)=[\"'](?:https?:)?//", re.I),
    "text that is not escaped": re.compile(r"(?<!\.help_text)\|\s*safe\b|autoescape off"),
}


@pytest.mark.parametrize("what", RULES)
def test_no_template_has(what: str) -> None:
    found = {name(path): RULES[what].findall(path.read_text())[:2] for path in TEMPLATES}
    assert {path: hits for path, hits in found.items() if hits} == {}


def test_no_stylesheet_or_script_fetches_from_elsewhere() -> None:
    assets: list[Path] = [*files("static", suffix=".css"), *files("static", suffix=".js")]
    found = {
        name(p): re.findall(r"(?:url\(|import |fetch\()\s*[\"']?(?:https?:)?//", p.read_text())
        for p in assets
    }
    assert assets
    assert {path: hits for path, hits in found.items() if hits} == {}


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("an inline script", "<script>alert(1)</script>"),
        ("an event attribute", '<a onclick="x()">'),
        ("a style attribute", '<p style="color:red">'),
        ("an address elsewhere", '<script src="https://cdn.example/x.js"></script>'),
    ],
)
def test_the_rules_see_what_they_forbid(what: str, text: str) -> None:
    assert RULES[what].search(text)


def test_a_module_script_of_our_own_is_allowed() -> None:
    assert not RULES["an inline script"].search(
        '<script type="module" src="{% static "js/app.js" %}"></script>'
    )
