"""Requests under way at the same time, by threads that end with the process: no answer is waited for that hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from training.recipes import contract
from training.recipes.answering.ledger import Answer

Row = TypeVar("Row")
LOOK_SECONDS = 0.2  # between looks at whether the run is to stop
LINGER_SECONDS = 5  # for answers under way when the run stops: they were paid for


class Crew(Generic[Row]):
    """Calls `work` on rows, `size` at a time; `over` is set when no more is to be begun."""

    def __init__(
        self,
        run: contract.Run,
        work: Callable[[Row], Answer],
        rows: Sequence[Row],
        size: int,
        over: threading.Event | None = None,
    ) -> None:
        self.run, self.work = run, work
        self.over = over or threading.Event()
        self.todo: SimpleQueue[Row] = SimpleQueue()
        self.done: SimpleQueue[tuple[Row, Answer | Exception]] = SimpleQueue()
        for row in rows:
            self.todo.put(row)
        self.threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(size, len(rows)))]

    def halt(self) -> None:
        """Take no more rows; `finished` still gives those that are under way."""
        self.over.set()

    def finished(self) -> Iterator[list[tuple[Row, Answer | Exception]]]:
        """Yield rows with what became of them, as they come. Raises `Stopped` when the run is to stop, after what was
        under way has had a moment to come.
        """
        for thread in self.threads:
            thread.start()
        asked: float | None = None
        try:
            while any(thread.is_alive() for thread in self.threads) or not self.done.empty():
                if found := self._found():
                    yield found
                if self.run.stopping:
                    self.halt()
                    asked = asked or time.monotonic()
                    if time.monotonic() - asked > LINGER_SECONDS:
                        break
        finally:
            self.halt()
        self.run.stop_if_asked()

    def _found(self) -> list[tuple[Row, Answer | Exception]]:
        found = []
        try:
            found.append(self.done.get(timeout=LOOK_SECONDS))
            while True:
                found.append(self.done.get_nowait())
        except Empty:
            return found

    def _work(self) -> None:
        while not self.over.is_set():
            try:
                row = self.todo.get_nowait()
            except Empty:
                return
            try:
                self.done.put((row, self.work(row)))
            except Exception as error:
                self.done.put((row, error))  # first: what is cut short by the halt must be read after it
                self.halt()  # here, and not where it is read: by then the others would have begun more rows
