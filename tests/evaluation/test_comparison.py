"""Emma compares targets: paired where they were measured alike, and a sentence where they were not."""

import json

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from evaluation.comparing import remarks, screen
from evaluation.comparison import compare, compare_all, find_sides, shared_metrics, why_not
from evaluation.measured import measured
from evaluation.models import EvalRun, Suite
from evaluation.plans import COMPOSITE
from evaluation.sheets import KEPT
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Project
from tests import world
from tests.evaluation.finished import always, finished, passing, suite_of
from tests.evaluation.gating import listed, marks, pair

pytestmark = pytest.mark.django_db
FIRST = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0]
SECOND = [1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0]


def sides(project: Project, *keys: str) -> list:
    return find_sides(project, keys)


def test_emma_reads_the_difference_and_every_flip(project: Project) -> None:
    run, _ = pair(project, FIRST, SECOND)
    found = compare(*sides(project, f"{run.pk}.0", str(run.pk)), "exact")
    assert (found.fixed, found.broken, found.same, found.n) == (3, 1, 6, 10)
    assert found.table == (4, 2)
    assert found.difference is not None
    assert found.difference.value == pytest.approx(0.2)
    assert found.p == pytest.approx(0.375)  # mid-p of 3 against 1: 0.625 - 0.25
    assert found.standing == "inconclusive"


def test_emma_names_a_run_without_a_target_and_gets_its_last(project: Project) -> None:
    run, _ = pair(project, FIRST, SECOND)
    assert [side.name for side in sides(project, f"{run.pk}.0", f"{run.pk}")] == ["champion", "candidate"]


@pytest.mark.parametrize(
    "keys",
    [
        ["1"],
        ["1.0", "1.0"],
        ["9999.0", "1"],
        ["x", "y"],
        ["²", "1"],
        ["1.9", "1.0"],
        ["1." + "9" * 30, "1.0"],
    ],
)
def test_emma_is_told_what_is_wrong_with_what_she_chose(project: Project, keys: list[str]) -> None:
    run, _ = pair(project, FIRST, SECOND)
    with pytest.raises(Refused):
        find_sides(project, [key.replace("1", str(run.pk), 1) if key[0] == "1" else key for key in keys])


def test_emma_cannot_name_a_run_of_another_project(project: Project) -> None:
    run, _ = pair(world.make_project("Other"), FIRST, SECOND)
    with pytest.raises(Refused, match="no evaluation"):
        find_sides(project, [f"{run.pk}.0", f"{run.pk}.1"])


def test_two_runs_on_one_version_are_paired(project: Project) -> None:
    version = suite_of(project, 10)
    one, _ = pair(project, FIRST, FIRST, version=version)
    two, _ = pair(project, FIRST, SECOND, version=version, names=("champion", "other"))
    found = compare(*sides(project, f"{one.pk}.1", f"{two.pk}.1"), "exact")
    assert (found.fixed, found.broken, found.n, found.unpaired) == (3, 1, 10, 0)


def two_runs(project: Project) -> tuple[EvalRun, EvalRun]:
    version = suite_of(project, 10)
    one, _ = pair(project, FIRST, FIRST, version=version)
    two, _ = pair(project, FIRST, SECOND, version=version, names=("champion", "other"))
    return one, two


def answered_by(run: EvalRun, identity: str) -> None:
    run.spec["metrics"][0]["judge"] = 3
    run.spec["judges"] = {"judge:3": {"identity": identity}}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda run: run.spec["metrics"][0].update(version=7), "measured in two ways"),
        (lambda run: run.spec["metrics"][0]["params"].update(case=True), "measured in two ways"),
        (lambda run: run.spec["metrics"][0].update(judge=3), "measured in two ways"),
        (
            lambda run: run.facts.update(scorers={"exact": {"sha256": "b" * 64}}),
            "exact v1.*, sha256 bbbbbbbb",
        ),
        (lambda run: answered_by(run, "other"), r"judge 3 \(weights\) .*judge 3 \(other\)"),
        (lambda run: run.spec["sampling"].update(temperature=0.9), "sampled their answers in different ways"),
        (lambda run: run.spec.update(system="Be brief."), "sampled their answers in different ways"),
        (lambda run: run.facts["targets"]["1"].update(template="other"), "different prompt tokens"),
        (lambda run: setattr(run, "split", "sealed"), "only the same cases can be paired"),
        (lambda run: setattr(run, "status", Status.RUNNING), "no complete results"),
    ],
)
def test_emma_is_told_why_two_runs_cannot_be_paired(project: Project, spoil, words: str) -> None:
    one, two = two_runs(project)
    if "judge 3" in words:
        answered_by(one, "weights")
        one.save()
    spoil(two)
    two.save()
    first, second = sides(project, f"{one.pk}.1", f"{two.pk}.1")
    with pytest.raises(Refused, match=words):
        compare(first, second, "exact")


