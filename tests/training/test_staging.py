"""One checkpoint in production on each base and line; who moved it, when and why; notes that are not overwritten."""

import pytest
from django.db import DatabaseError, transaction
from django.urls import reverse

from labeling.errors import Refused
from labeling.models import Project, User
from labeling.models.appendonly import Unchangeable
from tests import world
from tests.training.runs import RESULT, judged_version, launched, root_checkpoint
from training.models import Checkpoint, StageChange
from training.registry import register_checkpoint
from training.staging import StageMoved, in_production, note, set_stage


@pytest.fixture
def two(project: Project) -> list[Checkpoint]:
    version = judged_version(project)
    runs = [launched(project, version, name=name) for name in ("old", "new")]
    return [register_checkpoint(run=run, result=RESULT) for run in runs]


def promote(checkpoint: Checkpoint, replaces: Checkpoint | None = None, person: User | None = None) -> None:
    set_stage(
        checkpoint=checkpoint,
        before="candidate",
        after="production",
        replaces=replaces.pk if replaces else None,
        person=person,
        reason="It won.",
    )


def test_promoting_one_archives_the_other_and_both_moves_are_written_down(
    two: list[Checkpoint], emma: User
) -> None:
    old, new = two
    promote(old, person=emma)
    assert in_production(new) == old
    promote(new, replaces=old, person=emma)
    old.refresh_from_db()
    assert (old.stage, new.stage) == ("archived", "production")
    assert [
        (c.checkpoint.name, c.after, c.reason, c.created_by) for c in StageChange.objects.order_by("id")
    ] == [
        ("old", "production", "It won.", emma),
        ("old", "archived", "Replaced by new.", emma),
        ("new", "production", "It won.", emma),
    ]


def test_whoever_promotes_on_an_old_page_is_refused_and_nothing_moves(two: list[Checkpoint]) -> None:
    old, new = two
    promote(old)
    with pytest.raises(StageMoved, match="By now old is in production"):
        promote(new)
    with pytest.raises(StageMoved, match="old is not candidate any more"):
        promote(old)
    new.refresh_from_db()
    assert (new.stage, StageChange.objects.count()) == ("candidate", 1)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_promote_at_the_same_moment_one_is_refused(two: list[Checkpoint]) -> None:
    def attempt(checkpoint: Checkpoint) -> str:
        try:
            promote(checkpoint)
        except (StageMoved, DatabaseError) as error:
            return type(error).__name__
        return "promoted"

    ends = world.together([lambda: attempt(two[0]), lambda: attempt(two[1])])
    assert sorted(ends) == ["StageMoved", "promoted"]
    assert Checkpoint.objects.filter(stage="production").count() == 1


def test_models_that_reward_have_a_production_of_their_own(two: list[Checkpoint]) -> None:
    old, new = two
    Checkpoint.objects.filter(pk=new.pk).update(line="reward")
    new.refresh_from_db()
    promote(old)
    promote(new)
    assert Checkpoint.objects.filter(stage="production").count() == 2


def test_what_makes_no_sense_is_refused(two: list[Checkpoint]) -> None:
    with pytest.raises(Refused, match="A base model has no stage"):
        promote(root_checkpoint())
    with pytest.raises(Refused, match="'live'; allowed is one of candidate, production, archived"):
        set_stage(checkpoint=two[0], before="candidate", after="live", replaces=None, person=None)
    with pytest.raises(Refused, match="old is candidate already"):
        set_stage(checkpoint=two[0], before="candidate", after="candidate", replaces=None, person=None)


def test_who_moved_what_is_never_rewritten(two: list[Checkpoint]) -> None:
    promote(two[0])
    change = StageChange.objects.get()
    change.reason = "I was never here."
    with pytest.raises(Unchangeable):
        change.save()
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        StageChange._base_manager.filter(pk=change.pk).update(reason="")


def test_notes_keep_their_earlier_texts_and_nobody_overwrites_what_they_have_not_seen(
    two: list[Checkpoint], emma: User, ada: User
) -> None:
    note(checkpoint=two[0], text="For support only.", seen=None, person=emma)
    with pytest.raises(StageMoved, match="Somebody changed the notes since you opened them"):
        note(checkpoint=two[0], text="For all.", seen=None, person=ada)
    newest = two[0].notes.first()
    note(checkpoint=two[0], text="For support and sales.", seen=newest.pk, person=ada)
    texts = [(each.text, each.created_by) for each in two[0].notes.all()]
    assert texts == [("For support and sales.", ada), ("For support only.", emma)]


def test_emma_promotes_on_the_page_and_a_stale_page_keeps_her_notes(
    two: list[Checkpoint], emma: User
) -> None:
    project, old = two[0].project, two[0]
    client = world.sign_in(emma)
    at = reverse("training:checkpoint", args=[project.slug, old.pk])
    sent = {"before": "candidate", "after": "production", "replaces": "", "reason": "Best so far"}
    moved = client.post(reverse("training:stage", args=[project.slug, old.pk]), sent, follow=True)
    assert "Best so far" in moved.text
    again = client.post(reverse("training:stage", args=[project.slug, old.pk]), sent)
    assert (again.status_code, "is not candidate any more" in again.text) == (409, True)
    other = client.get(reverse("training:checkpoint", args=[project.slug, two[1].pk])).text
    assert "promoting this one archives it" in other
    note(checkpoint=old, text="Ada's words", seen=None, person=None)
    late = client.post(
        reverse("training:notes", args=[project.slug, old.pk]), {"seen": "", "text": "my own words"}
    )
    assert late.status_code == 409
    assert "my own words" in late.text
    assert "Ada&#x27;s words" in client.get(at).text
