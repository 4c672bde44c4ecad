"""Suites: how they are made, frozen, and how their versions differ."""

import pytest

from evaluation.models import Case, Suite, SuiteVersion
from evaluation.suites import (
    add_case,
    add_picked,
    archive_suite,
    change_suite,
    create_suite,
    diff,
    edit_case,
    freeze_version,
    frozen,
    living,
    remove_cases,
    retag,
    seal,
    suite_from_items,
    suite_from_split,
    unseal,
)
from evaluation.suites.content import Content, content_of
from labeling.curation import rowfile
from labeling.errors import Refused
from labeling.models import Project, ProtectedFingerprint, User
from labeling.protection import protected_hashes
from tests import world
from tests.evaluation.suites import asked, filled, first, put
from tests.training.runs import judged_version

pytestmark = pytest.mark.data_layer


def test_emma_starts_an_empty_suite_and_its_name_is_taken(project: Project, emma: User) -> None:
    suite = create_suite(project=project, name=" Refunds  and returns ", person=emma)
    assert (suite.name, suite.created_by) == ("Refunds and returns", emma)
    with pytest.raises(Refused, match="There is a suite named Refunds and returns in this project already"):
        create_suite(project=project, name="Refunds and returns", person=emma)
    with pytest.raises(Refused, match="The name has 0 letters; give 1 to 120"):
        create_suite(project=project, name=" ", person=emma)


def test_a_suite_without_cases_gives_no_version_to_run_on(project: Project, emma: User) -> None:
    suite = create_suite(project=project, name="Empty", person=emma)
    with pytest.raises(Refused, match="Empty has no case yet; add one or import a file"):
        frozen(suite)


def test_a_suite_of_one_case_can_be_frozen(project: Project, emma: User) -> None:
    suite = filled(project, 1)
    version = freeze_version(suite=suite, person=emma, note="the first")
    assert (version.number, version.cases, version.sealed, version.note) == (1, 1, 0, "the first")


def test_freezing_protects_every_prompt_from_training(project: Project) -> None:
    suite = filled(project, 3)
    assert protected_hashes(project=project) == set()
    freeze_version(suite=suite, person=None)
    assert protected_hashes(project=project) == set(living(suite).values_list("prompt_hash", flat=True))
    texts = set(ProtectedFingerprint.objects.values_list("text", flat=True))
    assert texts == {"Question 0?", "Question 1?", "Question 2?"}


def test_an_edit_after_a_freeze_opens_the_next_number_and_leaves_the_frozen_one(project: Project) -> None:
    suite = filled(project, 3)
    one = freeze_version(suite=suite, person=None)
    edit_case(case=first(suite), content=asked("Another question?"), person=None)
    two = frozen(suite)
    assert (one.number, two.number) == (1, 2)
    assert [case.preview for case in Case.objects.of(one)] == ["Question 0?", "Question 1?", "Question 2?"]
    assert [case.preview for case in Case.objects.of(two)] == [
        "Another question?",
        "Question 1?",
        "Question 2?",
    ]
    assert one.content_hash != two.content_hash


def test_freezing_what_did_not_change_gives_the_same_version_back(project: Project) -> None:
    suite = filled(project, 3)
    one = freeze_version(suite=suite, person=None)
    assert freeze_version(suite=suite, person=None) == one
    changed = edit_case(case=first(suite), content=asked("Another?"), person=None)
    edit_case(case=changed, content=asked("Question 0?"), person=None)
    assert freeze_version(suite=suite, person=None) == one
    assert SuiteVersion.objects.count() == 1
    retag(suite=suite, uids=[first(suite).uid], add=["billing"], person=None)
    assert frozen(suite).number == 2


def test_the_hash_depends_on_the_cases_and_their_order_only(project: Project) -> None:
    hashes = {
        freeze_version(suite=filled(world.make_project(name), 4), person=None).content_hash
        for name in ("One", "Two")
    }
    assert len(hashes) == 1


def test_where_every_case_was_removed_a_run_is_on_the_newest_frozen_version(project: Project) -> None:
    suite = filled(project, 2)
    one = freeze_version(suite=suite, person=None)
    remove_cases(suite=suite, uids=[case.uid for case in living(suite)], person=None)
    assert frozen(suite) == one
    with pytest.raises(Refused, match="has no case yet"):
        freeze_version(suite=suite, person=None)


