"""Personal data is found where digits and letters tell it, and numbers that only look like it are left alone."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from labeling.importing.mapping import to_draft
from labeling.models import Item, Project
from labeling.pii import find, pii_report, scrub
from tests import world

FOUND = {
    "write to ben.o'neil+work@mail.example.co.uk.": "write to [EMAIL].",
    "联系我foo@bar.com谢谢": "联系我[EMAIL]谢谢",
    "<a href='mailto:ann@example.org'>": "<a href='mailto:[EMAIL]'>",
    "a@example.org,b@example.org": "[EMAIL],[EMAIL]",
    "call +41 44 668 18 00.": "call [PHONE].",
    "+49 (0)30 901820 or 0041446681800": "[PHONE] or [PHONE]",
    "(415) 555-2671": "[PHONE]",
    "415-555-2671 x": "[PHONE] x",
    "Tel.: 030 1234567": "Tel.: [PHONE]",
    "My phone number is 020 7946 0958": "My phone number is [PHONE]",
    "电话：010-12345678": "电话：[PHONE]",
    "4111 1111 1111 1111": "[CARD]",
    "5500-0000-0000-0004 exp 12/27": "[CARD] exp 12/27",
    "Amex 3782 822463 10005": "Amex [CARD]",
    "card 4111111111111111, cvv 123": "card [CARD], cvv 123",
    "ann@example.org 4111111111111111 +41446681800": "[EMAIL] [CARD] [PHONE]",
}
LEFT_ALONE = [
    "order 123-456-7890",
    "card 4111111111111112, whose check digit is wrong",
    "0000 0000 0000 0000",
    "8888888888888888",
    "2026-11-21 10:20:30",
    "call 2024-01-01 or 21.11.2026",
    "192.168.100.200",
    "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
    "v1.2.3.4567890",
    "lodash@4.17.21",
    "@app.route('/x')",
    "user@localhost",
    "git@github.com:a/b.git",
    "ISBN 978-3-16-148410-0",
    "ISBN 9783161484100",
    "IMEI 490154203237518",
    "1700000000000",
    "0.12345678901234567",
    "1,234,567,890",
    "12345678-1234-1234-1234-123456789012",
    "invoice 2024-0001-2345",
    "UTC+05:30",
    "the years 1999 2000 2001 2002",
    "call 911",
    "page 1234567",
    "+1 234",
    "x+12345678901",
    "DE89 3704 0044 0532 0130 00",
]


@pytest.mark.parametrize("text", FOUND)
def test_personal_data_is_replaced_by_what_it_was(text: str) -> None:
    assert scrub(text) == FOUND[text]
    assert scrub(scrub(text)) == FOUND[text]


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_numbers_that_only_look_like_personal_data_stay(text: str) -> None:
    assert find(text) == []


def test_an_example_shows_enough_to_recognise_and_too_little_to_use() -> None:
    assert [finding.masked for finding in find("ben@example.org, 4111 1111 1111 1111")] == [
        "b••@•••••••.•rg",
        "4••• •••• •••• ••11",
    ]


def test_a_draft_is_scrubbed_in_every_text_and_says_how_often() -> None:
    row = {
        "prompt": "I am ann@example.org",
        "responses": ["Hello ann@example.org", "Hello"],
        "extra": {"notes": ["call +41446681800"]},
        "verdicts": [
            {"person": "ben", "kind": "pairwise", "label": "0", "rationale": "bob@example.org said so"}
        ],
    }
    draft = to_draft(row, scrub=True)
    assert "@" not in str(draft)
    assert draft.extra == {"notes": ["call [PHONE]"], "scrubbed": {"email": 3, "phone": 1}}
    assert to_draft(row).messages[0]["content"] == "I am ann@example.org"


def test_responses_that_scrubbing_makes_the_same_are_flagged() -> None:
    row = {"prompt": "p", "responses": ["a@example.org", "b@example.org"]}
    assert to_draft(row, scrub=True).extra["identical_responses"] == [[0, 1]]


def test_an_import_scrubs_only_where_it_was_asked_to(project: Project) -> None:
    row = {"prompt": "Mail ann@example.org", "chosen": "a", "rejected": "b"}
    world.import_file(project, world.json_lines(row))
    world.import_file(project, world.json_lines(row), scrub=True)
    prompts = [item.messages[0]["content"] for item in Item.objects.order_by("id")]
    assert prompts == ["Mail ann@example.org", "Mail [EMAIL]"]


def fill_with_addresses(project: Project, count: int) -> list[Item]:
    return world.put(
        project, *[world.draft(n, first=f"Mail person{n}@example.org" if n % 2 else "") for n in range(count)]
    )


def test_a_report_counts_kinds_and_items_and_shows_twenty_examples_at_most(project: Project) -> None:
    items = fill_with_addresses(project, 60)
    report = pii_report(project)
    assert (report.scanned, report.counts) == (60, {"email": 30})
    assert report.items == [item.pk for item in items[1::2]]
    assert len(report.examples) == 20
    first = {"item": items[1].pk, "place": "response 1", "kind": "email", "text": "p••••••@•••••••.•rg"}
    assert report.examples[0] == first


def test_a_report_asks_the_database_once_more_for_each_chunk_of_items(project: Project) -> None:
    fill_with_addresses(project, 30)
    with CaptureQueriesContext(
        connection,
    ) as few:
        pii_report(project)
    fill_with_addresses(project, 60)
    with CaptureQueriesContext(connection) as many:
        pii_report(project)
    assert len(few) == len(many) == 2


def test_the_command_tells_emma_what_was_found(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    (item,) = world.put(project, world.draft(1, prompt="My card is 4111 1111 1111 1111"))
    call_command("pii_report", project.slug, "--json")
    *words, last = capsys.readouterr().out.splitlines()
    assert words[:2] == [
        "0 email, 0 phone, 1 card in 1 of 1 items",
        f"  item {item.pk}, message 1: card 4••• •••• •••• ••11",
    ]
    result = json.loads(last)
    assert (result["counts"], result["items"]) == ({"email": 0, "phone": 0, "card": 1}, [item.pk])


def test_ben_who_only_judges_gets_no_report(project: Project) -> None:
    with pytest.raises(CommandError):
        call_command("pii_report", project.slug, "--as", "ben")
