"""Scorers of a project's own, however badly they behave: only their cases are errors."""

import os
import re
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from evaluation.scorers import Given, Mark, Marker, find_scorer, marked, marking, own_files, read_params
from labeling.errors import Refused
from tests.ended import all_ended
from tests.evaluation.scorers.made import case

Write = Callable[[str], None]
NOISE = """
import os
def noise(data):
    for n in range(3, 20):  # the pipe to Prefloop is one of them
        try:
            os.write(n, data + b"\\n")
        except OSError:
            pass
"""


@pytest.fixture
def write(tmp_path: Path, settings: Any) -> Write:
    """Put a scorer into the folder of scorers, as mine.py."""
    folder = tmp_path / "scorers"
    folder.mkdir()
    settings.PREFLOOP_SCORERS = folder

    def put(source: str) -> None:
        (folder / "mine.py").write_text(textwrap.dedent(source))

    return put


@contextmanager
def mine(key: str = "own", **params: Any) -> Iterator[Marker]:
    scorer = find_scorer(key)
    with marking(scorer, read_params(scorer, {"file": "mine.py", **params})) as mark:
        yield mark


def one(answer: str = "Berlin", key: str = "own", **params: Any) -> Mark:
    with mine(key, **params) as mark:
        return mark(case(reference="Berlin"), Given(answer))


def test_a_function_gives_a_number(write: Write) -> None:
    write("def score(case, answer): return len(answer) * 2")
    assert one() == Mark(12.0)


def test_it_sees_the_case_and_the_answer(write: Write) -> None:
    write(
        """
        def polite(case, answer):
            return {"value": True, "seen": case, "answer": answer}
        """
    )
    facts = case(reference="Berlin", contexts=("c",), checks=({"type": "json"},), tags=("geo",))
    given = Given("Bonn\ud800", finish="stop", tokens=2, baseline="Köln")
    scorer = find_scorer("own")
    mark = marked(scorer, facts, given, read_params(scorer, {"file": "mine.py", "function": "polite"}))
    assert mark.value == 1.0
    assert mark.detail == {
        "answer": "Bonn?",
        "seen": {
            "id": 1,
            "messages": [{"role": "user", "content": "What is the capital of Germany?"}],
            "reference": "Berlin",
            "rejected": None,
            "contexts": ["c"],
            "checks": [{"type": "json"}],
            "tags": ["geo"],
            "baseline": "Köln",
            "finish": "stop",
            "tokens": 2,
        },
    }


def test_a_number_of_numpy_is_a_number(write: Write) -> None:
    write("import numpy\ndef score(case, answer): return numpy.float32(0.5)")
    assert one(memory_mb=2048).value == 0.5


def test_one_process_serves_all_cases(write: Write) -> None:
    write("import os\ndef score(case, answer): return os.getpid()")
    with mine() as mark:
        pids = {mark(case(id=n), Given("a")).value for n in range(50)}
    assert len(pids) == 1
    assert pids != {float(os.getpid())}


