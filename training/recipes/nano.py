"""Build a small chat model from nothing but local text: `python -m training.recipes.nano RUN_DIR`.

RUN_DIR/spec.json: {"method": "nano", "seed": 42, "text": null, "budget_seconds": 150, ...}
(training.specs.NanoJob). The result is RUN_DIR/final: a Llama-type causal language model with tied
embeddings, a byte-level BPE tokenizer trained on the same text whose vocabulary is used to the last token,
and a ChatML template whose assistant turns end with the end-of-sequence token.

Rows of text are {"prompt", "answer"} (rendered through the chat template) or {"text"} (plain); a .txt file is
one plain row a paragraph. The schedule follows whichever is further along, steps or clock, so the model is
finished, learning rate at its floor, when time is up.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.recipes import contract
from training.specs import NanoJob, parse

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

BUNDLED = Path(__file__).parents[1] / "data"
PAD, START, END = "<|pad|>", "<|im_start|>", "<|im_end|>"
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' }}"
    "{% if add_generation_prompt or not loop.last %}{{ '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
WARMUP = 30  # steps
MATRIX_RATE = 0.02  # of Muon, whose updates have a size of their own; see training/DECISIONS.md
HELD_OUT = 20  # one document in twenty, by the hash of its prompt, measures bits per byte
SAMPLES = (
    "How can I improve my time management skills?",
    "Write a short email to a customer whose order arrived late.",
    "Tom has 3 apples and buys 4 more. How many apples does he have?",
)


def build(run: contract.Run) -> None:
    """Train tokenizer and model on the text of the spec and write final/ and result.json."""
    import torch

    job = parse(NanoJob, run.spec)
    began = time.monotonic()
    torch.manual_seed(job.seed)
    documents = read_documents(
        [Path(p) for p in job.text] if job.text else sorted(BUNDLED.glob("*.jsonl.gz"))
    )
    train, held = split(documents)
    tokenizer = train_tokenizer(train, job.vocab_size)
    model = new_model(tokenizer, job)
    blocks = pack(tokenizer, train, job.block)
    parameters = sum(p.numel() for p in model.parameters())
    run.event(
        "start",
        parameters=parameters,
        trainable=parameters,
        rows=len(train),
        eval_rows=len(held),
        tokens=blocks.numel(),
    )
    deadline = began + job.budget_seconds * 0.94 - 1.0  # what is left writes, reloads and samples
    steps, first, last = fit(run, model, blocks, job, deadline)
    bits = bits_per_byte(model, tokenizer, held, job.block)
    samples = [{"prompt": p, "completion": answer(model, tokenizer, p)} for p in SAMPLES]
    run.event("sample", steps, samples=samples)
    final = save(run, model, tokenizer)
    seconds = round(time.monotonic() - began, 1)
    run.event("end", steps, seconds=seconds, bits_per_byte=bits)
    run.finish(
        status="succeeded",
        final="final",
        kind="full",
        steps=steps,
        loss_first=first,
        loss_last=last,
        parameters=parameters,
        trainable=parameters,
        bits_per_byte=bits,
        content_hash=contract.content_hash(final),
        seconds=seconds,
        environment=contract.environment(),
    )


def read_documents(paths: list[Path]) -> list[dict[str, str]]:
    """Return rows {"prompt", "answer"} or {"text"} of JSONL (gzipped or not) and text files, in order."""
    rows: list[dict[str, str]] = []
    for path in paths:
        if not path.exists():
            raise contract.RecipeFailed(
                f"text file {path} does not exist; correct its path or leave text out"
            )
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if ".jsonl" in path.suffixes:
            rows += [json.loads(line) for line in raw.splitlines() if line.strip()]
        else:
            rows += [{"text": part} for part in raw.decode().split("\n\n") if part.strip()]
    if len(rows) < 2:
        raise contract.RecipeFailed(f"the text has {len(rows)} documents; give at least 2, better thousands")
    return rows


def split(rows: list[dict[str, str]]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return (train, held out); rows with the same prompt stay together, and neither side is empty."""
    held = [row for row in rows if int(hashlib.sha256(key(row).encode()).hexdigest(), 16) % HELD_OUT == 0]
    held = held or rows[-1:]
    names = {key(row) for row in held}
    return [row for row in rows if key(row) not in names], held


def key(row: dict[str, str]) -> str:
    """Return what makes two rows the same question."""
    return " ".join((row.get("prompt") or row["text"]).lower().split())


def messages(row: dict[str, str]) -> list[dict[str, str]]:
    """Return a prompt/answer row as chat messages."""
    return [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["answer"]}]


