"""Cases, answers and judges made up for the tests of scorers."""

from typing import Any

from evaluation.engines.protocol import Answer
from evaluation.scorers import Facts, Given, Mark, asked, find_scorer, marked, read_params

QUESTION = [{"role": "user", "content": "What is the capital of Germany?"}]


def case(**fields: Any) -> Facts:
    return Facts(**{"id": 1, "messages": QUESTION, **fields})


def score(
    key: str, answer: str | None, facts: Facts | None = None, *, params: Any = None, **given: Any
) -> Mark:
    """The mark of an answer by a scorer with these settings."""
    scorer = find_scorer(key)
    return marked(scorer, facts or case(), Given(answer, **given), read_params(scorer, params or {}))


def questions(
    key: str, answer: str | None, facts: Facts, *, params: Any = None, **given: Any
) -> dict[str, Any]:
    """What a scorer asks about an answer, by id."""
    scorer = find_scorer(key)
    asks = asked(scorer, facts, Given(answer, **given), read_params(scorer, params or {}))
    return {ask.id: ask for ask in asks}


def chose(mass: float | None = 1.0, error: str = "", **probabilities: float) -> Answer:
    """A judge's reply."""
    return Answer(id="1", target="judge", kind="choose", probabilities=probabilities, mass=mass, error=error)


def yes(probability: float) -> Answer:
    return chose(yes=probability, no=1 - probability)
