"""Answers from given texts: are the texts relevant and sufficient, does the answer keep to them, does it answer?

The three scorers together tell faults apart (`sufficient`, `grounded` and `answers` in their details): not sufficient
and not grounded made something up, sufficient and not grounded misread, grounded and not answering missed the question,
not sufficient and abstained was right to refuse. The judge is asked yes or no and read by its probabilities.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from evaluation.scorers.base import Ask, Facts, Given, Mark, Need, Params, Scorer, unscorable
from evaluation.scorers.judging import YES_NO, choice, conversation, numbered, question
from evaluation.scorers.sentences import sentences

EVEN = 0.5  # from here on a yes is likelier than a no
ABSTAINED = "abstained"
CLAIM_LABELS = ("yes", "no", "skip")
RELEVANT = "You judge whether a text helps to answer the last question in a conversation."
SUFFICIENT = (
    "You judge whether texts hold everything that is needed to answer the last question in a conversation."
)
SUPPORTED = (
    "You judge whether one sentence of an answer is supported by given texts. Supported means that all that it claims "
    "stands in the texts or follows from them; knowledge from elsewhere does not count."
)
ABSTAINS = (
    "You judge whether the last answer in a conversation declines to answer: it says that it does not know, that it "
    "cannot tell or that the information is missing, and gives no answer beside that."
)
ANSWERS = (
    "You judge whether the last answer in a conversation answers the question that was asked. Whether it is right does "
    "not matter here. An evasive answer, or one about something else, does not."
)


class ContextParams(Params):
    measure: Literal["relevance", "precision"] = Field(
        default="relevance", description="Mean relevance of the texts, or whether relevant ones come first."
    )


class ContextRelevance(Scorer):
    """The mean probability that a context is relevant to the question; or context precision.

    Precision is average precision over the order given, as in Ragas: Σ_k precision@k·v_k / Σ_k v_k, where v_k is 1 for
    a relevant context (P ≥ ½); 0 without any. Detail: `relevance` of each context, `precision`, `sufficient` (whether
    all of them together hold the answer) and its probability. Says nothing about the answer, so it needs none.
    """

    key = "context_relevance"
    label = "Context relevance"
    about = "A judge says which of the given texts help with the question, and whether they suffice."
    needs = frozenset({Need.CONTEXTS, Need.JUDGE})
    Params: ClassVar[type[Params]] = ContextParams

    def asks(self, case: Facts, given: Given, params: Any) -> list[Ask]:
        talk = ("conversation", conversation(case.messages))
        ending = "Does the text help to answer the last question?"
        singles = [
            question(
                f"context:{k}", task=RELEVANT, texts=[talk, ("text", text)], ending=ending, labels=YES_NO
            )
            for k, text in enumerate(case.contexts)
        ]
        texts = [talk, ("texts", numbered(case.contexts))]
        ending = "Do the texts hold everything that is needed to answer the last question?"
        return [*singles, question("sufficient", task=SUFFICIENT, texts=texts, ending=ending, labels=YES_NO)]

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        relevance = [_yes(given, f"context:{k}") for k in range(len(case.contexts))]
        enough = _yes(given, "sufficient")
        precision = context_precision([one >= EVEN for one in relevance])
        detail = {
            "relevance": relevance,
            "precision": precision,
            "sufficient": enough >= EVEN,
            "sufficient_probability": enough,
        }
        value = sum(relevance) / len(relevance) if params.measure == "relevance" else precision
        return Mark(value, detail=detail)


class GroundedParams(Params):
    most: int = Field(default=40, ge=1, le=200, description="Sentences that are judged at most.")


class Groundedness(Scorer):
    """The mean probability that a claim of the answer is supported by the contexts, over its claims.

    Claims are its sentences, but those of which the judge says that they claim nothing, such as greetings; support is
    P(yes) / (P(yes) + P(no)). An answer that abstains (P ≥ ½) or claims nothing is unscorable, "abstained", never 0 or
    1 (Ragas divides by zero there). Detail: `claims` with text and `supported`, `grounded` (each claim likelier
    supported than not), `abstained`, `left_out` (sentences beyond the limit).
    """

    key = "groundedness"
    label = "Groundedness"
    about = "A judge holds each sentence of the answer against the given texts; the share that they support."
    needs = frozenset({Need.ANSWER, Need.CONTEXTS, Need.JUDGE})
    Params: ClassVar[type[Params]] = GroundedParams

    def asks(self, case: Facts, given: Given, params: Any) -> list[Ask]:
        found = sentences(given.text or "")[: params.most]
        return (
            [_abstains(case, given), *(_supported(k, case, given, one) for k, one in enumerate(found))]
            if found
            else []
        )

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        found = sentences(given.text or "")
        if not found:
            return _abstained("the answer has no sentences")
        if _yes(given, "abstains") >= EVEN:
            return _abstained("the judge says that it declines to answer")
        claims: list[dict[str, Any]] = []
        for k, text in enumerate(found[: params.most]):
            chances = choice(given, f"claim:{k}", CLAIM_LABELS).probabilities
            if chances["skip"] < EVEN:
                claims.append({"text": text, "supported": chances["yes"] / (chances["yes"] + chances["no"])})
        if not claims:
            return _abstained("none of its sentences claims anything")
        shares = [claim["supported"] for claim in claims]
        detail = {
            "claims": claims,
            "grounded": all(share >= EVEN for share in shares),
            "abstained": False,
            "left_out": max(0, len(found) - params.most),
        }
        return Mark(sum(shares) / len(shares), detail=detail)


class AnswerRelevance(Scorer):
    """The probability that the answer answers the question; 0 where it declines to (P ≥ ½). Detail: `answers`,
    `abstained` and their probabilities."""

    key = "answer_relevance"
    label = "Answer relevance"
    about = "A judge says whether the answer answers the question, right or wrong; declining to is 0."
    needs = frozenset({Need.ANSWER, Need.JUDGE})

    def asks(self, case: Facts, given: Given, params: Any) -> list[Ask]:
        ending = "Does the answer answer the last question?"
        texts = _talk_and_answer(case, given)
        return [
            _abstains(case, given),
            question("answers", task=ANSWERS, texts=texts, ending=ending, labels=YES_NO),
        ]

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        abstains, answers = _yes(given, "abstains"), _yes(given, "answers")
        value = 0.0 if abstains >= EVEN else answers
        detail = {
            "answers": value >= EVEN,
            "abstained": abstains >= EVEN,
            "answers_probability": answers,
            "abstains_probability": abstains,
        }
        return Mark(value, detail=detail)


def context_precision(relevant: Sequence[bool]) -> float:
    """Average precision of a ranking: 1 where all relevant ones stand first, 0 where none is relevant."""
    hits, total = 0, 0.0
    for place, hit in enumerate(relevant, start=1):
        if hit:
            hits += 1
            total += hits / place
    return total / hits if hits else 0.0


def _yes(given: Given, name: str) -> float:
    return choice(given, name, YES_NO).probabilities["yes"]


def _talk_and_answer(case: Facts, given: Given) -> list[tuple[str, str]]:
    return [("conversation", conversation(case.messages)), ("answer", given.text or "")]


def _abstains(case: Facts, given: Given) -> Ask:
    ending = "Does the answer decline to answer?"
    texts = _talk_and_answer(case, given)
    return question("abstains", task=ABSTAINS, texts=texts, ending=ending, labels=YES_NO)


def _supported(number: int, case: Facts, given: Given, sentence: str) -> Ask:
    texts = [("texts", numbered(case.contexts)), *_talk_and_answer(case, given), ("sentence", sentence)]
    ending = (
        "Do the texts support the sentence? Say skip if it claims nothing, such as a greeting or an offer."
    )
    return question(f"claim:{number}", task=SUPPORTED, texts=texts, ending=ending, labels=CLAIM_LABELS)


def _abstained(why: str) -> Mark:
    return unscorable(ABSTAINED, {"claims": [], "abstained": True, "why": why})
