"""A service that speaks as OpenAI's do, and fails as it is told: a request takes the next of `script`, then `rest`."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], bytes]


def says(text: str, *, top: dict[str, float] | None = None, finish: str = "stop", **usage: int) -> Reply:
    """A chat completion."""
    choice: dict[str, Any] = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    if top is not None:
        told = [{"token": token, "logprob": value} for token, value in top.items()]
        choice["logprobs"] = {"content": [{"token": next(iter(top)), "top_logprobs": told}]}
    given = {"prompt_tokens": 10, "completion_tokens": 4} | usage
    return 200, {}, json.dumps({"choices": [choice], "usage": given}).encode()


def fails(status: int, message: str = "no", **headers: str) -> Reply:
    """An error as services write it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, named, json.dumps({"error": {"message": message}}).encode()


def garbage(text: str = "<html>busy</html>") -> Reply:
    """Success, it says."""
    return 200, {}, text.encode()


class Service:
    """What it was asked, and what it says next."""

    def __init__(self, script: list[Any], rest: Callable[[dict], Reply]) -> None:
        self.script, self.rest, self.lock = list(script), rest, threading.Lock()
        self.asked: list[dict] = []
        self.heads: list[dict[str, str]] = []
        self.url = ""
        self.over = threading.Event()

    def next(self, path: str, heads: dict[str, str], body: dict) -> Any:
        with self.lock:
            self.asked.append({"path": path} | body)
            self.heads.append(heads)
            return self.script.pop(0) if self.script else self.rest(body)


@contextmanager
def service(*script: Any, rest: Callable[[dict], Reply] = lambda body: says("fine")) -> Iterator[Service]:
    """A running service; "hang" in the script is an answer that never comes, "drip" one that never ends."""
    told = Service(list(script), rest)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = told.next(self.path, dict(self.headers), body)
            if reply == "hang":
                told.over.wait()
                return
            if reply == "drip":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                while not told.over.wait(0.02):
                    try:
                        self.wfile.write(b" ")
                    except OSError:
                        return
                return
            status, heads, data = reply
            self.send_response(status)
            for name, value in (heads | {"Content-Length": str(len(data))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.01}).start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield told
    finally:
        told.over.set()
        server.shutdown()
        server.server_close()
