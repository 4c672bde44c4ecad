"""The broker that needs no other service: files in a folder, whole or not there."""

import errno
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty
from subprocess import Popen
from typing import Any

import pytest
from kombu import Connection
from kombu.exceptions import ChannelError
from kombu.simple import SimpleQueue
from kombu.transport import virtual

import config.broker

SENT = 500
# What Python does between two steps of one thread when others have work: here after each few bytecodes.
SENDER = """
import sys, threading
from tests.test_broker import SENT, connected
sys.setswitchinterval(1e-6)
threading.Thread(target=lambda: [sum(range(2000)) for _ in iter(int, 1)], daemon=True).start()
with connected(sys.argv[1]) as connection, connection.SimpleQueue("io") as queue:
    for number in range(SENT):
        queue.put({"number": number, "padding": "x" * 300})
"""


@pytest.fixture(autouse=True)
def unacquainted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process remembers which queues it told of; each test here has a folder of its own that knows of none."""
    monkeypatch.setattr(config.broker.Transport, "global_state", virtual.BrokerState())


def connected(folder: str | Path) -> Connection:
    places = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": f"{folder}/control"}
    Path(places["control_folder"]).mkdir(exist_ok=True)
    return Connection("filesystem://localhost//", transport_options={k: str(v) for k, v in places.items()})


def numbers(queue: SimpleQueue) -> list[Any]:
    """What lies in the queue, taken out of it."""
    found = []
    try:
        while True:
            message = queue.get(block=False)
            found.append(message.payload["number"])
            message.ack()
    except Empty:
        return found


def test_the_address_of_an_installation_leads_to_it(tmp_path: Path) -> None:
    assert isinstance(connected(tmp_path).transport, config.broker.Transport)


def test_a_worker_never_meets_a_message_that_is_half_written(tmp_path: Path) -> None:
    with connected(tmp_path) as connection, connection.SimpleQueue("io") as queue:
        sender = Popen([sys.executable, "-c", SENDER, str(tmp_path)], cwd=Path(__file__).parents[1])
        found: list[Any] = []
        while sender.poll() is None:
            found += numbers(queue)
        found += numbers(queue)
    assert sender.returncode == 0
    assert sorted(found) == [*range(SENT)]


def test_what_cannot_be_read_is_logged_and_the_next_message_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(tmp_path) as connection, connection.SimpleQueue("io") as queue:
        (tmp_path / "0_half.io.msg").write_bytes(b'{"body": "\xff')
        queue.put({"number": 1})
        assert numbers(queue) == [1]
    assert "0_half.io.msg cannot be read" in caplog.text
    assert [*tmp_path.glob("*.msg")] == []


def test_a_message_for_which_there_is_no_room_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, text: str) -> int:
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    with connected(tmp_path) as connection, connection.SimpleQueue("io") as queue:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_text", full)
            with pytest.raises(ChannelError, match="No space left"):
                queue.put({"number": 1})
        queue.put({"number": 2})
        assert numbers(queue) == [2]
        assert [each.name for each in tmp_path.iterdir()] == ["control"]


def test_one_of_several_workers_takes_a_message(tmp_path: Path) -> None:
    with connected(tmp_path) as connection, connection.SimpleQueue("io") as queue:
        for number in range(SENT):
            queue.put({"number": number})

    def worker(_: int) -> list[Any]:
        with connected(tmp_path) as own, own.SimpleQueue("io") as mine:
            return numbers(mine)

    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(worker, range(4))]
    assert sorted(number for each in found for number in each) == [*range(SENT)]
