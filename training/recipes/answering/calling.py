"""One request to a service, as often as it takes: pace, patience, and what its refusals mean."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2 as httpx

from training.recipes import contract
from training.recipes.answering.ledger import Impossible
from training.recipes.answering.said import Said, completion, piece

AGAIN = {408, 409, 425, 429, 500, 502, 503, 504, 529}
NEVER = {401, 403, 404}
FIRST_WAIT, LONGEST_WAIT, LONGEST_ASKED = 1.0, 30.0, 120.0  # seconds; the last where the service names them
SHOWN = 300  # characters of what a service says
UNREADABLE = (ValueError, RecursionError)  # the latter of brackets within brackets within brackets
GARBLED = "an answer that is no chat completion"


class ServiceFailed(Exception):
    """All tries failed; the message says how the last one did."""


class Pace:
    """A token bucket: at most so many requests a minute, a second's worth of them at once; None is no limit."""

    def __init__(self, per_minute: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = None if per_minute is None else per_minute / 60
        self.clock, self.lock = clock, threading.Lock()
        self.room = max(1.0, self.rate or 0.0)
        self.tokens, self.seen = self.room, clock()

    def take(self) -> float:
        """Take a token; returns how many seconds to wait before it may be used."""
        if self.rate is None:
            return 0.0
        with self.lock:
            now = self.clock()
            self.tokens = min(self.room, self.tokens + (now - self.seen) * self.rate) - 1
            self.seen = now
            return max(0.0, -self.tokens / self.rate)


@dataclass
class Caller:
    """Posts to one address. `over` ends every wait."""

    url: str
    key: str
    pace: Pace
    over: threading.Event
    timeout: float
    tries: int
    connections: int = 100
    chance: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        limits = httpx.Limits(max_connections=self.connections, max_keepalive_connections=self.connections)
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        self.client = httpx.Client(headers=headers, limits=limits, timeout=self.timeout)

    def post(self, body: dict[str, Any]) -> tuple[Said, float]:
        """Return what the service says and after how many milliseconds.

        Raises `Impossible` for what it calls wrong, `ServiceFailed` after all tries, `RecipeFailed` for what concerns
        every request.
        """
        why, asked = "", None
        for attempt in range(self.tries):
            if attempt:
                self._wait(self._patience(attempt) if asked is None else asked)
            self._wait(self.pace.take())
            began, asked = time.monotonic(), None
            try:
                said = self._sent(body)
            except (httpx.HTTPError, RuntimeError) as error:  # RuntimeError: closed at the end of the run
                why = f"no answer within {self.timeout:g} s" if is_timeout(error) else type(error).__name__
                continue
            ms = round(1000 * (time.monotonic() - began), 1)
            if said.status_code == 200:
                if found := self._read(said):
                    return found, ms
                why = f"{GARBLED}: {self._words(said)}"
                continue
            self._refuse(said)
            why, asked = f"status {said.status_code}: {self._words(said)}", retry_after(said)
        raise ServiceFailed(f"The service failed {self.tries} times, the last time with {why.rstrip('.')}.")

    def stream(
        self, body: dict[str, Any], read: Callable[[Iterator[str]], Iterator[dict[str, Any]]]
    ) -> Iterator[Said]:
        """Yield what the service says as it comes; `read` makes objects of lines. It is asked again only before its
        first word. A service that does not stream is heard all at once. Raises as `post` does.
        """
        why, asked, begun = "", None, False
        for attempt in range(self.tries):
            if attempt:
                self._wait(self._patience(attempt) if asked is None else asked)
            self._wait(self.pace.take())
            try:
                with self.client.stream("POST", self.url, json=body) as said:
                    if said.status_code == 200 and is_stream(said):
                        for one in map(piece, read(said.iter_lines())):
                            begun = True
                            yield one
                        return
                    said.read()
                    if said.status_code == 200 and (found := self._read(said)):
                        yield found
                        return
                    self._refuse(said)
                    why, asked = f"status {said.status_code}: {self._words(said)}", retry_after(said)
            except (httpx.HTTPError, RuntimeError, ValueError) as error:
                name = GARBLED if isinstance(error, UNREADABLE) else type(error).__name__
                why = f"no word for {self.timeout:g} s" if is_timeout(error) else name
                if begun:
                    raise ServiceFailed(f"The service broke off its answer: {why}.") from error
        raise ServiceFailed(f"The service failed {self.tries} times, the last time with {why.rstrip('.')}.")

    def _sent(self, body: dict[str, Any]) -> httpx.Response:
        """Send, and read at most `timeout` seconds in all: a service that sends a byte now and then is as good as
        silent.
        """
        until = time.monotonic() + self.timeout
        with self.client.stream("POST", self.url, json=body) as said:
            parts = []
            for part in said.iter_bytes():
                parts.append(part)
                if time.monotonic() > until:
                    raise httpx.ReadTimeout("too slow", request=said.request)
        return httpx.Response(said.status_code, headers=plain(said.headers), content=b"".join(parts))

    def _read(self, said: httpx.Response) -> Said | None:
        try:
            return completion(said.json())
        except UNREADABLE:
            return None

    def _refuse(self, said: httpx.Response) -> None:
        """Raise about a status that another try will not change."""
        status, words = said.status_code, self._words(said).rstrip(".")
        if status in NEVER:
            what = "has no such address or model" if status == 404 else "does not take the key"
            raise contract.RecipeFailed(
                f"{self.url} {what} (status {status}: {words}); correct the endpoint's "
                + ("url or model" if status == 404 else "key")
            )
        if status not in AGAIN and status < 500:
            raise Impossible(f"The service does not take this request (status {status}): {words}.")

    def _words(self, said: httpx.Response) -> str:
        """What a service says is wrong; never with the key, which some repeat."""
        try:
            found = said.json()
            error = found.get("error", found)
            words = str(error.get("message", error) if isinstance(error, dict) else error)
        except (*UNREADABLE, AttributeError):
            words = said.text
        words = " ".join(words.split())
        return (words.replace(self.key, "…") if self.key else words)[:SHOWN] or "nothing"

    def _patience(self, attempt: int) -> float:
        """Twice as long each time, and by chance up to half as long, so that many do not come back at once."""
        longest = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1))
        return longest * self.chance.uniform(0.5, 1.0)

    def _wait(self, seconds: float) -> None:
        if seconds > 0 and self.over.wait(seconds):
            raise ServiceFailed("The run was stopped.")


def plain(headers: httpx.Headers) -> dict[str, str]:
    """Headers of a body that is unpacked already."""
    return {
        name: value for name, value in headers.items() if name not in ("content-encoding", "content-length")
    }


def is_stream(said: httpx.Response) -> bool:
    """Whether an answer comes in server-sent events."""
    return str(said.headers.get("content-type", "")).startswith("text/event-stream")


def is_timeout(error: Exception) -> bool:
    """Whether a request ended because it took too long."""
    return isinstance(error, httpx.TimeoutException)


def retry_after(said: httpx.Response) -> float | None:
    """Seconds that a service asks to wait: a number or a date (RFC 9110, 10.2.3)."""
    given = said.headers.get("retry-after", "").strip()
    if not given:
        return None
    try:
        seconds = float(given)
    except ValueError:
        try:
            until = parsedate_to_datetime(given)
        except ValueError:
            return None
        seconds = ((until if until.tzinfo else until.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_ASKED)
