"""The seal: cases that judge one chosen candidate, so that nobody chooses by them."""

import random
from collections.abc import Sequence

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from evaluation.models import Case, Decision, Endpoint, EvalRun, RunTarget, Score, Split, Suite, SuiteVersion
from evaluation.suites.content import content_of
from evaluation.suites.versions import living, locked, open_version, unopened
from evaluation.suites.writing import chunks, following, rewrite, under_seal
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import User
from training.models import Checkpoint

MOST_SHARE = 0.9
CANDIDATES = Q(index__gt=0) & ~Q(checkpoint__kind=Checkpoint.Kind.BASE)
"""The targets of a run that somebody may choose: neither its baseline nor a base model."""
SEEN = ~Q(checkpoint__kind=Checkpoint.Kind.BASE) & ~Q(index=0, checkpoint__stage=Checkpoint.Stage.PRODUCTION)
"""The targets whose numbers tell of something new: all but base models, and the baseline that is in production."""


@transaction.atomic
def seal(*, suite: Suite, uids: Sequence[str], person: User | None) -> list[str]:
    """Put cases under seal, and with them all that share their prompt or cluster: one that stayed open would tell of
    the others. Returns the uids of those that were open."""
    wanted = _with_units(living(locked(suite)), uids)
    return rewrite(suite=suite, uids=wanted, make=under_seal, person=person)


@transaction.atomic
def seal_share(*, suite: Suite, share: float, seed: int = 0, person: User | None) -> list[str]:
    """Put a random share of the open cases under seal, whole clusters at a time. Returns their uids.

    The same cases and the same seed give the same choice. Raises Refused where no case, or none but sealed ones, would
    be left.
    """
    if not 0 < share <= MOST_SHARE:
        raise Refused(f"The share given is {share:.0%}; give more than 0 % and up to {MOST_SHARE:.0%}.")
    units = _units(living(locked(suite)).filter(sealed=False))
    if len(units) < 2:
        raise Refused(
            f"{suite} has {len(units)} open prompt{'' if len(units) == 1 else 's'}; to seal a share it takes two."
        )
    keys = sorted(units)
    random.Random(seed).shuffle(keys)  # noqa: S311
    goal = share * sum(map(len, units.values()))
    chosen: list[str] = []
    for key in keys[:-1]:
        if len(chosen) >= goal:
            break
        chosen += units[key]
    return rewrite(suite=suite, uids=chosen, make=under_seal, person=person)


@transaction.atomic
def unseal(*, suite: Suite, uids: Sequence[str], reason: str, person: User | None) -> list[str]:
    """Open sealed cases for good, and with them all that share their prompt or cluster: everybody may read them and
    choose by them. Removed ones among them stay removed and are open from then on. The reason stays in their history.

    Returns the uids of those that were sealed. Raises Refused without a reason.
    """
    words = " ".join(reason.split())
    if len(words) < 3:
        raise Refused("Opening a seal cannot be taken back; write the reason for it.")
    suite, note = locked(suite), f"Unsealed: {words}"
    wanted = _with_units(living(suite) | unopened(suite), uids)
    opened = rewrite(
        suite=suite,
        uids=wanted,
        make=lambda case: content_of(case, sealed=False),
        person=person,
        note=note,
    )
    return opened + _open_removed(suite, wanted, person, note)


def _open_removed(suite: Suite, uids: Sequence[str], person: User | None, note: str) -> list[str]:
    """Write down of removed cases that their seal is open: else it would hold what is written of their prompts."""
    rows = [
        row
        for some in chunks(uids)
        for row in unopened(suite).filter(uid__in=some).select_related("suite").order_by("pk")
    ]
    last = {row.uid: row for row in rows}
    if last:
        number = open_version(suite, person).number
        made = [following(row, content_of(row, sealed=False), number, person, note) for row in last.values()]
        for row in made:
            row.removed = number
        Case.objects.bulk_create(made)
    return list(last)


