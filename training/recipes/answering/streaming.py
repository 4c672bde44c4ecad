"""Answers that come step by step from something that would not give the thread back: a connection, or `generate`."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from queue import Empty, SimpleQueue
from threading import Event, Semaphore, Thread
from typing import Any, TypeVar

Made = TypeVar("Made")


class Left(Exception):
    """Nobody wants the rest."""


def as_it_comes(source: Callable[[Event], Iterator[Made]]) -> Iterator[Made | None]:
    """Yield what a connection gives, and None while it gives nothing, so that it can be left at any moment.

    `source` is called in a thread of its own, with an event after which it should end.
    """
    came: SimpleQueue[Made | Exception | None] = SimpleQueue()  # None is the end
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
            try:
                one = came.get_nowait()
            except Empty:
                yield None
                continue
            if one is None:
                return
            if isinstance(one, Exception):
                raise one
            yield one
    finally:
        over.set()


def by_steps(work: Callable[[Callable[[], None]], Made]) -> Generator[bool, None, Made]:
    """Carry out work that calls what it is given between its steps: one step at a time, each when it is asked for.

    The work has a thread of its own, which rests while the caller's goes on: never do both run.
    """
    ours, theirs, left = Semaphore(0), Semaphore(0), Event()
    made: list[Made] = []
    failed: list[BaseException] = []

    def pause() -> None:
        ours.release()
        theirs.acquire()
        if left.is_set():
            raise Left

    def run() -> None:
        theirs.acquire()
        try:
            made.append(work(pause))
        except BaseException as error:
            failed.append(error)
        ours.release()

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        while True:
            theirs.release()
            ours.acquire()
            if failed:
                raise failed[0]
            if made:
                return made[0]
            yield True
    finally:
        left.set()
        theirs.release()
        thread.join()


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
