"""Review: the list of answers, one item with its answers side by side, and the items on which people differ."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404

from labeling import reviewing
from labeling.access import Access, guarded
from labeling.annotating import SKIP_REASONS
from labeling.blind import read_without_judging
from labeling.days import midnight
from labeling.disagreements import Sought, disagreements, next_disagreement
from labeling.errors import Refused
from labeling.models import Item, Review, ReviewState, User
from labeling.pages import page
from labeling.reviewlist import ALL, SKIPPED, Wanted, answers, counts, judging_people, read_place
from labeling.sides import sides_of
from labeling.views.parts import number
from labeling.wording import COMPARED

YEARS = [MinValueValidator(date(1970, 1, 1)), MaxValueValidator(date(2999, 12, 31))]
STATES = {**dict(ReviewState.choices), ALL: "All answers", SKIPPED: "Skipped"}
ONE_STEP = {
    "return": "Returned the answer of {name}; it comes first when they go on.",
    "take_up": "You have the answer of {name} in review.",
    "take_back": "The answer of {name} waits for review again.",
}


class ReviewFilter(forms.Form):
    """The address of the list. What does not fit is left out."""

    state = forms.ChoiceField(choices=STATES.items(), required=False)
    person = forms.IntegerField(required=False, min_value=1, max_value=2**62)
    differs = forms.ChoiceField(choices=[("yes", "yes"), ("no", "no")], required=False)
    settled = forms.ChoiceField(choices=[("yes", "yes"), ("any", "any")], required=False)
    since = forms.DateField(required=False, validators=YEARS)
    until = forms.DateField(required=False, validators=YEARS)
    skip = forms.ChoiceField(choices=SKIP_REASONS.items(), required=False)
    q = forms.CharField(required=False, max_length=200)
    sort = forms.ChoiceField(choices=[("newest", "newest")], required=False)
    after = forms.CharField(required=False, max_length=40)
    before = forms.CharField(required=False, max_length=40)


@dataclass(slots=True)
class Done:
    """What a press of a button did: a sentence, sentences of what was refused, and the answers to undo it for."""

    words: str = ""
    refused: list[str] = field(default_factory=list)
    undo: str = ""


@guarded("review")
def review(request: HttpRequest, access: Access) -> HttpResponse:
    done = _act(request.POST, access) if request.method == "POST" else None
    asked = _asked(request.GET)
    wanted, totals = _wanted(asked), counts(access.project)
    context = {
        "found": answers(project=access.project, wanted=wanted, reader=access.person),
        "counts": [(key, words, totals.get(key, "")) for key, words in STATES.items()],
        "people": judging_people(access.project),
        "skip_reasons": SKIP_REASONS.items(),
        "asked": asked,
        "state": wanted.state,
        "filtered": _is_narrowed(asked),
        "compared": access.project.task in COMPARED,
        "done": done,
        "section": "review",
    }
    return page(request, "labeling/review_list.html", context, fragment="rows", status=_status(done))


@guarded("review")
def review_item(request: HttpRequest, access: Access, item_id: int) -> HttpResponse:
    item = get_object_or_404(Item, project=access.project, pk=item_id)
    done = _act(request.POST, access, item_id) if request.method == "POST" else None
    asked = _asked(request.GET)
    sides = sides_of(project=access.project, item=item, reader=access.person)
    context = {
        "item": item,
        "sides": sides,
        "following": _following(access, asked, item_id, settling="settle" in request.GET),
        "settling": "settle" in request.GET,
        "asked": asked,
        "compared": access.project.task in COMPARED,
        "done": done,
        "section": "review",
    }
    return page(request, "labeling/review.html", context, fragment="answers", status=_status(done))


@guarded("review")
def disagreeing(request: HttpRequest, access: Access) -> HttpResponse:
    asked = _asked(request.GET)
    sought = Sought(
        settled={"yes": True, "any": None}.get(asked.get("settled", ""), False),
        person=asked.get("person"),
        since=asked.get("since"),
        until=asked.get("until"),
        q=asked.get("q", ""),
        after=number(asked.get("after")),
        before=number(asked.get("before")),
    )
    context = {
        "found": disagreements(project=access.project, sought=sought, reader=access.person),
        "people": judging_people(access.project),
        "asked": asked,
        "filtered": _is_narrowed(asked),
        "compared": access.project.task in COMPARED,
        "section": "review",
    }
    return page(request, "labeling/resolve.html", context, fragment="rows")


def _act(data: QueryDict, access: Access, item_id: int | None = None) -> Done:
    """Do what the pressed button says: `do` is a step, or a step and the answers that it is for ("accept:12,13")."""
    reviewer = access.person
    assert reviewer is not None
    step, _, keys = data.get("do", "").partition(":")
    chosen = [int(key) for key in (keys.split(",") if keys else data.getlist("answer")) if key.isdecimal()]
    try:
        if step == "accept":
            return _accepted(data, access, reviewer, chosen)
        if step in ONE_STEP and chosen:
            return _one_by_one(data, access, reviewer, step, chosen)
        if step == "resolve" and item_id is not None:
            label, comment = data.get("label", ""), data.get("comment", "")
            reviewing.resolve(
                project=access.project, item_id=item_id, person=reviewer, label=label, comment=comment
            )
            return Done("Settled. The judgments stay as they are.")
        if step == "read" and item_id is not None:
            read_without_judging(project=access.project, item_id=item_id, person=reviewer)
            return Done("You read this item now and are not given it to judge.")
    except Refused as refusal:
        return Done(refused=[refusal.sentence])
    return Done(refused=["Nothing was chosen; mark at least one answer, then press the button again."])


def _accepted(data: QueryDict, access: Access, reviewer: User, chosen: list[int]) -> Done:
    if not chosen:
        raise Refused("No answer was chosen; mark at least one, then accept.")
    result = reviewing.accept_many(
        project=access.project, assignment_ids=chosen, reviewer=reviewer, seen=_seen(data, chosen)
    )
    count = len(result.reviews)
    words = f"Accepted {count} answer{'' if count == 1 else 's'}." if count else ""
    return Done(words, result.refused, undo=",".join(str(done.assignment_id) for done in result.reviews))


def _one_by_one(data: QueryDict, access: Access, reviewer: User, step: str, chosen: list[int]) -> Done:
    done = Done()
    seen = _seen(data, chosen)
    for key in chosen[: reviewing.MOST_AT_ONCE]:
        try:
            made = _step(data, access, reviewer, step, key, seen.get(key))
        except Refused as refusal:
            done.refused.append(refusal.sentence)
            continue
        done.words = ONE_STEP[step].format(name=made.judgment.person.username)
        done.undo = "" if step == "take_back" else str(key)
    return done


def _step(data: QueryDict, access: Access, reviewer: User, step: str, key: int, seen: int | None) -> Review:
    if step == "return":
        return reviewing.return_with_comment(
            project=access.project,
            assignment_id=key,
            reviewer=reviewer,
            comment=data.get(f"comment.{key}", ""),
            judgment_id=seen,
        )
    verb = reviewing.take_up if step == "take_up" else reviewing.take_back
    return verb(project=access.project, assignment_id=key, reviewer=reviewer)


def _seen(data: QueryDict, chosen: list[int]) -> dict[int, int]:
    """The judgment that the page showed of each answer."""
    shown = {key: data.get(f"seen.{key}", "") for key in chosen}
    return {key: int(value) for key, value in shown.items() if value.isdecimal()}


def _asked(query: QueryDict) -> dict[str, Any]:
    """What the address asks for, without what does not fit."""
    form = ReviewFilter(query)
    form.is_valid()
    asked = {name: value for name, value in form.cleaned_data.items() if value}
    for name, days in (("since", 0), ("until", 1)):
        if isinstance(asked.get(name), date):
            asked[f"{name}_day"] = asked[name]
            asked[name] = midnight(asked[name] + timedelta(days=days))
    return asked


def _wanted(asked: dict[str, Any]) -> Wanted:
    back = "before" in asked
    return Wanted(
        state=asked.get("state", ReviewState.SUBMITTED),
        person=asked.get("person"),
        differs={"yes": True, "no": False}.get(asked.get("differs", "")),
        since=asked.get("since"),
        until=asked.get("until"),
        skip=asked.get("skip", ""),
        q=asked.get("q", ""),
        newest=asked.get("sort") == "newest",
        place=read_place(asked.get("before" if back else "after", "")),
        back=back,
    )


def _following(access: Access, asked: dict[str, Any], item_id: int, *, settling: bool) -> int | None:
    """The item to open after this one: the next disagreement, or the next line of the list that the reader came by."""
    if settling:
        return next_disagreement(project=access.project, after=item_id)
    lines = answers(project=access.project, wanted=_wanted(asked), reader=access.person).lines
    items = [line.item_id for line in lines]
    after = items[items.index(item_id) :] if item_id in items else items
    return next((item for item in [*after, *items] if item != item_id), None)


def _is_narrowed(asked: dict[str, Any]) -> bool:
    return bool(set(asked) & {"person", "differs", "since", "until", "skip", "q"})


def _status(done: Done | None) -> int:
    return 422 if done is not None and done.refused and not done.words else 200
