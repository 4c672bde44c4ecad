"""How a labeler goes about it: in our product, by two requests a judgment or by one, and on the bare pair of views.

They run in client processes: nothing here imports Django.
"""

import itertools
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.load import Failed, Line

ROOM = 10**9


def two_requests(line: Line, places: Sequence[str]) -> Iterator[int | None]:
    """Get the next item, then submit its judgment, project by project."""
    for slug in places:
        while True:
            try:
                task = next_task(line, slug)
                if task is None:
                    break
                submit(line, slug, task)
            except Failed as failure:
                line.trouble = str(failure)
                yield None
            else:
                yield task["assignment_id"]


def one_request(line: Line, places: Sequence[str]) -> Iterator[int | None]:
    """Submit a judgment and be given the next item by the same request; the first item of a project is asked for."""
    for slug in places:
        task = None
        while True:
            try:
                task = task or next_task(line, slug)
                if task is None:
                    break
                answer = submit(line, slug, task, next=True)
            except Failed as failure:
                line.trouble, task = str(failure), None
                yield None
                continue
            done, task = task["assignment_id"], answer["next"]
            yield done
            if task is None:
                break


def next_task(line: Line, slug: str) -> Any:
    return line.call("POST", f"/api/v1/projects/{slug}/next/", {}, expect=(200, 204))


def submit(line: Line, slug: str, task: dict[str, Any], **more: Any) -> Any:
    answer = {"token": task["token"], "client_key": task["client_key"], "verdict": "first", "active_ms": 1000}
    path = f"/api/v1/projects/{slug}/assignments/{task['assignment_id']}/submit/"
    return line.call("POST", path, answer | more)


def bare(line: Line, places: Sequence[int]) -> Iterator[int | None]:
    """Read an item by its key, then insert a judgment of it; each labeler goes round all items, from another start."""
    (items,) = places
    for step in itertools.count(line.person * 31):
        try:
            item = line.call("GET", f"/items/{step % items + 1}/")
            judgment = {"item_id": item["id"], "person": line.person, "verdict": "first", "active_ms": 1000}
            line.call("POST", "/judgments/", judgment | {"client_key": str(uuid.uuid4())})
        except Failed as failure:
            line.trouble = str(failure)
            yield None
        else:
            yield line.person * ROOM + step
