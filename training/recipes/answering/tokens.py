"""Requests in tokens, the same for every engine that runs weights: rendered by the base's own chat template."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training.recipes import contract
from training.recipes.answering.ledger import Answer, Impossible, Messages, Wanted, digest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

AROUND = 8  # tokens beside those that a stop string can take


@dataclass(frozen=True)
class Row:
    """One row in tokens: the last `tokens` ids are the completion, what stands before them the prompt."""

    wanted: Wanted
    ids: list[int]
    tokens: int = 0
    truncated: bool = False

    @property
    def prompt(self) -> list[int]:
        """The tokens before the completion."""
        return self.ids[: len(self.ids) - self.tokens]

    @property
    def facts(self) -> dict[str, Any]:
        """What an answer tells about its prompt."""
        return {"prompt_tokens": len(self.prompt), "prompt_hash": digest(self.prompt)}

    def scored(self, total: float) -> Answer:
        """The answer where the completion has this log-probability. Raises `FloatingPointError` for no number."""
        if not math.isfinite(total):
            raise FloatingPointError
        size = len(self.wanted.completion.encode())
        known = {"logprob": total, "tokens": self.tokens, "bytes": size, "truncated": self.truncated}
        return self.wanted.answer(**known, **self.facts)


@dataclass(frozen=True)
class Draft(Row):
    """A prompt that is to be completed by at most `most` tokens."""

    most: int = 1


@dataclass(frozen=True)
class Choice(Row):
    """A prompt and the tokens of each label behind it; no label begins with the tokens of another."""

    labels: tuple[tuple[int, ...], ...] = ()

    @property
    def longest(self) -> int:
        """Tokens of the prompt with its longest label."""
        return len(self.ids) + max(map(len, self.labels))

    @property
    def tails(self) -> dict[tuple[int, ...], list[int]]:
        """The last tokens of the labels, by the tokens before them."""
        found: dict[tuple[int, ...], list[int]] = {}
        for label in self.labels:
            found.setdefault(label[:-1], []).append(label[-1])
        return found

    def weighed(self, sums: list[float]) -> Answer:
        """The answer where the labels have these log-probabilities. Raises `FloatingPointError` for no numbers."""
        if any(math.isnan(value) for value in sums) or not math.isfinite(top := max(sums)):
            raise FloatingPointError
        shares = [math.exp(value - top) for value in sums]
        chances = {label: one / sum(shares) for label, one in zip(self.wanted.labels, shares, strict=True)}
        mass = min(1.0, sum(math.exp(value) for value in sums))
        return self.wanted.answer(probabilities=chances, mass=mass, **self.facts)


class Texts:
    """Makes tokens of messages and text of tokens, for one model; `limit` is the longest row that is asked for,
    `learned` the longest that the model can read.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, ends: list[int], limit: int, learned: int | None = None
    ) -> None:
        self.tokenizer, self.ends, self.limit, self.learned = tokenizer, ends, limit, learned or limit

    def draft(self, wanted: Wanted) -> Draft:
        """A prompt to complete. Raises `Impossible` where it leaves no room for an answer."""
        ids = rendered(self.tokenizer, wanted.messages, add_generation_prompt=True)
        room = self.limit - len(ids)
        if room < 1:
            raise Impossible(
                f"The prompt has {len(ids)} tokens and a row may have {self.limit}, its answer included; shorten the "
                "prompt, or raise max_length if the model allows more."
            )
        return Draft(wanted, ids, most=min(wanted.sampling.max_tokens, room))

    def scored(self, wanted: Wanted) -> Row:
        """A prompt with its completion, which starts where the prompt's tokens end and stops at its end of turn.

        Above the limit the prompt loses its start, and where the completion alone is too long, that its end.
        """
        prompt, completion = self._both(wanted.messages, wanted.completion)
        if not completion or completion[-1] not in self.ends:
            completion += self.ends[:1]
        truncated = len(prompt) + len(completion) > self.limit
        completion = completion[: self.limit - 1]
        prompt = prompt[-(self.limit - len(completion)) :]
        return Row(wanted, prompt + completion, len(completion), truncated)

    def choice(self, wanted: Wanted) -> Choice:
        """A prompt with its labels. Raises `Impossible` where one label's tokens begin with those of another."""
        wholes = []
        for label in wanted.labels:
            prompt, said = self._both(wanted.messages, label)
            while said and said[-1] in self.ends:
                said.pop()
            wholes.append((prompt, prompt + said))
        start = min(len(prompt) for prompt, _ in wholes)
        labels = tuple(tuple(whole[start:]) for _, whole in wholes)
        for one, first in zip(wanted.labels, labels, strict=True):
            for other, second in zip(wanted.labels, labels, strict=True):
                if one != other and first == second[: len(first)]:
                    raise Impossible(
                        f"The label {other!r} begins with the tokens of {one!r}, so that their probabilities cannot be "
                        "told apart; choose labels that begin differently."
                    )
        found = Choice(wanted, wholes[0][0][:start], labels=labels)
        if found.longest > self.limit:
            raise Impossible(
                f"The prompt with its labels has {found.longest} tokens and a row may have {self.limit}; shorten the "
                "prompt, or raise max_length if the model allows more."
            )
        return found

    def _both(self, messages: Messages, completion: str) -> tuple[list[int], list[int]]:
        """Prompt and completion, without what the template writes after the end of the turn."""
        prompt = rendered(self.tokenizer, messages, add_generation_prompt=True)
        whole = rendered(self.tokenizer, [*messages, {"role": "assistant", "content": completion}])
        start = next(
            (i for i, (a, b) in enumerate(zip(prompt, whole, strict=False)) if a != b),
            min(len(prompt), len(whole)),
        )
        prompt, said = whole[:start], whole[start:]
        while said and said[-1] not in self.ends and any(token in self.ends for token in said):
            said.pop()
        return prompt, said

    def text(self, tokens: list[int], stop: tuple[str, ...]) -> str:
        """What an answer says, as far as the first of its stop strings."""
        text = str(self.tokenizer.decode(tokens, skip_special_tokens=True))
        return text[: min((text.find(word) for word in stop if word in text), default=len(text))]

    def stops(self, tokens: list[int], stop: tuple[str, ...]) -> bool:
        """Whether a stop string is among the last words of an answer that had none before its last token."""
        tail = max((len(word.encode()) for word in stop), default=0) + AROUND
        text = self.tokenizer.decode(tokens[-tail:], skip_special_tokens=True)
        return any(word in text for word in stop)


