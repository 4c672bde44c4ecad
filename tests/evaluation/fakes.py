"""An engine that needs no model: the same text gives the same score; a trained checkpoint prefers what people chose."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from evaluation.engines import ScoreAnswer, ScoreRequest
from training.models import Checkpoint


class FakeEngine:
    def score(
        self,
        *,
        requests: Sequence[ScoreRequest],
        checkpoints: Sequence[Checkpoint],
        folder: Path,
        watch: Callable[[int, int], None],
    ) -> Iterable[ScoreAnswer]:
        watch(0, len(requests) * len(checkpoints))
        return [answer(request, checkpoint) for checkpoint in checkpoints for request in requests]


def answer(request: ScoreRequest, checkpoint: Checkpoint) -> ScoreAnswer:
    noise = int(hashlib.sha256(request.completion.encode()).hexdigest()[:4], 16) / 2**16
    trained = checkpoint.kind != Checkpoint.Kind.BASE and request.id.endswith(":chosen")
    return ScoreAnswer(request.id, checkpoint.pk, -10.0 + noise + (2.0 + noise) * trained, 5)