def test_of_several_metrics_together_the_one_that_was_measured_otherwise_is_named(project: Project) -> None:
    version = suite_of(project, 10)
    metrics, weights = ("exact", "contains"), {"exact": 1.0, "contains": 2.0}
    one, two = (
        finished(
            project,
            {"a": passing(0.5), name: passing(0.5)},
            version=version,
            metrics=metrics,
            weights=weights,
        )
        for name in "bc"
    )
    first, second = sides(project, f"{one.pk}.1", f"{two.pk}.1")
    assert why_not(first, second, COMPOSITE) == ""
    second.run.facts["scorers"] = {"contains": {"sha256": "b" * 64}}
    assert why_not(first, second, COMPOSITE).startswith("contains was measured in two ways")


def test_emma_is_told_that_two_versions_hold_other_cases(project: Project) -> None:
    one, _ = pair(project, FIRST, FIRST, version=suite_of(project, 10, name="January"))
    two, _ = pair(
        project, FIRST, SECOND, version=suite_of(project, 10, name="February"), names=("champion", "other")
    )
    reason = why_not(*sides(project, f"{one.pk}.1", f"{two.pk}.1"), "exact")
    assert "January v1" in reason
    assert "February v1" in reason


def test_a_copied_suite_is_paired_by_the_uids_of_its_cases(project: Project) -> None:
    ours, copy = suite_of(project, 10, name="Ours"), suite_of(project, 10, name="Copy")
    for mine, other in zip(ours.suite.cases.all(), copy.suite.cases.all(), strict=True):
        type(other).objects.filter(pk=other.pk).update(uid=mine.uid)
    type(copy).objects.filter(pk=copy.pk).update(content_hash=ours.content_hash)
    copy.refresh_from_db()
    one, _ = pair(project, FIRST, FIRST, version=ours)
    two, _ = pair(project, FIRST, SECOND, version=copy, names=("champion", "other"))
    found = compare(*sides(project, f"{one.pk}.1", f"{two.pk}.1"), "exact")
    assert (found.fixed, found.broken, found.n) == (3, 1, 10)


def test_a_win_rate_is_compared_with_its_own_baseline_only(project: Project) -> None:
    run = finished(
        project, {"a": always(0.5), "b": always(0.6), "c": always(0.7)}, cases=8, metrics=("pairwise",)
    )
    first, second, third = sides(project, f"{run.pk}.0", f"{run.pk}.1", f"{run.pk}.2")
    assert why_not(first, third, "pairwise") == ""
    assert "compares only that baseline" in why_not(second, third, "pairwise")


def test_holm_corrects_over_several_candidates(project: Project) -> None:
    run = finished(project, {"a": listed(FIRST), "b": listed(SECOND), "c": listed(SECOND)}, cases=10)
    found = compare_all(sides(project, *(f"{run.pk}.{n}" for n in range(3))), ["exact"])["exact"]
    assert [each.p for each in found] == pytest.approx([0.75, 0.75])


def test_slices_are_corrected_and_the_planted_one_is_marked(project: Project) -> None:
    first = [0.0] * 120
    second = [float(n < 30) for n in range(120)]
    version = suite_of(project, 120, tags=lambda n: ["planted" if n < 30 else f"other{n % 6}"])
    run, _ = pair(project, first, second, version=version)
    found = compare(*sides(project, f"{run.pk}.0", f"{run.pk}.1"), "exact")
    assert [each.tag for each in found.slices if each.marked] == ["planted"]
    assert len(found.slices) == 7


def test_numbers_of_finished_runs_are_read_once(project: Project) -> None:
    run, _ = pair(project, FIRST, SECOND)
    chosen = sides(project, f"{run.pk}.0", f"{run.pk}.1")
    before = compare(*chosen, "exact")
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert compare(*chosen, "exact") == before
    assert len(asked) == 0
    cache.clear()
    KEPT.clear()
    with CaptureQueriesContext(connection) as asked:
        assert compare(*chosen, "exact") == before
    assert len(asked) == 2


def said(project: Project, first: list, second: list) -> str:
    run, _ = pair(project, first, second)
    return " ".join(remarks(compare(*sides(project, f"{run.pk}.0", f"{run.pk}.1"), "exact")))


def test_the_page_says_what_the_numbers_do_not(project: Project) -> None:
    assert "Both pass all 8 cases" in said(project, [1.0] * 8, [1.0] * 8)


def test_all_fail_is_said(project: Project) -> None:
    assert "Both fail all 8 cases" in said(project, [0.0] * 8, [0.0] * 8)


def test_the_same_value_everywhere_is_said(project: Project) -> None:
    assert "the same value on all 10 cases" in said(project, FIRST, FIRST)


