"""The log of a run: what was written since, for pages that follow it, and the whole of it as a file."""

import codecs
from io import BytesIO
from typing import BinaryIO

from django.http import FileResponse, HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404

from labeling.access import Access, guarded
from training.models import TrainingRun
from training.processes import LOG_FILE

PART = 64 * 1024  # bytes of one answer
LAST = 16 * 1024  # bytes that a page begins with


@guarded("view_results")
def log_part(request: HttpRequest, access: Access, run_id: int) -> HttpResponseBase:
    """What the log holds from byte ?from= on, up to PART bytes: {text, next, over}.

    `over` says that nothing will follow. A letter of which only the first bytes are written waits for the rest.
    """
    run = get_object_or_404(TrainingRun, project=access.project, pk=run_id)
    over = run.is_over  # asked before reading: what is written between the two is in the next part
    asked = request.GET.get("from", "")
    start = int(asked) if asked.isdecimal() and len(asked) < 16 else 0
    text, after = read_part(run, start)
    return JsonResponse({"text": text, "next": after, "over": over and after == start})


def read_part(run: TrainingRun, start: int) -> tuple[str, int]:
    """The text of the log from this byte on and the byte after it; where there is no log yet, nothing."""
    try:
        with (run.path / LOG_FILE).open("rb") as file:
            file.seek(start)
            data = file.read(PART)
    except OSError:
        return "", start
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data, final=len(data) < PART and run.is_over)
    return text, start + len(data) - len(decoder.getstate()[0])


def last_part(run: TrainingRun) -> tuple[str, int]:
    """The last lines of the log, and the byte after them."""
    try:
        size = (run.path / LOG_FILE).stat().st_size
    except OSError:
        return "", 0
    text, after = read_part(run, max(0, size - LAST))
    return (text.partition("\n")[2] or text) if size > LAST else text, after


@guarded("view_results")
def whole_log(request: HttpRequest, access: Access, run_id: int) -> HttpResponseBase:
    """The log as a file; an empty one before the process wrote any."""
    run = get_object_or_404(TrainingRun, project=access.project, pk=run_id)
    file: BinaryIO
    try:
        file = (run.path / LOG_FILE).open("rb")
    except OSError:
        file = BytesIO()
    return FileResponse(
        file, as_attachment=True, filename=f"run-{run.pk}.log", content_type="text/plain; charset=utf-8"
    )
