"""How likely a model finds given texts: perplexity, loss per token and per byte, whether it prefers what people chose.

Log-probabilities are in nats, given the case's messages, the end-of-turn token included. None of these needs an answer.
"""

import math
from typing import Any

from evaluation.engines.protocol import Answer
from evaluation.scorers.base import Ask, Facts, Given, Mark, Need, NoValue, Scale, Scorer, failed, unscorable

POSITIVE = 1e-3  # nats of rounding that a log-probability may lie above 0
REFERENCE = frozenset({Need.REFERENCE})
PAIR = frozenset({Need.REFERENCE, Need.REJECTED})


class OfReference(Scorer):
    """Asks the target for the log-probability of the reference."""

    needs = REFERENCE
    higher_is_better = False

    def asks(self, case: Facts, given: Given, params: Any) -> list[Ask]:
        return [_likelihood("reference", case, case.reference or "")]


class Perplexity(OfReference):
    """exp(-Σ log p / Σ tokens) of the references over a run. One case: value = -log p in nats, size = tokens.

    Depends on the tokeniser: compare models of one base only, or use the loss per byte.
    """

    key = "perplexity"
    label = "Perplexity of the reference"
    about = "How surprised the model is by the reference, per token; lower is better. For models of one tokeniser."
    scale = Scale.PERPLEXITY

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        answer = _told(given, "reference")
        return _rate(answer, answer.tokens, "tokens")


class LossPerToken(Perplexity):
    """-Σ log p / Σ tokens of the references: the logarithm of the perplexity, in nats per token."""

    key = "nll_token"
    label = "Loss per token"
    about = "Negative log-likelihood of the reference in nats per token; lower is better. For models of one tokeniser."
    scale = Scale.RATE
    unit = "nats per token"


class LossPerByte(OfReference):
    """-Σ log p / Σ UTF-8 bytes of the references, in nats per byte (times 1.4427 it is bits per byte).

    Comparable between tokenisers, as in Gao et al. (2020), "The Pile", section 3.1.
    """

    key = "nll_byte"
    label = "Loss per byte"
    about = "Negative log-likelihood of the reference in nats per byte; lower is better. For any two models."
    scale = Scale.RATE
    unit = "nats per byte"

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        answer = _told(given, "reference")
        return _rate(answer, answer.bytes, "bytes")


class PreferenceMargin(Scorer):
    """Mean log-probability per token of the reference minus that of the rejected answer, in nats per token."""

    key = "preference_margin"
    label = "Preference margin"
    about = "By how much the model finds the chosen answer likelier than the rejected one, in nats per token."
    scale = Scale.NUMBER
    unit = "nats per token"
    needs = PAIR

    def asks(self, case: Facts, given: Given, params: Any) -> list[Ask]:
        return [
            _likelihood("reference", case, case.reference or ""),
            _likelihood("rejected", case, case.rejected or ""),
        ]

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        chosen, rejected = (_told(given, name) for name in ("reference", "rejected"))
        means = _per_token(chosen), _per_token(rejected)
        detail = {
            "chosen": means[0],
            "rejected": means[1],
            "truncated": chosen.truncated or rejected.truncated,
        }
        return Mark(means[0] - means[1], detail=detail)


class Preference(PreferenceMargin):
    """1 where the reference's mean log-probability per token is above that of the rejected answer, a half where equal.

    Means, because sums favour the shorter answer (decision 3).
    """

    key = "preference"
    label = "Prefers what people chose"
    about = "The model finds the chosen answer likelier, per token, than the rejected one."
    scale = Scale.SHARE
    unit = ""

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        margin = super().mark(case, given, params)
        value = margin.value or 0.0
        return Mark(0.5 if value == 0 else float(value > 0), detail=margin.detail)


def _likelihood(name: str, case: Facts, text: str) -> Ask:
    return Ask(id=name, of="target", kind="likelihood", messages=case.messages, completion=text)


def _told(given: Given, name: str) -> Answer:
    answer = given.told.get(name)
    if answer is None:
        raise NoValue(failed(f"the target was not asked about the {name}"))
    if answer.error:
        raise NoValue(failed(f"the target gave nothing for the {name}: {answer.error}"))
    if answer.logprob is None or not -math.inf < answer.logprob <= POSITIVE:  # also what is no number
        raise NoValue(failed(f"the target gave the {name} a log-probability of {answer.logprob}"))
    return answer


def _rate(answer: Answer, size: int | None, unit: str) -> Mark:
    if size is None:
        return failed(f"the engine did not count the {unit} of the reference")
    if size < 1:
        return unscorable(f"the reference of this case has no {unit}")
    return Mark(-(answer.logprob or 0.0), float(size), detail={"truncated": answer.truncated})


def _per_token(answer: Answer) -> float:
    if not answer.tokens:
        raise NoValue(failed("the engine did not count the tokens of a text"))
    return (answer.logprob or 0.0) / answer.tokens