def test_a_suite_of_one_case_says_so(project: Project) -> None:
    assert "One case is too few" in said(project, [1.0], [0.0])


def test_churn_behind_equal_means_is_said(project: Project) -> None:
    assert "20 % of the cases changed" in said(project, marks(5, 10), [*marks(4, 9), 1.0])


def test_no_shared_case_is_said(project: Project) -> None:
    run, _ = pair(project, [None] * 6, [1.0] * 6)
    chosen = sides(project, f"{run.pk}.0", f"{run.pk}.1")
    assert "No case has a value of both" in " ".join(remarks(compare(*chosen, "exact")))


def test_the_same_weights_twice_are_called_the_same_model(project: Project) -> None:
    version = suite_of(project, 10)
    one, _ = pair(project, FIRST, SECOND, version=version)
    two, _ = pair(project, FIRST, SECOND, version=version)
    found = compare(*sides(project, f"{one.pk}.1", f"{two.pk}.1"), "exact")
    assert "the same model" in remarks(found)[0]


def test_two_of_one_run_that_were_given_other_tokens_say_so(project: Project) -> None:
    run, _ = pair(project, FIRST, SECOND)
    assert "prompt tokens" not in " ".join(
        remarks(compare(*sides(project, f"{run.pk}.0", str(run.pk)), "exact"))
    )
    for index, template in enumerate(("aaa", "bbb")):
        run.facts["targets"][str(index)]["template"] = template
    run.save()
    chosen = sides(project, f"{run.pk}.0", f"{run.pk}.1")
    assert "were given different prompt tokens" in " ".join(remarks(compare(*chosen, "exact")))
    found = screen(chosen, "")
    assert found is not None
    assert dict(found.properties)["Prompt tokens, hash"] == ["aaa", "bbb"]


def test_flips_lead_to_the_cases_of_the_two_that_flipped(project: Project) -> None:
    run = finished(project, {"a": listed(FIRST), "b": listed(SECOND), "c": listed(FIRST)}, cases=10)
    found = screen(sides(project, *(f"{run.pk}.{n}" for n in range(3))), "")
    assert found is not None
    assert found.closer[1].broken == f"?s={run.pk}.0&s={run.pk}.2&metric=exact&show=broken#cases-title"


def test_the_screen_lists_every_shared_metric_and_what_differs(project: Project) -> None:
    run = finished(
        project,
        {"a": passing(0.4), "b": passing(0.8, 2)},
        cases=40,
        metrics=("exact", "perplexity", "length"),
    )
    found = screen(sides(project, f"{run.pk}.0", f"{run.pk}.1"), "perplexity")
    assert found is not None
    assert [line.metric.name for line in found.lines] == ["exact", "perplexity", "length"]
    assert found.metric.name == "perplexity"
    assert found.closer[0].forest is not None
    assert "Weights" in dict(found.properties)
    assert "times" in found.lines[1].others[0].difference


def test_shared_metrics_are_those_of_the_first_that_another_has(project: Project) -> None:
    version = suite_of(project, 8)
    one = finished(project, {"a": passing(0.5)}, version=version, metrics=("exact", "length"))
    two = finished(project, {"b": passing(0.5)}, version=version, metrics=("length",))
    assert shared_metrics(sides(project, f"{one.pk}.0", f"{two.pk}.0")) == ["length"]
    assert shared_metrics(sides(project, f"{two.pk}.0", f"{one.pk}.0")) == ["length"]
    assert set(measured(one)) == {"exact", "length"}


def test_the_command_goes_on_past_a_metric_that_cannot_be_paired(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = {"metrics": ("exact", "pairwise"), "version": suite_of(project, 10)}
    one, _ = pair(project, FIRST, FIRST, **metrics)
    two, _ = pair(project, FIRST, SECOND, names=("champion", "other"), **metrics)
    keys = f"{one.pk}.1", f"{two.pk}.1"
    call_command("compare", *keys, "--json")
    *_, told, last = capsys.readouterr().out.splitlines()
    assert "pairwise: not compared. pairwise sets each answer against" in told
    found = json.loads(last)["metrics"]
    assert (found["exact"]["fixed"], bool(found["exact"]["slices"])) == (3, True)
    assert "Choose it first" in found["pairwise"]["why"]
    with pytest.raises(CommandError, match="pairwise sets each answer against"):
        call_command("compare", *keys, "--metric", "pairwise")


def test_the_command_says_it_and_gives_json(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    run, _ = pair(project, FIRST, SECOND)
    Suite.objects.filter(pk=run.suite_id).update(name="S")
    call_command("compare", f"{run.pk}.0", f"{run.pk}.1", "--json")
    out = capsys.readouterr().out
    assert "+20.0 points" in out
    assert '"fixed": 3' in out.splitlines()[-1]
