"""The model that is trained: how it is loaded, what is put on it, and what of it learns.

Every trap of the pinned libraries is met here once: precision is chosen and never left to a default, LoRA goes on all
linear layers with the task type of the method, a reward model can tell padding from the end, what learns is float32.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import (
    IA3Config,
    LoraConfig,
    PeftConfig,
    PeftModel,
    PrefixTuningConfig,
    PromptTuningConfig,
    PromptTuningInit,
)
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.hub import cached_file

from training.recipes import contract
from training.specs import SpecRefused, TrainJob, TrainSpec

ADAPTER = "adapter_config.json"
FIRST_WORDS = "Answer the message below truthfully, helpfully and to the point."
KINDS = {"LORA": "lora", "PROMPT_TUNING": "prompt", "PREFIX_TUNING": "prefix", "IA3": "ia3"}


@dataclass(frozen=True)
class Origin:
    """Where training starts: the model's directory or hub name, and the adapter to go on with, if any."""

    root: str
    adapter: str | None
    revision: str | None = None


def where_to_start(job: TrainJob, spec: TrainSpec) -> Origin:
    """Return the origin that a job names. Raises `SpecRefused` where they do not belong together."""
    if job.start is None:
        return Origin(job.base, None, job.revision)
    if not Path(job.start).is_dir():
        raise SpecRefused(
            f"start {job.start} is not a directory; give an existing checkpoint or leave start out"
        )
    if not (Path(job.start) / ADAPTER).exists():
        return Origin(job.start, None)
    config = json.loads((Path(job.start) / ADAPTER).read_text())
    kind = KINDS.get(config.get("peft_type", ""), "unknown")
    wanted = "lora" if spec.adaptation == "qlora" else spec.adaptation
    if kind != wanted:
        raise SpecRefused(
            f"start is a {kind} adapter and adaptation is {spec.adaptation}; choose {kind}, "
            "or merge the adapter into a model first"
        )
    if config.get("task_type") != task_type(spec):
        raise SpecRefused(
            f"start was trained for {config.get('task_type')} and {spec.method} trains {task_type(spec)}; "
            "start from a checkpoint of the same kind, or from the base model"
        )
    trained_on = config.get("base_model_name_or_path")
    if trained_on and not same_place(trained_on, job.base):
        raise SpecRefused(
            f"start is an adapter of {trained_on} and the base is {job.base}; "
            "choose the base that it was trained on"
        )
    return Origin(job.base, job.start, job.revision)


def folder_of(origin: Origin) -> Path:
    """Return where the model's files are: its folder, or that of the hub's cache. Raises `OSError` without them."""
    if Path(origin.root).is_dir():
        return Path(origin.root)
    found = cached_file(origin.root, "config.json", revision=origin.revision, local_files_only=True)
    return Path(str(found)).parent


def same_place(first: str, second: str) -> bool:
    """Say whether two names stand for one model: the same folder, or the same hub name."""
    return first == second or Path(first).resolve() == Path(second).resolve()


def task_type(spec: TrainSpec) -> str:
    """PEFT's task type of a method; with the wrong one a reward model's head is neither trained nor saved."""
    return "SEQ_CLS" if spec.method == "reward" else "CAUSAL_LM"


def load_tokenizer(origin: Origin) -> PreTrainedTokenizerBase:
    """Load the tokenizer of the model that is trained. Raises `RecipeFailed` when there is none."""
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            origin.root, revision=origin.revision or "main"
        )
    except (OSError, ValueError) as error:
        if not Path(origin.root).is_dir():
            raise  # a name on a hub, of which the contract knows what to say
        raise contract.RecipeFailed(
            f"the tokenizer of {origin.root} cannot be loaded ({first_line(error)}); "
            "check that the base model is complete and where it was"
        ) from error
    if tokenizer.eos_token_id is None:
        raise SpecRefused(
            f"the tokenizer of {origin.root} has no end-of-sequence token, so the model could never learn to "
            "stop; choose another base model or add the token"
        )
    return tokenizer


def precision(spec: TrainSpec, *, cuda: bool) -> torch.dtype:
    """The precision of the weights as loaded, never the libraries' default.

    On CUDA what is frozen is bfloat16; full training keeps float32 weights under bfloat16 autocast, because small
    steps vanish in bfloat16 weights. On the CPU everything is float32, which is faster there.
    """
    return torch.bfloat16 if cuda and spec.adaptation != "full" else torch.float32


def quantization(spec: TrainSpec) -> BitsAndBytesConfig | None:
    """NF4 with double quantization and bfloat16 products (Dettmers et al. 2305.14314), for qlora only."""
    if spec.adaptation != "qlora":
        return None
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=["score", "lm_head"],
    )


def load_model(root: str, spec: TrainSpec, revision: str | None = None) -> PreTrainedModel:
    """Load the model by its place, which is also where TRL finds the reference of full training.

    Raises `RecipeFailed` with what is wrong with the folder.
    """
    loader = AutoModelForSequenceClassification if spec.method == "reward" else AutoModelForCausalLM
    options: dict[str, Any] = {"num_labels": 1} if spec.method == "reward" else {}
    if spec.adaptation == "qlora":
        options |= {"quantization_config": quantization(spec)}
    try:
        model: PreTrainedModel = loader.from_pretrained(
            root,
            revision=revision or "main",
            dtype=precision(spec, cuda=torch.cuda.is_available()),
            **options,
        )
    except (OSError, ValueError, RuntimeError) as error:
        if contract.is_out_of_memory(error) or not Path(root).is_dir():
            raise
        raise contract.RecipeFailed(
            f"the model {root} cannot be loaded ({first_line(error)}); check that it is complete and where it was"
        ) from error
    if spec.adaptation == "qlora":
        leave_in_4_bits(model)
    return model


