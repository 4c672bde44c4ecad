"""Cases: edited by two people at once, taken out and brought back, tagged, sealed; nothing is ever lost."""

import pytest

from evaluation.models import Case, Split, Suite
from evaluation.suites import (
    Overtaken,
    add_case,
    check_seal,
    create_suite,
    edit_case,
    freeze_version,
    frozen,
    history,
    living,
    put_cases,
    remove_cases,
    restore_cases,
    retag,
    seal,
    seal_share,
    unseal,
)
from evaluation.suites.content import content_of
from evaluation.suites.listing import Wanted, cases_of, shapes_of, slices_of
from evaluation.suites.reading import read_case
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import Project, User
from tests import world
from tests.evaluation.suites import asked, candidate, decided, filled, finished_run, first, put
from tests.training.runs import root_checkpoint

pytestmark = pytest.mark.data_layer


def uids(suite: Suite, *positions: int) -> list[str]:
    return list(living(suite).filter(position__in=positions).values_list("uid", flat=True))


def test_ada_and_emma_edit_one_case_and_the_later_one_is_told(
    project: Project, ada: User, emma: User
) -> None:
    suite = filled(project, 1)
    seen = first(suite)
    edit_case(case=seen, content=content_of(seen, reference="by Ada"), person=ada)
    with pytest.raises(Overtaken, match="ada changed this case while you were writing") as told:
        edit_case(case=seen, content=content_of(seen, reference="by Emma"), person=emma)
    assert told.value.current is not None
    assert told.value.current.reference == first(suite).reference == "by Ada"


def test_a_case_that_was_removed_meanwhile_is_not_edited(project: Project, emma: User) -> None:
    suite = filled(project, 2)
    seen = first(suite)
    remove_cases(suite=suite, uids=[seen.uid], person=emma)
    with pytest.raises(Overtaken, match="Somebody removed this case") as told:
        edit_case(case=seen, content=asked("Mine?"), person=emma)
    assert told.value.current is None


@pytest.mark.django_db(transaction=True)
def test_of_many_edits_at_the_same_moment_one_wins() -> None:
    suite = filled(world.make_project(), 1)
    seen = first(suite)

    def edit(number: int) -> bool:
        try:
            edit_case(case=seen, content=asked(f"By {number}?"), person=None)
        except Overtaken:
            return False
        return True

    won = world.together([lambda n=n: edit(n) for n in range(4)])  # type: ignore[misc]
    assert sorted(won) == [False, False, False, True]
    assert living(suite).count() == 1


def test_the_same_content_again_makes_no_new_state(project: Project) -> None:
    suite = filled(project, 1)
    freeze_version(suite=suite, person=None)
    seen = first(suite)
    assert edit_case(case=seen, content=content_of(seen), person=None) == seen
    assert suite.versions.count() == 1


def test_the_same_case_is_not_added_twice(project: Project) -> None:
    suite = filled(project, 1)
    add_case(suite=suite, content=asked("Why?"), person=None)
    with pytest.raises(Refused, match="has this case already, as number 2"):
        add_case(suite=suite, content=asked("Why?"), person=None)


def test_a_removed_case_stays_in_frozen_versions_and_comes_back(project: Project) -> None:
    suite = filled(project, 3)
    one = freeze_version(suite=suite, person=None)
    chosen = uids(suite, 0, 2)
    assert remove_cases(suite=suite, uids=chosen, person=None) == chosen
    assert remove_cases(suite=suite, uids=chosen, person=None) == []
    assert (living(suite).count(), Case.objects.of(one).count()) == (1, 3)
    assert set(restore_cases(suite=suite, uids=chosen, person=None)) == set(chosen)
    assert freeze_version(suite=suite, person=None) == one
    remove_cases(suite=suite, uids=chosen[:1], person=None)
    frozen(suite)
    restore_cases(suite=suite, uids=chosen[:1], person=None)
    assert [case.position for case in Case.objects.of(frozen(suite))] == [0, 1, 2]


