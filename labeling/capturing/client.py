"""Send captures to Prefloop from your product. Standard library only: copy this file.

prefloop = Prefloop("https://prefloop.example.org", "pfc_…")
prefloop.capture(prompt="Where is it?", answer="In Utrecht.", thumbs="down", consent=True)
prefloop.flush()  # what waits for a batch to be full; call it before your process ends
"""

import json
import time
import urllib.error
import urllib.request
import uuid
from typing import Any


class Prefloop:
    def __init__(self, address: str, token: str, batch: int = 100) -> None:
        self.url, self.batch = f"{address.rstrip('/')}/api/v1/captures", batch
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.waiting: list[dict[str, Any]] = []

    def capture(self, **fields: Any) -> None:
        self.waiting.append({"idempotency_key": f"{time.time_ns():x}-{uuid.uuid4().hex}", **fields})
        if len(self.waiting) >= self.batch:
            self.flush()

    def flush(self, tries: int = 6) -> list[dict[str, str]]:
        """What became of each; a capture that was refused says why. Keys make it harmless to send again."""
        sent = self.waiting[: self.batch]
        if not sent:
            return []
        body = json.dumps({"captures": sent}).encode()
        for attempt in range(tries):
            try:
                request = urllib.request.Request(self.url, body, self.headers)
                with urllib.request.urlopen(request, timeout=30) as answer:
                    del self.waiting[: len(sent)]
                    return [*json.load(answer)["results"], *self.flush(tries)]
            except urllib.error.HTTPError as error:
                if error.code < 500 and error.code != 429:
                    raise RuntimeError(json.load(error)["detail"]) from error
                pause = float(error.headers.get("Retry-After") or 2**attempt)
            except OSError:
                pause = 2.0**attempt
            time.sleep(pause)
        raise RuntimeError(f"{self.url} does not answer; {len(self.waiting)} captures still wait.")
