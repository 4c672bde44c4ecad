"""Is it running away? A policy that leaves its reference, or that no longer ends its answers, is stopped.

Each rule needs three updates in a row: one rollout of few answers proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from training.recipes import contract
from training.specs import RolloutSpec

PATIENCE = 3  # updates
ENDLESS, ENDED_BEFORE = 0.9, 0.5  # share of answers without an end, now at least and at first at most


@dataclass
class Watch:
    """What the rules compare with; a checkpoint keeps it."""

    first_endless: float | None = None
    kl: list[float] = field(default_factory=list)
    endless: list[float] = field(default_factory=list)
    spreads: list[float] = field(default_factory=list)

    def look(self, spec: RolloutSpec, step: int, *, kl: float, endless: float, spread: float) -> None:
        """Take in an update: mean KL of an answer (nats), share without end, spread of the scores.

        Raises `RecipeFailed` with what runs away and what to change.
        """
        self.first_endless = endless if self.first_endless is None else self.first_endless
        for kept, value in ((self.kl, kl), (self.endless, endless), (self.spreads, spread)):
            kept.append(value)
            del kept[:-PATIENCE]
        if len(self.kl) == PATIENCE and min(self.kl) > spec.max_kl:
            raise contract.RecipeFailed(
                f"the policy ran away: at update {step} its answers are {kl:.0f} nats from the reference's, above "
                f"max_kl {spec.max_kl:g} for the third time; raise kl_coefficient, or lower learning_rate"
            )
        if (
            len(self.endless) == PATIENCE
            and min(self.endless) >= ENDLESS
            and self.first_endless <= ENDED_BEFORE
        ):
            raise contract.RecipeFailed(
                f"the answers ran away: at update {step} {endless:.0%} of them do not end within response_length "
                f"{spec.response_length}, where {self.first_endless:.0%} did not at first; raise no_end_penalty or "
                "kl_coefficient, or lower learning_rate"
            )

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return dict(vars(self))