@transaction.atomic
def check_seal(version: SuiteVersion, asked: Sequence[Checkpoint | Endpoint]) -> None:
    """Refuse a run on the sealed cases that would choose by them: they are for one candidate, and after each of them
    somebody decides. `asked` is everybody that the run asks, the baseline first. Whoever plans holds the suite until
    the plan is stored."""
    if not Case.objects.in_split(version, Split.SEALED).exists():
        raise Refused(f"{version} has no sealed case; seal a share of its cases first.")
    candidates = _candidates(asked)
    if len(candidates) > 1:
        names = ", ".join(candidate.name for candidate in candidates)
        raise Refused(
            f"{len(candidates)} candidates were chosen ({names}); the sealed cases are opened for exactly one, beside "
            "base models and what is in production. Choose it by the open cases."
        )
    if asked[0] in candidates:
        raise Refused(
            f"The baseline would be {asked[0].name}; on the sealed cases it is a base model or what is in production. "
            "Leave the baseline out, and the right one is taken."
        )
    refuse_undecided(version, asked)


@transaction.atomic
def refuse_undecided(version: SuiteVersion, asked: Sequence[Checkpoint | Endpoint]) -> None:
    """Refuse numbers of sealed cases while these are open for a candidate that is not asked; it holds the suite too."""
    for run in undecided(locked(version.suite)).prefetch_related("targets__checkpoint"):
        for target in run.targets.all():
            if is_candidate(target) and target.checkpoint not in (None, *asked):
                raise Refused(
                    f"The sealed cases were opened for {target.name} and nothing was decided about it yet; "
                    f"promote it or keep the champion on the page of {run.name}, then score the next candidate."
                )


def _candidates(asked: Sequence[Checkpoint | Endpoint]) -> list[Checkpoint]:
    """Those that somebody could choose by what the run shows, each once. Raises Refused for an endpoint: nothing is
    ever decided about one."""
    found: list[Checkpoint] = []
    for target in asked:
        if isinstance(target, Endpoint):
            raise Refused(
                f"{target.name} is an endpoint, and the sealed cases are for checkpoints, about which is decided "
                "afterwards; leave it out, or score it on the open cases."
            )
        known = target.kind == Checkpoint.Kind.BASE or target.stage == Checkpoint.Stage.PRODUCTION
        if not known and target not in found:
            found.append(target)
    return found


def undecided(suite: Suite) -> QuerySet[EvalRun]:
    """Sealed runs of a suite that gave numbers, or still may, and after which nothing was decided about a candidate."""
    fruitless = Q(status__in=(Status.FAILED, Status.CANCELLED))
    scores = Exists(Score.objects.filter(run=OuterRef("pk")))
    later = Decision.objects.filter(created_at__gte=OuterRef("created_at"))
    about = RunTarget.objects.filter(CANDIDATES, run=OuterRef(OuterRef("pk"))).values("checkpoint")
    return (
        EvalRun.objects.filter(suite=suite, split=Split.SEALED, decisions=None)
        .exclude(fruitless & ~Q(scores))
        .exclude(Exists(later.filter(candidate__in=about)))
        .order_by("id")
    )


def is_candidate(target: RunTarget) -> bool:
    """What CANDIDATES says, of one target."""
    base = target.checkpoint is not None and target.checkpoint.kind == Checkpoint.Kind.BASE
    return target.index > 0 and not base


def _with_units(cases: QuerySet[Case], uids: Sequence[str]) -> list[str]:
    """Those of the cases that were named, and all that depend on one of them."""
    wanted = set(uids)
    found = [members for members in _units(cases).values() if wanted.intersection(members)]
    return list(dict.fromkeys(uid for members in found for uid in members))


def _units(cases: QuerySet[Case]) -> dict[str, list[str]]:
    """The uids of cases by what makes them depend on each other, by way of others too: cluster or prompt."""
    rows = list(cases.order_by("position", "id").values_list("uid", "cluster", "prompt_hash"))
    joined: dict[str, str] = {}

    def root(key: str) -> str:
        while (up := joined.setdefault(key, key)) != key:
            joined[key] = key = joined[up]
        return key

    for _, cluster, prompt in rows:
        if cluster:
            joined[root(prompt)] = root(f"cluster {cluster}")
    found: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for uid, cluster, prompt in rows:
        name = names.setdefault(root(prompt), cluster or prompt)
        found.setdefault(name, []).append(uid)
    return found
