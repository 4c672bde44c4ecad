"""The questions of a run, each with the key under which its answer is kept: the same content, the same key."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

from evaluation.engines.protocol import Answer, Messages, Request, Sampling
from evaluation.models import Case, Output
from evaluation.scorers.base import Ask, Facts
from evaluation.specs import Contexts, SamplingSpec
from evaluation.targets import digest
from labeling.rag.prompting import with_contexts

FIELDS = (
    *("text", "tokens", "prompt_tokens", "prompt_hash", "finish", "ms", "cost"),
    *("logprob", "bytes", "truncated", "mass", "reward"),
)
JUDGED = ("choose", "reward")
TOO_LONG = "the question is longer than it reads"


@dataclass(frozen=True, slots=True)
class Asked:
    """One that is asked: `id` is its name for the engine, `identity` what can change its answers, engine included."""

    id: str
    identity: str

    @classmethod
    def of(cls, id: str, identity: str, profile: Mapping[str, Any], max_length: int) -> "Asked":
        """One of this identity, asked through an engine of this profile."""
        return cls(id, digest([identity, profile, max_length]))

    def request(self, ask: Ask, sampling: Sampling | None = None) -> Request:
        """The request of a question, whose id is its key."""
        content = [
            self.identity,
            ask.kind,
            ask.messages,
            ask.completion,
            ask.labels,
            asdict(sampling) if sampling else None,
        ]
        return Request(
            id=digest(content),
            target=self.id,
            kind=ask.kind,
            messages=ask.messages,
            completion=ask.completion,
            labels=ask.labels,
            sampling=sampling,
        )


def sampling_of(spec: SamplingSpec, sample: int) -> Sampling:
    """How one of several samples is drawn: each has a seed of its own."""
    return Sampling(
        max_tokens=spec.max_tokens,
        temperature=spec.temperature,
        top_p=spec.top_p,
        top_k=spec.top_k,
        seed=spec.seed + sample,
        stop=spec.stop,
    )


def facts_of(case: Case, system: str = "", contexts: Contexts = "apart", seed: int = 0) -> Facts:
    """A case as scorers and targets see it: with the suite's system message, unless it has one, and with the contexts
    that its run gives it. What is in a prompt is in its question's key; the same prompt is never asked twice."""
    messages: Messages = list(case.prompt)
    if system and not any(message["role"] == "system" for message in messages):
        messages.insert(0, {"role": "system", "content": system})
    given = texts_given(case, contexts, seed)
    if contexts != "apart":
        messages = with_contexts(messages, given)
    return Facts(
        id=case.pk,
        messages=messages,
        reference=case.reference,
        rejected=case.rejected,
        contexts=given,
        checks=tuple(case.checks),
        tags=tuple(case.tags),
    )


def texts_given(case: Case, contexts: Contexts, seed: int = 0) -> tuple[str, ...]:
    """The contexts of a case in a run: those that were retrieved, those that hold the answer, none, or the retrieved
    ones in another order. `seed` draws the order, another one for each case, which is never the order they came in."""
    if contexts == "none":
        return ()
    texts = tuple(context_text(context) for context in (case.gold if contexts == "gold" else case.contexts))
    return reordered(texts, f"{seed}/{case.uid}") if contexts == "shuffled" else texts


def reordered(texts: tuple[str, ...], seed: str) -> tuple[str, ...]:
    """The texts in an order drawn by the seed, which differs from theirs wherever one can."""
    if len(set(texts)) < 2:
        return texts
    orders = (
        tuple(
            texts[place] for place in sorted(range(len(texts)), key=lambda place: digest([seed, turn, place]))
        )
        for turn in count()
    )
    return next(order for order in orders if order != texts)


def context_text(context: Any) -> str:
    """The text of a context, which is a string or an object with one."""
    return str(context.get("text", "")) if isinstance(context, Mapping) else str(context)


def output_of(answer: Answer, *, project_id: int) -> Output:
    """The row that keeps an answer; not saved yet."""
    values = {name: getattr(answer, name) for name in FIELDS}
    probabilities = dict(answer.probabilities) or None
    return Output(
        project_id=project_id, key=answer.id, kind=answer.kind, probabilities=probabilities, **values
    )


def answer_of(output: Output, target: str) -> Answer:
    """A kept answer as scorers read it. Of a question that was cut it is no judgment: what is cut is its start,
    the rubric."""
    values = {name: getattr(output, name) for name in FIELDS}
    kind: Any = output.kind
    values["error"] = TOO_LONG if output.truncated and kind in JUDGED else ""
    return Answer(id=output.key, target=target, kind=kind, probabilities=output.probabilities or {}, **values)


def kept(project_id: int, keys: Iterable[str]) -> dict[str, int]:
    """The numbers of the outputs that there are for these keys."""
    rows = Output.objects.filter(project_id=project_id, key__in=list(keys))
    return dict(rows.values_list("key", "pk"))
