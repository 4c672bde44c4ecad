"""The second pass: candidates that nobody sees on the first, the same on every reload, kept with the judgment; and how
much more two passes find."""

import random
from collections.abc import Iterator
from itertools import count, cycle

import pytest

from evaluation.demo.reviews import drafts
from labeling.annotating import reopen, skip
from labeling.intake import ContextDraft, ItemDraft, ResponseDraft
from labeling.models import Project, ShownCandidates, User
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
    ours, theirs = rag.claimed(project, ben), rag.claimed(project, bea)
    before = show(assignment=theirs, person=bea).candidates
    assert [candidate.source for candidate in before] == ["lexical"]
    world.send(ours, ben, rag.answer(verdict="bad", spans=[DAILY]))
    assert show(assignment=theirs, person=bea).candidates == before
    made = world.send(theirs, bea, rag.answer())
    again = show(assignment=reopen(project=project, person=bea), person=bea)
    assert again.candidates == before
    assert made.answer["shown"] == [candidate.model_dump() for candidate in before]
    assert again.draft == {"verdict": "good"}


def test_who_takes_the_first_pass_after_a_skip_sees_no_candidates(
    project: Project, ben: User, bea: User, cleo: User
) -> None:
    rag.put(project)
    slot, second = rag.claimed(project, ben), rag.claimed(project, bea)
    assert slot.token is not None
    skip(project=project, assignment_id=slot.pk, person=ben, token=slot.token, reason="unclear")
    instead = rag.claimed(project, cleo)
    assert (instead.slot, show(assignment=instead, person=cleo).candidates) == (2, [])
    assert show(assignment=second, person=bea).candidates


@pytest.mark.data_layer
@pytest.mark.django_db(transaction=True)
def test_four_tabs_at_once_make_one_set_of_categories_and_of_candidates() -> None:
    project = rag.make(overlap=2, two_pass=True)
    ben, bea = world.person("ben"), world.person("bea")
    rag.put(project)
    rag.claimed(project, ben)
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
