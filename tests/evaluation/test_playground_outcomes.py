"""A vote and an edit are judgments with their provenance; a turn becomes an item of the queue or a case of a suite."""

from functools import partial
from typing import Any

import pytest

from evaluation.endpoints import EndpointDraft, add_endpoint
from evaluation.models import Conversation, Turn
from evaluation.playground import again, ask, begin, edit, outcomes, reveal, to_queue, to_suite, vote
from evaluation.suites import create_suite
from evaluation.targets import frozen_target
from labeling.curation import rowfile
from labeling.curation.withdrawing import withdraw
from labeling.errors import Refused
from labeling.models import Chunk, Item, Judgment, Membership, Project, Task, User
from labeling.protection import protected_hashes
from labeling.queue import claim_next
from tests import world
from tests.evaluation.chatting import Chatter, answered, pretended, said, talk
from tests.training.runs import root_checkpoint

CONTEXTS = ["The blue bus goes at nine.", "The red bus goes at ten."]


@pytest.fixture
def chatter(monkeypatch: pytest.MonkeyPatch) -> Chatter:
    found = pretended(monkeypatch)
    found.says = lambda row: f"answer {row['target']} to {row['messages'][-1]['content'][-12:]}"
    return found


def of_kind(task: str, name: str = "Another", **fields: Any) -> Project:
    return world.make_project(name, task=task, **fields)


@pytest.mark.parametrize("left", [0, 1])
@pytest.mark.parametrize("verdict", ["left", "right", "tie", "both_bad"])
def test_a_blind_vote_is_a_judgment_in_the_order_that_was_shown(
    project: Project, chatter: Chatter, ada: User, left: int, verdict: str
) -> None:
    one = talk(project, blind=True)
    Conversation.objects.update(left=left)
    one.refresh_from_db()
    turn = answered(one, "Which bus?")
    made = vote(turn=turn, person=ada, verdict=verdict)
    judgment = Judgment.objects.get()
    item = judgment.item
    assert made.judgment == judgment
    assert (judgment.person, judgment.kind, judgment.display_order) == (ada, "pairwise", [left, 1 - left])
    wanted = {"left": str(left), "right": str(1 - left)}.get(verdict, verdict)
    assert judgment.label == wanted
    assert (item.source_kind, item.source_ref, item.synthetic) == ("playground", f"turn {turn.pk}", True)
    responses = [(response.text, response.origin) for response in item.responses.all()]
    assert [text for text, _ in responses] == [said(turn)[0].text, said(turn)[1].text]
    assert responses[0][1].startswith("before#")
    assert responses[1][1].endswith(";t=0.7;p=1;n=512;s=0")
    assert item.extra["playground"]["blind"] is True
    assert made.blind
    one.refresh_from_db()
    assert not one.is_hidden


def test_a_vote_is_frozen_exported_and_withdrawn_like_any_other_judgment(
    project: Project, chatter: Chatter, ada: User
) -> None:
    turn = answered(talk(project), "Which bus?")
    made = vote(turn=turn, person=ada, verdict="right")
    version = world.frozen(project)
    (row,) = rowfile.read(version.path)
    assert row["chosen"] == said(turn)[1].text
    assert version.entries.get().judgment == made.judgment
    access = world.sign_in(ada).get(f"/p/{project.slug}/judgments.csv")
    assert said(turn)[1].text in b"".join(access.streaming_content).decode()  # type: ignore[attr-defined]
    withdraw(project=project, by=ada, item_id=made.item_id)
    with pytest.raises(Refused):
        world.frozen(project)


@pytest.mark.data_layer
def test_the_same_vote_twice_is_one_and_another_one_afterwards_is_refused(
    project: Project, chatter: Chatter, ada: User
) -> None:
    turn = answered(talk(project))
    first = vote(turn=turn, person=ada, verdict="left")
    assert vote(turn=turn, person=ada, verdict="left") == first
    with pytest.raises(Refused, match="so the vote stands"):
        vote(turn=turn, person=ada, verdict="right")
    assert Judgment.objects.count() == 1


@pytest.mark.data_layer
@pytest.mark.django_db(transaction=True)
def test_a_vote_that_arrives_twice_at_once_is_one(chatter: Chatter) -> None:
    turn = answered(talk(world.make_project("Race")))
    same = [Turn.objects.get(pk=turn.pk) for _ in range(3)]
    ada = world.person("ada")
    made = world.together([partial(vote, turn=one, person=ada, verdict="left") for one in same])
    assert len({one.pk for one in made}) == Judgment.objects.count() == 1


@pytest.mark.data_layer
def test_ada_is_not_given_her_item_and_ben_takes_the_other_slot_in_the_other_order(
    project: Project, chatter: Chatter, ada: User, ben: User
) -> None:
    Project.objects.update(overlap=2)
    project.refresh_from_db()
    world.fill(project, 2)
    turn = answered(talk(project))
    made = vote(turn=turn, person=ada, verdict="tie")
    assert world.judge_next(project, ada).item_id != made.item_id  # type: ignore[union-attr]
    world.judge_all(project, ada)
    world.judge_all(project, ben)
    orders = Judgment.objects.filter(item=made.item_id).order_by("pk").values_list("display_order", flat=True)
    assert [*orders] == [[0, 1], [1, 0]]


