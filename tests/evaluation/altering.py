"""What people do to judgments after a version of them was frozen."""

from labeling.annotating import reopen
from labeling.curation.withdrawing import withdraw
from labeling.guidelines import save_guideline
from labeling.models import Assignment, Project
from labeling.reviewing import resolve, return_with_comment
from labeling.values import PairwiseAnswer
from tests import world


def first_slot(project: Project) -> Assignment:
    slot = project.assignments.filter(submitted_at__isnull=False).order_by("pk").first()
    assert slot is not None
    return slot


def answered_anew(project: Project) -> None:
    slot, ben = first_slot(project), world.person("ben")
    again = reopen(project=project, person=ben, assignment_id=slot.pk)
    verdict = world.verdict_for("1", again)
    world.send(again, ben, PairwiseAnswer.model_validate({"verdict": verdict}), revises=1)


def returned(project: Project) -> None:
    cleo = world.person("cleo")
    return_with_comment(
        project=project, assignment_id=first_slot(project).pk, reviewer=cleo, comment="Look again."
    )


def settled(project: Project) -> None:
    resolve(project=project, item_id=first_slot(project).item_id, person=world.person("cleo"), label="1")


def withdrawn_item(project: Project) -> None:
    withdraw(project=project, by=None, item_id=first_slot(project).item_id)


def withdrawn_person(project: Project) -> None:
    withdraw(project=project, by=None, username="ben")


def edited_guidelines(project: Project) -> None:
    save_guideline(project=project, text="Prefer what is kind.", person=None)
