"""Answers from services: what they do wrong is waited out, said, or ends the run; the key is nowhere."""

import json
import math
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from tests.training.asking import answers, wanted, write_asked
from tests.training.fake_service import fails, garbage, says, service
from tests.training.forked import call, events, result
from training.recipes import answer, contract
from training.recipes.answering import calling
from training.recipes.answering.services import place, weighed
from training.specs import AnswerJob, SpecRefused, parse

SECRET = "sk-very-secret"


def carried(path: str) -> int:
    """Ask in a process of its own, in which waits have no length and are noted."""
    waits: list[float] = []
    calling.Caller._wait = lambda self, seconds: waits.append(seconds) if seconds else None
    os.environ |= {"NO_PROXY": "127.0.0.1", "PREFLOOP_ENDPOINT_KEY_TEST": SECRET}
    sys.stdout = sys.stderr = (Path(path) / "log").open("a")
    code = contract.process(["answer", path], "answer", answer.work)
    (Path(path) / "waits").write_text(json.dumps(waits))
    return code


def ask(place: Path, told, requests=None, *, endpoint=None, **settings) -> int:
    named = {"id": "api", "url": told.url, "model": "big", "key_variable": "PREFLOOP_ENDPOINT_KEY_TEST"}
    rows = requests or [wanted("one", "api", sampling={"seed": 3, "max_tokens": 9, "stop": ["x"]})]
    if not place.exists():
        settings = {"engine": "openai", "base": "", "timeout": 30, "tries": 4, "concurrency": 4} | settings
        write_asked(place, rows, [named | (endpoint or {})], **settings)
    return call(carried, str(place))


def sentence(path):
    return events(path, "error")[-1]["values"]["message"]


def many(count: int) -> list[dict]:
    return [wanted(f"r{i}", "api", sampling={"seed": i}) for i in range(count)]


def test_every_sampling_field_is_sent_and_what_came_is_kept(tmp_path):
    with service() as told:
        prices = {"price_in": 2.0, "price_out": 5.0}
        assert ask(tmp_path / "run", told, endpoint=prices) == 0
    row = answers(tmp_path / "run")["one"]
    assert (row["text"], row["finish"], row["tokens"], row["prompt_tokens"]) == ("fine", "stop", 4, 10)
    assert row["cost"] == pytest.approx((10 * 2 + 4 * 5) / 1e6)
    assert row["ms"] > 0
    (asked,) = told.asked
    assert asked.pop("messages") == [{"role": "user", "content": "Tell me more."}]
    assert asked == {
        "path": "/v1/chat/completions", "model": "big", "n": 1, "max_tokens": 9, "seed": 3, "temperature": 0.0,
        "top_p": 1.0, "stop": ["x"],
    }  # fmt: skip
    assert told.heads[0]["Authorization"] == f"Bearer {SECRET}"
    assert result(tmp_path / "run")["targets"]["api"]["cost"] == row["cost"]


