"""Invariant 5 where prompts hold what was retrieved: a case is known by its question, whatever stands around it."""

from typing import Any

import pytest

from evaluation.contamination import dirty_cases
from evaluation.models import Suite
from evaluation.planning import plan_evaluation
from evaluation.studies.lineage import seen_in_training
from evaluation.studies.prompts import of_split
from evaluation.suites import create_suite, freeze_version, living, put_cases, suite_from_split
from evaluation.suites.reading import read_case
from labeling.capturing.queueing import queue_captures
from labeling.capturing.sampling import save_rule
from labeling.curation import rowfile
from labeling.errors import RecipeRefused, Refused
from labeling.intake import VerdictDraft, hash_as_written, prompt_hash
from labeling.models import Item, Project, ProtectedFingerprint, User
from labeling.protection import protected_hashes
from tests import world
from tests.evaluation.fixing import trained_on
from tests.evaluation.planned import EXACT
from tests.labeling import rag
from tests.labeling.captured import a_capture, a_token, took
from tests.training.runs import launched

pytestmark = pytest.mark.django_db
SHARED = "All of our parcels leave the hall in Utrecht on Monday morning and arrive within two days."
AWKWARD = "Of these, which?\n\nQuestion: Why is parcel {} late?\n\nQuestion: Where is it?"


def question(number: int) -> str:
    return f"Where is parcel {number} of mine?"


def a_suite_of(project: Project, questions: list[str], **fields: Any) -> Suite:
    rows = [
        {"prompt": text, "reference": "In Utrecht.", "contexts": [SHARED], **fields} for text in questions
    ]
    suite = create_suite(project=project, name="Parcels", person=None, scoring=EXACT[:1])
    put_cases(suite=suite, drafts=[read_case(row) for row in rows], person=None)
    freeze_version(suite=suite, person=None)
    return suite


def captured(project: Project, ben: User, questions: list[str], contexts: list[str]) -> None:
    """Pairs of answers that a product sent with what it had retrieved, judged by Ben."""
    token, _ = a_token(project)
    save_rule(project=project, person=None)
    pair: dict[str, Any] = {"answer": None, "answers": ["In Utrecht.", "In Berlin."], "contexts": contexts}
    took(token, *(a_capture(n, prompt=text, **pair) for n, text in enumerate(questions)))
    queue_captures(project)
    world.judge_all(project, ben)


@pytest.mark.parametrize("contexts", [[SHARED], ["Another day's passage.", "FAQ\n\nQuestion: Why?\n\nSo."]])
@pytest.mark.parametrize("words", ["Where is parcel {} of mine?", AWKWARD])
@pytest.mark.parametrize("decontaminate", [("ngram", "minhash"), ()])
def test_a_captured_question_of_a_suite_trains_nothing_whatever_was_retrieved(
    project: Project, ben: User, contexts: list[str], words: str, decontaminate: tuple[str, ...]
) -> None:
    questions = [words.format(number) for number in range(4)]
    a_suite_of(project, questions)
    captured(project, ben, questions, contexts)
    with pytest.raises(RecipeRefused, match="used for evaluation and would be trained on: 4"):
        world.frozen(project, test_share=0.0, decontaminate=decontaminate)


def test_what_was_captured_before_questions_had_hashes_of_their_own_trains_nothing_either(
    project: Project, ben: User
) -> None:
    captured(project, ben, [question(1)], [SHARED])
    item = Item.objects.get()
    assert item.prompt_hash == prompt_hash([{"role": "user", "content": question(1)}])
    Item.objects.update(prompt_hash=hash_as_written(item.messages))
    a_suite_of(project, [question(1)])
    with pytest.raises(RecipeRefused, match="used for evaluation"):
        world.frozen(project, test_share=0.0)


def test_a_passage_that_a_case_and_a_training_row_share_is_no_leak(project: Project, ben: User) -> None:
    captured(project, ben, ["Which day does the hall open, and who has got the key?"], [SHARED])
    whole = Item.objects.get().messages[0]["content"].replace("Which day", "Which week, and by")
    a_suite_of(project, [whole.replace("the hall open, and who has got the key", "my parcel come")])
    assert ProtectedFingerprint.objects.get().text == "Which week, and by does my parcel come?"
    assert world.frozen(project, test_share=0.0).rows == 1


@pytest.mark.parametrize("kind", ["preference", "sft", "text"])
def test_a_suite_made_after_the_freeze_is_refused_to_training_and_to_the_checkpoint(
    project: Project, ben: User, kind: str
) -> None:
    questions = [question(number) for number in range(4)]
    captured(project, ben, questions, ["Another day's passage."])
    version = world.frozen(project, kind=kind, test_share=0.0)
    suite, made = a_suite_of(project, questions), trained_on(project, version)
    with pytest.raises(Refused, match=r"was trained on .*, which holds 4 of this suite's prompts"):
        plan_evaluation(project=project, suite=suite, checkpoints=[made], person=None)
    assert set(dirty_cases(living(suite), [made])[made.pk].values()) == {"prompt"}
    if kind == "preference":
        with pytest.raises(Refused, match=r"4 prompts of .* training split are used for evaluation by now"):
            launched(project, version, method="dpo")


def test_held_out_questions_of_reviewed_answers_are_known_where_their_passages_stand_around_them() -> None:
    project = world.make_project(task="rag")
    good = VerdictDraft(person="reviewer", kind="rag", rag={"verdict": "good"})
    world.put(project, *(rag.draft(number, verdicts=[good]) for number in range(12)))
    whole, halved = (
        world.frozen(project, kind="sft", near_duplicates=None, test_share=n) for n in (0.0, 0.5)
    )
    asked, made = of_split(version=halved, split="test").found, trained_on(project, whole)
    assert asked
    assert len(seen_in_training(asked, [made])) == len(asked)
    suite = suite_from_split(version=halved, split="test", person=None)
    keys = {row["prompt_hash"] for row in rowfile.read(halved.path, split="test")}
    assert protected_hashes(project=project) == keys
    with pytest.raises(Refused, match=f"holds {len(keys)} of this suite's prompts"):
        plan_evaluation(project=project, suite=suite, checkpoints=[made], person=None)
    later = world.frozen(project, kind="sft", near_duplicates=None, test_share=0.0, decontaminate=())
    assert (later.rows, later.dropped) == (12 - len(keys), {"protected": len(keys)})
