"""How far the people of a project agree and how each of them judges: computed in one go from one reading.

Slow for large projects (minutes at half a million answers): pages go through `labeling.quality`, which keeps what was
found and computes anew in the background.
"""

from collections import Counter

import numpy as np

from labeling.agreeing import MOST_COMPARED, SHARE, ceiling, pair_lines, reliability, statistics
from labeling.estimates import Estimate
from labeling.gold import known_results
from labeling.judged import COMPARING, Judged, read_judged
from labeling.leanings import Leanings, leanings, share, share_by_person
from labeling.measures import Measure, PersonLine, Statistic
from labeling.models import Project, Seat, Task, User
from labeling.repeats import repeated_by_person
from labeling.resampling import Codes, share_estimate
from labeling.values import BOTH_BAD, TIE
from labeling.wording import COMPARED


def measure(project: Project) -> Measure:
    """Compute everything from the current answers. Each number has an interval, or is None with too few answers."""
    judged = read_judged(project)
    names = dict(User.objects.filter(pk__in=set(judged.person)).values_list("pk", "username"))
    sizes = Counter(judged.item)
    result = Measure(
        task=project.task,
        judgments=len(judged),
        items=len(sizes),
        shared=sum(n > 1 for n in sizes.values()),
        differing=_differing(project, judged),
        compared=min(len(names), MOST_COMPARED),
    )
    people = {person: PersonLine(person, names[person], n) for person, n in Counter(judged.person).items()}
    result.people = sorted(people.values(), key=lambda line: line.name)
    _count(project, judged, people)
    if len(judged) and project.task in (*COMPARING, Task.RAG):
        _compare(project, judged, result, people)
        result.pairs = pair_lines(project, judged, names)
    return result


def alike_share(values: list[float]) -> Estimate | None:
    """The mean of independent numbers from 0 to 1, with its interval."""
    return share_estimate(np.array(values, dtype=np.float64))


def _compare(project: Project, judged: Judged, result: Measure, people: dict[int, PersonLine]) -> None:
    clusters = np.array([judged.prompts[item] for item in judged.item], dtype=np.intp)
    lean = leanings(project, judged)
    repeats = repeated_by_person(project)
    result.statistics = statistics(project, judged)
    again = [value for values in repeats.values() for value in values]
    result.statistics += _shares(lean, clusters, again, sided=project.task != Task.RAG)
    result.ceiling = ceiling(project, judged, result.estimate("consistent"))
    person = np.array(judged.person, dtype=np.intp)
    columns = {"left_share": lean.left, "longer_share": lean.longer, "agrees": lean.agrees}
    for column, values in columns.items():
        for who, estimate in share_by_person(values, clusters, person).items():
            setattr(people[who], column, estimate)
    fitted = reliability(project, judged)
    for who, line in people.items():
        line.reliability = fitted.get(who)
        line.consistent, line.repeats = alike_share(repeats.get(who, [])), len(repeats.get(who, []))


def _shares(lean: Leanings, clusters: Codes, repeated: list[float], *, sided: bool) -> list[Statistic]:
    """Shares of all answers; where one answer was shown alone, none of sides and lengths."""
    columns = [
        ("agrees", "Two answers to an item say the same", lean.agrees),
        ("left", "The response shown first wins", lean.left),
        ("longer", "The longer response wins", lean.longer),
    ]
    found = [Statistic(key, words, SHARE, share(values, clusters)) for key, words, values in columns]
    again = f"Somebody who sees an item again{', swapped,' if sided else ''} says the same"
    return [*(found if sided else found[:1]), Statistic("consistent", again, SHARE, alike_share(repeated))]


def _count(project: Project, judged: Judged, people: dict[int, PersonLine]) -> None:
    """What is counted for each person, whatever the task."""
    for who, label in zip(judged.person, judged.label, strict=True):
        people[who].ties += label in (TIE, BOTH_BAD)
    for seat in Seat.objects.filter(project=project, person__in=people):
        line = people[seat.person_id]
        line.skipped = seat.skipped
        line.mean_ms = seat.active_ms / seat.judged if seat.judged and seat.active_ms else None
    for result in known_results(project):
        if result.person_id in people:
            line = people[result.person_id]
            line.known, line.known_answered, line.passes = result.share, result.answered, result.passes


def _differing(project: Project, judged: Judged) -> int:
    """On how many items not everybody says the same; 0 where there is no one answer to differ on."""
    if project.task not in COMPARED:
        return 0
    said: dict[int, set[str]] = {}
    for item, label in zip(judged.item, judged.label, strict=True):
        said.setdefault(item, set()).add(label)
    return sum(len(labels) > 1 for labels in said.values())
