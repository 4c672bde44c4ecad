"""One run on one device: who holds it, who waits for it, and that every end gives it back."""

import subprocess
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.utils import timezone

from labeling.models import Project
from labeling.workers import record_pulse
from tests import world
from tests.training.runs import RESULT, judged_version, launched, pretend, root_checkpoint
from training import devices, launching
from training.launching import drive
from training.models import Device, TrainingRun
from training.processes import STOPPED

TWO_GPUS = "0, NVIDIA H100 80GB HBM3, 81559\n1, NVIDIA H100 80GB HBM3, [N/A]\n"


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(devices.socket, "gethostname", lambda: "here")
    monkeypatch.setattr(devices, "GPU_QUERY", ("/nowhere/nvidia-smi",))
    devices.gpus.cache_clear()
    yield
    devices.gpus.cache_clear()


def with_gpus(monkeypatch: pytest.MonkeyPatch, text: str = TWO_GPUS) -> None:
    done = subprocess.CompletedProcess([], 0, stdout=text)
    monkeypatch.setattr(devices.subprocess, "run", lambda *_, **__: done)


def again(run: TrainingRun) -> TrainingRun:
    return TrainingRun.objects.get(pk=run.pk)


def meanwhile(act: Callable[[], None]) -> Callable[..., int]:
    """A process during which something else happens."""

    def run_recipe(recipe: str, run_dir: Path, watch: Callable[[], None], *_: Any) -> int:
        act()
        return STOPPED

    return run_recipe


def test_a_second_run_waits_for_the_device_says_so_and_is_sent_when_it_is_free(
    project: Project, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    sent: list[Any] = []
    first = launched(project, name="first")
    second = launched(project, first.dataset_version, name="second")
    monkeypatch.setattr(current_app, "send_task", lambda name, args: sent.append((name, args)))
    monkeypatch.setattr(launching, "run_recipe", meanwhile(lambda: drive(again(second))))
    with django_capture_on_commit_callbacks(execute=True):
        drive(first)
    assert again(second).status == "queued"
    assert again(second).waiting == "waits for a free device: CPU 0 is held by run first"
    assert ("training.jobs.drive_run", [second.pk]) in sent


def test_a_run_that_waited_starts_and_waits_for_nothing_any_more(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launched(project)
    TrainingRun.objects.update(waiting="waits for a free device")
    monkeypatch.setattr(launching, "run_recipe", pretend(result=RESULT))
    drive(again(run))
    assert (again(run).status, again(run).waiting) == ("succeeded", "")


@pytest.mark.django_db(transaction=True)
def test_of_ten_workers_at_once_one_gets_the_device() -> None:
    devices.register()
    taken = world.together([lambda: devices._take(uuid.uuid4())] * 10)
    assert sum(device is not None for device in taken) == 1


def test_two_slots_are_held_by_two_runs_which_share_the_cores(
    project: Project, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.PREFLOOP_CPU_SLOTS = 2
    monkeypatch.setattr(devices, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with devices.held(uuid.uuid4()) as one, devices.held(uuid.uuid4()) as other:
        assert one is not None
        assert other is not None
        assert {one.number, other.number} == {0, 1}
        assert devices.environment(other) == {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "4"}
    assert not Device.objects.filter(holder__isnull=False).exists()


def test_fewer_threads_than_the_share_are_what_the_worker_was_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices, "cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert devices.environment(Device(kind="cpu"))["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize(
    "process",
    [pretend(result=RESULT), pretend(code=1), pretend(code=STOPPED), pretend(code=-9), lambda *_: 1 / 0],
    ids=["done", "failed", "stopped", "killed", "broken"],
)
def test_every_way_out_gives_the_device_back(
    project: Project, monkeypatch: pytest.MonkeyPatch, process: Any
) -> None:
    run = launched(project)
    monkeypatch.setattr(launching, "run_recipe", process)
    drive(run)
    assert list(Device.objects.values_list("holder", "held_since")) == [(None, None)]


def test_the_process_is_told_its_device_and_the_row_names_the_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_gpus(monkeypatch)
    told: list[Any] = []

    def run_recipe(recipe: str, run_dir: Path, watch: Callable[[], None], environment: dict[str, str]) -> int:
        told.append((environment, Device.objects.get(number=0).holder))
        return STOPPED

    run = launched(project)
    monkeypatch.setattr(launching, "run_recipe", run_recipe)
    drive(run)
    environment, holder = told[0]
    assert environment == {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert holder is not None


def test_the_gpus_of_the_machine_are_its_devices_and_its_cpu_is_not(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices.register()
    with_gpus(monkeypatch)
    devices.gpus.cache_clear()
    found = devices.register()
    assert [(row.kind, row.number, row.memory) for row in found] == [
        ("gpu", 0, 81559 * 1024**2),
        ("gpu", 1, None),
    ]
    assert not Device.objects.filter(kind="cpu").exists()


def test_a_worker_that_may_see_one_gpu_uses_that_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [device.number for device in devices.gpus()] == [1]


def test_a_slot_that_the_settings_took_away_goes_when_its_run_is_over(db: None, settings: Any) -> None:
    settings.PREFLOOP_CPU_SLOTS = 2
    with devices.held(uuid.uuid4()), devices.held(uuid.uuid4()):
        settings.PREFLOOP_CPU_SLOTS = 1
        assert [row.number for row in devices.register()] == [0]
        assert Device.objects.count() == 2
    devices.register()
    assert Device.objects.count() == 1


def test_the_device_of_a_killed_worker_is_free_when_its_run_is_no_longer_active(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, token, long_ago = launched(project), uuid.uuid4(), timezone.now() - timedelta(hours=1)
    assert devices._take(token) is not None
    assert run.claim(token) is True
    Device.objects.update(held_since=long_ago)
    launching.sweep()
    assert Device.objects.get().holder == token
    TrainingRun.objects.update(heartbeat_at=long_ago)
    launching.sweep()
    assert (again(run).status, Device.objects.get().holder) == ("queued", None)


def test_a_device_taken_just_now_is_left_to_the_run_that_is_about_to_be_claimed(db: None) -> None:
    token = uuid.uuid4()
    devices._take(token)
    devices.sweep()
    assert Device.objects.get().holder == token


def test_the_page_of_runs_tells_what_is_free_and_names_no_run_of_another_project(project: Project) -> None:
    version, start = judged_version(project), root_checkpoint()
    own = launched(project, version, start=start, name="mine")
    assert devices.devices_in_words(project) == []
    token = uuid.uuid4()
    with devices.held(token):
        own.claim(token)
        assert devices.devices_in_words(project)[0].endswith("is held by run mine")
        other = world.make_project("Other")
        assert devices.devices_in_words(other)[0].endswith("is held by a run of another project")
    assert devices.devices_in_words(project)[0].endswith("is away: no worker of its machine is heard of")
    record_pulse(name="celery@here")
    assert devices.devices_in_words(project)[0].endswith("is free")
