"""Send captures to Prefloop from your product. Standard library only: copy this file.

prefloop = Prefloop("https://prefloop.example.org", "pfc_…")
prefloop.capture(prompt="Where is it?", answer="In Utrecht.", thumbs="down", consent=True)
prefloop.close()  # before your process ends; until then a thread sends what waits
"""

import json
import logging
import time
import urllib.error
import urllib.request
import uuid
from queue import Queue
from threading import Thread
from typing import Any

BATCH, MOST_WAITING, PAUSE_S = 100, 20_000, 5.0
log = logging.getLogger("prefloop")


class Prefloop:
    """`refused` is called with each capture that is not taken, and why; without it, the log says why."""

    def __init__(self, address: str, token: str, refused: Any = None) -> None:
        self.url = f"{address.rstrip('/')}/api/v1/captures"
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.refused = refused or (lambda capture, why: log.warning("A capture was not taken: %s", why))
        self.waiting, self.sender = Queue[dict[str, Any]](), Thread()

    def capture(self, **fields: Any) -> None:
        if self.waiting.qsize() < MOST_WAITING:
            self.waiting.put({"idempotency_key": f"{time.time_ns():x}-{uuid.uuid4().hex}", **fields})
        else:
            self.refused(fields, f"{MOST_WAITING:,} captures wait already.")
        if not self.sender.is_alive():  # nor is it in a process that was forked
            self.sender = Thread(target=self._run, daemon=True)
            self.sender.start()

    def close(self, seconds: float = 15) -> int:
        """Wait until all is sent, for so long at most. Returns how many captures were not."""
        end = time.monotonic() + seconds
        while self.waiting.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.01)
        return self.waiting.unfinished_tasks

    def _run(self) -> None:
        rows, most = list[dict[str, Any]](), BATCH
        while True:
            while not rows or (len(rows) < BATCH and not self.waiting.empty()):
                rows.append(self.waiting.get())
            try:
                for fate in self._post(rows[:most]):
                    row = rows.pop(0)
                    self.waiting.task_done()
                    if fate["status"] == "refused":
                        self.refused(row, fate["detail"])
                most = BATCH
            except Exception as error:  # sent again, which keys make harmless, and fewer at once
                log.warning("%d captures wait to be sent again: %s", self.waiting.unfinished_tasks, error)
                most = (min(most, len(rows)) + 1) // 2
                time.sleep(PAUSE_S)

    def _post(self, rows: list[dict[str, Any]]) -> list[dict[str, str]]:
        body = json.dumps({"captures": rows}, default=str).encode()
        try:
            request = urllib.request.Request(self.url, body, self.headers)
            with urllib.request.urlopen(request, timeout=10) as answer:
                fates: list[dict[str, str]] = json.load(answer)["results"]
                return fates
        except urllib.error.HTTPError as error:
            said = f"{self.url} answered {error.code}: {error.read().decode(errors='replace')[:300]}"
            if error.code in (413, 422) and len(rows) == 1:
                return [{"status": "refused", "detail": said}]
            raise RuntimeError(said) from error
