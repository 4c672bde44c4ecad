"""Versions of a suite: edits stand in the open one; freezing it makes a state that runs can be compared on."""

import hashlib

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from evaluation.models import Case, CaseImport, Suite, SuiteVersion
from evaluation.models.suites import CaseQuerySet
from labeling.curation.rows import prompt_text
from labeling.errors import Refused
from labeling.lifecycle import TERMINAL
from labeling.models import User
from labeling.protection import protect, protected_hashes
from labeling.rag.prompting import question_of

PROTECTED_AT_ONCE = 2000
LONGEST_NOTE = 200


def locked(suite: Suite) -> Suite:
    """The suite as it is now; whoever else wants to change its cases waits until this transaction has ended."""
    return Suite.objects.select_for_update(no_key=True).get(pk=suite.pk)


def open_version(suite: Suite, person: User | None) -> SuiteVersion:
    """The version that edits stand in; the next number where all are frozen. The suite must be locked."""
    versions = SuiteVersion.objects.filter(suite=suite)
    newest = versions.first()
    if newest is not None and newest.frozen_at is None:
        return newest
    number = newest.number + 1 if newest else 1
    return SuiteVersion.objects.create(suite=suite, number=number, created_by=person)


def living(suite: Suite) -> CaseQuerySet:
    """The cases as they are now, frozen or not."""
    return Case.objects.filter(suite=suite, removed=None)


def unopened(suite: Suite) -> CaseQuerySet:
    """Every sealed state that a case of the suite ever had, removed or not, after which nobody opened that case."""
    later = Case.objects.filter(suite=OuterRef("suite"), uid=OuterRef("uid"), pk__gt=OuterRef("pk"))
    return Case.objects.filter(~Exists(later.filter(sealed=False)), suite=suite, sealed=True)


def current_version(suite: Suite) -> SuiteVersion | None:
    """The open version, or the newest one; None for a suite that never had a case."""
    return SuiteVersion.objects.filter(suite=suite).first()


@transaction.atomic
def freeze_version(*, suite: Suite, person: User | None, note: str = "") -> SuiteVersion:
    """End the open version, protect its prompts from training, and write down its hash and counts.

    Where nothing differs from the newest frozen version, that one is given back. Raises Refused for a suite without
    cases, and while a file is being imported.
    """
    suite = locked(suite)
    newest = current_version(suite)
    if newest is not None and newest.frozen_at is not None:
        return newest
    rows = list(living(suite).order_by("position", "id").values_list("content_hash", "sealed"))
    if newest is None or not rows:
        raise Refused(f"{suite} has no case yet; add one or import a file, then freeze it.")
    busy = CaseImport.objects.filter(suite=suite).exclude(status__in=TERMINAL).first()
    if busy is not None:
        raise Refused(f"{busy.filename} is being imported into {suite}; wait for its end, or stop it.")
    whole = hashlib.sha256("".join(content for content, _ in rows).encode()).hexdigest()
    before = SuiteVersion.objects.filter(suite=suite, frozen_at__isnull=False).first()
    if before is not None and before.content_hash == whole:
        newest.delete()
        return before
    newest.frozen_at, newest.content_hash, newest.note = timezone.now(), whole, note[:LONGEST_NOTE]
    newest.cases, newest.sealed = len(rows), sum(sealed for _, sealed in rows)
    newest.save()
    _protect(suite, newest)
    return newest


def frozen(suite: Suite, person: User | None = None) -> SuiteVersion:
    """The version that a run is on: the open one, which is frozen by this, or the newest where it has no case.

    Raises Refused for a suite without cases.
    """
    newest = current_version(suite)
    if newest is not None and newest.frozen_at is None and not living(suite).exists():
        before = SuiteVersion.objects.filter(suite=suite, frozen_at__isnull=False).first()
        if before is not None:
            return before
    return freeze_version(suite=suite, person=person)


def _protect(suite: Suite, version: SuiteVersion) -> None:
    """Register every prompt of the version that is not yet known as evaluation material."""
    known = protected_hashes(project=suite.project)
    cases = Case.objects.of(version).values_list("prompt_hash", "prompt")
    fresh = {
        key: prompt_text(question_of(prompt))
        for key, prompt in cases.iterator(PROTECTED_AT_ONCE)
        if key not in known
    }
    protect(project=suite.project, prompts=fresh, reason=f"suite {suite.name}"[:200])
