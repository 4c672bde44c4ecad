"""Rows become tokens: what is learned, what is lost, and what is mended on the way."""

import pytest

from training.recipes.contract import RecipeFailed
from training.recipes.rows import Encoder, columns
from training.specs import SpecRefused, parse_spec

START, END, EOS, BOS = 1, 2, 3, 4


class Words:
    """A tokenizer of words: <s> is 4, a turn is 1 role words 2, everything else counts from 10."""

    bos_token_id, eos_token_id = BOS, EOS
    chat_template = "there is one"
    doubled = closes = True

    def __init__(self, *, doubled=False, closes=True):
        self.doubled, self.closes, self.known = doubled, closes, {}

    def word(self, text):
        return self.known.setdefault(text, 10 + len(self.known))

    def __call__(self, text):
        return {"input_ids": [BOS, *(BOS if word == "<s>" else self.word(word) for word in text.split())]}

    def apply_chat_template(self, messages, add_generation_prompt=False, **_):
        ids = [BOS, BOS] if self.doubled else [BOS]
        for turn in messages:
            ids += [START, self.word(turn["role"]), *(self.word(word) for word in turn["content"].split())]
            ids += [END] if self.closes or turn["role"] == "user" else []
        if add_generation_prompt:
            ids += [START, self.word("assistant")]
        return {"input_ids": ids}


def says(role, text):
    return [{"role": role, "content": text}]


def encoded(rows, tokenizer=None, method="sft", **settings):
    spec = parse_spec(method, {"max_length": 16, **settings})
    return Encoder(tokenizer or Words(), {END, EOS}, spec).encode(rows), spec


def row(prompt="name it", answer="red stone"):
    return {"prompt": says("user", prompt), "completion": says("assistant", answer)}


def test_the_completion_and_its_end_are_learned_and_the_prompt_is_not():
    made, spec = encoded([row()])
    (only,) = columns(made, spec)
    learned = [label for label in only["labels"] if label != -100]
    assert learned == [*only["input_ids"][-3:-1], END]
    assert len(only["labels"]) == len(only["input_ids"])


def test_everything_is_learned_where_that_was_asked_for():
    made, spec = encoded([row()], loss_on="everything")
    (only,) = columns(made, spec)
    assert only["labels"] == only["input_ids"]


@pytest.mark.parametrize(("policy", "rows", "dropped", "cut"), [("drop", 1, 1, 0), ("cut", 2, 0, 1)])
def test_a_row_that_is_too_long_is_dropped_or_cut_and_counted(policy, rows, dropped, cut):
    made, _ = encoded([row(), row(answer="red " * 30)], overlong=policy)
    assert (len(made.rows), made.dropped, made.cut) == (rows, dropped, cut)
    assert max(len(one["completion"]["ids"]) for one in made.rows) <= 16


def test_a_row_whose_prompt_fills_the_room_is_dropped_even_where_rows_are_cut():
    made, _ = encoded([row(), row(prompt="a " * 30)], overlong="cut")
    assert (len(made.rows), made.dropped) == (1, 1)


def test_conversations_are_never_split():
    with pytest.raises(SpecRefused, match="choose drop or cut"):
        encoded([row(answer="red " * 30)], overlong="split")


def test_no_row_that_fits_is_a_refusal():
    with pytest.raises(RecipeFailed, match="none of the 1 rows fits max_length 16"):
        encoded([row(prompt="a " * 30)])


def test_a_template_that_closes_no_turn_gets_the_end_of_sequence():
    made, _ = encoded([row()], Words(closes=False))
    assert made.added_end == 1
    assert made.rows[0]["completion"]["ids"][-1] == EOS


def test_a_template_that_begins_twice_is_counted():
    made, _ = encoded([row(), row()], Words(doubled=True))
    assert made.doubled_start == 2


def test_a_text_that_begins_twice_is_mended_and_ends_once():
    made, _ = encoded([{"text": "<s> one two"}])
    ids = made.rows[0]["text"]["ids"]
    assert (ids[0], ids[1] == BOS, ids[-1], made.mended_start) == (BOS, False, EOS, 1)


def test_a_long_text_goes_on_in_further_rows_and_loses_no_token():
    text = {"text": " ".join(f"w{n}" for n in range(40))}
    made, _ = encoded([text], overlong="split")
    whole, _ = encoded([text], max_length=1000)
    pieces = [token for one in made.rows for token in one["text"]["ids"]]
    assert pieces == whole.rows[0]["text"]["ids"]
    assert made.split == 1


def test_without_a_chat_template_conversations_are_refused_and_texts_are_not():
    tokenizer = Words()
    tokenizer.chat_template = None
    assert encoded([{"text": "one two"}], tokenizer)[0].rows
    with pytest.raises(SpecRefused, match="no chat template"):
        encoded([row()], tokenizer)


def test_pairs_share_their_prompt_and_margins_are_left_out_where_they_are_not_wanted():
    pair = {
        "prompt": says("user", "name it"),
        "chosen": says("assistant", "red"),
        "rejected": says("assistant", "no"),
    }
    made, spec = encoded([pair], method="dpo")
    (only,) = columns(made, spec)
    assert only["prompt_ids"][-1] != END
    assert (only["chosen_ids"][-1], only["rejected_ids"][-1]) == (END, END)
    made, spec = encoded([pair | {"margin": 2.0}, pair], method="reward")
    assert [one["margin"] for one in columns(made, spec)] == [2.0, 0.0]
    made, spec = encoded([pair | {"margin": 2.0}], method="reward", use_margin=False)
    assert "margin" not in columns(made, spec)[0]
