"""Merge an adapter into its base: ask for it, have it done in a process, register what came of it."""

import json
import uuid
from datetime import timedelta
from itertools import islice
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from labeling.curation import exporting, rowfile
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import DatasetVersion, User
from training.cards import model_card
from training.errands import clear, see_through, write_spec, write_whole
from training.models import Checkpoint, Merge
from training.registry import adapter_kind, foundation

RECIPE = "merge"
PROBES = 8
PROMPTS = {"PROMPT_TUNING": "Prompt tuning", "PREFIX_TUNING": "Prefix tuning", "P_TUNING": "P-tuning"}
KEPT = ("dtype", "rows", "tokens", "exact", "saved", "quantized", "limits", "seconds", "environment")
LIVE_OR_DONE = (Status.QUEUED, Status.RUNNING, Status.SUCCEEDED)


def check_mergeable(adapter: Checkpoint) -> None:
    """Raise Refused, with the reason, for a checkpoint that cannot be merged."""
    if adapter.kind != Checkpoint.Kind.ADAPTER:
        raise Refused(f"{adapter.name} has weights of its own and nothing to merge; choose an adapter.")
    if adapter.run is None or adapter.project is None:
        raise Refused(f"{adapter.name} was not trained here, so there are no rows to check the merge on.")
    kind = PROMPTS.get(adapter_kind(adapter)) or {"prompt": "Prompt tuning", "prefix": "Prefix tuning"}.get(
        adapter.run.spec.get("adaptation", "")
    )
    if kind is not None:
        raise Refused(
            f"{kind} learns vectors that stand before the prompt and changes no weight, so it cannot be merged; "
            "use the adapter beside its base, or train LoRA."
        )


def start_merge(*, adapter: Checkpoint, person: User | None) -> Merge:
    """Queue the merge of an adapter. One that is under way or done is returned as it is. Raises Refused."""
    check_mergeable(adapter)
    assert adapter.project is not None
    try:
        with transaction.atomic():
            merge = Merge.objects.create(
                project=adapter.project, adapter=adapter, folder=uuid.uuid4().hex, created_by=person
            )
            merge.enqueue()
    except IntegrityError:
        return Merge.objects.get(adapter=adapter, status__in=LIVE_OR_DONE)
    return merge


def run_merge(merge: Merge) -> None:
    """Claim the merge and carry it to an end, or give it back to begin again. Safe to repeat."""
    if merge.claim():
        merge.carry(lambda: _merge(merge))
        merge.refresh_from_db()
        clear(merge)


def forget_leftovers() -> None:
    """Remove what merges left that ended while nobody carried them."""
    lately = timezone.now() - timedelta(days=1)
    for merge in Merge.objects.filter(status=Status.CANCELLED, finished_at__gt=lately):
        clear(merge)


def _merge(merge: Merge) -> None:
    _prepare(merge)
    see_through(merge, RECIPE, lambda result: _register(merge, result))


def _prepare(merge: Merge) -> None:
    """Write what the process reads. A directory prepared earlier is left as it is."""
    adapter = merge.adapter
    if adapter.run is None:
        raise Refused("The run of this adapter is gone; train it again.")
    if (merge.path / "spec.json").exists():
        return
    rows = probe_rows(adapter.run.dataset_version)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_whole(merge.path / "probe.jsonl", lines)
    base, revision = foundation(adapter)
    spec = {
        "method": RECIPE,
        "base": base,
        "revision": revision,
        "adapter": adapter.path,
        "adaptation": adapter.run.spec.get("adaptation", "lora"),
    }
    write_spec(merge.path, spec)


def probe_rows(version: DatasetVersion) -> list[dict[str, Any]]:
    """The first rows of a version, held-out ones where there are any, as the process takes them."""
    exporting.verify(version)
    split = "test" if version.splits.get("test", {}).get("rows") else "train"
    return [_probe(row) for row in islice(rowfile.read(version.path, split=split), PROBES)]


def _probe(row: dict[str, Any]) -> dict[str, Any]:
    if not row.get("prompt"):
        return {"text": row.get("text") or row.get("completion") or ""}
    response = row.get("chosen") or row.get("completion") or ""
    turns = [{"role": turn["role"], "content": turn["content"]} for turn in row["prompt"]]
    return {"messages": [*turns, {"role": "assistant", "content": response}] if response else turns}


def _register(merge: Merge, result: dict[str, Any]) -> None:
    """End the merge and make its checkpoint known, both or neither; the card lies beside the weights."""
    adapter, final = merge.adapter, merge.path / result["final"]
    with transaction.atomic():
        made = Checkpoint.objects.create(
            project=merge.project,
            base=adapter.base,
            parent=adapter,
            name=f"{adapter.name[:153]} merged",
            kind=Checkpoint.Kind.FULL,
            path=str(final),
            content_hash=result["content_hash"],
            parameters=result["parameters"],
            line=adapter.line,
        )
        facts = {name: result.get(name) for name in KEPT}
        if not merge.finish(Status.SUCCEEDED, progress=1.0, result=facts, made=made):
            transaction.set_rollback(True)
            return
        write_whole(final / "README.md", model_card(made))