@pytest.mark.parametrize(
    ("fault", "waits"),
    [
        (fails(429, retry_after="7"), [7.0]),
        (fails(429), None),
        (fails(500), None),
        (fails(503, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"), []),
        (garbage(), None),
        (garbage('{"choices": []}'), None),
    ],
    ids=["429 after 7 s", "429", "500", "503 after a date", "garbage", "nothing"],
)
def test_a_fault_is_waited_out(tmp_path, fault, waits):
    with service(fault, fault) as told:
        assert ask(tmp_path / "run", told) == 0
    assert answers(tmp_path / "run")["one"]["text"] == "fine"
    assert len(told.asked) == 3
    waited = json.loads((tmp_path / "run" / "waits").read_text())
    if waits is None:
        first, second = waited
        assert 0.5 <= first <= 1 <= second <= 2, "twice as long, by chance up to half as long"
    else:
        assert waited == waits * 2


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_an_answer_that_does_not_end_is_waited_for_so_long_and_no_longer(tmp_path, fault):
    with service(fault, fault) as told:
        assert ask(tmp_path / "run", told, timeout=0.5, tries=9) == 0
    assert answers(tmp_path / "run")["one"]["text"] == "fine"
    assert len(told.asked) >= 3, "more where this machine itself is slow"


def told(content="red", *, message=None, usage=None, **choice):
    """What a service might say with success."""
    one = {"message": message or {"content": content}, "finish_reason": "stop"} | choice
    return garbage(json.dumps({"choices": [one], "usage": usage}))


PART = {"type": "text"}


def top(*pairs):
    return {"content": [{"top_logprobs": list(pairs)}]}


GARBLED = [
    told(5),
    told({"a": 1}),
    told(["red"]),
    told([PART | {"text": 5}]),
    told(None, message={"refusal": 5}),
    told(finish_reason=["stop"]),
    told(logprobs="x"),
    told(logprobs={"content": "x"}),
    told(logprobs=top("yes")),
    told(logprobs=top({"token": "yes"})),
    told(logprobs=top({"token": 5, "logprob": -1.0})),
    told(logprobs=top({"token": "yes", "logprob": "NaN"})),
    told(logprobs=top({"token": "yes", "logprob": math.nan})),
    told(logprobs=top({"token": "yes", "logprob": 5})),
    garbage('{"choices": {"0": 1}}'),
    garbage('{"choices": [[]]}'),
    garbage("[" * 100_000),
]
ODD = [  # and what is read: text, tokens of prompt and answer
    (told([PART | {"text": "re"}, {"type": "thinking"}, PART | {"text": "d"}]), "red", None, None),
    (told(None, message={"content": None, "refusal": "No."}), "No.", None, None),
    (told("a\0b"), "a\ufffdb", None, None),
    (told(usage="lots"), "red", None, None),
    (told(usage=[1]), "red", None, None),
    (told(usage={"prompt_tokens": "1", "completion_tokens": 2}), "red", None, 2),
    (told(usage={"prompt_tokens": -1, "completion_tokens": 10**30}), "red", None, None),
    (told(usage={"prompt_tokens": True, "completion_tokens": 1.5}), "red", None, None),
]


def test_what_is_no_chat_completion_is_asked_for_again(tmp_path):
    with service(*GARBLED) as told_of:
        assert ask(tmp_path / "run", told_of, tries=len(GARBLED) + 1) == 0, sentence(tmp_path / "run")
    assert answers(tmp_path / "run")["one"]["text"] == "fine"
    assert len(told_of.asked) == len(GARBLED) + 1
    with service(rest=lambda body: told(5)) as told_of:
        assert ask(tmp_path / "always", told_of) == 0
    assert "an answer that is no chat completion" in answers(tmp_path / "always")["one"]["error"]


def test_what_a_service_tells_oddly_is_read_as_far_as_it_can_be(tmp_path):
    with service(rest=lambda body: ODD[body["seed"]][0]) as told_of:
        prices = {"price_in": 1.0, "price_out": 1.0}
        assert ask(tmp_path / "run", told_of, many(len(ODD)), endpoint=prices) == 0
    for number, (_, *read) in enumerate(ODD):
        row = answers(tmp_path / "run")[f"r{number}"]
        assert [row["text"], row["prompt_tokens"], row["tokens"]] == read
    assert len(told_of.asked) == len(ODD)


def test_an_error_is_kept_without_what_no_database_stores(tmp_path):
    with service(fails(400, "bad \0 thing")) as told_of:
        assert ask(tmp_path / "run", told_of) == 0
    assert answers(tmp_path / "run")["one"]["error"].endswith("(status 400): bad \ufffd thing.")


def test_what_fails_each_time_is_an_error_and_the_others_are_answered(tmp_path):
    def reply(body):
        return fails(502, "bad gateway") if body["seed"] == 2 else says("fine")

    with service(rest=reply) as told:
        assert ask(tmp_path / "run", told, many(5)) == 0
    bad = {key: row["error"] for key, row in answers(tmp_path / "run").items() if row.get("error")}
    assert bad == {"r2": "The service failed 4 times, the last time with status 502: bad gateway."}
    assert len(told.asked) == 4 + 4


def test_a_service_that_is_down_ends_the_run_and_is_asked_for_the_rest_later(tmp_path):
    up = threading.Event()
    up.set()

    def reply(body):
        return says("fine") if up.is_set() and body["seed"] < 10 else fails(503)

    with service(rest=reply) as told:
        assert ask(tmp_path / "run", told, many(40), tries=2) == contract.FAILED
        assert "requests to" in sentence(tmp_path / "run")
        assert "failed one after another" in sentence(tmp_path / "run")
        kept = answers(tmp_path / "run")
        assert not [row for row in kept.values() if row.get("error")]
        told.rest, before = (lambda body: says("again")), len(told.asked)
        assert ask(tmp_path / "run", told) == 0
        assert len(told.asked) - before == 40 - len(kept)
    assert len(answers(tmp_path / "run")) == 40


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            fails(401, f"Incorrect API key provided: {SECRET}"),
            "does not take the key (status 401: Incorrect API key",
        ),
        (fails(403), "does not take the key"),
        (fails(404, "no such model"), "has no such address or model (status 404: no such model)"),
    ],
    ids=["401", "403", "404"],
)
def test_what_concerns_every_request_ends_the_run(tmp_path, fault, words):
    with service(rest=lambda body: fault) as told:
        assert ask(tmp_path / "run", told, many(30)) == contract.FAILED
    assert words in sentence(tmp_path / "run")
    assert len(told.asked) <= 8
    assert not answers(tmp_path / "run")


def test_the_key_is_in_no_file_and_no_message(tmp_path):
    with service(rest=lambda body: fails(401, f"wrong: {SECRET}")) as told:
        ask(tmp_path / "run", told)
    with service(rest=lambda body: fails(400, f"odd: {SECRET}")) as told:
        ask(tmp_path / "other", told)
    files = [file for folder in ("run", "other") for file in (tmp_path / folder).iterdir()]
    assert len(files) > 6
    assert not [file for file in files if SECRET in file.read_text()]


