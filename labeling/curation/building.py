"""A recipe at work: judgments in, rows out, and what each rule dropped counted.

Rows come by prompt, in an order that follows from their texts. The rules on votes come first, then those on texts, and
last those on all rows of a prompt.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path

from django.db.models import Exists, OuterRef

from labeling.compiled import among
from labeling.curation import evaluation_material, pairing
from labeling.curation.corrections import review_rows
from labeling.curation.modelling import VERDICT, chances_by_item
from labeling.curation.payload import Payload, Source
from labeling.curation.recipe import Recipe
from labeling.curation.reviews import decided
from labeling.curation.rows import Decided, Made, identity, key_of, prompt_text, read_first, rows_of, texts_of
from labeling.curation.splits import TRAIN, alike, split_of
from labeling.curation.tokens import counter
from labeling.curation.votes import CHUNK, REVIEW, Judged, Vote, Votes, prompts_of, refused
from labeling.models import Item, Judgment, Project
from labeling.rag.prompting import question_of

NOBODY = (0, 0, 0, None, "", "", None, "", "")  # what a vote says of a judgment, for an item that needs none
SAID = attrgetter("kind", "label", "strength")
REMEMBERED = 10_000  # ways in which the votes on an item may fall whose outcome is decided once


class Build:
    """One pass over the judgments of the projects up to `newest`, or on these `items` only.

    `dropped` grows as rows are taken. Near-duplicates are grouped in the folder `scratch`; of `texts_seen` prompts
    `most_alike` are in the largest group. Of `reviewed` items with reviews came `from_reviews` rows and reasons.
    """

    def __init__(
        self,
        *,
        projects: Sequence[Project],
        recipe: Recipe,
        newest: int,
        newest_item: int,
        scratch: Path,
        items: Sequence[int] | None = None,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._last = ("", "")  # a prompt's hash, and its split
        self._projects, self._recipe = projects, recipe
        self._newest, self._newest_item, self._items = newest, newest_item, items
        self._beat = beat  # called at least every few seconds
        self._decisions: dict[tuple[object, ...], tuple[list[pairing.Decision], list[str]]] = {}
        self._material = evaluation_material.read(projects, recipe)
        self._count = counter(recipe.tokenizer)
        self._payload = Payload(projects)
        self.texts_seen = self.most_alike = 0
        self.reviewed = self.from_reviews = 0
        self._groups = self._alike(scratch)

    def prompts(self) -> Iterator[list[Made]]:
        """The rows of every prompt, each with the judgments behind it."""
        if self._recipe.kind == "prompts":
            items = self._prompts()
        else:
            votes = Votes(self._projects, self._recipe, self._newest, items=self._items)
            self.dropped = votes.dropped
            items = self._decided(votes)
        for chunk in items:
            self._beat()
            sources = self._payload.read((item.item_id, item.votes) for prompt in chunk for item in prompt)
            made = [
                [
                    self._placed(each, item.votes[0], sources[item.item_id])
                    for item in prompt
                    for each in self._rows(item, sources[item.item_id])
                ]
                for prompt in chunk
            ]
            for prompt_rows in self._by_text(made):
                if prompt_rows:
                    yield self._of_prompt(prompt_rows)

    def _rows(self, item: Decided, source: Source) -> Iterator[Made | str]:
        if item.verdict is None:
            return rows_of(item, source, self._recipe)
        found = list(review_rows(item, item.verdict, source, self._recipe))
        self.reviewed += 1
        self.from_reviews += len(found)
        return iter(found)

    def _decided(self, votes: Votes) -> Iterator[list[list[Decided]]]:
        model: Mapping[int, pairing.ByPair] = {}
        if self._items is None:  # a sample of items says nothing of people: then the majority decides
            model = chances_by_item(self._projects, self._recipe, self._newest, self._beat)
        for chunk in votes.chunks():
            yield [[self._decide(item, model) for item in prompt if self._kept(item)] for prompt in chunk]

    def _kept(self, item: Judged) -> bool:
        if item.dropped is not None:
            self.dropped[item.dropped] += 1
        return item.dropped is None

    def _decide(self, item: Judged, model: Mapping[int, pairing.ByPair]) -> Decided:
        chances = model.get(item.item_id)
        if item.votes[0].kind == REVIEW:
            shares = chances.get(VERDICT) if chances is not None else None
            verdict = decided(item.votes, self._recipe, item.settled, shares)
            return Decided(item.item_id, item.votes, [], verdict)
        said = (item.settled, *map(SAID, item.votes))
        outcome = self._decisions.get(said) if chances is None else None
        if outcome is None:
            found = list(pairing.decisions(item.votes, self._recipe, item.settled, chances))
            outcome = (
                [each for each in found if not isinstance(each, str)],
                [each for each in found if isinstance(each, str)],
            )
            if chances is None and len(self._decisions) < REMEMBERED:
                self._decisions[said] = outcome
        pairs, reasons = outcome
        self.dropped.update(reasons)
        return Decided(item.item_id, item.votes, pairs)

    def _prompts(self) -> Iterator[list[list[Decided]]]:
        """Every prompt of the projects once, judged or not."""
        recipe = self._recipe
        chunk: list[list[Decided]] = []
        rows = prompts_of(self._projects, self._newest_item, self._items)
        for _, group in itertools.groupby(rows, key=lambda row: row[2]):
            votes = [Vote._make((*row, *NOBODY)) for row in group]
            allowed = [vote for vote in votes if refused(vote, recipe, is_open=False) is None]
            if allowed:
                vote = min(allowed, key=lambda vote: (vote.item_hash, vote.project))
                chunk.append([Decided(vote.item_id, [vote], [])])
            else:
                self._drop(refused(votes[0], recipe, is_open=False) or "licence")
            if len(chunk) >= CHUNK:
                yield chunk
                chunk = []
        yield chunk

    def _placed(self, made: Made | str, vote: Vote, source: Source) -> Made | None:
        """The row with its item and its split, unless a rule on its own text drops it."""
        if isinstance(made, str):
            self.dropped[made] += 1
            return None
        row = made.row
        for text in texts_of(row):
            if not text.strip():
                self.dropped["empty"] += 1
                return None
        if "chosen" in row and row["chosen"] == row["rejected"]:
            self.dropped["identical"] += 1
            return None
        if vote.prompt_hash != self._last[0]:
            group = self._groups.get(vote.prompt_hash, vote.prompt_hash)
            self._last = vote.prompt_hash, split_of(group, self._recipe)
        row["split"], row["item"], row["prompt_hash"] = self._last[1], vote.item_hash, vote.prompt_hash
        made.item_id, made.asked = vote.item_id, source.asked
        return made

    def _by_text(self, chunk: list[list[Made | None]]) -> Iterator[list[Made]]:
        """The chunk's rows, without those whose length or words the recipe refuses, by prompt."""
        prompts = [[made for made in prompt if made is not None] for prompt in chunk]
        rules = self._rules
        if not rules:
            yield from prompts
            return
        flat = [made for prompt in prompts for made in prompt]
        reasons: dict[int, str] = {}
        for rule in rules:
            left = [made for made in flat if id(made) not in reasons]
            for made, reason in zip(left, rule(left), strict=True):
                if reason is not None:
                    reasons[id(made)] = reason
        self.dropped.update(reasons.values())
        for prompt in prompts:
            yield [made for made in prompt if id(made) not in reasons]

    @property
    def _rules(self) -> list[Callable[[list[Made]], list[str | None]]]:
        rules: list[Callable[[list[Made]], list[str | None]]] = []
        if self._recipe.min_tokens or self._recipe.max_tokens:
            rules.append(self._lengths)
        return [*rules, self._leaks] if self._material.any else rules

    def _lengths(self, rows: list[Made]) -> list[str | None]:
        low, high = self._recipe.min_tokens or 0, self._recipe.max_tokens
        prompts = self._count([read_first(made.row) for made in rows])
        longest = self._count([max(texts_of(made.row), key=len, default="") for made in rows])
        return [
            "short" if one + two < low else "long" if high is not None and one + two > high else None
            for one, two in zip(prompts, longest, strict=True)
        ]

    def _leaks(self, rows: list[Made]) -> list[str | None]:
        """Training rows that hold evaluation material. Held-out rows may: evaluation is what they are for."""
        train = [made for made in rows if made.row["split"] == TRAIN]
        found = iter(self._material.reasons(train))
        return [next(found) if made.row["split"] == TRAIN else None for made in rows]

    def _of_prompt(self, rows: list[Made]) -> list[Made]:
        """The rows of one prompt in their order, each text once, and no more than the recipe takes of one prompt."""
        if len(rows) == 1:
            return rows
        rows = sorted(rows, key=lambda made: key_of(made.row))
        kept = list({identity(made.row): made for made in reversed(rows)}.values())[::-1]
        self._drop("repeated", len(rows) - len(kept))
        cap = self._recipe.prompt_cap
        if cap is not None and len(kept) > cap:
            self._drop("prompt_cap", len(kept) - cap)
            best = sorted(range(len(kept)), key=lambda place: -kept[place].row.get("confidence", 1.0))[:cap]
            kept = [kept[place] for place in sorted(best)]
        return kept

    def _drop(self, reason: str, count: int = 1) -> None:
        if count:
            self.dropped[reason] += count

    def _alike(self, scratch: Path) -> Mapping[str, str]:
        recipe = self._recipe
        if recipe.near_duplicates is None or not (recipe.test_share or recipe.validation_share):
            return {}
        groups = alike(self._texts(), recipe.near_duplicates, scratch, self._beat)
        self.most_alike = 1 + max(Counter(groups.values()).values(), default=0)
        return groups

    def _texts(self) -> Iterator[tuple[str, str]]:
        """The text of each prompt, once, in the order of their hashes."""
        rows = Item.objects.filter(project__in=self._projects, pk__lte=self._newest_item)
        if self._items is not None:
            rows = among(rows, "labeling_item.id", self._items)
        if self._recipe.kind != "prompts":
            rows = rows.filter(Exists(Judgment.objects.filter(item=OuterRef("pk"), pk__lte=self._newest)))
        pairs = rows.order_by("prompt_hash", "content_hash", "pk").values_list("prompt_hash", "messages")
        prompts = itertools.groupby(pairs.iterator(chunk_size=2000), key=lambda row: row[0])
        for number, (prompt_hash, group) in enumerate(prompts):
            if number % CHUNK == 0:
                self._beat()
            self.texts_seen += 1
            yield prompt_hash, prompt_text(question_of(next(group)[1]))