def test_answers_that_are_not_whole_cannot_be_voted_on(project: Project, chatter: Chatter, ada: User) -> None:
    alone = answered(talk(project, two=False))
    with pytest.raises(Refused, match="One answer alone"):
        vote(turn=alone, person=ada, verdict="left")
    waiting = ask(conversation=talk(project), text="Hello?")
    with pytest.raises(Refused, match="Both answers must be there"):
        vote(turn=waiting, person=ada, verdict="left")
    turn = answered(talk(project))
    again(turn=turn)
    turn.refresh_from_db()
    with pytest.raises(Refused, match="asked again meanwhile"):
        vote(turn=turn, person=ada, verdict="left")
    turn = answered(talk(project))
    turn.replies.filter(voice__index=1).update(finish="stopped")
    with pytest.raises(Refused, match="The right answer is not whole"):
        vote(turn=turn, person=ada, verdict="left")
    with pytest.raises(Refused, match="choose one of left, right"):
        vote(turn=turn, person=ada, verdict="best")
    assert not Item.objects.exists()


def test_a_project_that_cannot_take_a_vote_says_so_and_names_one_of_adas_that_can(
    chatter: Chatter, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, ranking = of_kind(Task.DEMONSTRATION, "Writing"), of_kind(Task.RANKING, "Ranking")
    theirs = of_kind(Task.PAIRWISE, "Theirs")
    Membership.objects.filter(project=theirs, user=ada).delete()
    turn = answered(talk(writing))
    with pytest.raises(Refused, match="one of yours that can is Ranking") as refusal:
        vote(turn=turn, person=ada, verdict="left")
    assert "Theirs" not in refusal.value.sentence
    with pytest.raises(Refused, match="may not judge in Theirs"):
        vote(turn=turn, person=ada, verdict="left", project=theirs)
    made = vote(turn=turn, person=ada, verdict="left", project=ranking)
    assert made.judgment is not None
    assert (made.judgment.project, made.judgment.label) == (ranking, "0>1")
    of_kind(Task.PAIRWISE, "A name before it")
    monkeypatch.setattr(outcomes, "MOST_OFFERED", 1)
    assert outcomes.takers(ada, tasks=outcomes.VOTES, first=ranking) == [ranking]


def test_what_the_project_asks_of_a_judgment_is_asked_here_too(
    project: Project, chatter: Chatter, ada: User, leo: User
) -> None:
    Project.objects.update(ask_strength=True, rationale="required")
    turn = answered(talk(Project.objects.get()))
    with pytest.raises(Refused, match="asks for one in words"):
        vote(turn=turn, person=ada, verdict="left", strength=3)
    with pytest.raises(Refused, match="strength is missing"):
        vote(turn=turn, person=ada, verdict="left", rationale="It is right.")
    with pytest.raises(Refused, match="The strength given is 9"):
        vote(turn=turn, person=ada, verdict="left", rationale="It is right.", strength=9)
    with pytest.raises(Refused, match="NUL character"):
        vote(turn=turn, person=ada, verdict="left", rationale="\0", strength=3)
    assert not Item.objects.exists(), "what was refused changed nothing"
    made = vote(turn=turn, person=ada, verdict="left", strength=3, rationale="It is right.")
    assert made.judgment is not None
    assert made.judgment.strength == 3
    with pytest.raises(Refused, match="may not judge in Helpfulness"):
        vote(turn=answered(talk(project, "leo")), person=leo, verdict="left")


@pytest.mark.parametrize("task", [Task.EDIT, Task.PAIRWISE, Task.RANKING, Task.DEMONSTRATION])
def test_an_edit_is_a_judgment_of_the_projects_kind_and_the_conversation_goes_on_with_it(
    chatter: Chatter, ada: User, task: str
) -> None:
    project = of_kind(task)
    one = talk(project, two=False)
    turn = answered(one)
    made = edit(turn=turn, person=ada, place="left", text="A much better answer")
    judgment = made.judgment
    assert judgment is not None
    assert (judgment.kind, made.voice) == (task, said(turn)[0].voice)
    wanted = {Task.EDIT: "0", Task.PAIRWISE: "1", Task.RANKING: "1>0", Task.DEMONSTRATION: ""}[task]  # type: ignore[index]
    assert judgment.label == wanted
    if task in (Task.PAIRWISE, Task.RANKING):
        assert [r.origin.partition("#")[0] for r in made.item.responses.all()] == ["before", "a person"]  # type: ignore[union-attr]
    else:
        assert judgment.answer["text"] == "A much better answer"
    with pytest.raises(Refused, match="still that of the answer"):
        edit(turn=turn, person=ada, place="left", text="A much better answer ")
    answered(one, "And then?")
    assert {"role": "assistant", "content": "A much better answer"} in chatter.asked[-1]["messages"]


def test_an_edit_changes_no_prompt_that_was_asked_and_is_not_voted_on(
    project: Project, chatter: Chatter, ada: User
) -> None:
    """What a later turn was said to, and what a vote compares, is what the models had and wrote."""
    one = talk(project)
    first = answered(one, "First?")
    edit(turn=first, person=ada, place="left", text="Better")
    with pytest.raises(Refused, match="ask it again to vote"):
        vote(turn=first, person=ada, verdict="left")
    second = answered(one, "Second?")
    asked = chatter.asked[-1]["messages"]
    with pytest.raises(Refused, match="went on from this answer"):
        edit(turn=first, person=ada, place="left", text="Better still")
    made = vote(turn=second, person=ada, verdict="left")
    assert made.item is not None
    assert made.item.messages == asked
    old = Turn.objects.get(pk=second.pk)
    again(turn=second)
    suite = create_suite(project=project, name="S", person=ada)
    for act in (
        lambda: edit(turn=old, person=ada, place="left", text="Too late"),
        lambda: to_queue(turn=old, person=ada),
        lambda: to_suite(turn=old, person=ada, suite=suite),
    ):
        with pytest.raises(Refused, match="asked again meanwhile"):
            act()


def test_while_it_is_hidden_who_is_who_nothing_that_would_name_it_is_made(
    project: Project, chatter: Chatter, ada: User
) -> None:
    one = talk(project, blind=True)
    turn = answered(one)
    for act in (
        lambda: edit(turn=turn, person=ada, place="left", text="Better"),
        lambda: to_queue(turn=turn, person=ada),
    ):
        with pytest.raises(Refused, match="Vote first, or show who is who"):
            act()
    reveal(conversation=one)
    turn = Turn.objects.select_related("conversation__project").get()
    assert not vote(turn=turn, person=ada, verdict="left").blind


def test_a_turn_of_the_queue_is_for_others_and_one_of_a_suite_never_trained_on(
    project: Project, chatter: Chatter, emma: User, ben: User, cleo: User
) -> None:
    turn = answered(talk(project, "emma"), "Which bus?", contexts=CONTEXTS)
    made = to_queue(turn=turn, person=emma)
    assert to_queue(turn=turn, person=emma) == made
    assert claim_next(project=project, person=emma) is None
    slot = claim_next(project=project, person=ben)
    assert slot is not None
    assert slot.item_id == made.item_id
    assert all(context in str(slot.item.messages) for context in CONTEXTS)
    with pytest.raises(Refused, match="may not put items into"):
        to_queue(turn=answered(talk(project, "cleo")), person=cleo)
    suite = create_suite(project=project, name="Buses", person=emma)
    case = to_suite(turn=turn, person=emma, suite=suite)
    assert (case.prompt, case.contexts) == ([{"role": "user", "content": "Which bus?"}], CONTEXTS)
    assert Item.objects.get(pk=made.item_id).prompt_hash in protected_hashes(project=project)
    assert case.prompt_hash in protected_hashes(project=project)
    with pytest.raises(Refused, match="has this case already"):
        to_suite(turn=turn, person=emma, suite=suite)


def test_the_better_answer_is_the_reference_of_the_case(
    project: Project, chatter: Chatter, ada: User
) -> None:
    turn = answered(talk(project))
    vote(turn=turn, person=ada, verdict="right")
    case = to_suite(turn=turn, person=ada, suite=create_suite(project=project, name="S", person=ada))
    assert (case.reference, case.rejected) == (said(turn)[1].text, said(turn)[0].text)


def test_an_endpoints_answers_have_the_origin_that_generated_ones_have(
    project: Project, chatter: Chatter, ada: User
) -> None:
    draft = EndpointDraft("Elsewhere", "http://127.0.0.1:9/v1", "m")
    endpoint = add_endpoint(project=project, draft=draft, person=ada)
    turn = answered(begin(project=project, person=ada, sources=[endpoint, root_checkpoint()]))
    first, _ = Item.objects.get(pk=to_queue(turn=turn, person=ada).item_id).responses.order_by("position")
    assert first.origin.startswith(f"Elsewhere#{frozen_target(endpoint, index=0).identity[:8]};")


def test_in_a_project_of_rag_reviews_the_passages_stand_apart(chatter: Chatter, ada: User) -> None:
    rag = of_kind(Task.RAG)
    turn = answered(talk(rag, two=False), "Which bus?", contexts=CONTEXTS)
    assert CONTEXTS[0] in chatter.asked[0]["messages"][0]["content"]
    item = Item.objects.get(pk=to_queue(turn=turn, person=ada).item_id)
    assert item.messages == [{"role": "user", "content": "Which bus?"}]
    assert [*Chunk.objects.filter(item=item).values_list("text", flat=True)] == CONTEXTS
