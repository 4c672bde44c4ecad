"""A stand-in for `vllm serve` that answers without a model: FAKE_ANSWERS says how it fails.

Usage: fake_answers.py serve BASE --port N … Prompts that it was asked to complete are noted in RUN_DIR/serving.
"""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOW = os.environ["FAKE_ANSWERS"]
PLACE = Path(os.environ["PREFLOOP_BESIDE"]) / "serving"
NAME = sys.argv[sys.argv.index("--served-model-name") + 1]
LOCK = threading.Lock()
TOP = [{"token_id:1": -0.5, "token_id:2": -1.5}]


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    under_way = count = 0

    def do_GET(self) -> None:
        self.answer({"data": [{"id": NAME}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked.get("logprobs"):  # the check of adapters
            adapted = asked["model"] != NAME and HOW != "silent"
            if adapted and HOW == "no numbers":
                self.answer({"error": {"message": "Out of range float values are not JSON compliant"}}, 500)
                return
            self.answer(self.said(top=[{"token_id:1": -0.4, "token_id:2": -1.7}] if adapted else TOP))
            return
        with LOCK:
            Server.under_way += 1
            crowded = Server.under_way > 1
        try:
            if HOW == "takes 1 at a time":
                time.sleep(0.02)  # so that requests meet
                if crowded or Server.under_way > 1:
                    self.answer({"error": {"message": "out of memory"}}, 500)
                    return
            self.complete(asked)
        finally:
            with LOCK:
                Server.under_way -= 1

    def complete(self, asked: dict) -> None:
        with LOCK:
            Server.count += 1
            with (PLACE / "asked.jsonl").open("a") as out:
                out.write(json.dumps(str(asked["prompt"])) + "\n")
            first = not (PLACE / "died").exists()
            dies = HOW.startswith("always dies") or (HOW.startswith("dies") and first)
            if dies and Server.count == int(HOW.split()[-1]):
                (PLACE / "died").touch()
                print("RuntimeError: no more of this", flush=True)
                os._exit(1)
        if HOW.endswith(" 7") and self.is_seven(asked["prompt"]):
            self.answer({"error": {"message": "no seven."}}, 400 if HOW == "refuses 7" else 500)
            return
        if asked.get("stream"):
            self.stream()
            return
        self.answer(self.said(prompt=asked["prompt"]))

    def is_seven(self, ids: list[int]) -> bool:
        """Whether it is the one prompt of the test that names 7: its tokens were noted by the test's own tokenizer."""
        from tokenizers import Tokenizer

        return "Name 7." in Tokenizer.from_file(f"{sys.argv[2]}/tokenizer.json").decode(ids)

    def said(self, top: list | None = None, prompt: list[int] | None = None) -> dict:
        told = [None, *({str(token): {"logprob": -1.0}} for token in (prompt or [])[1:])]
        return {
            "choices": [
                {
                    "token_ids": [7, 8, 9],
                    "finish_reason": "stop",
                    "prompt_logprobs": told,
                    "logprobs": {"top_logprobs": top or TOP},
                }
            ]
        }

    def stream(self) -> None:
        """Token by token, in server-sent events."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for tokens, finish in (([7], None), ([8, 9], "stop")):
            event = {"choices": [{"token_ids": tokens, "finish_reason": finish}]}
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def answer(self, said: object, status: int = 200) -> None:
        data = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing: the log's last words are those that count."""


if HOW == "does not start":
    sys.exit("RuntimeError: no such attention")
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Server).serve_forever()
