"""A service that streams as OpenAI's do, word by word, and falls silent where it is told to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Streamer:
    """What it was asked; `words` are said one by one, and after `silent_after` of them nothing comes before `go_on`."""

    def __init__(self, words: list[Any]) -> None:
        self.words, self.silent_after = words, len(words)
        self.go_on, self.url = threading.Event(), ""
        self.asked: list[dict[str, Any]] = []
        self.refuses: list[tuple[int, str]] = []


@contextmanager
def streaming(*words: Any) -> Iterator[Streamer]:
    """A running service."""
    told = Streamer(list(words))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if told.refuses:
                status, words = told.refuses.pop(0)
                self._head(status, "application/json")
                self.wfile.write(json.dumps({"error": {"message": words}}).encode())
                return
            self._head(200, "text/event-stream")
            for number, word in enumerate(told.words):
                if number == told.silent_after:
                    told.go_on.wait()
                self._say({"choices": [{"delta": {"content": word}}]})
            self._say({"choices": [{"delta": {}, "finish_reason": "stop"}]})
            self._say({"choices": [], "usage": {"completion_tokens": len(told.words), "prompt_tokens": 5}})
            self.wfile.write(b"data: [DONE]\n\n")

        def _head(self, status: int, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()

        def _say(self, what: dict[str, Any]) -> None:
            self.wfile.write(f"data: {json.dumps(what)}\n\n".encode())
            self.wfile.flush()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # whoever asked may be killed
    threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.01}).start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield told
    finally:
        told.go_on.set()
        server.shutdown()
        server.server_close()
