"""The second pass: candidates that nobody sees on the first, the same on every reload, kept with the judgment; and how
much more two passes find."""

import random
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from itertools import count, cycle

import pytest
from django.urls import reverse
from django.utils import timezone

from evaluation.demo.reviews import drafts
from labeling import queue
from labeling.allocation import set_overlap
from labeling.annotating import reopen, skip
from labeling.errors import Refused
from labeling.intake import ContextDraft, ItemDraft, ResponseDraft
from labeling.models import Assignment, Project, Seat, ShownCandidates, User
from labeling.projects import set_rules
from labeling.queue import claim_next, why_nothing
from labeling.rag.answers import Candidate
from labeling.rag.candidates import sentences, together, unsupported
from labeling.tasks import show
from tests import world
from tests.labeling import rag

MOON = rag.span("It was first grown on the Moon.")
DAILY = rag.span("Water it daily.", "subtle_baseless", severity=1, note="Ben's words")
ALONE, SHOWN = [True, False], [True] * 9 + [False]
"""Which unsupported claims a simulated reviewer finds by themselves, every second, and of those proposed to them."""

Stretch = tuple[int, int]


@pytest.fixture
def project(db: None) -> Project:
    return rag.make(overlap=2, two_pass=True)


def test_bea_sees_on_the_second_pass_what_ben_marked_and_what_no_chunk_says(
    project: Project, ben: User, bea: User
) -> None:
    rag.put(project)
    first = rag.claimed(project, ben)
    assert show(assignment=first, person=ben).candidates == []
    assert "shown" not in world.send(first, ben, rag.answer(verdict="bad", spans=[DAILY])).answer
    second = rag.claimed(project, bea)
    task = show(assignment=second, person=bea)
    wanted = [
        Candidate(start=DAILY["start"], end=DAILY["end"], source="marked"),
        Candidate(start=MOON["start"], end=MOON["end"], source="lexical"),
    ]
    assert task.candidates == wanted
    assert "Ben's words" not in str(task.candidates)
    assert "subtle" not in str(task.candidates)
    made = world.send(second, bea, rag.answer(verdict="bad", spans=[DAILY]))
    assert made.answer["shown"] == [candidate.model_dump() for candidate in wanted]


def test_candidates_stay_as_they_were_first_shown(project: Project, ben: User, bea: User) -> None:
    rag.put(project)
    rag.review(project, ben)
    theirs = rag.claimed(project, bea)
    before = show(assignment=theirs, person=bea).candidates
    assert [candidate.source for candidate in before] == ["lexical"]
    again = reopen(project=project, person=ben)
    world.send(again, ben, rag.answer(verdict="bad", spans=[DAILY]), revises=1)
    assert show(assignment=theirs, person=bea).candidates == before
    made = world.send(theirs, bea, rag.answer())
    task = show(assignment=reopen(project=project, person=bea), person=bea)
    assert task.candidates == before
    assert made.answer["shown"] == [candidate.model_dump() for candidate in before]
    assert task.draft == {"verdict": "good"}


def test_who_takes_the_first_pass_after_a_skip_sees_no_candidates(
    project: Project, ben: User, bea: User, cleo: User
) -> None:
    rag.put(project)
    slot = rag.claimed(project, ben)
    assert slot.token is not None
    skip(project=project, assignment_id=slot.pk, person=ben, token=slot.token, reason="unclear")
    instead = rag.claimed(project, cleo)
    assert (instead.slot, show(assignment=instead, person=cleo).candidates) == (2, [])
    assert claim_next(project=project, person=bea) is None
    world.send(instead, cleo, rag.answer())
    assert show(assignment=rag.claimed(project, bea), person=bea).candidates


def test_bea_is_told_that_the_second_pass_waits_until_ben_has_ended_the_first(
    project: Project, ben: User, bea: User
) -> None:
    rag.put(project)
    first = rag.claimed(project, ben)
    assert claim_next(project=project, person=bea) is None
    page = world.sign_in(bea).get(reverse("labeling:rank", args=[project.slug]))
    assert "Each comes once its first review is in" in page.text
    assert why_nothing(project=project, person=ben) == ""
    world.send(first, ben, rag.answer(verdict="bad", spans=[DAILY]))
    task = show(assignment=rag.claimed(project, bea), person=bea)
    assert [candidate.source for candidate in task.candidates] == ["marked", "lexical"]


