"""What several views share."""

from django.http import HttpResponse

from labeling.access import Access
from labeling.models import User


def person_of(access: Access) -> User:
    """Who looks at a page: pages are for people."""
    assert access.person is not None
    return access.person


def number(text: str | None) -> int | None:
    """The number of a row, as an address or a form says it; None where it is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def attachment(content: bytes | str, name: str, content_type: str) -> HttpResponse:
    """A file to keep."""
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(content, content_type=content_type, headers=disposition)