def test_the_difference_of_two_versions_names_added_removed_and_changed_cases(project: Project) -> None:
    suite = filled(project, 4)
    one = freeze_version(suite=suite, person=None)
    cases = list(living(suite))
    edit_case(case=cases[0], content=content_of(cases[0], reference="better", tags=["refund"]), person=None)
    remove_cases(suite=suite, uids=[cases[1].uid], person=None)
    add_case(suite=suite, content=asked("New?"), person=None)
    two = freeze_version(suite=suite, person=None)
    found = diff(one, two)
    assert found.counts == {"added": 1, "removed": 1, "changed": 1}
    assert found.same == 2
    assert [change.words for change in found.changed[0].fields] == ["Reference", "Tags"]
    back = diff(two, one)
    assert (back.added[0].uid, back.removed[0].preview) == (cases[1].uid, "New?")


def test_versions_of_two_suites_are_not_compared(project: Project) -> None:
    one, two = (freeze_version(suite=filled(project, 1, name=name), person=None) for name in ("A", "B"))
    with pytest.raises(Refused, match="A v1 and B v1 are of two suites"):
        diff(one, two)


def test_the_held_out_rows_become_a_frozen_suite(project: Project, emma: User) -> None:
    version = judged_version(project)
    suite = suite_from_split(version=version, person=emma)
    rows = list(rowfile.read(version.path, split="test"))
    cases = list(Case.objects.of(frozen(suite)))
    assert [(case.reference, case.rejected) for case in cases] == [
        (row["chosen"], row["rejected"]) for row in rows
    ]
    assert frozen(suite).cases == len(rows)
    assert [metric["scorer"] for metric in suite.scoring] == ["preference", "perplexity"]
    assert protected_hashes(project=project) == {row["prompt_hash"] for row in rows}
    assert suite_from_split(version=version, person=emma) == suite


def test_a_version_without_held_out_rows_gives_no_suite(project: Project) -> None:
    with pytest.raises(Refused, match="no rows in its test split; freeze a version with a larger test share"):
        suite_from_split(version=judged_version(project, test_share=0), person=None)
    assert (Suite.objects.count(), ProtectedFingerprint.objects.count()) == (0, 0)


def test_completions_become_references_and_plain_text_none(project: Project) -> None:
    best = suite_from_split(version=judged_version(project, kind="sft"), person=None)
    case = first(best)
    assert case.reference is not None
    assert (case.rejected, best.scoring) == (None, [{"name": "perplexity", "scorer": "perplexity"}])
    with pytest.raises(Refused, match="rows of the kind text; a suite is made of the kinds"):
        suite_from_split(version=world.frozen(project, kind="text"), person=None)


def test_a_file_that_somebody_changed_gives_no_suite(project: Project) -> None:
    version = judged_version(project)
    path = version.path / rowfile.FILE_NAME
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(Refused, match="somebody changed the file"):
        suite_from_split(version=version, person=None)


def test_emma_picks_items_with_what_people_preferred(project: Project, emma: User) -> None:
    items = world.fill(project, 3)
    world.judge_all(project, world.person("ben"), ["0", "1", "tie"])
    suite = suite_from_items(project=project, name="Picked", items=[item.pk for item in items], person=emma)
    texts = [(case.preview, case.reference, case.rejected) for case in living(suite).order_by("position")]
    assert texts == [
        ("Question 0?", "Answer one to 0", "Answer two to 0"),
        ("Question 1?", "Answer two to 1", "Answer one to 1"),
        ("Question 2?", None, None),
    ]
    again = add_picked(suite=suite, items=[items[0].pk], person=emma)
    assert (again.new, again.unchanged) == (0, 1)


def test_cases_of_another_suite_are_copied_but_not_those_under_seal(project: Project, emma: User) -> None:
    source, target = filled(project, 3), create_suite(project=project, name="Regressions", person=emma)
    keys = [case.pk for case in living(source)]
    done = add_picked(suite=target, cases=keys[:2], tags=["regression"], person=emma)
    assert done.new == 2
    assert first(target).tags == ["regression"]
    assert first(target).source == "Support questions, case 1"
    seal(suite=source, uids=[living(source).get(pk=keys[2]).uid], person=emma)
    with pytest.raises(
        Refused, match="Case 3 of Support questions is under seal; a copy of it would be open"
    ):
        add_picked(suite=target, cases=[living(source).get(position=2).pk], person=emma)


