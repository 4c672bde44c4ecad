"""Answers that come word by word over a connection: read beside the work, so that they can be left at any moment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any, TypeVar

LOOK_SECONDS = 0.1
Heard = TypeVar("Heard")


def as_it_comes(source: Callable[[Event], Iterator[Heard]], pause: Callable[[], None]) -> Iterator[Heard]:
    """Yield what a connection gives, with `pause` called while it gives nothing, so that it can be left at any moment.

    `source` is called in a thread of its own, with an event after which it should end.
    """
    came: SimpleQueue[tuple[Heard | None, Exception | None, bool]] = SimpleQueue()
    over = Event()

    def listen() -> None:
        try:
            for one in source(over):
                came.put((one, None, False))
        except Exception as error:
            came.put((None, error, True))
        else:
            came.put((None, None, True))

    Thread(target=listen, daemon=True).start()
    try:
        while True:
            pause()
            try:
                one, error, last = came.get(timeout=LOOK_SECONDS)
            except Empty:
                continue
            if error is not None:
                raise error
            if last:
                return
            assert one is not None
            yield one
    finally:
        over.set()


def events(lines: Iterator[str], over: Event) -> Iterator[dict[str, Any]]:
    """The objects of a stream of server-sent events, as far as it is wanted."""
    for line in lines:
        if over.is_set():
            return
        data = line.removeprefix("data:").strip()
        if not line.startswith("data:") or not data:
            continue
        if data == "[DONE]":
            return
        found = json.loads(data)
        if isinstance(found, dict):
            yield found
