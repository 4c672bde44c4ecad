"""Files that people send: refused where they are too large, kept until they are read, then removed."""

import shutil
import uuid
from pathlib import Path
from typing import IO

from django.conf import settings

from labeling.errors import Refused

LONGEST_NAME = 255


def refuse_large(size: int) -> None:
    """Refuse an upload, of a page or the API, of more bytes than the settings allow."""
    limit = settings.PREFLOOP_MAX_UPLOAD_MB
    if size > limit * 1_000_000:
        raise Refused(
            f"The file has {size / 1e6:,.0f} MB; up to {limit} MB can be uploaded here. "
            "Use `manage.py import_items` on the server for larger ones."
        )


def keep(file: IO[bytes], filename: str) -> tuple[str, Path]:
    """Store an upload; its name as it may be shown, and where it lies. Raises Refused where the disk says no."""
    name = Path(filename).name
    target = _folder() / f"{uuid.uuid4().hex}-{name[:100]}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            shutil.copyfileobj(file, out, 1 << 20)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise Refused(
            f"The file could not be stored ({error.strerror}); free some space on the server and send it again."
        ) from error
    return name[:LONGEST_NAME], target


def forget(path: Path) -> None:
    """Remove an upload that is no longer needed; what lies elsewhere belongs to somebody and stays."""
    if path.resolve().parent == _folder():
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _folder() -> Path:
    return Path(settings.PREFLOOP_VAR).resolve() / "uploads"