def test_cases_are_tagged_many_at_once_and_the_undo_knows_which(project: Project) -> None:
    suite = filled(project, 4, tags=["old"])
    retag(suite=suite, uids=uids(suite, 0), add=["refund"], person=None)
    changed = retag(suite=suite, uids=uids(suite, 0, 1, 2), add=[" refund "], person=None)
    assert len(changed) == 2
    retag(suite=suite, uids=uids(suite, 3), remove=["old"], person=None)
    assert slices_of(suite) == [("old", 3), ("refund", 3)]
    with pytest.raises(Refused, match="No tag was given"):
        retag(suite=suite, uids=changed, add=[" "], person=None)


def test_the_history_of_a_case_has_every_state_with_its_versions(project: Project, emma: User) -> None:
    suite = filled(project, 1)
    freeze_version(suite=suite, person=None)
    changed = edit_case(case=first(suite), content=asked("Second?"), person=emma, note="clearer")
    edit_case(case=changed, content=asked("Third?"), person=emma)
    states = history(suite, "q0")
    assert [state.case.preview for state in states] == ["Third?", "Second?", "Question 0?"]
    assert [state.versions for state in states] == [
        "since version 2",
        "replaced before version 2 was frozen",
        "version 1",
    ]
    assert [change.words for change in states[0].fields] == ["Prompt"]
    assert states[1].case.note == "clearer"


def test_sealing_a_case_seals_all_that_share_its_prompt(project: Project) -> None:
    suite = filled(project, 2)
    put(suite, {"id": "twin", "prompt": "Question 0?", "reference": "other"})
    assert seal(suite=suite, uids=["q0"], person=None) == ["q0", "twin"]
    assert shapes_of([suite])[suite.pk].sealed == 2


def test_an_open_copy_of_a_sealed_prompt_comes_under_seal_however_it_is_written(project: Project) -> None:
    suite = create_suite(project=project, name="Secrets", person=None)
    rows = [
        {"id": "a", "prompt": "Secret?", "sealed": "yes"},
        {"id": "b", "prompt": "secret? ", "reference": "no"},
        {"id": "c", "prompt": "Other?", "cluster": "doc"},
        {"id": "d", "prompt": "More?", "cluster": "doc", "sealed": "yes"},
        {"id": "e", "prompt": "Other?"},
        {"id": "f", "prompt": "Free?"},
    ]
    done = put_cases(suite=suite, drafts=[read_case(row) for row in rows], person=None)
    assert (done.new, done.sealed) == (6, 3)
    assert [case.uid for case in living(suite).filter(sealed=False)] == ["f"]
    assert (
        history(suite, "b")[0].case.note
        == "Put under seal: it was sealed before, or shares its prompt or cluster with a sealed case."
    )
    assert add_case(suite=suite, content=asked("Secret?", reference="third"), person=None).sealed
    assert edit_case(case=living(suite).get(uid="f"), content=asked("More?"), person=None).sealed
    put(suite, {"id": "g", "prompt": "Late?"}, {"id": "h", "prompt": "Open?"})
    remove_cases(suite=suite, uids=["g"], person=None)
    put(suite, {"id": "i", "prompt": "Late?", "sealed": "yes"})
    restore_cases(suite=suite, uids=["g"], person=None)
    assert [case.uid for case in living(suite).filter(sealed=False)] == ["h"]


def test_sealing_and_opening_take_all_that_hang_together(project: Project, ada: User) -> None:
    suite = filled(project, 2)
    put(
        suite,
        {"id": "a", "prompt": "Question 0?", "cluster": "doc"},
        {"id": "b", "prompt": "?", "cluster": "doc"},
    )
    assert seal(suite=suite, uids=["q0"], person=ada) == ["q0", "a", "b"]
    assert unseal(suite=suite, uids=["b"], reason="told in public", person=ada) == ["q0", "a", "b"]
    put(suite, {"id": "c", "prompt": "Question 0?"})
    assert not living(suite).filter(sealed=True).exists()


