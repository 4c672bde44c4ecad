"""The check before a freeze: what in the rows would poison a training, found and counted row by row.

A finding blocks where more rows have it than its limit allows; a person may freeze all the same, with a reason in
writing that stays with the version. Memory does not grow with the rows.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from labeling.curation import texts
from labeling.curation.evaluation_material import Material
from labeling.curation.pairing import SIDES
from labeling.curation.rows import Made, Row, texts_of
from labeling.curation.splits import TRAIN
from labeling.estimates import Estimate, wilson_bounds

BATCH = 500  # rows whose texts are searched together
SHOWN = 50  # rows that a report names of each finding
LONGER_LIMIT = 0.7  # share of pairs in which the chosen response is the longer one
LEFT_LOW, LEFT_HIGH = 0.45, 0.55
PERSON_LIMIT = 0.5  # share of the judgments that one person gave
ENOUGH = 30  # rows, pairs or judgments from which on a share says something

ON_CHUNKS = ("secret", "pii", "empty")  # passages break off, and quote, as they like
WORDS = {
    "identical": "chosen and rejected, or a relevant and an irrelevant chunk, are the same text",
    "empty": "a response is empty",
    "truncated": "a response breaks off in the middle of a sentence or of code",
    "split": "the same prompt is in two splits",
    "one_split": "all rows are in one split: there are few prompts, or nearly all of them are alike",
    "contradiction": "the same responses are preferred, or labelled, both ways round",
    "cycle": "preferences go in a circle",
    "person": "one person gave most of the judgments",
    "longer": "the chosen response is nearly always the longer one",
    "left": "the left response wins too often, or too rarely",
    "template": "marks of a chat template stand in one response and not in the other",
    "identity": "a response says which model or maker it is of",
    "secret": "a key, a token or another secret",
    "pii": "an e-mail address, a phone number or a card number",
    "evaluation": "the prompt is, or nearly is, one that is used for evaluation",
}
MEASURED = {
    "person": "judgments by the person who gave most",
    "longer": "pairs in which the chosen response is the longer one",
    "left": "comparisons that the left response won",
}
LIMITS = {  # the share of rows up to which a finding does not block
    "truncated": 0.02,
    "contradiction": 0.005,
    "cycle": 0.005,
    "identity": 0.005,
}


@dataclass(slots=True)
class Finding:
    """What one check found: in how many rows, the first of them (numbers from 0, and their items), whether it blocks.

    `estimate` is the rate that was looked at, of those checks that look at a rate over all rows.
    """

    name: str
    count: int = 0
    rows: list[int] = field(default_factory=list)
    items: list[int] = field(default_factory=list)
    blocks: bool = False
    estimate: dict[str, float] | None = None
    person: int | None = None

    @property
    def words(self) -> str:
        return WORDS[self.name]

    @property
    def measured(self) -> str:
        """What the estimate is of."""
        return MEASURED.get(self.name, self.words)


@dataclass(slots=True)
class LintReport:
    """What every check found in `rows` rows."""

    rows: int
    findings: list[Finding] = field(default_factory=list)

    @property
    def blocks(self) -> bool:
        return any(finding.blocks for finding in self.findings)

    @property
    def blocking_words(self) -> str:
        return "; ".join(
            f"{found.words}" + (f" ({found.count:,} rows)" if found.count else "")
            for found in self.findings
            if found.blocks
        )

    def as_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "findings": [asdict(finding) for finding in self.findings]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "LintReport":
        return cls(values.get("rows", 0), [Finding(**found) for found in values.get("findings", [])])


class Lint:
    """Sees every prompt once, and reports. `material` is what no training prompt may be like; `holds_out` says whether
    there should be more than one split."""

    def __init__(self, material: Material | None = None, *, holds_out: bool = False) -> None:
        self._material, self._holds_out = material, holds_out
        self._splits: set[str] = set()
        self._found = {name: Finding(name) for name in WORDS}
        self._rows = 0
        self._batch: list[tuple[int, Made]] = []
        self._items: dict[int, int] = {}  # row → item, of the batch at hand
        self._people: Counter[int] = Counter()
        self._longer, self._left = Rate(), Rate()

    def see(self, prompt: Sequence[Made]) -> None:
        """The rows of one prompt."""
        first = self._rows
        self._rows += len(prompt)
        if len(prompt) > 1:
            self._items |= {first + place: made.item_id for place, made in enumerate(prompt)}
            for name, numbers in _between(first, [made.row for made in prompt]):
                self._add(name, numbers)
        self._splits.add(prompt[0].row["split"])
        longer, pairs, left, shown = 0, 0, 0, 0
        for place, made in enumerate(prompt):
            row = made.row
            self._batch.append((first + place, made))
            self._items[first + place] = made.item_id
            if "chosen" in row and row["soft_label"] != 0.5:
                one, two = len(row["chosen"]), len(row["rejected"])
                longer, pairs = longer + (one > two), pairs + (one != two)
            for vote in made.votes:
                if not vote.judgment_id:
                    continue  # a prompt rests on nobody's judgment
                self._people[vote.person_id] += 1
                if vote.left in SIDES and vote.label in SIDES and vote.kind == "pairwise":
                    left, shown = left + (vote.label == vote.left), shown + 1
        self._longer.add(longer, pairs)
        self._left.add(left, shown)
        if len(self._batch) >= BATCH:
            self._search()

    def report(self) -> LintReport:
        self._search()
        self._found["person"] = self._person()
        self._found["longer"] = _rate("longer", self._longer, 0.0, LONGER_LIMIT)
        self._found["left"] = _rate("left", self._left, LEFT_LOW, LEFT_HIGH)
        if self._holds_out and len(self._splits) == 1 and self._rows >= ENOUGH:
            self._found["one_split"].count = self._rows
        for finding in self._found.values():
            if finding.name not in ("person", "longer", "left"):
                finding.blocks = finding.count > LIMITS.get(finding.name, 0.0) * self._rows
        return LintReport(
            self._rows,
            [found for found in self._found.values() if found.count or found.blocks or found.estimate],
        )

    def _add(self, name: str, numbers: Sequence[int]) -> None:
        finding = self._found[name]
        finding.count += len(numbers)
        shown = numbers[: SHOWN - len(finding.rows)]
        finding.rows += shown
        finding.items += [self._items[number] for number in shown]

    def _search(self) -> None:
        """Search the texts of a batch together."""
        batch, self._batch = self._batch, []
        if not batch:
            return
        flat = [(number, made.row, text) for number, made in batch for text in texts_of(made.row)]
        found = texts.hits([text for _, _, text in flat])
        found["template"] = {place for place in found["template"] if _unbalanced(flat[place][1])}
        found["empty"] = {place for place, (_, _, text) in enumerate(flat) if not text.strip()}
        chunks = {place for place, (_, row, _) in enumerate(flat) if "query" in row}
        for name, places in found.items():
            counted = places if name in ON_CHUNKS else places - chunks
            self._add(name, sorted({flat[place][0] for place in counted}))
        self._add("identical", [number for number, made in batch if _contradicts_itself(made.row)])
        if self._material is not None:
            train = [(number, made) for number, made in batch if made.row["split"] == TRAIN]
            reasons = self._material.reasons([made for _, made in train])
            self._add(
                "evaluation", [n for (n, _), why in zip(train, reasons, strict=True) if why is not None]
            )
        self._items.clear()

    def _person(self) -> Finding:
        total = self._people.total()
        if total < ENOUGH:
            return Finding("person")
        ((person, most),) = self._people.most_common(1)
        low, high = wilson_bounds(most / total, total)
        estimate = Estimate(most / total, low, high, total)
        return Finding("person", blocks=low > PERSON_LIMIT, estimate=estimate.as_dict(), person=person)


def _contradicts_itself(row: Row) -> bool:
    if "query" in row:
        return not set(row["positives"]).isdisjoint(row["negatives"])
    return bool(row.get("chosen", 0) == row.get("rejected", 1))


def _unbalanced(row: Row) -> bool:
    """Pairs with other marks on one side than on the other; and single texts with any."""
    if "chosen" not in row:
        return True
    return texts.markers(row["chosen"]) != texts.markers(row["rejected"])


def _between(first: int, rows: Sequence[Row]) -> Iterator[tuple[str, list[int]]]:
    """What is wrong between the rows of one prompt, the first of which has this number."""
    if len({row["split"] for row in rows}) > 1:
        yield "split", [first + place for place in range(len(rows))]
    labels: dict[str, dict[bool, list[int]]] = {}
    edges: dict[tuple[str, str], list[int]] = {}
    for number, row in enumerate(rows, start=first):
        if "chosen" in row and row["chosen"] != row["rejected"] and row["soft_label"] != 0.5:
            edges.setdefault((row["chosen"], row["rejected"]), []).append(number)
        elif "label" in row:
            labels.setdefault(row["completion"], {}).setdefault(row["label"], []).append(number)
    both = sorted(
        n for said in labels.values() if len(said) > 1 for numbers in said.values() for n in numbers
    )
    if both:
        yield "contradiction", both
    both_ways = {edge for edge in edges if edge[::-1] in edges}
    if both_ways:
        yield "contradiction", sorted(number for edge in both_ways for number in edges[edge])
    after: dict[str, set[str]] = {}
    for one, two in edges.keys() - both_ways:
        after.setdefault(one, set()).add(two)
    circle = [edge for edge in edges.keys() - both_ways if _reaches(after, edge[1], edge[0])]
    if circle:
        yield "cycle", sorted(number for edge in circle for number in edges[edge])


def _reaches(after: dict[str, set[str]], start: str, end: str) -> bool:
    seen, ahead = {start}, [start]
    while ahead:
        for further in after.get(ahead.pop(), ()):
            if further == end:
                return True
            if further not in seen:
                seen.add(further)
                ahead.append(further)
    return False


class Rate:
    """A share of rows that come by prompt, with the interval of a clustered sample, in constant memory.

    The variance is that of a ratio of totals over prompts (Cochran 1977, Sampling Techniques, section 6.4); the
    interval is Wilson's for as many independent rows as have the same variance.
    """

    def __init__(self) -> None:
        self.hits = self.n = self.prompts = 0
        self._squares = [0, 0, 0]  # sums over prompts of hits², hits·n and n²

    def add(self, hits: int, n: int) -> None:
        """What one prompt has."""
        if n:
            self.hits, self.n, self.prompts = self.hits + hits, self.n + n, self.prompts + 1
            squares = self._squares
            squares[0] += hits * hits
            squares[1] += hits * n
            squares[2] += n * n

    def estimate(self) -> Estimate | None:
        """None with fewer than ENOUGH prompts."""
        if self.prompts < ENOUGH:
            return None
        share = self.hits / self.n
        spread = self._squares[0] - 2 * share * self._squares[1] + share * share * self._squares[2]
        variance = spread * self.prompts / (self.prompts - 1) / self.n**2
        alone = share * (1 - share)
        worth = min(float(self.n), alone / variance) if variance > 0 and alone > 0 else float(self.prompts)
        low, high = wilson_bounds(share, max(worth, 1.0))
        return Estimate(share, low, high, self.n)


def _rate(name: str, rate: Rate, low: float, high: float) -> Finding:
    """A finding that blocks where the whole interval lies outside the limits."""
    estimate = rate.estimate()
    if estimate is None:
        return Finding(name)
    outside = estimate.low > high or estimate.high < low
    return Finding(name, blocks=outside, estimate=estimate.as_dict())
