"""How to send captures: what the pages show, and what the tests run."""

from pathlib import Path

CLIENT = Path(__file__).with_name("client.py")
CLIENT_NAME = "prefloop_captures.py"
CAPTURE = """{
  "prompt": "Where is my parcel?",
  "contexts": ["Parcel 17 left Utrecht on Monday."],
  "answer": "It is in Berlin.",
  "model": "support-7b",
  "thumbs": "down",
  "slice": "shipping",
  "consent": true
}"""


def curl_example(url: str, token: str) -> str:
    """A command that sends one capture, as one copies it into a shell."""
    return (
        f"curl {url} \\\n"
        f'  -H "Authorization: Bearer {token}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        '  -H "Idempotency-Key: answer-$(date +%s)" \\\n'
        f"  -d '{CAPTURE}'"
    )


def client_source() -> str:
    """The client as it is downloaded."""
    return CLIENT.read_text(encoding="utf-8")