def test_what_emma_removes_from_under_a_seal_comes_back_under_it_however_it_is_written(
    project: Project, emma: User
) -> None:
    suite = filled(project, 3, cluster="")
    seal(suite=suite, uids=["q0", "q1"], person=None)
    put(suite, {"id": "q1", "prompt": "Something else?"})
    remove_cases(suite=suite, uids=["q0", "q1"], person=emma)
    again = [{"id": f"q{n}", "prompt": f"Question {n}?"} for n in range(3)]
    done = put_cases(suite=suite, drafts=[read_case(row) for row in again], person=emma)
    assert (done.new, done.unchanged, done.sealed) == (2, 1, 2)
    assert [case.uid for case in living(suite).filter(sealed=False)] == ["q2"]
    assert [state.case.sealed for state in history(suite, "q0")] == [True, True, False]
    assert "it was sealed before" in history(suite, "q0")[0].case.note
    remove_cases(suite=suite, uids=["q0", "q1"], person=emma)
    assert add_case(suite=suite, content=asked("Question 0?"), person=emma).sealed
    put(suite, {"id": "copy", "prompt": "something else?", "cluster": "doc"}, {"id": "far", "prompt": "Far?"})
    put(suite, {"id": "near", "prompt": "Near?", "cluster": "doc"})
    edited = edit_case(case=living(suite).get(uid="q2"), content=asked("Question 1?"), person=emma, note="so")
    assert (edited.sealed, edited.note.startswith("so Put under seal")) == (True, True)
    assert [case.uid for case in living(suite).filter(sealed=False)] == ["far"]
    version, runs = freeze_version(suite=suite, person=emma), seal(suite=suite, uids=["copy"], person=emma)
    assert (version.sealed, version.cases, runs) == (4, 5, [])


def test_an_open_case_that_was_removed_comes_back_under_the_seal_of_its_prompt(project: Project) -> None:
    suite = filled(project, 1)
    put(suite, {"id": "twin", "prompt": "Question 0?"})
    remove_cases(suite=suite, uids=["twin"], person=None)
    seal(suite=suite, uids=["q0"], person=None)
    remove_cases(suite=suite, uids=["q0"], person=None)
    assert restore_cases(suite=suite, uids=["twin"], person=None) == ["twin"]
    assert living(suite).get().sealed


def test_what_ada_opened_stays_open_and_so_do_removed_cases_of_its_prompt(
    project: Project, ada: User, emma: User
) -> None:
    suite = filled(project, 2)
    put(suite, {"id": "twin", "prompt": "Question 0?", "cluster": "doc"})
    seal(suite=suite, uids=["q0"], person=ada)
    remove_cases(suite=suite, uids=["twin"], person=emma)
    opened = unseal(suite=suite, uids=["q0"], reason="told in public", person=ada)
    assert opened == ["q0", "twin"]
    assert history(suite, "twin")[0].case.note == "Unsealed: told in public"
    edit_case(case=first(suite), content=asked("Question 0?", tags=["hard"]), person=emma)
    remove_cases(suite=suite, uids=["q0"], person=emma)
    put(suite, {"id": "q0", "prompt": "Question 0?"}, {"id": "new", "prompt": "?", "cluster": "doc"})
    restore_cases(suite=suite, uids=["twin"], person=emma)
    assert living(suite).count() == 4
    assert not living(suite).filter(sealed=True).exists()


def test_a_random_share_is_sealed_by_seed_and_whole_clusters(project: Project) -> None:
    suites = [filled(project, 20, name=name) for name in ("A", "B", "C")]
    for suite in suites:
        put(suite, *({"id": f"c{n}", "prompt": f"Chat {n}?", "cluster": "one chat"} for n in range(10)))
    chosen = [
        seal_share(suite=suite, share=0.3, seed=seed, person=None)
        for suite, seed in zip(suites, (1, 1, 2), strict=True)
    ]
    assert chosen[0] == chosen[1] != chosen[2]
    assert all(9 <= len(some) < 19 for some in chosen)
    for suite in suites:
        assert living(suite).filter(cluster="one chat").values("sealed").distinct().count() == 1


def test_a_share_that_leaves_nothing_open_is_refused(project: Project) -> None:
    with pytest.raises(Refused, match="has 1 open prompt; to seal a share it takes two"):
        seal_share(suite=filled(project, 1), share=0.5, person=None)
    with pytest.raises(Refused, match="The share given is 100%"):
        seal_share(suite=filled(project, 3, name="B"), share=1.0, person=None)


