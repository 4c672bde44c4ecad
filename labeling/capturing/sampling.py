"""Which captures people shall judge: ordered rules, each with a share and a cap, the same in Python and in SQL.

Whether a share takes a capture depends on its key alone: sending it again, or asking again, changes nothing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Case, Count, F, IntegerField, Max, Q, QuerySet, Value, When
from django.db.models.functions import TruncDate
from django.db.models.lookups import LessThan
from django.utils import timezone

from labeling.capturing.reading import CaptureDraft
from labeling.capturing.texts import label_of
from labeling.errors import Refused
from labeling.models import Capture, CaptureRule, CaptureState, Project, User
from labeling.models.captures import WHOLE

DAYS, LOOKED_AT, MOST_RULES = 7, 100_000, 30


@dataclass(frozen=True, slots=True)
class Taken:
    """What each rule would take of the captures that were looked at. `cut` where more came than are looked at."""

    looked_at: int
    cut: bool
    by_rule: dict[int, int]

    @property
    def left(self) -> int:
        return self.looked_at - sum(self.by_rule.values())


def rules_of(project: Project) -> list[CaptureRule]:
    """The rules that are on, in their order."""
    return list(CaptureRule.objects.filter(project=project, is_on=True).order_by("position", "pk"))


def taking(rules: Sequence[CaptureRule], draft: CaptureDraft) -> CaptureRule | None:
    """The first rule that takes this capture."""
    return next((rule for rule in rules if _takes(rule, draft)), None)


def _takes(rule: CaptureRule, draft: CaptureDraft) -> bool:
    return (
        (not rule.voice or rule.voice == draft.voice)
        and (not rule.slice or f"|{rule.slice}|" in draft.labels)
        and (not rule.model or rule.model == draft.model)
        and (draft.draw + rule.offset) % WHOLE < rule.share
    )


def _fits(rule: CaptureRule) -> Q:
    """`_takes` for the database."""
    found = Q(LessThan((F("draw") + rule.offset) % WHOLE, rule.share))
    for name in ("voice", "model"):
        if value := getattr(rule, name):
            found &= Q(**{name: value})
    return found & Q(labels__contains=f"|{rule.slice}|") if rule.slice else found


def would_take(*, project: Project) -> Taken:
    """What each of the rules that are on would have taken of the last days, had they stood then."""
    rules, rows = rules_of(project), _lately(project)
    cut = list(rows.order_by("-id").values_list("pk", flat=True)[LOOKED_AT : LOOKED_AT + 1])
    if cut:
        rows = rows.filter(pk__gt=cut[0])
    whens = [When(_fits(rule), then=Value(rule.pk)) for rule in rules]
    by = Case(*whens, default=Value(0), output_field=IntegerField())
    counted = rows.annotate(day=TruncDate("received_at"), by=by).order_by().values("day", "by")
    caps = {rule.pk: rule.daily_cap for rule in rules}
    found: Counter[int] = Counter()
    total = 0
    for _, rule, n in counted.annotate(n=Count("pk")).values_list("day", "by", "n"):
        total += n
        cap = caps.get(rule)
        found[rule] += n if cap is None else min(n, cap)
    return Taken(total, bool(cut), {rule.pk: found[rule.pk] for rule in rules})


@transaction.atomic
def save_rule(
    *, project: Project, person: User | None, rule_id: int | None = None, **values: Any
) -> CaptureRule:
    """Add a rule at the end, or change one. Raises Refused where there is none of this number, or too many."""
    if "slice" in values:
        values["slice"] = label_of(values["slice"])
    rules = CaptureRule.objects.filter(project=project)
    if rule_id is not None:
        if not rules.filter(pk=rule_id).update(**values):
            raise _no_rule()
        return rules.get(pk=rule_id)
    if rules.count() >= MOST_RULES:
        raise Refused(f"The project has {MOST_RULES} rules, the most there can be; take one away first.")
    last = rules.aggregate(last=Max("position"))["last"]
    place = 0 if last is None else last + 1
    return CaptureRule.objects.create(project=project, position=place, created_by=person, **values)


def remove_rule(*, project: Project, rule_id: int) -> None:
    """Take a rule away. What it took stays taken."""
    found, _ = CaptureRule.objects.filter(project=project, pk=rule_id).delete()
    if not found:
        raise _no_rule()


@transaction.atomic
def move_rule(*, project: Project, rule_id: int, up: bool) -> None:
    """Try a rule before its neighbour, or after it."""
    rules = list(CaptureRule.objects.select_for_update().filter(project=project).order_by("position", "pk"))
    place = next((n for n, rule in enumerate(rules) if rule.pk == rule_id), None)
    if place is None:
        raise _no_rule()
    other = place - 1 if up else place + 1
    if 0 <= other < len(rules):
        rules[place], rules[other] = rules[other], rules[place]
    for n, rule in enumerate(rules):
        rule.position = n
    CaptureRule.objects.bulk_update(rules, ["position"])


@transaction.atomic
def apply_rules(*, project: Project) -> int:
    """Let the rules take of the last days' captures what no rule took when they came. Returns how many."""
    left = _lately(project).filter(state=CaptureState.LEFT)
    return sum(
        left.filter(_fits(rule)).update(rule=rule, state=CaptureState.TAKEN) for rule in rules_of(project)
    )


def _lately(project: Project) -> QuerySet[Capture]:
    return Capture.objects.filter(project=project, received_at__gte=timezone.now() - timedelta(days=DAYS))


def _no_rule() -> Refused:
    return Refused("There is no such rule any more; reload the page to see those that there are.")
