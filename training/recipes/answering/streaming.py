"""Answers that come word by word over a connection: read beside the work, so that they can be left at any moment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

LOOK_SECONDS = 0.1


def as_it_comes(
    source: Callable[[Event], Iterator[dict[str, Any]]], pause: Callable[[], None]
) -> Iterator[dict[str, Any]]:
    """Yield what a connection gives, with `pause` called while it gives nothing, so that it can be left at any moment.

    `source` is called in a thread of its own, with an event after which it should end.
    """
    came: SimpleQueue[dict[str, Any] | Exception | None] = SimpleQueue()  # None is the end
    over = Event()

    def listen() -> None:
        try:
            for event in source(over):
                came.put(event)
            came.put(None)
        except Exception as error:
            came.put(error)

    Thread(target=listen, daemon=True).start()
    try:
        while True:
            pause()
            try:
                one = came.get(timeout=LOOK_SECONDS)
            except Empty:
                continue
            if one is None:
                return
            if isinstance(one, Exception):
                raise one
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
