"""Copies that were planted in training data are found, whatever their case and white space; strangers are not."""

from typing import Any

import pytest

from evaluation.contamination import Index
from evaluation.models import Case
from labeling.intake import prompt_hash

TEXT = (
    "please explain to a new customer how the refund of an order works when the parcel "
    "came back damaged and the card that was charged has expired since then in plain words"
)
WORDS = TEXT.split()


def question(number: int) -> str:
    turned = WORDS[number % len(WORDS) :] + WORDS[: number % len(WORDS)]
    return f"Case {number}: " + " ".join(
        f"{word}{number * 7 % 13}" if place % 4 == 0 else word for place, word in enumerate(turned)
    )


def messages(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def case(number: int, **fields: Any) -> Case:
    prompt = fields.pop("prompt", messages(question(number)))
    return Case(pk=number, prompt=prompt, prompt_hash=prompt_hash(prompt), **fields)


def row(text: str, completion: str = "ok") -> dict[str, Any]:
    prompt = messages(text)
    return {"prompt": prompt, "prompt_hash": prompt_hash(prompt), "completion": completion}


CASES = [case(number) for number in range(60)]


def met(rows: list[dict[str, Any]], cases: list[Case] = CASES) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for pk, reason in Index.of(cases).met(rows):
        found.setdefault(pk, set()).add(reason)
    return found


def test_every_exact_copy_is_found_by_its_prompt() -> None:
    found = met([row(question(number)) for number in range(60)])
    assert all("prompt" in found[number] for number in range(60))


def test_case_and_white_space_hide_nothing() -> None:
    found = met([row(question(number).upper().replace(" ", "  \n")) for number in range(60)])
    assert all("prompt" in found[number] for number in range(60))


def test_a_copy_with_two_words_changed_is_found() -> None:
    rows = [row(question(number).replace(" the ", " a ", 1)) for number in range(60)]
    assert set(met(rows)) == set(range(60))


def test_disjoint_rows_give_no_case_away() -> None:
    rows = [
        row(f"Write a limerick about animal {n} and the {n * 3}th moon of a planet nobody knows")
        for n in range(400)
    ]
    assert met(rows) == {}


def test_a_reference_inside_an_answer_is_found() -> None:
    answer = "Open the order page, choose the parcel, press return, print the label and bring it to any shop near you."
    kept = case(1, reference=answer)
    found = met([row("Something else entirely?", f"Sure! {answer.upper()} Bye.")], [kept])
    assert found == {1: {"run"}}


def test_chosen_and_rejected_texts_are_looked_through() -> None:
    answer = " ".join(WORDS)
    pair = {"prompt": messages("Unlike."), "prompt_hash": "x", "chosen": "Fine.", "rejected": answer}
    assert met([pair], [case(1, prompt=messages("Short?"), reference=answer)]) == {1: {"run"}}


def test_a_system_message_that_all_share_gives_nothing_away() -> None:
    system = {"role": "system", "content": " ".join(WORDS)}
    held = case(1, prompt=[system, *messages("How do I pay?")])
    prompt = [system, *messages("Where is my parcel now?")]
    assert met([{"prompt": prompt, "prompt_hash": prompt_hash(prompt), "completion": "There."}], [held]) == {}


def test_short_prompts_that_differ_in_a_word_are_not_alike() -> None:
    held = [case(n, prompt=messages(f"Question {n}?")) for n in range(50)]
    assert met([row(f"Question {n}?") for n in range(50, 100)], held) == {}


@pytest.mark.parametrize("rows", [[], [{"text": "only text"}], [{"prompt": [], "prompt_hash": ""}]])
def test_rows_without_prompts_and_suites_without_cases_are_no_trouble(rows: list[dict[str, Any]]) -> None:
    assert met(rows) == {}
    assert met(rows, []) == {}