def train_tokenizer(rows: list[dict[str, str]], vocab_size: int) -> PreTrainedTokenizerFast:
    """Train byte-level BPE.

    Special tokens: pad (its own), start of turn, and end of turn, which is also end of sequence.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(("\n".join(row.values()) for row in rows), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[START],
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
        padding_side="right",
        model_max_length=2048,
    )


def new_model(tokenizer: PreTrainedTokenizerFast, job: NanoJob) -> LlamaForCausalLM:
    """Return a freshly initialised model whose vocabulary is exactly the tokenizer's."""
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    ids: dict[str, Any] = {
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
    }
    heads = max(1, job.hidden_size // job.head_dim)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=job.hidden_size,
        intermediate_size=job.hidden_size * 8 // 3 // 32 * 32,
        num_hidden_layers=job.layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=job.head_dim,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=0.02,
        **ids,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(**ids, max_new_tokens=256, do_sample=False)
    return model


def pack(tokenizer: PreTrainedTokenizerFast, rows: list[dict[str, str]], block: int) -> torch.Tensor:
    """Return token ids [blocks, block]: documents end to end, each closed by the end-of-sequence token."""
    import torch

    stream: list[int] = []
    for row in rows:
        if "prompt" in row:
            stream += tokenizer(tokenizer.apply_chat_template(messages(row), tokenize=False), verbose=False)[
                "input_ids"
            ]
        else:
            stream += tokenizer(row["text"], verbose=False)["input_ids"] + [tokenizer.eos_token_id]
    while len(stream) < 2 * block:
        stream += stream
    return torch.tensor(stream[: len(stream) // block * block]).view(-1, block)


def batches(blocks: torch.Tensor, size: int, seed: int) -> Iterator[torch.Tensor]:
    """Yield [size, block] for ever. Each pass re-cuts the stream at another place and shuffles it."""
    import torch

    random = torch.Generator().manual_seed(seed)
    while True:
        shift = int(torch.randint(blocks.shape[1], (1,), generator=random))
        cut = blocks.view(-1).roll(shift).view_as(blocks)
        for chosen in torch.randperm(len(cut), generator=random).split(size):
            yield cut[chosen]


def fit(
    run: contract.Run, model: LlamaForCausalLM, blocks: torch.Tensor, job: NanoJob, deadline: float
) -> tuple[int, float, float]:
    """Train until steps or clock run out; return (steps, first loss, mean of the last 20), in nats per token."""
    import torch

    optimizers = new_optimizers(model, job)
    began = logged = time.monotonic()
    losses: deque[float] = deque(maxlen=20)
    step, logged_step, first, progress = 0, 0, 0.0, 0.0
    model.train()
    for ids in batches(blocks, job.batch_size, job.seed):
        scale = min(1.0, (step + 1) / WARMUP) * (0.02 + 0.49 * (1 + math.cos(math.pi * progress)))
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * scale
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        step += 1
        losses.append(loss.item())
        first = first or losses[0]
        now = time.monotonic()
        progress = max(step / job.max_steps, (now - began) / max(1e-9, deadline - began))
        if step % 20 == 0 or progress >= 1:
            speed = (step - logged_step) * ids.numel() / max(1e-9, now - logged)
            mean = sum(losses) / len(losses)
            run.event(
                "log",
                step,
                loss=mean,
                learning_rate=job.learning_rate * scale,
                tokens_per_second=round(speed),
            )
            logged, logged_step = now, step
        run.stop_if_asked()
        if progress >= 1:
            break
    model.eval()
    return step, first, sum(losses) / len(losses)


def new_optimizers(model: LlamaForCausalLM, job: NanoJob) -> list[torch.optim.Optimizer]:
    """Return Muon for the hidden matrices and AdamW for embeddings and norms, each group knowing its peak
    rate.
    """
    import torch

    from training.recipes.muon import Muon

    embeddings = list(model.get_input_embeddings().parameters())
    matrices = [p for p in model.model.layers.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    optimizers = [
        Muon(matrices, lr=MATRIX_RATE),
        torch.optim.AdamW(
            embeddings + vectors, lr=job.learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True
        ),
    ]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers


def bits_per_byte(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, rows: list[dict[str, str]], block: int
) -> float:
    """Return the held-out text's code length in bits per UTF-8 byte, each document cut to one block, template
    tokens included.
    """
    import torch

    nats, size = 0.0, 0
    for row in rows:
        text = (
            tokenizer.apply_chat_template(messages(row), tokenize=False) if "prompt" in row else row["text"]
        )
        ids = torch.tensor([tokenizer(text, verbose=False)["input_ids"][:block]])
        if ids.shape[1] < 2:
            continue
        with torch.no_grad():
            nats += model(input_ids=ids, labels=ids, use_cache=False).loss.item() * (ids.shape[1] - 1)
        size += len(tokenizer.decode(ids[0, 1:]).encode())
    return nats / math.log(2) / max(1, size)


def answer(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, prompt: str, tokens: int = 60) -> str:
    """Return the greedy completion of one prompt; a mild repetition penalty keeps a small model from looping."""
    chat = [{"role": "user", "content": prompt}]
    given = tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    out = model.generate(**given, max_new_tokens=tokens, do_sample=False, repetition_penalty=1.2)
    return str(tokenizer.decode(out[0, given["input_ids"].shape[1] :], skip_special_tokens=True)).strip()


def save(run: contract.Run, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> Path:
    """Write final/ whole or not at all, and read it back."""
    from transformers import AutoModelForCausalLM

    with contract.new_folder(run.path / "final") as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        AutoModelForCausalLM.from_pretrained(folder)
    return run.path / "final"


if __name__ == "__main__":
    sys.exit(contract.process(sys.argv, "nano", build))
