"""Leo and Cleo read failures in random order, name them, and see what each kind costs."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from evaluation.errors.failures import start_analysis
from evaluation.errors.plans import plan_against
from evaluation.errors.reading import HELD, Overtaken, next_failure, record
from evaluation.errors.saturation import saturation
from evaluation.errors.sending import send_category
from evaluation.errors.slices import slices_of
from evaluation.errors.table import Read, Table, read_table
from evaluation.models import Analysis, Case, CaseResult, ErrorRead, ErrorReadChange, Split
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Item, Project, Task, User
from labeling.models.appendonly import Unchangeable
from labeling.rag.taxonomy import add_category, categories_of, merge_categories, split_category
from tests import world
from tests.evaluation.finished import always, finished, passing

pytestmark = pytest.mark.django_db


def analysed(project: Project, cases: int = 120, **options: Any) -> Analysis:
    run = finished(project, {"base": passing(0.8), "step": passing(0.5, 1)}, cases=cases, **options)
    return start_analysis(run=run, target=run.targets.get(index=1), person=None)


def read_all(analysis: Analysis, person: User, *tags: list[str]) -> list[ErrorRead]:
    """The next failures, named in this order."""
    done = []
    for categories in tags:
        read = next_failure(analysis=analysis, person=person)
        assert read is not None
        done.append(record(read=read, categories=categories, person=person))
    return done


def row(table: Table, key: str) -> Any:
    return next(each for each in table.rows if each.key == key)


def test_failures_come_in_an_order_that_the_seed_draws(project: Project, leo: User) -> None:
    analysis = analysed(project)
    again = start_analysis(run=analysis.run, target=analysis.target, person=leo, seed=9)
    assert again.pk == analysis.pk  # begun already: its order stays
    assert len(analysis.order) == analysis.failing < analysis.evaluated == 120
    assert analysis.order != sorted(analysis.order)
    other = start_analysis(run=analysis.run, target=analysis.run.targets.get(index=0), person=leo, seed=9)
    third = start_analysis(run=analysis.run, target=analysis.target, metric="exact", person=leo)
    assert third.pk == analysis.pk
    assert other.seed == 9


def test_two_readers_are_never_given_the_same_failure(project: Project, leo: User, cleo: User) -> None:
    analysis = analysed(project)
    first, second = (next_failure(analysis=analysis, person=who) for who in (leo, cleo))
    assert first is not None
    assert second is not None
    assert (first.place, second.place) == (0, 1)
    assert next_failure(analysis=analysis, person=leo) == first  # who comes back finds what they had open
    with pytest.raises(Refused, match="leo has this failure open"):
        record(read=first, categories=[], person=cleo)


@pytest.mark.data_layer
@pytest.mark.django_db(transaction=True)
def test_readers_who_ask_at_once_get_failures_of_their_own(
    project: Project, leo: User, cleo: User, ada: User
) -> None:
    analysis = analysed(project, 60)
    found = world.together([partial(next_failure, analysis=analysis, person=who) for who in (leo, cleo, ada)])
    assert sorted(read.place for read in found) == [0, 1, 2]
    assert len({read.case_id for read in found}) == 3


def test_what_a_reader_left_open_is_given_to_the_next(project: Project, leo: User, cleo: User) -> None:
    analysis = analysed(project)
    left = next_failure(analysis=analysis, person=leo)
    assert left is not None
    ErrorRead.objects.filter(pk=left.pk).update(claimed_at=timezone.now() - HELD - timedelta(seconds=1))
    taken = next_failure(analysis=analysis, person=cleo)
    assert taken is not None
    assert (taken.pk, taken.reader) == (left.pk, cleo)


def test_saying_it_again_changes_it_and_the_history_keeps_both(
    project: Project, leo: User, cleo: User
) -> None:
    analysis = analysed(project)
    (read,) = read_all(analysis, leo, ["incomplete"])
    record(read=read, categories=["incomplete"], person=leo)  # pressed twice
    record(read=read, categories=["wrong_format", "over_refusal"], note="It declines.", person=cleo)
    read.refresh_from_db()
    assert (read.categories, read.reader) == (["wrong_format", "over_refusal"], leo)
    changes = ErrorReadChange.objects.filter(read=read)
    assert [(change.person, change.categories) for change in changes] == [
        (cleo, ["wrong_format", "over_refusal"]),
        (leo, ["incomplete"]),
    ]
    with pytest.raises(Unchangeable):
        changes.update(note="")
    with pytest.raises(Refused, match="There is no category 'nonsense'"):
        record(read=read, categories=["nonsense"], person=leo)


def test_a_reader_who_comes_late_overwrites_nothing(project: Project, leo: User, cleo: User) -> None:
    analysis = analysed(project)
    (read,) = read_all(analysis, cleo, ["over_refusal"])
    with pytest.raises(Overtaken, match="cleo said what this failure is while you read it") as late:
        record(read=read, categories=["incomplete"], person=leo, base=0)
    read.refresh_from_db()
    assert (read.categories, late.value.current.person) == (["over_refusal"], cleo)
    record(read=read, categories=["over_refusal"], person=leo, base=0)  # the same thing overwrites nothing
    record(read=read, categories=["incomplete"], person=leo, base=late.value.current.pk)
    assert [change.person for change in read.changes.all()] == [leo, cleo]


def test_each_kind_has_its_share_ceiling_and_sole_cause(project: Project, leo: User) -> None:
    analysis = analysed(project)
    read_all(
        analysis,
        leo,
        *[["incomplete"]] * 6,
        *[["incomplete", "wrong_format"]] * 3,
        [],
        *[["over_refusal"]] * 2,
    )
    table = read_table(analysis)
    assert [each.key for each in table.rows] == ["incomplete", "wrong_format", "over_refusal"]
    found, failing = row(table, "incomplete"), analysis.failing / 120
    assert (found.read, found.share.value, found.share.n, found.alone) == (9, 9 / 12, 12, 6)
    assert found.ceiling.value == pytest.approx(failing * 9 / 12)
    assert found.sole.value == pytest.approx(failing * 6 / 12)
    assert found.ceiling.low < found.ceiling.value < found.ceiling.high
    assert table.untagged == 1
    assert [(each.stage, each.read) for each in table.stages] == [("instruction", 11)]
    assert table.reachable is None


def test_wrong_known_answers_lower_what_can_be_reached(project: Project, leo: User) -> None:
    analysis = analysed(project)
    read_all(analysis, leo, *[["mislabelled_gold"]] * 4, *[["incomplete"]] * 8)
    table = read_table(analysis)
    assert [each.key for each in table.errors] == ["incomplete"]
    assert [each.key for each in table.mislabelled] == ["mislabelled_gold"]
    assert table.reachable is not None
    assert table.reachable.value == pytest.approx(1 - analysis.failing / 120 * 4 / 12)


def test_partial_marks_gain_what_is_left_of_them(project: Project, leo: User) -> None:
    run = finished(project, {"base": always(0.25), "step": always(0.25)}, cases=40, metrics=["chrf"])
    analysis = start_analysis(run=run, target=run.targets.get(index=1), person=leo)
    read_all(analysis, leo, *[["incomplete"]] * 5)
    assert row(read_table(analysis), "incomplete").ceiling.value == pytest.approx(0.75)


def test_what_cannot_be_read_is_refused_in_a_sentence(project: Project, leo: User) -> None:
    sealed = finished(project, {"base": always(0.0)}, cases=8, split=Split.SEALED)
    with pytest.raises(Refused, match="Sealed cases stay unread"):
        start_analysis(run=sealed, target=sealed.targets.get(), person=leo)
    good = finished(
        project, {"base": always(1.0)}, cases=8, name="good", version=sealed.version, split=Split.SEALED
    )
    good.split = Split.DEV
    with pytest.raises(Refused, match="fails no case in exact"):
        start_analysis(run=good, target=good.targets.get(), person=leo)
    good.status = Status.RUNNING
    with pytest.raises(Refused, match="no complete results yet"):
        start_analysis(run=good, target=good.targets.get(), person=leo)


def test_a_number_without_a_bound_has_no_ceiling(project: Project, leo: User) -> None:
    run = finished(project, {"base": passing(0.5)}, cases=8, metrics=["exact", "perplexity"])
    with pytest.raises(Refused, match="a number without a bound"):
        start_analysis(run=run, target=run.targets.get(), metric="perplexity", person=leo)


def test_tags_follow_their_categories_through_merges_and_splits(project: Project, leo: User) -> None:
    analysis = analysed(project)
    add_category(
        project=project, person=leo, name="Too long", scope="answer", stage="instruction", key="too_long"
    )
    read_all(
        analysis,
        leo,
        ["too_long"],
        ["wrong_format"],
        ["too_long", "wrong_format"],
        ["incomplete"],
        ["incomplete"],
    )
    merge_categories(project=project, person=leo, keys=["too_long"], into="wrong_format")
    assert row(read_table(analysis), "wrong_format").read == 3
    parts = [{"name": "Stops early"}, {"name": "Misses a part"}]
    split_category(project=project, person=leo, key="incomplete", into=parts)
    found = row(read_table(analysis), "incomplete")
    assert found.read == 2
    assert len(found.became) == 2  # nobody has said yet which of the two


def test_the_stop_rule_counts_failures_without_a_new_kind() -> None:
    def reads(*kinds: str) -> list[Read]:
        return [Read(n, n, n, "", frozenset({kind} if kind else ()), 1.0) for n, kind in enumerate(kinds)]

    early = saturation(reads("a", "b", "a"), 500)
    assert (early.points, early.since, early.is_enough) == ([(1, 1), (2, 2), (3, 2)], 1, False)
    assert "Read on until 20 in a row bring none" in early.words
    enough = saturation(reads("a", "b", *["a"] * 20), 500)
    assert enough.is_enough
    assert "the last 20 brought no new one" in enough.words
    assert saturation(reads("a", "b"), 2).is_enough

    unnamed = saturation(reads(*[""] * 20), 500)
    assert not unnamed.is_enough
    assert "0 categories in 20 failures, 20 of which fit none. Name what you meet" in unnamed.words
    half = saturation(reads("a", *["a", ""] * 19), 500)
    assert (half.since, half.untagged, half.is_enough) == (19, 19, False)
    assert "19 of which fit none; the last 19 that fit one brought no new one" in half.words


def test_a_slice_is_marked_where_its_share_differs_after_correction(project: Project) -> None:
    def read(n: int, tag: str, kind: str) -> Read:
        return Read(n, n, n, "", frozenset({kind}), 1.0, (tag, "all"))

    reads = [read(n, "tables", "a" if n < 28 else "b") for n in range(30)]
    reads += [read(30 + n, "prose", "a" if n < 5 else "b") for n in range(30)]
    rows = {each.tag: each for each in slices_of(reads, "a")}
    assert (rows["tables"].marked, rows["tables"].words) == (True, "more than elsewhere")
    assert rows["prose"].words == "less than elsewhere"
    assert rows["all"].p_value is None


def test_failures_of_a_kind_go_to_labeling_once_and_are_counted(project: Project, leo: User) -> None:
    analysis = analysed(project)
    reads = read_all(analysis, leo, *[["incomplete"]] * 5, ["over_refusal"])
    assert send_category(analysis=analysis, key="incomplete").new == 5
    assert send_category(analysis=analysis, key="incomplete").new == 0
    item = Item.objects.filter(project=project).order_by("pk").first()
    assert item is not None
    assert item.source_kind == "analysis"
    assert item.source_ref in {f"analysis {analysis.pk} case {read.case.uid}" for read in reads}
    assert [(each.key, each.sent) for each in read_table(analysis).rows] == [
        ("incomplete", 5),
        ("over_refusal", 0),
    ]


def test_a_failure_that_no_item_takes_stays_and_is_named(project: Project, leo: User) -> None:
    analysis = analysed(project)
    Project.objects.filter(pk=project.pk).update(task=Task.RAG)
    analysis.project.refresh_from_db()
    reads = read_all(analysis, leo, *[["incomplete"]] * 3)
    Case.objects.filter(pk=reads[1].case_id).update(contexts=["y" * 150_000])
    sent = send_category(analysis=analysis, key="incomplete")
    assert (sent.new, len(sent.unfit)) == (2, 1)
    assert f"1 stayed, as no item takes it: “{reads[1].case.preview}” (context 1 has 150,000" in sent.words
    with pytest.raises(Refused, match="There is nothing to send: 1 stayed, as no item takes it"):
        send_category(analysis=analysis, key="incomplete")


def test_failures_with_too_few_answers_stay_and_are_counted(project: Project, leo: User) -> None:
    analysis = analysed(project)
    reads = read_all(analysis, leo, *[["incomplete"]] * 3)
    results = CaseResult.objects.filter(run=analysis.run, case=reads[0].case_id)
    results.update(output=results.get(target__index=1).output)
    sent = send_category(analysis=analysis, key="incomplete")
    assert (sent.new, sent.few) == (2, 1)
    assert "1 stayed: too few different answers to judge" in sent.words


def test_a_review_of_rag_answers_gets_one_answer_with_its_contexts(project: Project, leo: User) -> None:
    analysis = analysed(project)
    analysis.run.version.suite.cases.update(contexts=["One text.", "Another."])
    Project.objects.filter(pk=project.pk).update(task=Task.RAG)
    analysis.project.refresh_from_db()
    read_all(analysis, leo, ["incomplete"])
    send_category(analysis=analysis, key="incomplete")
    item = Item.objects.get(project=project)
    assert [chunk.text for chunk in item.chunks.all()] == ["One text.", "Another."]
    assert [response.text[:9] for response in item.responses.all()] == ["step says"]


def test_ceilings_for_each_day_of_work_need_an_effort(
    project: Project, leo: User, emma: User, mallory: User
) -> None:
    analysis = analysed(project)
    read_all(analysis, leo, *[["incomplete"]] * 6)
    category = next(each for each in categories_of(project) if each.key == "incomplete")
    assert row(read_table(analysis), "incomplete").per_effort is None
    plan_against(category=category, person=leo, effort=4, owner=emma, status="working")
    found = row(read_table(analysis), "incomplete")
    assert found.per_effort.value == pytest.approx(found.ceiling.value / 4)
    assert (found.plan.owner, found.plan.get_status_display()) == (emma, "In work")
    with pytest.raises(Refused, match="is not in this project"):
        plan_against(category=category, person=leo, owner=mallory)
    with pytest.raises(Refused, match="above 0"):
        plan_against(category=category, person=leo, effort=0)
    plan_against(category=category, person=leo, status="fixed")
    assert read_table(analysis).next == []
