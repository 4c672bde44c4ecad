"""JSON of the right form, and schemas that cannot be used against the machine that checks them."""

from typing import Any

import pytest

from evaluation.scorers import find_scorer, formats, matching, read_params
from labeling.errors import Refused
from tests.evaluation.scorers.made import case, score

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}, "age": {"type": "integer"}},
    "required": ["name"],
}


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ('{"name": "Ada", "age": 36}', 1.0),
        ('Here it is:\n```json\n{"name": "Ada"}\n```\nAnything else?', 1.0),
        ('~~~\n{"name": "Ada"}\n~~~', 1.0),
        ('{"name": "ada"}', 0.0),
        ('{"age": 36}', 0.0),
        ('{"name": "Ada"', 0.0),
        ('The name is {"name": "Ada"}', 0.0),
        ('```\n{"age": 1}\n```\n```\n{"name": "Ada"}\n```', 0.0),
        ('{"name": NaN}', 0.0),
        ("", 0.0),
        ("[" * 100_000, 0.0),
        ('{"name": "Ada", "age": ' + "9" * 5000 + "}", 0.0),
    ],
)
def test_an_answer_fits_the_schema_or_not(answer: str, value: float) -> None:
    mark = score("json", answer, params={"json_schema": PERSON})
    assert (mark.state, mark.value) == ("scored", value)
    assert bool(mark.detail) == (value == 0)


def test_the_fault_is_told_with_its_place() -> None:
    mark = score("json", '{"name": "Ada", "age": "old"}', params={"json_schema": PERSON})
    assert mark.detail == {"fault": "$.age: 'old' is not of type 'integer'"}


def test_without_a_schema_any_json_will_do() -> None:
    assert score("json", "[1, 2]").value == 1.0
    assert score("json", "```\n1\n```", params={"fenced": False}).value == 0.0


def test_the_schema_of_the_case_goes_first() -> None:
    facts = case(checks=[{"type": "json_schema", "json_schema": {"type": "array"}}])
    assert score("json", "[]", facts, params={"json_schema": PERSON}).value == 1.0
    broken = case(checks=[{"type": "json_schema", "json_schema": {"type": "liste"}}])
    assert score("json", "[]", broken).reason.startswith("the schema of this case cannot be used")
    assert score("json", "[]", case(checks=[{"type": "json_schema", "json_schema": [1]}])).state == "error"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "liste"}, "This is no JSON schema: 'liste' is not valid"),
        (
            {"$ref": "http://127.0.0.1/schema"},
            "refers to 'http://127.0.0.1/schema'; refer only to parts of itself",
        ),
        ({"properties": {"a": {"pattern": "("}}}, "is no regular expression"),
        ({"pattern": "a{999999999}"}, "repeats a part"),
        ({"patternProperties": {"(a|aa)+$": {}}}, "uses patternProperties"),
        ({"enum": ["x" * 60_000]}, "up to 50,000 characters"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(schema: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        read_params(find_scorer("json"), {"json_schema": schema})


def test_a_pattern_in_a_schema_that_would_search_for_ever_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matching, "PATTERN_SECONDS", 0.05)
    params = {"json_schema": {"pattern": "(a|aa)+$"}}
    mark = score("json", '"' + "a" * 60 + 'b"', params=params)
    assert (mark.state, mark.reason[:31]) == ("error", "the pattern took more than 0.05")


def test_a_schema_that_doubles_at_every_step_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "SCHEMA_SECONDS", 0.05)

    def step(n: int) -> dict[str, Any]:
        return {"allOf": [{"$ref": f"#/$defs/s{n}"}, {"$ref": f"#/$defs/s{n}"}]}

    steps = {f"s{n}": step(n + 1) for n in range(60)}
    schema = {"$defs": {**steps, "s60": {"type": "integer"}}, **step(0)}
    mark = score("json", "1", params={"json_schema": schema})
    assert (mark.state, mark.reason[:26]) == ("error", "the schema took more than ")


@pytest.mark.parametrize(
    ("schema", "words"),
    [({"$ref": "#"}, "goes round in a circle"), ({"$ref": "#/$defs/a"}, "a part that it does not")],
)
def test_a_schema_that_leads_nowhere_is_an_error(schema: dict[str, Any], words: str) -> None:
    mark = score("json", "1", params={"json_schema": schema})
    assert mark.state == "error"
    assert words in mark.reason


def test_an_older_draft_is_read_as_it_says() -> None:
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]}
    assert score("json", "[1]", params={"json_schema": schema}).value == 0.0