def test_opening_a_seal_needs_a_reason_which_stays_in_the_history(project: Project, ada: User) -> None:
    suite = filled(project, 2)
    seal(suite=suite, uids=["q0"], person=ada)
    freeze_version(suite=suite, person=ada)
    with pytest.raises(Refused, match="cannot be taken back; write the reason"):
        unseal(suite=suite, uids=["q0"], reason=" ", person=ada)
    assert unseal(suite=suite, uids=["q0", "q1"], reason="the answer was wrong", person=ada) == ["q0"]
    assert history(suite, "q0")[0].case.note == "Unsealed: the answer was wrong"
    assert [change.words for change in history(suite, "q0")[0].fields] == ["Seal"]


def test_neither_an_edit_nor_a_file_opens_a_seal(project: Project) -> None:
    suite = filled(project, 1)
    seal(suite=suite, uids=["q0"], person=None)
    edit_case(case=first(suite), content=asked("Other?", sealed=False), person=None)
    put_cases(suite=suite, drafts=[read_case({"id": "q0", "prompt": "Third?", "sealed": "no"})], person=None)
    assert (first(suite).preview, first(suite).sealed) == ("Third?", True)


def test_the_sealed_cases_are_opened_for_one_candidate_until_something_is_decided(
    project: Project, ada: User
) -> None:
    suite = filled(project, 4)
    base = root_checkpoint()
    x, y = (candidate(project, base, name) for name in ("x", "y"))
    with pytest.raises(Refused, match="has no sealed case; seal a share of its cases first"):
        check_seal(frozen(suite), [base, x])
    seal_share(suite=suite, share=0.5, person=None)
    version = frozen(suite)
    with pytest.raises(
        Refused, match=r"2 candidates were chosen \(x, y\); the sealed cases are opened for exactly one"
    ):
        check_seal(version, [base, x, y])
    check_seal(version, [base, x, x])
    run = finished_run(version, base, x, split=Split.SEALED)
    check_seal(version, [base, x])
    with pytest.raises(Refused, match="opened for x and nothing was decided about it yet"):
        check_seal(version, [base, y])
    decided(run, x, by=ada)
    check_seal(version, [base, y])


def test_a_sealed_run_that_failed_before_it_gave_a_number_does_not_count(project: Project) -> None:
    suite = filled(project, 4)
    seal_share(suite=suite, share=0.5, person=None)
    version, base = frozen(suite), root_checkpoint()
    x, y = (candidate(project, base, name) for name in ("x", "y"))
    finished_run(version, base, x, split=Split.SEALED, status=Status.FAILED)
    check_seal(version, [base, y])


def test_the_list_pages_both_ways_and_finds_words_and_tags(project: Project) -> None:
    suite = filled(project, 60)
    retag(suite=suite, uids=["q7", "q59"], add=["Straße"], person=None)
    page = cases_of(suite=suite, wanted=Wanted())
    assert (page.count, len(page.cases), page.before, page.after) == (60, 50, None, 49)
    onward = cases_of(suite=suite, wanted=Wanted(after=49))
    assert [case.position for case in onward.cases] == list(range(50, 60))
    back = cases_of(suite=suite, wanted=Wanted(before=50))
    assert [case.position for case in back.cases] == list(range(50))
    assert [case.uid for case in cases_of(suite=suite, wanted=Wanted(tag="Straße")).cases] == ["q7", "q59"]
    assert cases_of(suite=suite, wanted=Wanted(tag="straße")).count == 0
    assert cases_of(suite=suite, wanted=Wanted(q="question 5")).count == 11
    assert cases_of(suite=suite, wanted=Wanted(newest=True)).cases[0].uid in ("q59", "q7")


def test_the_words_of_sealed_cases_are_found_only_by_those_who_may_read_them(project: Project) -> None:
    suite = filled(project, 2)
    seal(suite=suite, uids=["q0"], person=None)
    assert cases_of(suite=suite, wanted=Wanted(q="Question 0")).count == 0
    assert cases_of(suite=suite, wanted=Wanted(q="Question 0", secret=True)).count == 1
    assert cases_of(suite=suite, wanted=Wanted(split="sealed")).count == 1


def test_removed_cases_are_listed_once_in_their_last_state(project: Project) -> None:
    suite = filled(project, 2)
    edit_case(case=first(suite), content=asked("Second?"), person=None)
    remove_cases(suite=suite, uids=["q0"], person=None)
    found = cases_of(suite=suite, wanted=Wanted(split="removed"))
    assert [case.preview for case in found.cases] == ["Second?"]
