"""The seal: cases that judge one chosen candidate, so that nobody chooses by them."""

import random
from collections.abc import Sequence

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from evaluation.models import Case, Decision, EvalRun, RunTarget, Score, Split, Suite, SuiteVersion
from evaluation.suites.content import Content, content_of
from evaluation.suites.versions import living, locked
from evaluation.suites.writing import rewrite
from labeling.errors import Refused
from labeling.lifecycle import Status
from labeling.models import User
from training.models import Checkpoint

MOST_SHARE = 0.9
CANDIDATES = Q(index__gt=0) & ~Q(checkpoint__kind=Checkpoint.Kind.BASE)
"""The targets of a run that somebody may choose: neither its baseline nor a base model."""


@transaction.atomic
def seal(*, suite: Suite, uids: Sequence[str], person: User | None) -> list[str]:
    """Put cases under seal, and with them all that share their prompt or cluster: one that stayed open would tell of
    the others. Returns the uids of those that were open."""
    locked(suite)
    wanted, units = set(uids), _open_units(suite)
    chosen = [members for members in units.values() if wanted.intersection(members)]
    return rewrite(suite=suite, uids=_flat(chosen), make=_sealed, person=person)


@transaction.atomic
def seal_share(*, suite: Suite, share: float, seed: int = 0, person: User | None) -> list[str]:
    """Put a random share of the open cases under seal, whole clusters at a time. Returns their uids.

    The same cases and the same seed give the same choice. Raises Refused where no case, or none but sealed ones, would
    be left.
    """
    if not 0 < share <= MOST_SHARE:
        raise Refused(f"The share given is {share:.0%}; give more than 0 % and up to {MOST_SHARE:.0%}.")
    locked(suite)
    units = _open_units(suite)
    if len(units) < 2:
        raise Refused(
            f"{suite} has {len(units)} open prompt{'' if len(units) == 1 else 's'}; to seal a share it takes two."
        )
    keys = sorted(units)
    random.Random(seed).shuffle(keys)  # noqa: S311
    goal, count = share * sum(map(len, units.values())), 0
    chosen: list[list[str]] = []
    for key in keys[:-1]:
        if count >= goal:
            break
        chosen.append(units[key])
        count += len(units[key])
    return rewrite(suite=suite, uids=_flat(chosen), make=_sealed, person=person)


def unseal(*, suite: Suite, uids: Sequence[str], reason: str, person: User | None) -> list[str]:
    """Open sealed cases for good: everybody may read them and choose by them. The reason stays in their history.

    Returns the uids of those that were sealed. Raises Refused without a reason.
    """
    words = " ".join(reason.split())
    if len(words) < 3:
        raise Refused("Opening a seal cannot be taken back; write the reason for it.")
    return rewrite(
        suite=suite,
        uids=uids,
        make=lambda case: content_of(case, sealed=False),
        person=person,
        note=f"Unsealed: {words}",
    )


@transaction.atomic
def check_seal(version: SuiteVersion, candidates: Sequence[Checkpoint]) -> None:
    """Refuse a run on the sealed cases that would choose by them: they are for one candidate, and after each of them
    somebody decides. Whoever plans holds the suite until the plan is stored."""
    suite = locked(version.suite)
    if not Case.objects.in_split(version, Split.SEALED).exists():
        raise Refused(f"{version} has no sealed case; seal a share of its cases first.")
    chosen = {candidate.pk: candidate for candidate in candidates}
    if len(chosen) != 1:
        raise Refused(
            f"{len(chosen)} candidates were chosen; the sealed cases are opened for exactly one. "
            "Choose it by the open cases."
        )
    for run in undecided(suite).prefetch_related("targets__checkpoint"):
        for target in run.targets.all():
            if is_candidate(target) and target.checkpoint_id not in chosen:
                raise Refused(
                    f"The sealed cases were opened for {target.name} and nothing was decided about it yet; "
                    f"promote it or keep the champion on the page of {run.name}, then score the next candidate."
                )


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


def _sealed(case: Case) -> Content:
    return content_of(case, sealed=True)


def _open_units(suite: Suite) -> dict[str, list[str]]:
    """The uids of the open cases by what makes them depend on each other."""
    found: dict[str, list[str]] = {}
    rows = living(suite).filter(sealed=False).order_by("position", "id")
    for uid, cluster, prompt in rows.values_list("uid", "cluster", "prompt_hash"):
        found.setdefault(cluster or prompt, []).append(uid)
    return found


def _flat(groups: list[list[str]]) -> list[str]:
    return [uid for group in groups for uid in group]
