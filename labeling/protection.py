"""Prompts that are used for evaluation. They may never be trained on; whoever evaluates registers them here."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from labeling.curation.rows import prompt_text
from labeling.intake import Message, hash_as_written, prompt_hash
from labeling.models import Project, ProtectedFingerprint
from labeling.rag.prompting import holds_chunks, question_of, readings


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


def fingerprints(prompts: Iterable[Sequence[Message]]) -> dict[str, str]:
    """What these prompts ask, hash → text, as `protect` takes it. Chunks stay out: other prompts may hold them too."""
    return {prompt_hash(prompt): prompt_text(question_of(prompt)) for prompt in prompts}


def hashes_of(row: Mapping[str, Any], asked: Sequence[Message] = ()) -> set[str]:
    """All that a training row may be protected by. Where chunks stand in its prompt, or in what was `asked` for a row
    without one, that is each question that may be read out of it; and the hash with the chunks, which prompts had
    before 2026-11-30."""
    found = {row.get("prompt_hash") or ""}
    messages = row.get("prompt") or asked
    if holds_chunks(messages):
        found |= {hash_as_written(each) for each in (messages, *readings(messages))}
    return found


def release(*, project: Project, hashes: Collection[str]) -> int:
    """Let go of prompts that left evaluation to be trained on. Whoever calls makes sure that no case has them now."""
    return ProtectedFingerprint.objects.filter(project=project, prompt_hash__in=list(hashes)).delete()[0]


def protected_hashes(*, project: Project) -> set[str]:
    return set(ProtectedFingerprint.objects.filter(project=project).values_list("prompt_hash", flat=True))