def test_only_a_variable_for_keys_is_read_and_it_must_be_set(tmp_path):
    endpoint = {"id": "api", "url": "https://x", "model": "m", "key_variable": "DJANGO_SECRET_KEY"}
    with pytest.raises(SpecRefused, match="begin with PREFLOOP_ENDPOINT_KEY_"):
        parse(AnswerJob, {"engine": "openai", "endpoints": [endpoint]})
    with service() as told:
        other = {"key_variable": "PREFLOOP_ENDPOINT_KEY_OTHER"}
        assert ask(tmp_path / "run", told, endpoint=other) == contract.FAILED
    assert "PREFLOOP_ENDPOINT_KEY_OTHER, which is to hold the key" in sentence(tmp_path / "run")
    assert not told.asked


def test_what_the_service_calls_wrong_is_an_error(tmp_path):
    def reply(body):
        return fails(400, "too long") if body["seed"] == 1 else says("fine")

    with service(rest=reply) as told:
        assert ask(tmp_path / "run", told, many(3)) == 0
    assert (
        answers(tmp_path / "run")["r1"]["error"]
        == "The service does not take this request (status 400): too long."
    )
    assert len(told.asked) == 3


def test_a_service_that_calls_the_length_otherwise_is_asked_its_way(tmp_path):
    def reply(body):
        if "max_tokens" in body:
            return fails(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return says("fine")

    with service(rest=reply) as told:
        assert ask(tmp_path / "run", told, many(3), concurrency=1) == 0
    assert [row["text"] for row in answers(tmp_path / "run").values()] == ["fine"] * 3
    assert len(told.asked) == 4


def choosing(*labels: str) -> list[dict]:
    return [wanted("one", "api", "choose", labels=labels or ["A", "B"])]


def test_labels_are_weighed_by_the_first_token_where_the_service_tells_it(tmp_path):
    told_of = {"A": math.log(0.6), " A": math.log(0.1), "B": math.log(0.1), "The": math.log(0.2)}
    with service(rest=lambda body: says("A", top=told_of)) as told:
        assert ask(tmp_path / "run", told, choosing()) == 0
    row = answers(tmp_path / "run")["one"]
    assert row["probabilities"] == pytest.approx({"A": 0.875, "B": 0.125})
    assert row["mass"] == pytest.approx(0.8)
    assert told.asked[0]["top_logprobs"] == 20


def test_without_probabilities_the_answer_must_be_a_label(tmp_path):
    def reply(body):
        return fails(400, "logprobs is not supported") if "logprobs" in body else says(" B\n")

    with service(rest=reply) as told:
        assert ask(tmp_path / "run", told, choosing()) == 0
    row = answers(tmp_path / "run")["one"]
    assert row["probabilities"] == {"A": 0.0, "B": 1.0}
    assert "mass" not in row
    assert len(told.asked) == 2
    with service(rest=lambda body: says("Both are fine.")) as told:
        assert ask(tmp_path / "other", told, choosing()) == 0
    assert (
        answers(tmp_path / "other")["one"]["error"]
        == "The service answered outside its labels: 'Both are fine.'."
    )


def test_a_token_counts_for_the_one_label_that_begins_with_it():
    told = [(token, 0.0) for token in ("y", "no", "n", "", "x")]
    assert weighed(["yes", "no", "never"], told) == {"yes": 1.0, "no": 1.0, "never": 0.0}
    assert weighed(["yes"], ()) == {"yes": 0.0}


def test_likelihoods_and_rewards_are_not_to_be_had(tmp_path):
    rows = [wanted(kind, "api", kind, completion="x") for kind in ("likelihood", "reward")]
    with service() as told:
        assert ask(tmp_path / "run", told, [*rows, *choosing("A", "AB")]) == 0
    assert not told.asked
    assert all(row["error"] for row in answers(tmp_path / "run").values())


def test_a_pace_spreads_requests_over_the_minute():
    now = [0.0]
    pace = calling.Pace(30, clock=lambda: now[0])
    assert [pace.take() for _ in range(3)] == [0.0, 2.0, 4.0]
    now[0] = 60.0
    assert pace.take() == 0.0, "what was not used is not saved up"
    assert pace.take() == 2.0
    assert calling.Pace(None).take() == 0.0


def test_a_run_that_is_stopped_keeps_what_came_and_asks_nobody_twice(tmp_path):
    def reply(body):
        if body["seed"] == 5:
            os.kill(int((tmp_path / "run" / "lock").read_text()), signal.SIGTERM)
        return says("fine")

    with service(rest=reply) as told:
        assert ask(tmp_path / "run", told, many(40), concurrency=2) == contract.STOPPED
        kept = len(answers(tmp_path / "run"))
        assert 0 < kept < 40
        told.rest = lambda body: says("again")
        assert ask(tmp_path / "run", told) == 0
    assert len(told.asked) == len({body["seed"] for body in told.asked}) == 40


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("https://api.openai.com", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1/chat/completions"),
        ("https://x.example/v1beta/openai", "https://x.example/v1beta/openai/chat/completions"),
        ("http://localhost:8000/v1/chat/completions", "http://localhost:8000/v1/chat/completions"),
    ],
)
def test_an_address_is_completed_where_it_ends_at_the_host(given, found):
    assert place(given) == found
