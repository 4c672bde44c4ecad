"""A stand-in for `vllm serve` that misbehaves: FAKE_VLLM says how. Usage: fake_vllm.py serve BASE --port N …"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

HOW = os.environ["FAKE_VLLM"]


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        name = sys.argv[sys.argv.index("--served-model-name") + 1]
        self.answer({"data": [{"id": name}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/v1/completions":
            self.answer({}, 400 if HOW == "refuses adapters" else 200)
        elif HOW == "dies":
            os._exit(1)
        else:  # answers with weights that are not the policy's
            one = {"token_ids": [7, 8, 9], "logprobs": {"token_logprobs": [-0.01] * 3}}
            self.answer({"choices": [one]})

    def answer(self, said: object, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())


if HOW == "does not start":
    sys.exit("RuntimeError: Unsupported CPU attention configuration")
HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Server).serve_forever()