def test_a_case_is_copied_as_a_run_was_on_it_unless_it_was_sealed_since(
    project: Project, emma: User, ada: User
) -> None:
    source, target = filled(project, 2), create_suite(project=project, name="Regressions", person=emma)
    before = list(living(source).order_by("position"))
    edit_case(case=before[0], content=asked("Asked anew?"), person=emma)
    add_picked(suite=target, cases=[before[0].pk], person=emma)
    assert first(target).preview == "Question 0?"
    seal(suite=source, uids=["q1"], person=emma)
    with pytest.raises(Refused, match="Case 2 of Support questions is under seal"):
        add_picked(suite=target, cases=[before[1].pk], person=emma)
    remove_cases(suite=source, uids=["q1"], person=emma)
    with pytest.raises(Refused, match="Case 2 of Support questions is under seal"):
        add_picked(suite=target, cases=[before[1].pk], person=emma)
    unseal(suite=source, uids=["q1"], reason="told in public", person=ada)
    assert add_picked(suite=target, cases=[before[1].pk], person=emma).new == 1


def test_two_suites_may_have_one_id_for_two_prompts(project: Project, emma: User) -> None:
    one, two = filled(project, 1), create_suite(project=project, name="Two", person=emma)
    put(two, {"id": "q0", "prompt": "Something else?"})
    target = create_suite(project=project, name="Regressions", person=emma)
    keys = [first(one).pk, first(two).pk]
    assert add_picked(suite=target, cases=keys, person=emma).new == 2
    assert add_picked(suite=target, cases=keys, person=emma).unchanged == 2
    assert add_picked(suite=two, cases=keys, person=emma).new == 1
    assert sorted(case.preview for case in living(two)) == ["Question 0?", "Something else?"]


def test_what_is_copied_beside_a_sealed_case_comes_under_seal(project: Project, emma: User) -> None:
    one, two = filled(project, 2), filled(project, 1, name="Two")
    seal(suite=two, uids=["q0"], person=None)
    remove_cases(suite=two, uids=["q0"], person=emma)
    done = add_picked(suite=two, cases=[case.pk for case in living(one)], person=emma)
    assert (done.new, done.sealed) == (2, 1)
    assert living(two).get(sealed=True).preview == "Question 0?"


def test_nothing_is_copied_from_another_project(project: Project) -> None:
    elsewhere = filled(world.make_project("Elsewhere"), 2)
    suite = create_suite(project=project, name="Mine", person=None)
    done = add_picked(suite=suite, cases=[case.pk for case in living(elsewhere)], person=None)
    assert done.new == 0
    with pytest.raises(Refused, match="Nothing was picked"):
        add_picked(suite=suite, person=None)


def test_settings_are_changed_and_scorers_checked(project: Project) -> None:
    suite = create_suite(project=project, name="One", person=None)
    create_suite(project=project, name="Two", person=None)
    change_suite(suite=suite, name="First", scoring=[{"name": "exact", "scorer": "exact", "weight": 2}])
    suite.refresh_from_db()
    assert (suite.name, suite.scoring) == (
        "First",
        [{"name": "exact", "scorer": "exact", "weight": 2.0}],
    )
    with pytest.raises(Refused, match="There is no scorer 'guess'; choose one of"):
        change_suite(suite=suite, scoring=[{"name": "x", "scorer": "guess"}])
    with pytest.raises(Refused, match="Two metrics are named x"):
        change_suite(suite=suite, scoring=[{"name": "x", "scorer": "exact"}] * 2)
    many = [{"name": name, "scorer": name, "weight": 1} for name in ("exact", "length")]
    with pytest.raises(Refused, match=r"Length has a weight beside other metrics.*\(floor\).*\(ceiling\)"):
        change_suite(suite=suite, scoring=many)
    change_suite(suite=suite, scoring=[many[0], {**many[1], "floor": 100, "ceiling": 0}])
    change_suite(suite=suite, scoring=many[1:])
    with pytest.raises(Refused, match="There is a suite named Two"):
        change_suite(suite=suite, name="Two")
    archive_suite(suite=suite)
    assert suite.archived_at is not None


def test_a_content_that_cannot_be_stored_is_refused_in_words(project: Project) -> None:
    suite = create_suite(project=project, name="One", person=None)
    for content, words in (
        (asked("a\0b"), "A text holds a NUL character"),
        (asked("Why?", weight=0), "The weight is 0; give a number above 0"),
        (asked("Why?", tags=["x" * 61]), "has 61 letters; up to 60 are allowed"),
        (asked("Why?", reference="a", rejected="a"), "Reference and rejected are the same text"),
        (asked("\ud83d"), "half of a surrogate pair"),
    ):
        with pytest.raises(Refused, match=words):
            add_case(suite=suite, content=content, person=None)
    assert Content(prompt=[{"role": "user", "content": "Why?"}]).identity == asked("Why?").identity
