"""Short words for captures: a token, what a product sends, and sending it."""

import json
from typing import Any

from django.test import Client

from labeling.capturing.receiving import Fate, receive
from labeling.capturing.tokens import make_token
from labeling.models import CaptureToken, Project

ADDRESS = "/api/v1/captures"


def a_token(project: Project, **values: Any) -> tuple[CaptureToken, str]:
    return make_token(project=project, person=None, **{"name": "web shop", **values})


def a_capture(number: int = 1, **values: Any) -> dict[str, Any]:
    """What a product sends; a value of None takes a field out."""
    usual = {"prompt": f"Where is parcel {number}?", "answer": f"In Berlin, {number}.", "consent": True}
    return {name: value for name, value in {**usual, **values}.items() if value is not None}


def took(token: CaptureToken, *values: Any) -> list[Fate]:
    return receive(token=token, values=values)


def send(secret: str, body: Any, **headers: str) -> Any:
    """POST a body as a product does: raw bytes as they are, anything else as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Client().post(
        ADDRESS,
        raw,
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}", **headers},
    )
