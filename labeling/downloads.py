"""Files that a client may fetch in parts, with a checksum (RFC 9110 sections 13 and 14, RFC 9530)."""

import base64
import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

BLOCK = 1 << 16
RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def resumable(request: HttpRequest, path: Path, *, filename: str, content_type: str) -> HttpResponseBase:
    """The file, or the part of it that is asked for. Its SHA-256 is the ETag: no part continues another file."""
    facts = path.stat()
    size, digest = facts.st_size, _sha256(path, facts.st_mtime_ns, facts.st_size)
    etag = f'"{digest.hex()}"'
    part = _part(request, size, etag)
    response: HttpResponseBase
    if part == ():
        response = HttpResponse(f"The file has {size} bytes; ask for a part of it.", status=416)
        response["Content-Range"] = f"bytes */{size}"
        return response
    start, end = part or (0, size)
    response = StreamingHttpResponse(
        _blocks(path, start, end), content_type=content_type, status=206 if part else 200
    )
    response["Content-Length"] = str(end - start)
    if part:
        response["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = etag
    response["Repr-Digest"] = f"sha-256=:{base64.b64encode(digest).decode()}:"
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def _part(request: HttpRequest, size: int, etag: str) -> tuple[int, int] | tuple[()] | None:
    """First byte and the one after the last; None for the whole file, () for a part that is not there."""
    found = RANGE.fullmatch(request.headers.get("Range", "").strip())
    if found is None or request.headers.get("If-Range", etag) != etag:
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
    return (start, end) if start < end else ()


@lru_cache(maxsize=64)
def _sha256(path: Path, changed: int, size: int) -> bytes:
    digest = hashlib.sha256()
    for block in _blocks(path, 0, size):
        digest.update(block)
    return digest.digest()


def _blocks(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while start < end and (block := file.read(min(BLOCK, end - start))):
            start += len(block)
            yield block
