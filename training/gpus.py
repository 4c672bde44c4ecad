"""Will a run fit: on the device at hand, on common cards, and how long it will take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from training.shapes import ModelShape
from training.sizing import GIB, MemoryEstimate, memory
from training.specs import TrainSpec


class Card(NamedTuple):
    """A graphics card; `usable` is what the driver leaves of the memory it is sold with."""

    name: str
    sold: int  # GB as sold
    usable: int  # bytes

    @property
    def usable_gib(self) -> float:
        """GiB that a process can have."""
        return self.usable / GIB


def _card(name: str, sold: int, gib: float) -> Card:
    return Card(name, sold, int(gib * GIB))


# What torch.cuda reports as total memory, rounded down to a quarter or half GiB: GDDR6 with error correction (T4, A10,
# L4, L40S) gives a sixteenth of it to that.
CARDS = (
    _card("RTX 3060", 12, 11.5),
    _card("RTX 4070", 12, 11.5),
    _card("T4", 16, 14.5),
    _card("V100 16 GB", 16, 15.5),
    _card("RTX 3090", 24, 23.5),
    _card("RTX 4090", 24, 23.5),
    _card("A10", 24, 22.0),
    _card("L4", 24, 22.0),
    _card("RTX 5090", 32, 31.25),
    _card("V100 32 GB", 32, 31.5),
    _card("A100 40 GB", 40, 39.25),
    _card("L40S", 48, 44.5),
    _card("A100 80 GB", 80, 79.0),
    _card("H100", 80, 79.0),
    _card("H200", 141, 139.5),
    _card("MI300X", 192, 191.5),
)


class Fit(NamedTuple):
    """Whether an estimate fits, and by how much."""

    fits: bool
    spare: int  # bytes left over; negative where it does not fit


@dataclass(frozen=True)
class CardFit:
    """The largest batch of a spec that a card holds."""

    card: Card
    batch_size: int  # rows in one forward pass, at most what the spec asks for; 0 where not even one row fits
    checkpointing: bool  # with activations recomputed


class TimeEstimate(NamedTuple):
    """Seconds of training, as a range."""

    low: float
    likely: float
    high: float


def will_it_fit(estimate: MemoryEstimate, memory_bytes: int) -> Fit:
    """Compare an estimate with the memory of a device, in bytes."""
    return Fit(estimate.total <= memory_bytes, memory_bytes - estimate.total)


def largest_batch(
    shape: ModelShape, spec: TrainSpec, memory_bytes: int, *, tokens_per_row: int | None = None
) -> tuple[int, bool]:
    """Return (the most rows up to the spec's batch_size that fit on CUDA, whether activations are recomputed for it).

    The whole batch without recomputing is best; recomputing comes before a smaller batch, because it costs less time.
    """
    smallest = 2 if spec.method == "kto" else 1
    for size in _sizes(spec.batch_size, smallest):
        tried = spec.model_copy(update={"batch_size": size})
        longest = None if tokens_per_row is None else size * tokens_per_row
        estimate = memory(shape, tried, device="cuda", longest=longest, available=memory_bytes)
        if estimate.total <= memory_bytes:
            return size, estimate.checkpointing
    return 0, False


def _sizes(most: int, least: int) -> list[int]:
    """A batch size halved again and again: what a run does that ran out of memory."""
    sizes = [most]
    while sizes[-1] // 2 >= least:
        sizes.append(sizes[-1] // 2)
    return sizes


def card_table(
    shape: ModelShape, spec: TrainSpec, *, tokens_per_row: int | None = None, cards: Sequence[Card] = CARDS
) -> list[CardFit]:
    """Return, for each card, the largest batch that it holds; `tokens_per_row` counts both sides of a pair."""
    return [
        CardFit(card, *largest_batch(shape, spec, card.usable, tokens_per_row=tokens_per_row))
        for card in cards
    ]


def time_estimate(
    seconds_per_token: float,
    tokens: int,
    *,
    epochs: float = 1.0,
    fixed_seconds: float = 0.0,
    spread: float = 0.2,
) -> TimeEstimate:
    """Return how long training takes from a short calibration: `seconds_per_token` measured on this machine.

    `tokens` of one epoch, padding included; `fixed_seconds` for loading and saving. The range is `spread` to both sides
    of the measured part: a fifth, unless the caller knows how far earlier calibrations were off.
    Raises ValueError where a number cannot be.
    """
    if seconds_per_token <= 0 or tokens < 0 or epochs <= 0 or fixed_seconds < 0 or not 0 <= spread < 1:
        raise ValueError(
            f"a calibration of {seconds_per_token} s a token and {tokens} tokens gives no time; "
            "give positive numbers, and a spread from 0 up to 1"
        )
    training = seconds_per_token * tokens * epochs
    return TimeEstimate(
        fixed_seconds + training * (1 - spread),
        fixed_seconds + training,
        fixed_seconds + training * (1 + spread),
    )