def leave_in_4_bits(model: torch.nn.Module) -> None:
    """Keep bitsandbytes from rewriting the weights of a CPU with AVX512_BF16 for inference, at their first use in it.

    The rewriting (0.50.2) rounds the scales to bfloat16, so that the base is another one from then on, and fails where
    the inputs of a layer are no multiple of the block size.
    """
    for module in model.modules():
        if getattr(module, "support_avx512bf16_for_cpu", False):
            module.support_avx512bf16_for_cpu = False


def first_line(error: Exception) -> str:
    """The first line of a library's message, which says enough."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip().rstrip(".") if lines else type(error).__name__


def adapter_config(spec: TrainSpec, root: str) -> PeftConfig | None:
    """The adapter to create; None for full training."""
    task = task_type(spec)
    match spec.adaptation:
        case "full":
            return None
        case "prompt":
            return PromptTuningConfig(
                task_type=task,
                num_virtual_tokens=spec.virtual_tokens,
                prompt_tuning_init=PromptTuningInit.TEXT,
                prompt_tuning_init_text=FIRST_WORDS,
                tokenizer_name_or_path=root,
            )
        case "prefix":
            return PrefixTuningConfig(task_type=task, num_virtual_tokens=spec.virtual_tokens)
        case "ia3":
            return IA3Config(task_type=task)
        case _:
            return LoraConfig(
                task_type=task,
                r=spec.lora_r,
                lora_alpha=spec.lora_alpha,
                lora_dropout=spec.lora_dropout,
                use_dora=spec.dora,
                use_rslora=spec.rslora,
                target_modules="all-linear",
            )


def going_on(
    model: PreTrainedModel, origin: Origin, spec: TrainSpec, run: contract.Run, name: str = "default"
) -> PeftModel:
    """Attach the adapter to go on with. Its rank stands; one that differs from the spec's is a warning."""
    assert origin.adapter is not None
    rank = json.loads((Path(origin.adapter) / ADAPTER).read_text()).get("r")
    if rank is not None and rank != spec.lora_r:
        run.event("warning", message=f"The adapter to go on with has rank {rank}; it keeps it.")
    return PeftModel.from_pretrained(model, origin.adapter, adapter_name=name, is_trainable=True)


def end_tokens(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel | PeftModel) -> set[int]:
    """Return the tokens at which generation stops: the tokenizer's and those of the generation config."""
    config = getattr(model, "generation_config", None)
    listed = getattr(config, "eos_token_id", None)
    found = listed if isinstance(listed, list) else [listed]
    return {token for token in [tokenizer.eos_token_id, *found] if token is not None}


def padding(tokenizer: PreTrainedTokenizerBase, spec: TrainSpec, used: set[int]) -> str | None:
    """Give the tokenizer a padding token that no row contains, if it needs one; returns the token given.

    TRL's masks go by length, so that for generation any token will do. A reward model reads its reward at the last
    token that is not padding: with padding equal to end-of-sequence it could not see whether a response has ended.
    """
    ends = tokenizer.eos_token_id
    if spec.method != "reward":
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        return None
    if tokenizer.pad_token_id not in (None, ends) and tokenizer.pad_token_id not in used:
        return None
    special = [token for token in tokenizer.all_special_ids if token != ends]
    for token in [*special, *range(len(tokenizer) - 1, -1, -1)]:
        if token not in used and token != ends:
            tokenizer.pad_token = tokenizer.convert_ids_to_tokens(token)
            return str(tokenizer.pad_token)
    raise contract.RecipeFailed(
        "every token of the vocabulary occurs in the data, so none is left for padding; "
        "choose a base model whose tokenizer has a padding token of its own"
    )


def coverage(model: PreTrainedModel | PeftModel) -> dict[str, Any]:
    """Say how much of the model learns: linear layers that an adapter reaches, and parameters.

    The output head and a reward head are not counted as linear layers to reach. 4-bit weights count as many
    parameters as they stand for.
    """
    heads = ("lm_head", "score", "classifier", "embed_out")
    covered = layers = 0
    for name, module in model.named_modules():
        inner = getattr(module, "base_layer", None)
        if inner is not None:
            layers, covered = layers + 1, covered + 1
        elif (
            isinstance(module, torch.nn.Linear)
            and not any(part in heads for part in name.split("."))
            and not any(part in name for part in ("lora_", "base_layer", "modules_to_save"))
        ):
            layers += 1
            covered += any(p.requires_grad for p in module.parameters(recurse=False))
    total, trainable = sizes(model)
    return {
        "linear_layers": layers,
        "covered_layers": covered,
        "parameters": total,
        "trainable": trainable,
    }


def sizes(model: PreTrainedModel | PeftModel) -> tuple[int, int]:
    """Return (parameters, trainable ones); two 4-bit weights that share a byte count as two."""
    total = trainable = 0
    for parameter in model.parameters():
        count = parameter.numel()
        if parameter.__class__.__name__ == "Params4bit":
            count *= 2 * parameter.element_size()
        total += count
        trainable += count if parameter.requires_grad else 0
    return total, trainable


def in_float32(model: PreTrainedModel | PeftModel) -> None:
    """Hold everything that learns in float32.

    TRL 1.16 casts adapters on a 4-bit base to bfloat16, in which steps of small learning rates vanish, and PEFT 0.21
    gives them back as float32 after a resume, so that the run goes on in another precision. In float32 neither
    happens.
    """
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dtype != torch.float32:
            parameter.data = parameter.data.float()
