"""What the pages of runs show: the list, a run as it learns, its log, and runs side by side."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from labeling.models import Project, User
from tests import world
from tests.training.runs import judged_version, launched, root_checkpoint, write_event
from training.models import RunEvent, TrainingRun
from training.processes import LOG_FILE
from training.telemetry import EventTail
from training.telling import FALL, LONGEST, STEPS
from training.views.logs import PART

HTMX = {"hx-request": "true"}


@pytest.fixture
def run(project: Project) -> TrainingRun:
    run = launched(project, name="mine")
    run.path.mkdir(parents=True)
    return run


def page_of(run: TrainingRun, who: User, **options: Any) -> Any:
    return world.sign_in(who).get(reverse("training:run", args=[run.project.slug, run.pk]), **options)


def event(run: TrainingRun, type: str, step: int = 0, **values: Any) -> None:
    RunEvent.objects.create(
        run=run, seq=run.events.count(), type=type, step=step, time=timezone.now(), values=values
    )


def many(project: Project, count: int, **fields: Any) -> None:
    root = root_checkpoint()
    version = project.dataset_versions.first() or judged_version(project)
    TrainingRun.objects.bulk_create(
        TrainingRun(
            project=project, name=f"run-{n}", method="sft", dataset_version=version, base=root.base, start=root,
            spec={"adaptation": "full"}, folder=f"f{n}", loss_last=n / 10, **fields,
        )
        for n in range(count)
    )  # fmt: skip


def listed(project: Project, who: User, query: str = "") -> list[str]:
    page = world.sign_in(who).get(reverse("training:runs", args=[project.slug]) + query)
    return [line["name"] for line in page.context["runs"]]


def test_a_list_of_thousands_is_paged_and_asks_as_often_as_a_short_one(project: Project, leo: User) -> None:
    def asked(query: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert listed(project, leo, query)
        return len(captured)

    many(project, 60)
    few = asked("?page=2")
    many(project, 2000)
    assert asked("?page=30&q=run&method=sft") == few
    assert listed(project, leo, "?page=2")[0] == "run-1949"


def test_the_list_is_filtered_and_sorted_by_its_address(project: Project, leo: User) -> None:
    many(project, 3)
    many(project, 1, status="failed", error="x")
    TrainingRun.objects.filter(name="run-2").update(method="dpo")
    assert listed(project, leo, "?method=dpo") == ["run-2"]
    assert listed(project, leo, "?status=failed") == ["run-0"]
    assert listed(project, leo, "?q=N-1") == ["run-1"]
    assert listed(project, leo, "?sort=loss&status=queued") == ["run-0", "run-1", "run-2"]
    page = world.sign_in(leo).get(reverse("training:runs", args=[project.slug]) + "?q=nothing")
    assert "No run fits these filters" in page.text


def test_what_is_marked_stays_marked_while_the_list_is_live(project: Project, leo: User) -> None:
    many(project, 2)
    marked = TrainingRun.objects.get(name="run-1").pk
    url = reverse("training:runs", args=[project.slug])
    page = world.sign_in(leo).get(f"{url}?run={marked}", headers=HTMX).text
    assert f'value="{marked}" aria-label="Mark run-1" checked' in page
    assert page.count(" checked") == 1
    assert f"run={marked}" not in page, "the address of the next look keeps no marks"


def test_a_live_page_is_sent_again_only_when_there_is_something_new(run: TrainingRun, leo: User) -> None:
    seen = {"seen": page_of(run, leo).context["state"]}
    assert page_of(run, leo, data=seen, headers=HTMX).status_code == 204
    event(run, "log", 1, loss=1.0)
    assert page_of(run, leo, data=seen, headers=HTMX).status_code == 200
    assert page_of(run, leo, data=seen).status_code == 200, "a whole page is always sent"


def test_the_page_of_a_run_over_asks_no_more(run: TrainingRun, leo: User) -> None:
    assert 'hx-trigger="every 3s"' in page_of(run, leo).text
    TrainingRun.objects.update(status="failed", error="It broke; mend it.")
    page = page_of(run, leo).text
    assert 'hx-trigger="every 3s"' not in page
    assert "It broke; mend it." in page


def test_the_page_of_a_long_run_costs_no_more_than_that_of_a_short_one(run: TrainingRun, leo: User) -> None:
    def cost() -> tuple[int, int]:
        with CaptureQueriesContext(connection) as captured:
            page = page_of(run, leo)
        return len(captured), len(page.content)

    def log(start: int, end: int) -> None:
        RunEvent.objects.bulk_create(
            RunEvent(
                run=run,
                seq=n,
                type="log",
                step=n,
                time=timezone.now(),
                values={"loss": 1 / n, "grad_norm": 1.0},
            )
            for n in range(start, end)
        )

    log(1, 401)
    queries, size = cost()
    log(401, 20_001)
    more, larger = cost()
    assert more == queries
    assert larger < 1.5 * size


def test_samples_show_the_first_and_the_latest_step_and_some_between(run: TrainingRun, leo: User) -> None:
    for step in range(0, 1000, 10):
        event(run, "sample", step, samples=[{"prompt": "Why?", "completion": f"because {step}"}])
    event(
        run,
        "sample",
        1000,
        samples=[{"prompt": [{"role": "user", "content": "Who?"}], "completion": "x" * 9000}],
    )
    why, who = page_of(run, leo).context["samples"]
    steps = [said["step"] for said in why["said"]]
    assert (why["prompt"], steps[0], len(steps)) == ("Why?", 0, STEPS - 1)
    assert why["said"][0]["text"] == "because 0"
    assert (who["prompt"], who["said"][-1]["more"]) == ("Who?", 9000 - LONGEST)


def test_checks_and_warnings_are_told_in_words(run: TrainingRun, leo: User) -> None:
    event(run, "check", 1, name="first_loss", ok=True, loss=0.6931, expected=0.6931)
    event(run, "check", 2, name="trainable_moved", ok=False, moved=3, total=4)
    for _ in range(2):
        event(run, "warning", message="12 rows are longer than max_length.")
    page = page_of(run, leo)
    assert [(check["words"], check["ok"]) for check in page.context["checks"]] == [
        ("The first loss is what policy = reference gives", True),
        ("Every trainable tensor moved", False),
    ]
    assert page.context["checks"][1]["facts"] == "moved 3, total 4"
    assert page.context["warnings"] == ["12 rows are longer than max_length."]


@pytest.mark.parametrize(("fall", "said"), [(FALL - 1, False), (FALL + 1, True)])
def test_chosen_responses_that_become_less_likely_are_warned_of(
    run: TrainingRun, leo: User, fall: float, said: bool
) -> None:
    for step in range(1, 5):
        event(run, "log", step, **{"loss": 0.6, "logps/chosen": -100 - fall * (step > 2)})
    assert ("fell from -100.0 to" in page_of(run, leo).text) is said


def test_the_page_tells_where_the_run_was_and_what_came_of_it(run: TrainingRun, leo: User) -> None:
    run.result = {"environment": {"python": "3.11", "packages": {"torch": "2.13.0"}, "gpu": None}}
    run.save()
    page = page_of(run, leo)
    assert page.context["environment"] == [("Python", "3.11"), ("Packages torch", "2.13.0")]
    told = dict(page.context["spec_rows"])
    assert (told["LoRA r"], told["DoRA"]) == ("16", "no")
    assert "Virtual tokens" not in told


def log_of(run: TrainingRun, who: User, start: Any) -> Any:
    url = reverse("training:run_log", args=[run.project.slug, run.pk])
    return world.sign_in(who).get(url, {"from": start}).json()


def test_a_log_is_sent_from_where_the_page_was(run: TrainingRun, leo: User) -> None:
    log = run.path / LOG_FILE
    assert log_of(run, leo, 0) == {"text": "", "next": 0, "over": False}
    log.write_bytes("step 1\nstép".encode()[:-2])
    first = log_of(run, leo, "x")
    assert (first["text"], first["next"]) == ("step 1\nst", 9)
    log.write_bytes("step 1\nstép 2\n".encode())
    assert log_of(run, leo, 9)["text"] == "ép 2\n"


def test_a_letter_of_which_half_is_written_waits_for_the_rest(run: TrainingRun, leo: User) -> None:
    (run.path / LOG_FILE).write_bytes("é".encode()[:1])
    assert log_of(run, leo, 0) == {"text": "", "next": 0, "over": False}
    TrainingRun.objects.update(status="failed")
    assert log_of(run, leo, 0)["text"] == "\ufffd"


def test_a_long_log_comes_in_parts_and_ends_when_the_run_has(run: TrainingRun, leo: User) -> None:
    (run.path / LOG_FILE).write_bytes(b"x" * (PART + 10))
    TrainingRun.objects.update(status="succeeded")
    first = log_of(run, leo, 0)
    last = log_of(run, leo, first["next"])
    assert (len(first["text"]), len(last["text"]), last["over"]) == (PART, 10, False)
    assert log_of(run, leo, last["next"])["over"] is True


def test_the_whole_log_can_be_downloaded(run: TrainingRun, leo: User) -> None:
    client, url = world.sign_in(leo), reverse("training:run_log_file", args=[run.project.slug, run.pk])
    assert b"".join(client.get(url)) == b""  # type: ignore[arg-type]
    (run.path / LOG_FILE).write_text("all of it\n")
    reply = client.get(url)
    assert b"".join(reply) == b"all of it\n"  # type: ignore[arg-type]
    assert f'filename="run-{run.pk}.log"' in reply["Content-Disposition"]


def test_two_runs_are_compared_by_what_they_were_told_and_what_came_of_it(
    project: Project, leo: User
) -> None:
    version = judged_version(project)
    first = launched(project, version, name="one")
    second = launched(project, version, name="two", values={"lora_r": 64, "adaptation": "lora"})
    for run in (first, second):
        run.path.mkdir(parents=True)
        for step in (1, 2, 3):
            write_event(run.path, "log", step, loss=3.0 / step)
        write_event(run.path, "eval", 3, loss=1.25)
        EventTail(run).read()
    url = reverse("training:compare_runs", args=[project.slug])
    page = world.sign_in(leo).get(f"{url}?run={first.pk}&run={second.pk}&run=x&run=999999")
    assert page.context["differences"] == [("LoRA r", ["16", "64"]), ("LoRA alpha", ["32", "128"])]
    assert [line["held_out"] for line in page.context["runs"]] == [1.25, 1.25]
    assert [chart["id"] for chart in page.context["charts"]] == ["loss-training"]
    assert page.context["left_out"] == 1
    alone = world.sign_in(leo).get(f"{url}?run={first.pk}")
    assert "Mark two runs or more" in alone.text


def test_runs_of_another_project_are_not_compared_here(project: Project, leo: User) -> None:
    own, foreign = launched(project), launched(world.make_project("Another"), name="secret")
    url = reverse("training:compare_runs", args=[project.slug])
    page = world.sign_in(leo).get(f"{url}?run={own.pk}&run={foreign.pk}")
    assert "secret" not in page.text


def test_the_run_folder_is_not_needed_to_look_at_a_run(run: TrainingRun, leo: User, tmp_path: Path) -> None:
    run.path.rename(tmp_path / "gone")
    assert page_of(run, leo).status_code == 200