def texts(root: str, revision: str | None, max_length: int) -> Texts:
    """Load what makes tokens for a model. Its longest row is `max_length`, or what it learned if that is less."""
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig

    where: dict[str, Any] = {"revision": revision or "main"}
    tokenizer = AutoTokenizer.from_pretrained(root, **where)
    config = AutoConfig.from_pretrained(root, **where).get_text_config()
    try:
        listed = GenerationConfig.from_pretrained(root, **where).eos_token_id
    except OSError:
        listed = getattr(config, "eos_token_id", None)
    ends = end_ids(tokenizer, listed)
    if not ends:
        raise contract.RecipeFailed(
            f"the tokenizer of {root} has no end-of-sequence token, so no answer would ever end; choose another model"
        )
    if not tokenizer.chat_template:
        raise contract.RecipeFailed(
            f"the tokenizer of {root} has no chat template, so messages cannot be written for it; add one to it"
        )
    learned = getattr(config, "max_position_embeddings", None) or max_length + 1
    return Texts(tokenizer, ends, min(max_length, learned), learned)


def end_ids(tokenizer: PreTrainedTokenizerBase, listed: int | list[int] | None) -> list[int]:
    """Return the tokens that end a turn: the tokenizer's end of sequence first, then those that generation
    stops at.
    """
    stops = listed if isinstance(listed, list) else [listed]
    return [token for token in dict.fromkeys([tokenizer.eos_token_id, *stops]) if token is not None]


def rendered(tokenizer: PreTrainedTokenizerBase, messages: Messages, **options: Any) -> list[int]:
    """Return the token ids of chat messages. Raises `Impossible` where the template does not take them."""
    from jinja2 import TemplateError

    try:
        made = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)
    except TemplateError as error:
        raise Impossible(f"The chat template does not take these messages: {error}.") from None
    return list(made["input_ids"])
