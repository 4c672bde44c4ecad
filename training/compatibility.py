"""Do base, start, method and data belong together? Read from the files, and refused before a process starts."""

from pathlib import Path
from typing import Any

from labeling.curation.shapes import shapes_of
from labeling.errors import Refused
from labeling.models import DatasetVersion
from training.models import Checkpoint
from training.specs import ROLLOUTS, TrainSpec
from training.weights import (
    ADAPTER,
    WeightsDamaged,
    chat_template,
    check_folder,
    read_config,
    read_json,
    template_hash,
    vocabulary,
)

SHAPES = {  # method → the shapes of rows that it reads, the fullest first
    "sft": ("sft", "text"),
    "reward": ("reward", "preference"),
    "dpo": ("preference",),
    "kto": ("unpaired",),
    **dict.fromkeys(ROLLOUTS, ("prompts",)),
}
ADAPTATIONS = {  # PEFT's name of an adapter → the adaptations that go on with it
    "LORA": ("lora", "qlora"),
    "PROMPT_TUNING": ("prompt",),
    "PREFIX_TUNING": ("prefix",),
    "IA3": ("ia3",),
}
REWARD_TASK, REWARD_HEAD = "SEQ_CLS", "ForSequenceClassification"


def shape_for(method: str, version: DatasetVersion) -> str:
    """The shape in which a method reads a version. Raises Refused where the version cannot be given in any."""
    if version.kind == "retriever":
        raise Refused(
            f"{version} is for a retriever, and no method here trains one; take its files to the trainer of your "
            f"retriever, or freeze a version of another kind for {method}."
        )
    given, read = shapes_of(version.kind), SHAPES[method]
    for shape in read:
        if shape in given:
            return shape
    raise Refused(
        f"{version} holds rows of the kind {version.kind}, which can be given as {', '.join(given)}, "
        f"not as {' or '.join(read)}, which {method} reads; freeze a version of another kind."
    )


def check_start(start: Checkpoint, spec: TrainSpec, shape: str) -> None:
    """Raise Refused where the weights to start from are not whole, or not of the kind that the run needs."""
    try:
        _check(start, spec, shape)
    except WeightsDamaged as damage:
        raise Refused(f"{damage}.") from damage


def check_reward(
    reward: Checkpoint | None, start: Checkpoint, spec: TrainSpec, *, name: str = "reward"
) -> None:
    """Raise Refused where a method that learns from rewards has no reward model, or one that cannot read its answers.

    A reward adapter sits on the base that the policy starts from; a whole reward model has a tokenizer like its. `name`
    is what a refusal calls it.
    """
    if spec.method not in ROLLOUTS:
        if reward is not None:
            raise Refused(
                f"{name} was given as {reward}, and {spec.method} learns from no rewards; leave it out."
            )
        return
    if reward is None:
        raise Refused(
            f"{name} was not given, and {spec.method} learns from the scores of a reward model; choose a checkpoint "
            "that a reward run made."
        )
    if reward.line != Checkpoint.Line.REWARD:
        raise Refused(
            f"{name} was given as {reward}, which is no reward model; choose one that a reward run made."
        )
    check_files(reward)
    if reward.kind == Checkpoint.Kind.ADAPTER:
        sits_on = _sits_on(reward) or reward.base.location
        if _place(sits_on) != _place(_root(start)):
            raise Refused(
                f"The reward model {reward} sits on {sits_on}, and this run starts on {_root(start)}; train a reward "
                "model on that, or start from a checkpoint on the reward model's base."
            )
        return
    judge, policy = Path(_root(reward)), Path(_root(start))
    if _is_local(judge) and _is_local(policy) and vocabulary(judge) != vocabulary(policy):
        raise Refused(
            f"The reward model {reward} has another tokenizer than {start}, so it would read other texts than were "
            "written; choose a reward model that was trained from the same base."
        )


def check_files(start: Checkpoint) -> None:
    """Raise Refused where the files that a run starts from are missing or damaged. A hub name has none here."""
    try:
        for folder in _folders(start):
            check_folder(folder)
    except WeightsDamaged as damage:
        raise Refused(f"{damage}.") from damage


def template_of(start: Checkpoint) -> str:
    """SHA-256 of the chat template that a run from here uses; empty where there is none, or it is on a hub."""
    root = Path(_root(start))
    template = chat_template(root) if _is_local(root) else None
    return template_hash(template) if template else ""


def _check(start: Checkpoint, spec: TrainSpec, shape: str) -> None:
    check_files(start)
    root = Path(_root(start))
    is_reward = start.run is not None and start.run.method == "reward"
    if _is_local(root):
        heads = read_config(root).get("architectures") or []
        is_reward |= any(str(head).endswith(REWARD_HEAD) for head in heads)
    if start.kind == Checkpoint.Kind.ADAPTER:
        config = read_json(Path(start.path) / ADAPTER)
        is_reward |= config.get("task_type") == REWARD_TASK
        _check_adapter(start, config, spec)
        if spec.method == "reward" and not is_reward:
            raise Refused(
                f"{start} is an adapter that generates text, and a reward model cannot go on with it; start from "
                "its base, or merge the adapter into a model first."
            )
    if is_reward and spec.method != "reward":
        raise Refused(
            f"{start} is a reward model, which gives numbers and no text, so {spec.method} cannot start from it; "
            "start from a language model."
        )
    if shape != "text" and _is_local(root) and not chat_template(root):
        raise Refused(
            f"The tokenizer of {root} has no chat template, and the rows are conversations; choose an "
            "instruction-tuned base model, put a chat_template.jinja into its folder, or train on plain text."
        )


def _check_adapter(start: Checkpoint, config: dict[str, Any], spec: TrainSpec) -> None:
    kind = str(config.get("peft_type"))
    goes_on = ADAPTATIONS.get(kind, ())
    if spec.adaptation not in goes_on:
        instead = f"choose {' or '.join(goes_on)}" if goes_on else "start from its base"
        raise Refused(
            f"{start} is an adapter of the type {kind} and adaptation is {spec.adaptation}; {instead}, or merge the "
            "adapter into a model first."
        )
    for sits_on in (str(config.get("base_model_name_or_path") or ""), _sits_on(start)):
        if sits_on and _place(sits_on) != _place(start.base.location):
            raise Refused(
                f"The adapter {start} sits on {sits_on}, and the base of this run is {start.base.location}; merge "
                "the adapter into a model first, or start from a checkpoint on that base."
            )


def _sits_on(start: Checkpoint) -> str:
    """The weights under an adapter, as far as its parents are known here."""
    below: Checkpoint | None = start
    while below is not None and below.kind == Checkpoint.Kind.ADAPTER:
        below = below.parent
    return "" if below is None else _root(below)


def _folders(start: Checkpoint) -> list[Path]:
    """The folders on this machine that a run from here reads."""
    places = [_root(start)] + ([start.path] if start.kind == Checkpoint.Kind.ADAPTER else [])
    return [Path(place) for place in places if _is_local(Path(place))]


def _root(start: Checkpoint) -> str:
    """The model with its tokenizer: full weights themselves, else the base."""
    return start.path if start.kind == Checkpoint.Kind.FULL else start.base.location


def _is_local(path: Path) -> bool:
    return path.is_absolute() or path.is_dir()


def _place(name: str) -> str:
    return str(Path(name).resolve()) if _is_local(Path(name)) else name
