"""Prompts that are used for evaluation. They may never be trained on; whoever evaluates registers them here."""

from collections.abc import Collection, Mapping

from labeling.models import Project, ProtectedFingerprint


def protect(*, project: Project, prompts: Mapping[str, str], reason: str) -> int:
    """Register prompts, hash → text, as evaluation material. Returns how many were new; repeating it is harmless."""
    known = protected_hashes(project=project)
    fresh = sorted(set(prompts) - known)
    ProtectedFingerprint.objects.bulk_create(
        (
            ProtectedFingerprint(project=project, prompt_hash=key, text=prompts[key], reason=reason)
            for key in fresh
        ),
        ignore_conflicts=True,
        batch_size=500,
    )
    return len(fresh)


def release(*, project: Project, hashes: Collection[str]) -> int:
    """Let go of prompts that left evaluation to be trained on. Whoever calls makes sure that no case has them now."""
    return ProtectedFingerprint.objects.filter(project=project, prompt_hash__in=list(hashes)).delete()[0]


def protected_hashes(*, project: Project) -> set[str]:
    return set(ProtectedFingerprint.objects.filter(project=project).values_list("prompt_hash", flat=True))
