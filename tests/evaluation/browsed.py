"""A form of a page as a browser reads it and sends it back."""

from html.parser import HTMLParser
from typing import Any


class Form(HTMLParser):
    """The fields of the form with this class and what stands in them, as `values` by their names."""

    def __init__(self, page: str, marked: str = "case-form") -> None:
        super().__init__(convert_charrefs=True)
        self.marked, self.inside, self.text, self.choosing = marked, False, "", ""
        self.values: dict[str, list[str]] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.inside = self.marked in given.get("class", "").split()
        elif self.inside and tag == "input":
            self.put(given["name"], given.get("value", ""))
        elif self.inside and tag in ("textarea", "select"):
            self.text, self.choosing = "", given["name"]
        elif self.choosing and tag == "option" and "selected" in given:
            self.put(self.choosing, given["value"])

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "form"
        if self.inside and tag == "textarea":
            self.put(self.choosing, self.text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\n"))
        if tag in ("textarea", "select"):
            self.choosing = ""

    def put(self, name: str, value: str) -> None:
        self.values.setdefault(name, []).append(value)

    def sent(self, **changes: Any) -> dict[str, Any]:
        """What a browser sends, with these fields changed: every line of a text ends with two characters."""
        found = {name: [text.replace("\n", "\r\n") for text in texts] for name, texts in self.values.items()}
        return {**found, **changes}