def test_a_first_pass_whose_time_ran_out_is_beas_and_the_second_one_bens(
    project: Project, ben: User, bea: User
) -> None:
    rag.put(project)
    slot = rag.claimed(project, ben)
    Assignment.objects.filter(pk=slot.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert rag.review(project, bea).assignment.turn == 0
    assert rag.claimed(project, ben).turn == 1


def test_bea_comes_back_to_what_she_passed_and_else_goes_on_in_order(
    project: Project, ben: User, bea: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "LOOK_AGAIN", timedelta(0))
    one, two, three, four = rag.put(project, *(rag.draft(n) for n in range(4)))
    first = rag.claimed(project, ben)
    assert rag.review(project, bea).item == two
    world.send(first, ben, rag.answer())
    assert rag.review(project, bea).item == one
    assert [rag.review(project, ben).item for _ in range(3)] == [two, three, four]
    assert [rag.review(project, bea).item for _ in range(2)] == [three, four]
    assert Seat.objects.get(person=bea).cursor_item == four.pk
    assert claim_next(project=project, person=bea) is None


def test_with_the_second_pass_switched_off_bea_gets_what_she_had_to_pass(
    project: Project, ben: User, bea: User
) -> None:
    one, two, _ = rag.put(project, *(rag.draft(n) for n in range(3)))
    rag.claimed(project, ben)
    assert rag.review(project, bea).item == two
    set_rules(project=project, two_pass=False)
    assert rag.claimed(project, bea).item == one


def test_a_second_pass_for_which_no_item_has_people_is_refused_with_what_to_do(
    project: Project, ada: User
) -> None:
    words = "takes two people for each item, and this project asks for one. Raise the people .* to 2 or more, or switch"
    with pytest.raises(Refused, match=words):
        set_rules(project=project, overlap=1)
    set_rules(project=project, overlap=1, two_pass=False)
    with pytest.raises(Refused, match=words):
        set_rules(project=project, two_pass=True)
    client, address = world.sign_in(ada), reverse("labeling:setup", args=[project.slug])
    fields = client.get(address).context["form"]
    sent = {field.html_name: field.value() or "" for field in fields} | {"action": "rules", "two_pass": "on"}
    page = client.post(address, sent)
    assert page.status_code == 422
    assert "switch the second pass off" in page.text
    project.refresh_from_db()
    assert (project.two_pass, project.overlap) == (False, 1)
    client.post(address, {**sent, "overlap": 2})
    project.refresh_from_db()
    assert (project.two_pass, project.overlap) == (True, 2)


def test_items_with_people_of_their_own_may_have_a_second_pass(project: Project) -> None:
    two, _ = rag.put(project, rag.draft(1), rag.draft(2))
    set_rules(project=project, overlap=3)
    set_overlap(project=project, overlap=2, items=[two])
    set_rules(project=project, overlap=1)
    assert (project.two_pass, project.overlap) == (True, 1)
    with pytest.raises(Refused, match="takes two people"):
        set_rules(project=project, every_item=True)
    two.refresh_from_db()
    assert two.overlap == 2


@pytest.mark.data_layer
@pytest.mark.django_db(transaction=True)
def test_six_people_at_once_make_two_passes_of_each_answer_one_after_the_other() -> None:
    project = rag.make(overlap=2, two_pass=True)
    people = [world.person(f"reviewer{n}") for n in range(6)]
    items = rag.put(project, *(rag.draft(n) for n in range(12)))

    def work(who: User) -> int:
        done = 0
        while (slot := claim_next(project=project, person=who)) is not None:
            world.send(slot, who, rag.answer())
            done += 1
        return done

    world.together([partial(work, who) for who in people])
    while any(work(who) for who in people):
        pass  # who waited for a first pass had stopped by then

    rows = Assignment.objects.values_list("item", "turn", "leased_at", "submitted_at")
    first = {item: end for item, turn, _, end in rows if turn == 0}
    second = {item: begin for item, turn, begin, _ in rows if turn == 1}
    assert set(first) == set(second) == {item.pk for item in items}
    assert all(first[item] <= second[item] for item in first)
    assert project.judgments.count() == 24


@pytest.mark.data_layer
@pytest.mark.django_db(transaction=True)
def test_four_tabs_at_once_make_one_set_of_categories_and_of_candidates() -> None:
    project = rag.make(overlap=2, two_pass=True)
    ben, bea = world.person("ben"), world.person("bea")
    rag.put(project)
    rag.review(project, ben)
    slot = rag.claimed(project, bea)
    shown = world.together([lambda: show(assignment=slot, person=bea).candidates] * 4)
    assert shown[0]
    assert shown == [shown[0]] * 4
    assert ShownCandidates.objects.count() == 1
    assert project.error_categories.count() == 12


def test_without_the_setting_nobody_sees_candidates(project: Project, ben: User, bea: User) -> None:
    Project.objects.filter(pk=project.pk).update(two_pass=False)
    project.refresh_from_db()
    rag.put(project)
    rag.review(project, ben, verdict="bad", spans=[DAILY])
    assert show(assignment=rag.claimed(project, bea), person=bea).candidates == []


def test_marks_come_before_words_and_no_two_candidates_overlap() -> None:
    text = "One two three four five six. Seven eight nine."
    found = together(text, [(0, 7), (4, 13)], [(0, 28)])
    assert [(c.start, c.end, c.source) for c in found] == [(0, 13, "marked"), (14, 28, "lexical")]
    assert together("ab", [(0, 99), (5, 5)], []) == [Candidate(start=0, end=2, source="marked")]


def test_sentences_are_offsets_of_the_raw_text_whatever_stands_in_it() -> None:
    text = "  Version 6.15.0 is out.  See **here**!\n\n- Käse 🧀 costs 3.50 €?\r\nNo end"
    parts = [text[start:end] for start, end in sentences(text)]
    assert parts == ["Version 6.15.0 is out.", "See **here**!", "- Käse 🧀 costs 3.50 €?", "No end"]
    assert list(sentences("")) == []
    assert unsupported("", ["chunk"]) == []
    assert unsupported("Basil needs plenty of sunlight daily.", []) == [(0, 37)]


def test_a_number_that_no_chunk_has_makes_a_sentence_a_candidate() -> None:
    chunk = "The plan costs 1,200 dollars a year and holds five users."
    assert unsupported("The plan costs 1200 dollars a year.", [chunk]) == []
    assert unsupported("The plan costs 1300 dollars a year.", [chunk]) == [(0, 35)]


@pytest.mark.parametrize(
    ("sentence", "turned"),
    [
        ("Basil needs full sunlight each morning.", "Basil doesn’t need full sunlight each morning."),
        ("Parcels are delivered without a signature.", "Parcels are delivered after a signature."),
        ("The bank never refunds lost cards.", "The bank refunds lost cards."),
    ],
)
def test_a_sentence_that_says_the_opposite_of_a_chunk_is_a_candidate(sentence: str, turned: str) -> None:
    chunk = f"Read this first. {sentence} No dogs here."
    assert unsupported(sentence, [chunk]) == []
    assert unsupported(turned, [chunk]) == [(0, len(turned))]
    assert unsupported(turned, [chunk, turned]) == []


def planted(seed: int) -> Iterator[tuple[ItemDraft, Stretch]]:
    """The demo's real answers, each with a true sentence of another conversation put in: it has no support here."""
    rng, given = random.Random(seed), [draft for draft in drafts() if draft.contexts]
    for number, draft in zip(count(), given):
        foreign = [other for other in given if other.source_ref[:24] != draft.source_ref[:24]]
        text, other = draft.responses[0].text, rng.choice(foreign).responses[0].text
        claim = rng.choice([other[a:b] for a, b in sentences(other) if b - a > 40])
        at = rng.choice([end for _, end in sentences(text)])
        mixed = f"{text[:at]} {claim}{text[at:]}"
        contexts = [ContextDraft(context.text) for context in draft.contexts]
        yield (
            ItemDraft(draft.messages, [ResponseDraft(mixed, origin=str(number))], contexts=contexts),
            (at + 1, at + 1 + len(claim)),
        )


def test_two_passes_with_candidates_find_more_planted_claims_than_two_alone(
    project: Project, ben: User, bea: User
) -> None:
    """Real verbs, simulated eyes: Ben finds half of the claims. Bea finds half by herself and nine of ten that are
    proposed to her. Alone, two passes would find three quarters."""
    truth = {}
    for draft, stretch in planted(seed=4):
        truth[draft.responses[0].text] = stretch
        rag.put(project, draft)
    alone, shown = cycle(ALONE), cycle(SHOWN)
    found = {"first": 0, "both": 0, "proposed": 0}
    for who, name in ((ben, "first"), (bea, "both")):
        for _ in range(len(truth)):
            slot = rag.claimed(project, who)
            task = show(assignment=slot, person=who)
            start, end = truth[task.responses[0].text]
            near = [c for c in task.candidates if min(c.end, end) - max(c.start, start) > (end - start) / 2]
            found["proposed"] += bool(near)
            if any(candidate.source == "marked" for candidate in near):
                found[name] += 1  # Ben found it; whatever Bea does, two passes have it
                world.send(slot, who, rag.answer())
                continue
            sees = next(shown if near else alone)
            found[name] += sees
            spans = [{"start": start, "end": end, "category": "evident_baseless"}] if sees else []
            world.send(slot, who, rag.answer(verdict="bad" if sees else "good", spans=spans))
    n = len(truth)
    assert n == 27
    assert found["proposed"] / n >= 0.85
    assert found["first"] / n == pytest.approx(0.5, abs=0.02)
    assert found["both"] / n >= 0.88 > 0.75
