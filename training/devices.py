"""One run on one device: what a worker's machine has, who holds it, and whose turn is next.

A device is taken and given back by compare-and-set on its row. One whose holder is no active run, because its worker
was killed, is free again; a run that finds none waits in the queue, with a word why, until one is given back.
"""

import os
import socket
import subprocess
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from labeling.lifecycle import ACTIVE, Lifecycle, Status
from labeling.models import Project
from labeling.workers import hosts_alive
from training.models import Device, Preflight, TrainingRun

GPU_QUERY = (
    "nvidia-smi",
    "--query-gpu=index,name,memory.total",
    "--format=csv,noheader,nounits",
)
QUERY_SECONDS, MIB = 30, 1024**2
WORDS_LENGTH, NAME_LENGTH = 300, 120


@dataclass(frozen=True, slots=True)
class Found:
    """A device of this machine; `memory` in bytes."""

    kind: str
    number: int
    name: str
    memory: int | None


@cache
def gpus() -> tuple[Found, ...]:
    """The NVIDIA GPUs of this machine, asked for once a process: none where there is no working driver.

    Of those, where CUDA_VISIBLE_DEVICES names numbers, the ones it names.
    """
    try:
        done = subprocess.run(GPU_QUERY, capture_output=True, text=True, timeout=QUERY_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    numbers = None if allowed is None else {part.strip() for part in allowed.split(",")}
    found = []
    for line in done.stdout.splitlines():
        number, name, memory = (part.strip() for part in line.split(",", 2))
        if numbers is None or number in numbers:
            size = int(memory) * MIB if memory.isdigit() else None
            found.append(Found(Device.Kind.GPU, int(number), name[:NAME_LENGTH], size))
    return tuple(found)


def cores() -> int:
    """How many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def slots() -> int:
    """Into how many shares the CPU is divided."""
    return max(1, int(settings.PREFLOOP_CPU_SLOTS))


def find_devices() -> tuple[Found, ...]:
    """The GPUs of this machine; without one, its CPU in as many shares as the settings say."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    name = f"{cores()} cores" if slots() == 1 else f"1 of {slots()} shares of {cores()} cores"
    return gpus() or tuple(Found(Device.Kind.CPU, n, name, memory) for n in range(slots()))


def register() -> QuerySet[Device]:
    """Note the devices of this machine and forget those that are gone; returns their rows."""
    host = socket.gethostname()
    rows = Device.objects.filter(host=host)
    found = find_devices()
    known = {(row.kind, row.number): row for row in rows}
    for device in found:
        row = known.pop((device.kind, device.number), None)
        if row is None:
            place = {"host": host, "kind": device.kind, "number": device.number}
            Device.objects.get_or_create(**place, defaults={"name": device.name, "memory": device.memory})
        elif (row.name, row.memory) != (device.name, device.memory):
            rows.filter(pk=row.pk).update(name=device.name, memory=device.memory)
    rows.filter(pk__in=[row.pk for row in known.values()], holder=None).delete()
    return rows.exclude(pk__in=[row.pk for row in known.values()])


@contextmanager
def held(token: uuid.UUID) -> Iterator[Device | None]:
    """Hold a device of this machine for the length of the block; None where all are held by others."""
    device = _take(token)
    try:
        yield device
    finally:
        if device is not None:
            _give_back(token)


def _take(token: uuid.UUID) -> Device | None:
    free_abandoned()
    for device in register().filter(holder=None):
        free = Device.objects.filter(pk=device.pk, holder=None)
        if free.update(holder=token, held_since=timezone.now()):
            return device
    return None


def _give_back(token: uuid.UUID) -> None:
    if Device.objects.filter(holder=token).update(holder=None, held_since=None):
        send_waiting(1)


def free_abandoned() -> int:
    """Free the devices whose holder is no active job any more, of whatever kind. Returns how many.

    One that was taken just now is left alone: its job is about to be claimed.
    """
    a_while_ago = timezone.now() - timedelta(seconds=settings.PREFLOOP_HEARTBEAT_TIMEOUT_S)
    rows = Device.objects.filter(holder__isnull=False, held_since__lt=a_while_ago)
    for kind in apps.get_models():
        if not issubclass(kind, Lifecycle):
            continue
        active = kind._base_manager.filter(status__in=ACTIVE, claim_token__isnull=False)
        rows = rows.exclude(holder__in=active.values_list("claim_token", flat=True))
    return rows.update(holder=None, held_since=None)


def send_waiting(count: int) -> None:
    """Send the messages of the checks and runs that have waited longest for a device; checks first, they are short."""
    left = count
    for kind in (Preflight, TrainingRun):
        for job in kind.objects.filter(status=Status.QUEUED).exclude(waiting="").order_by("pk")[:left]:
            job.enqueue()
            left -= 1


def sweep() -> None:
    """Free what was abandoned, and send waiting runs where something is free."""
    free_abandoned()
    send_waiting(Device.objects.filter(holder=None).count())


def note_waiting(run: Any) -> None:
    """Keep on a queued run, check or other job that has `waiting` what it waits for."""
    rows = Device.objects.filter(host=socket.gethostname())
    words = "; ".join(f"{row} is held by {who}" for row, who in _holders(rows, run.project) if who)
    waiting = f"waits for a free device: {words}" if words else "waits for a free device"
    type(run).objects.filter(pk=run.pk, status=Status.QUEUED).update(waiting=waiting[:WORDS_LENGTH])


def devices_in_words(project: Project) -> list[str]:
    """A line for each device: held by which run, free, or on a machine that is not heard of. Runs of other projects
    are not named."""
    rows, alive = list(Device.objects.all()), hosts_alive()
    several = len({row.host for row in rows}) > 1
    lines = []
    for row, (_, who) in zip(rows, _holders(rows, project), strict=True):
        place = f"{row} ({row.name}){f' on {row.host}' if several else ''}"
        free = "is free" if row.host in alive else "is away: no worker of its machine is heard of"
        lines.append(f"{place} is held by {who}" if who else f"{place} {free}")
    return lines


def _holders(devices: Iterable[Device], project: Project) -> Iterator[tuple[Device, str]]:
    """(device, whoever holds it or "") of each device."""
    rows = list(devices)
    is_holder = Q(claim_token__in=[row.holder for row in rows if row.holder], status__in=ACTIVE)
    runs = {run.claim_token: run for run in TrainingRun.objects.filter(is_holder).defer("spec", "result")}
    checks = set(Preflight.objects.filter(is_holder).values_list("claim_token", flat=True))
    for row in rows:
        run = runs.get(row.holder)
        who = "" if row.holder is None else "a run of another project" if run else "another job"
        if run is not None and run.project_id == project.pk:
            who = f"run {run.name}"
        elif row.holder in checks:
            who = "a check before launch"
        yield row, who


def environment(device: Device) -> dict[str, str]:
    """What the process on this device is given: it sees this GPU, or no GPU and its share of the cores."""
    if device.kind == Device.Kind.GPU:
        return {"CUDA_VISIBLE_DEVICES": str(device.number), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    threads = max(1, cores() // slots())
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given):
        threads = min(threads, int(given))
    return {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": str(threads)}
