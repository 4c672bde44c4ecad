"""Choose the best rows of a dataset: `python -m training.recipes.subset RUN_DIR`.

RUN_DIR/spec.json: training.specs.SubsetJob. RUN_DIR/rows.jsonl: {"row", "prompt", "response", "messages", "quality"},
`messages` the prompt's turns and `quality` a number or null. Writes into RUN_DIR:

- picks.jsonl, the k chosen rows in the order in which they were chosen, each with why
- left.jsonl, the best rows that were left out, each with the chosen row that stands for it
- map.jsonl, up to SHOWN rows as points of a plane
- curve.jsonl, how far each pick was from those before

A text's vector is the mean of the model's last hidden states over its tokens. Vectors are kept in the order in which
they are made, in whole batches, so a stopped run goes on where it was and ends with the same picks.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.recipes import contract
from training.recipes.answering import tokens
from training.recipes.answering.ledger import Wanted
from training.specs import SubsetJob, parse

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from transformers import PreTrainedTokenizerBase

    Floats = npt.NDArray[np.floating]

SHOWN = 1500  # points of the map
LEFT = 20  # rows left out that are named
LOOKED_AT = 5000  # rows by which one choice is compared with others
DRAWS = 20  # random choices to compare with
CURVE = 500  # points of the curve, about
EXCERPT = 300  # characters

Row = dict[str, Any]


def work(run: contract.Run) -> None:
    """Make the vectors, choose, and write result.json."""
    job = parse(SubsetJob, run.spec)
    began = time.monotonic()
    rows = contract.read_lines(run.path / "rows.jsonl")
    if not job.k < len(rows):
        raise contract.RecipeFailed(f"{job.k} of {len(rows)} rows leaves none out; choose fewer")
    reader = Reader(job)
    texts, cut = reader.encoded([text_of(row, job.text) for row in rows])
    hard = reader.asked(rows) if job.quality == "difficulty" else []
    distinct = len(set(texts))
    total = distinct + len(hard)
    run.event("start", rows=len(rows), texts=distinct, total=total)
    if distinct == 1:
        raise contract.RecipeFailed(
            "all rows have the same text, so none is unlike another; let them be alike by another text"
        )
    vectors = embedded(run, reader, texts, total)
    if job.quality == "difficulty":
        quality, misfits = difficulty(run, reader, len(rows), hard, total)
    else:
        quality, misfits = given(rows), 0
    run.event("choosing", total, done=total, total=total)
    result = choose(run, job, rows, vectors, quality)
    seconds = round(time.monotonic() - began, 1)
    run.event("end", total, seconds=seconds)
    run.finish(
        status="succeeded",
        rows=len(rows),
        limit=reader.limit,
        cut=cut,
        misfits=misfits,
        too_long=len(rows) - len(hard) if job.quality == "difficulty" else 0,
        seconds=seconds,
        environment=contract.environment(),
        **result,
    )


def text_of(row: Row, part: str) -> str:
    """The text of a row by which it is compared."""
    return "\n\n".join([row["prompt"], row["response"]]) if part == "both" else str(row[part])


class Reader:
    """The model as a reader of texts."""

    def __init__(self, job: SubsetJob) -> None:
        from peft import PeftModel
        from transformers import AutoConfig, AutoTokenizer

        from training.recipes.answering.local import load

        self.batch_size = job.batch_size
        limit = getattr(AutoConfig.from_pretrained(job.base), "max_position_embeddings", None)
        self.limit = min(job.max_length, limit) if limit else job.max_length
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(job.base)
        model: Any = load(job.base)
        model.config.use_cache = False
        self.model = PeftModel.from_pretrained(model, job.adapter).eval() if job.adapter else model
        self._body = model.base_model  # without the head; an adapter is put into its layers

    def encoded(self, texts: Sequence[str]) -> tuple[list[bytes], int]:
        """Each text's tokens as the bytes of 32-bit numbers, and how many texts were cut to the limit."""
        import numpy as np

        found: list[bytes] = []
        cut = 0
        empty = [self.tokenizer.eos_token_id or 0]
        for start in range(0, len(texts), 1000):
            for ids in self.tokenizer(list(texts[start : start + 1000]))["input_ids"]:
                cut += len(ids) > self.limit
                found.append(np.array(ids[: self.limit] or empty, dtype=np.int32).tobytes())
        return found, cut

    def vectors(self, batch: Sequence[bytes]) -> Floats:
        """[batch, hidden] float32: the mean of the last hidden states over each text's tokens."""
        import numpy as np
        import torch

        texts = [np.frombuffer(each, dtype=np.int32) for each in batch]
        ids = np.zeros((len(texts), max(map(len, texts))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, text in enumerate(texts):
            ids[row, : len(text)], mask[row, : len(text)] = text, 1
        device = self._body.device
        inputs, kept = torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)
        with torch.inference_mode():
            states = self._body(input_ids=inputs, attention_mask=kept).last_hidden_state.float()
        total = (states * kept[:, :, None]).sum(dim=1)
        mean: Floats = (total / kept.sum(dim=1, keepdim=True)).cpu().numpy()
        return mean

    def asked(self, rows: Sequence[Row]) -> list[tokens.Row]:
        """Each row's response after its prompt, in tokens, the longest first; rows above the limit are left out."""
        config = self.model.generation_config
        ends = tokens.end_ids(self.tokenizer, config.eos_token_id if config else None)
        texts = tokens.Texts(self.tokenizer, ends, self.limit)
        asked = [
            texts.scored(Wanted(str(place), "", "likelihood", row["messages"], row["response"]))
            for place, row in enumerate(rows)
        ]
        whole = [request for request in asked if not request.truncated]
        return sorted(whole, key=lambda request: (-len(request.ids), int(request.wanted.id)))

    def losses(self, batch: list[tokens.Row]) -> Floats:
        """[batch, 2]: nats a token of the response after its prompt, and of the response alone."""
        import numpy as np

        from training.recipes.answering.local import sums

        bare = [tokens.Row(r.wanted, r.ids[:1] + r.ids[-r.tokens :], r.tokens) for r in batch]
        counts = np.array([request.tokens for request in batch])
        found = [sums(self.model, requests) for requests in (batch, bare)]
        return -np.array(found, dtype=np.float32).T / counts[:, None]


class Kept:
    """Arrays of float32 on disk, appended batch by batch; what a killed process left half is done again."""

    def __init__(self, path: Path, width: int, batch: int) -> None:
        self._path, self._width = path, width
        whole = (path.stat().st_size if path.exists() else 0) // (4 * width * batch)
        self.count = whole * batch
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.truncate(self._fd, self.count * 4 * width)
        os.lseek(self._fd, 0, os.SEEK_END)

    def add(self, values: Floats) -> None:
        import numpy as np

        with os.fdopen(os.dup(self._fd), "wb") as file:
            file.write(np.ascontiguousarray(values, dtype=np.float32).tobytes())
        self.count += len(values)

    def all(self) -> Floats:
        """[n, width] in the order in which they were added."""
        import numpy as np

        os.close(self._fd)
        return np.fromfile(self._path, dtype=np.float32).reshape(-1, self._width)


def embedded(run: contract.Run, reader: Reader, texts: list[bytes], total: int) -> Floats:
    """[rows, hidden]; equal texts are read once."""
    import numpy as np

    ordered = sorted(set(texts), key=lambda ids: (-len(ids), ids))
    width = len(reader.vectors(ordered[-1:])[0])
    kept = Kept(run.path / "vectors.f32", width, reader.batch_size)
    for batch in batches(ordered, kept.count, reader.batch_size):
        run.stop_if_asked()
        kept.add(reader.vectors(batch))
        run.event("progress", kept.count, done=kept.count, total=total)
    place = {ids: number for number, ids in enumerate(ordered)}
    vectors = kept.all()
    if not np.isfinite(vectors).all():
        raise contract.RecipeFailed("the model gives vectors that are not numbers; choose another model")
    return vectors[[place[ids] for ids in texts]]


def given(rows: list[Row]) -> Floats:
    """[rows] the qualities that stand in the rows; nan where there is none."""
    import numpy as np

    return np.array([row["quality"] for row in rows], dtype=np.float64)


def difficulty(
    run: contract.Run, reader: Reader, rows: int, hard: list[tokens.Row], total: int
) -> tuple[Floats, int]:
    """[rows] each row's difficulty, and how many rows do not fit their prompts.

    It is the perplexity of the response after the prompt over that of the response alone (Li et al. 2024, arXiv
    2402.00530). From 1 on the prompt does not help: the response is to something else. Such rows, and those that are
    longer than the model is let read, are nan.
    """
    import numpy as np

    kept = Kept(run.path / "losses.f32", 2, reader.batch_size)
    before = total - len(hard)
    for batch in batches(hard, kept.count, reader.batch_size):
        run.stop_if_asked()
        kept.add(reader.losses(batch))
        run.event("progress", before + kept.count, done=before + kept.count, total=total)
    after, alone = kept.all().T
    found = np.exp(after - alone, dtype=np.float64)
    misfit = found >= 1
    quality = np.full(rows, np.nan)
    quality[[int(request.wanted.id) for request in hard]] = np.where(misfit, np.nan, found)
    return quality, int(misfit.sum())


def batches(ordered: Sequence[Any], start: int, size: int) -> Iterator[list[Any]]:
    for at in range(start, len(ordered), size):
        yield list(ordered[at : at + size])


def choose(
    run: contract.Run, job: SubsetJob, rows: list[Row], vectors: Floats, quality: Floats
) -> dict[str, Any]:
    """Write the picks, what was left out, and the map; return how the choice compares with random ones."""
    import numpy as np

    from training.recipes import choosing

    units, places, worse = choosing.unit(vectors), choosing.ranked(quality), choosing.worse(quality)
    weight = 0.0 if job.quality == "none" else job.weight
    if job.algorithm == "kmeans":
        picks = choosing.kmeans(units, places, job.k, weight=weight, seed=job.seed)
    else:
        picks = choosing.farthest(units, places, job.k, weight=weight)
    run.stop_if_asked()
    chosen = [pick.row for pick in picks]
    near, distance = choosing.nearest_chosen(units, chosen)
    lines = []
    for pick in picks:
        why = {"score": pick.score, "distance": pick.distance, "group": pick.group}
        near_row = None if pick.near is None else rows[pick.near]["row"]
        known = described(rows[pick.row], quality[pick.row], worse[pick.row])
        lines.append(known | why | {"near": near_row})
    write_lines(run.path / "picks.jsonl", lines)
    write_lines(
        run.path / "curve.jsonl", curve_of([pick.distance for pick in picks if pick.near is not None])
    )
    taken = np.zeros(len(rows), dtype=bool)
    taken[chosen] = True
    best = [int(row) for row in np.argsort(-places, kind="stable") if not taken[row]][:LEFT]
    left = [
        described(rows[row], quality[row], worse[row])
        | {"distance": float(distance[row]), "near": rows[near[row]]["row"]}
        for row in best
    ]
    write_lines(run.path / "left.jsonl", left)
    random = np.random.default_rng(job.seed)
    write_lines(run.path / "map.jsonl", mapped(rows, units, taken, random))
    looked_at = random.permutation(len(rows))[:LOOKED_AT]
    drawn = [random.choice(len(rows), size=job.k, replace=False) for _ in range(DRAWS)]
    return {
        "chosen": len(picks),
        "reach": choosing.reach(units, chosen, looked_at),
        "reach_random": [choosing.reach(units, draw.tolist(), looked_at) for draw in drawn],
        "worse": float(worse[chosen].mean()),
        "worse_random": [float(worse[draw].mean()) for draw in drawn],
        "dimensions": int(vectors.shape[1]),
    }


def mapped(rows: list[Row], units: Floats, taken: Any, random: Any) -> list[dict[str, Any]]:
    """Points of up to SHOWN rows, half of them chosen where there are as many; in the order of the rows."""
    import numpy as np

    from training.recipes import choosing

    inside, outside = (random.permutation(np.flatnonzero(mask)) for mask in (taken, ~taken))
    some = min(len(inside), max(SHOWN // 2, SHOWN - len(outside)))
    shown = np.sort(np.concatenate([inside[:some], outside[: SHOWN - some]]))
    return [
        {"row": rows[row]["row"], "x": float(x), "y": float(y), "chosen": bool(taken[row])}
        for row, (x, y) in zip(shown, choosing.map_of(units[shown]), strict=True)
    ]


def curve_of(distances: list[float]) -> list[dict[str, Any]]:
    """How far each pick after the first was from those before, about CURVE of them."""
    step = max(1, len(distances) // CURVE)
    return [{"pick": n, "distance": far} for n, far in enumerate(distances, start=2)][::step]


def described(row: Row, quality: float, worse: float) -> dict[str, Any]:
    """What is told of a row: its number, its quality, the share of rows that are worse, and how its texts begin."""
    return {
        "row": row["row"],
        "quality": float(quality),
        "worse": float(worse),
        "prompt": row["prompt"][:EXCERPT],
        "response": row["response"][:EXCERPT],
    }


def write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    contract.write_whole(
        path, "".join(json.dumps(contract.plain(line), ensure_ascii=False) + "\n" for line in lines)
    )


if __name__ == "__main__":
    sys.exit(contract.process(sys.argv, "subset", work))
