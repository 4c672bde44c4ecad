"""Merging and measuring as jobs: asked for once, carried to an end, registered; a cancelled one leaves nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.urls import reverse

from evaluation.planning import plan_evaluation
from evaluation.suites import suite_from_split
from labeling.errors import Refused
from labeling.models import Project, User
from tests import world
from tests.tiny_model import tiny_model
from tests.training.adapters import make_adapter
from tests.training.runs import RESULT, launched, pretend, write_event
from training import errands
from training.jobs import sweep
from training.measuring import run_measurement, start_measurement
from training.merging import run_merge, start_merge
from training.models import Checkpoint, Measurement, Merge
from training.recipes.contract import content_hash
from training.registry import foundation, register_base, register_checkpoint

MERGED = {
    "status": "succeeded",
    "final": "final",
    "kind": "full",
    "content_hash": "cd" * 32,
    "parameters": 100,
    "dtype": "torch.float32",
    "rows": 8,
    "tokens": 90,
    "exact": {"difference": 1e-6, "kl": 0.0},
    "saved": {"difference": 2e-6, "kl": 0.0},
    "quantized": None,
    "limits": {"exact": 1e-3, "kl": 0.01, "reward": 0.1},
    "seconds": 1.0,
    "environment": {},
}
MEASURED = {
    "status": "succeeded",
    "content_hash": RESULT["content_hash"],
    "parameters": 10,
    "modules": [],
    "norm": 0.0,
    "relative": None,
    "use": None,
    "adapter": "lora",
    "against": "hub/tiny",
    "seconds": 0.1,
}


@pytest.fixture
def adapter(project: Project) -> Checkpoint:
    return register_checkpoint(run=launched(project, name="first"), result=RESULT)


def carried(job: Any, monkeypatch: pytest.MonkeyPatch, process: Any) -> Any:
    monkeypatch.setattr(errands, "run_recipe", process)
    (run_merge if isinstance(job, Merge) else run_measurement)(type(job).objects.get(pk=job.pk))
    return type(job).objects.get(pk=job.pk)


def adapter_below(parent: Checkpoint, name: str) -> Checkpoint:
    """An adapter that was trained from `parent`, as far as the registry knows."""
    return Checkpoint.objects.create(
        project=parent.project,
        base=parent.base,
        parent=parent,
        name=name,
        kind="adapter",
        path=f"/nowhere/{name}",
    )


def test_a_merge_makes_a_checkpoint_of_full_weights_below_its_adapter(
    adapter: Checkpoint, monkeypatch: pytest.MonkeyPatch, emma: User
) -> None:
    merge = carried(start_merge(adapter=adapter, person=emma), monkeypatch, pretend(result=MERGED))
    made = merge.made
    assert (merge.status, made.kind, made.parent, made.base) == ("succeeded", "full", adapter, adapter.base)
    assert (made.content_hash, made.parameters, made.line) == (MERGED["content_hash"], 100, "policy")
    assert Path(made.path) == merge.path / "final"
    assert (merge.path / "final" / "README.md").read_text().startswith("---\nbase_model: hub/tiny\n")
    spec = json.loads((merge.path / "spec.json").read_text())
    assert (spec["base"], spec["adapter"], spec["adaptation"]) == ("hub/tiny", adapter.path, "lora")
    probe = [json.loads(line) for line in (merge.path / "probe.jsonl").read_text().splitlines()]
    assert 1 <= len(probe) <= 8
    assert [turn["role"] for turn in probe[0]["messages"]] == ["user", "assistant"]


def test_a_run_begins_from_the_checkpoint_on_whose_page_it_was_asked_for(
    adapter: Checkpoint, emma: User
) -> None:
    client, root = world.sign_in(emma), adapter.parent
    assert root is not None
    at = reverse("training:checkpoint", args=[adapter.project.slug, root.pk])
    address = f"{reverse('training:new_run', args=[adapter.project.slug])}?start={root.pk}"
    assert address in client.get(at).text
    assert f'<option value="{root.pk}" selected>' in client.get(address).text
    assert f'<option value="{adapter.pk}" selected>' in client.get(address.replace(f"={root.pk}", "=x")).text


def test_an_adapter_is_merged_once_however_often_it_is_asked_for(
    adapter: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start_merge(adapter=adapter, person=None)
    assert start_merge(adapter=adapter, person=None) == first
    carried(first, monkeypatch, pretend(result=MERGED))
    assert start_merge(adapter=adapter, person=None) == first
    carried(first, monkeypatch, lambda *_: pytest.fail("it was merged again"))
    assert Checkpoint.objects.filter(parent=adapter).count() == 1


def test_what_cannot_be_merged_is_refused_before_anything_is_stored(
    adapter: Checkpoint, project: Project
) -> None:
    with pytest.raises(Refused, match="tiny has weights of its own and nothing to merge"):
        start_merge(adapter=adapter.base.checkpoints.get(kind="base"), person=None)
    Path(adapter.path).mkdir(parents=True)
    (Path(adapter.path) / "adapter_config.json").write_text('{"peft_type": "PREFIX_TUNING"}')
    with pytest.raises(Refused, match="Prefix tuning learns vectors that stand before the prompt"):
        start_merge(adapter=adapter, person=None)
    with pytest.raises(Refused, match="changes no weight; there is nothing to measure"):
        start_measurement(checkpoint=adapter, project=project, person=None)
    assert (Merge.objects.count(), Measurement.objects.count()) == (0, 0)


def test_a_cancelled_merge_leaves_nothing_and_can_be_asked_for_again(
    adapter: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge = start_merge(adapter=adapter, person=None)

    def asked_to_stop(recipe: str, run_dir: Path, watch: Any) -> int:
        (run_dir / "final.tmp").mkdir()
        merge.request_cancel()
        with pytest.raises(errands.Stop):
            watch()
        return 75

    assert carried(merge, monkeypatch, asked_to_stop).status == "cancelled"
    assert not merge.path.exists()
    assert start_merge(adapter=adapter, person=None) != merge


def test_what_a_merge_left_that_was_cancelled_while_nobody_carried_it_is_swept(adapter: Checkpoint) -> None:
    merge = start_merge(adapter=adapter, person=None)
    (merge.path / "final.tmp").mkdir(parents=True)
    merge.request_cancel()
    sweep()
    assert not merge.path.exists()


def test_a_killed_merge_is_given_back_and_a_failed_one_keeps_only_its_log(
    adapter: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge = carried(start_merge(adapter=adapter, person=None), monkeypatch, pretend(code=-9))
    assert (merge.status, merge.attempt) == ("queued", 1)

    def fails(recipe: str, run_dir: Path, watch: Any) -> int:
        (run_dir / "final.tmp").mkdir()
        write_event(run_dir, "error", message="the disk is full")
        return 1

    merge = carried(merge, monkeypatch, fails)
    assert (merge.status, merge.error) == ("failed", "the disk is full")
    assert {path.name for path in merge.path.iterdir()} == {"spec.json", "probe.jsonl", "events.jsonl"}


def test_an_adapter_on_an_adapter_stands_on_the_full_weights_below_both(
    adapter: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert foundation(adapter) == ("hub/tiny", None)
    merge = carried(start_merge(adapter=adapter, person=None), monkeypatch, pretend(result=MERGED))
    second = adapter_below(merge.made, "second")
    third = adapter_below(second, "third")
    assert foundation(second) == foundation(third) == (merge.made.path, None)
    assert foundation(merge.made) == ("hub/tiny", None)
    suite = suite_from_split(version=adapter.run.dataset_version, split="test", person=None)
    run = plan_evaluation(project=adapter.project, suite=suite, checkpoints=[second], person=None)
    base, asked = (target.facts for target in run.targets.all())
    assert (base["base"], base["adapter"]) == ("hub/tiny", None)
    assert (asked["base"], asked["adapter"]) == (merge.made.path, second.path)


def test_what_was_measured_is_kept_and_a_folder_that_was_changed_is_told(
    adapter: Checkpoint, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [start_measurement(checkpoint=adapter, project=project, person=None) for _ in range(2)]
    assert asked[0] == asked[1]
    assert carried(asked[0], monkeypatch, pretend(result=MEASURED)).status == "succeeded"
    adapter.refresh_from_db()
    assert adapter.deltas["against"] == "hub/tiny"
    again = start_measurement(checkpoint=adapter, project=project, person=None)
    other = carried(again, monkeypatch, pretend(result={**MEASURED, "content_hash": "ee" * 32}))
    assert other.status == "failed"
    assert "its content hash is eeeeeeeeeeee… now and was abababababab…" in other.error


def test_a_model_that_is_on_the_hub_only_is_not_read(project: Project, adapter: Checkpoint) -> None:
    with pytest.raises(Refused, match="hub/tiny is not a folder of this machine"):
        start_measurement(checkpoint=adapter.parent, project=project, person=None)


@pytest.mark.slow
def test_emma_merges_an_adapter_and_measures_what_changed(
    project: Project, emma: User, leo: User, capsys: pytest.CaptureFixture[str]
) -> None:
    root = register_base(name="small", location=str(tiny_model()))
    run = launched(project, start=root, name="emma's")
    folder = make_adapter("lora", run.path / "final")
    real = {**RESULT, "content_hash": content_hash(folder)}
    adapter = register_checkpoint(run=run, result=real)
    client = world.sign_in(emma)
    at = reverse("training:checkpoint", args=[project.slug, adapter.pk])
    assert "Merge into small" in client.get(at).text
    assert "Merge into small" not in world.sign_in(leo).get(at).text

    client.post(reverse("training:merge", args=[project.slug, adapter.pk]))
    assert "Waiting for a worker" in client.get(at).text or "Queued" in client.get(at).text
    call_command(
        "merge_adapter", "--project", project.slug, "--checkpoint", str(adapter.pk), "--wait", "--json"
    )
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    made = Merge.objects.get().made
    assert made is not None
    assert said["hash"] == made.content_hash == content_hash(Path(made.path))
    assert "mean KL" in client.get(reverse("training:checkpoint", args=[project.slug, made.pk])).text

    client.post(reverse("training:measure", args=[project.slug, adapter.pk]))
    run_measurement(Measurement.objects.get())
    page = client.get(at).text
    assert "of the rank 4 holds 90 % of the change" in page
    assert 'id="change-spec"' in page
    assert 'id="ranks-spec"' in page