def test_the_process_is_gone_after_the_session(write: Write) -> None:
    write("import os\ndef score(case, answer): return os.getpid()")
    pid = int(one().value or 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("1 / 0", "it raised ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "it raised SystemExit: 3"),
        ("raise KeyboardInterrupt", "it raised KeyboardInterrupt"),
        ("return float('nan')", "it returned nan, which is no number"),
        ("return float('-inf')", "it returned -inf, which is no number"),
        ("return 'good'", "it returned a str; return a number, true or false"),
        ("return [1]", "it returned a list"),
        ("return {'detail': 1, 'value': 'x'}", "it returned a str"),
        ("return {'value': 1, 'detail': float('nan')}", "its detail is no JSON"),
        ("return {'value': 1, 'detail': {1, 2}}", "its detail is no JSON"),
        ("return {'value': 1, 'detail': 'x' * 10**6}", "it returned more than 64 KB"),
        ("return 10 ** 400", "it raised OverflowError"),
        ("return score(case, answer)", "it raised RecursionError"),
        ("return len(b'x' * 10**9)", "it raised MemoryError"),
        ("open(__file__ + '.txt', 'wb', buffering=0).write(b'x')", "it raised OSError: .* File too large"),
        ("import os; os._exit(7)", "its process ended with code 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "its process was killed by signal 9"),
        ("while True: pass", "it took more than 0.5 s"),
        ("import time; time.sleep(3600)", "it took more than 0.5 s"),
        ("noise(b'garbage')", "it wrote something that is no reply"),
        ("noise(b'x' * 10**6)", "it wrote something that is no reply"),
        ("noise(b'[' * 10**4)", "it wrote something that is no reply"),
        ('noise(b\'{"id": 9, "value": 1}\')', "it (wrote something that is no reply|replied to something)"),
        ("noise(b'7')", "it (wrote something that is no reply|replied to something)"),
    ],
)
def test_whatever_it_does_only_its_case_is_an_error(write: Write, body: str, words: str) -> None:
    write(NOISE + f"def score(case, answer):\n    if case['id'] == 2: return 0.25\n    {body}\n")
    ends = "0.5 s" in words
    with mine(seconds=0.5 if ends else 30) as mark:
        bad = mark(case(id=1), Given("a"))
        good = None if ends else mark(case(id=2), Given("a"))  # half a second may be short on a busy machine
    assert (bad.value, bad.state) == (None, "error")
    assert re.match(f"mine.py: {words}", bad.reason)
    assert ends or good == Mark(0.25)


def test_the_case_after_one_that_ended_the_process_is_scored(write: Write) -> None:
    write(
        """
        import os
        def score(case, answer):
            return os._exit(1) if case["id"] % 2 else case["id"]
        """
    )
    with mine() as mark:
        marks = [mark(case(id=n), Given("a")) for n in range(4)]
    assert [one.value for one in marks] == [0.0, None, 2.0, None]
    assert {one.reason for one in marks if one.state == "error"} == {"mine.py: its process ended with code 1"}


def test_what_it_prints_goes_nowhere(write: Write) -> None:
    write(
        """
        import os, sys
        print("loaded")
        def score(case, answer):
            print('{"id": 1, "value": 99}', flush=True)
            sys.stderr.write("x" * 10**6)
            os.system("echo shell")
            os.write(1, b"garbage")
            return float(len(sys.stdin.read()))
        """
    )
    with mine() as mark:
        assert [mark(case(id=n), Given("a")).value for n in range(3)] == [0.0, 0.0, 0.0]


def test_it_sees_no_secrets(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "very secret")
    write("import os\ndef score(case, answer): return {'value': 1, 'seen': dict(os.environ)}")
    detail = one().detail
    assert detail is not None
    assert set(detail["seen"]) <= {
        "PATH",
        "LANG",
        "LC_CTYPE",
        "PYTHONHASHSEED",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
    }


def test_processor_time_of_threads_is_limited_as_well(write: Write) -> None:
    write("import resource\ndef score(case, answer): return resource.getrlimit(resource.RLIMIT_CPU)[0]")
    assert 1 < (one(seconds=3).value or 0) < 10


def test_what_it_started_is_ended_with_it(write: Write) -> None:
    write(
        """
        import subprocess
        def score(case, answer):
            return subprocess.Popen(["sleep", "3600"]).pid
        """
    )
    pid = int(one().value or 0)
    assert pid > 0
    assert all_ended([pid])


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def score(:", "SyntaxError"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("score = 1", "TypeError: it has no function score"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
        ("import os; os._exit(5)", "its process ended with code 5"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_said_for_each_case(write: Write, source: str, words: str) -> None:
    write(source)
    with mine() as mark:
        reasons = {mark(case(id=n), Given("a")).reason for n in range(3)}
    (reason,) = reasons
    assert reason.startswith(f"mine.py: it cannot be loaded: {words}")


def test_a_scorer_that_fails_every_time_is_given_up(write: Write) -> None:
    write("import os\ndef score(case, answer): os._exit(1)")
    with mine() as mark:
        reasons = [mark(case(id=n), Given("a")).reason for n in range(23)]
    assert reasons[:20] == ["mine.py: its process ended with code 1"] * 20
    assert set(reasons[20:]) == {"mine.py: 20 cases in a row ended it; the cases after them were not tried"}


def test_none_means_that_a_case_cannot_be_scored(write: Write) -> None:
    write("def score(case, answer): return None")
    mark = one()
    assert (mark.state, mark.reason) == ("unscorable", "mine.py: it has no value for this case")


@pytest.mark.parametrize(
    ("value", "state"), [("True", "scored"), ("0.5", "scored"), ("1.5", "error"), ("-1", "error")]
)
def test_a_share_stays_between_0_and_1(write: Write, value: str, state: str) -> None:
    write(f"def score(case, answer): return {value}")
    assert one(key="own_share").state == state


def test_a_large_case_is_passed_on_whole(write: Write) -> None:
    write("def score(case, answer): return len(answer)")
    assert one("ä" * 3_000_000).value == 3_000_000.0


@pytest.mark.parametrize(
    "name", ["../mine.py", "/etc/passwd", "a/mine.py", ".hidden.py", "mine.pyc", "mine.py\n", "", "mine"]
)
def test_only_files_of_the_folder_can_be_named(write: Write, name: str) -> None:
    write("def score(case, answer): return 1")
    with pytest.raises(Refused, match="cannot be set like that: file"):
        read_params(find_scorer("own"), {"file": name})


def test_a_file_that_is_not_there_is_refused_with_the_known_ones(write: Write) -> None:
    write("def score(case, answer): return 1")
    with pytest.raises(Refused, match=r"no scorer 'other.py' in the folder of scorers. Known: mine.py"):
        read_params(find_scorer("own"), {"file": "other.py"})
    assert own_files() == ["mine.py"]


def test_without_a_folder_there_are_none(settings: Any) -> None:
    settings.PREFLOOP_SCORERS = ""
    assert own_files() == []
    with pytest.raises(Refused, match="no folder of scorers; whoever runs it can set PREFLOOP_SCORERS"):
        read_params(find_scorer("own"), {"file": "mine.py"})


def test_a_changed_file_is_another_scorer(write: Write) -> None:
    scorer = find_scorer("own")
    hashes = set()
    for number in (1, 2):
        write(f"def score(case, answer): return {number}")
        hashes.add(scorer.facts(read_params(scorer, {"file": "mine.py"}))["sha256"])
    assert len(hashes) == 2
