"""Policy, value, reward and reference: four roles on one base, told apart by the adapter that is switched on.

With LoRA all four are one set of frozen weights (in 4 bits with QLoRA) and small matrices: `policy` and `value` learn,
`reward` is the adapter of a reward model, and the reference is the base with every adapter off, or a frozen copy
`reference` of the adapter that the policy starts from. In full training each role has a model of its own. Everything
else in this folder asks for a role and does not know which of the two it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import load_peft_weights
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from training.recipes import adapting, contract, segments
from training.recipes.rl import lowrank
from training.specs import PpoSpec, RewardSpec, RolloutSpec, SpecRefused
from training.weights import read_config

LEARNING = ("policy", "value")  # adapters that are trained
HEAD = "score.weight"  # of a reward model; PEFT saves it behind a prefix


@dataclass
class Role:
    """A model to ask, the adapter to switch on (None: all off), and a head on its hidden states [1, hidden], if any."""

    net: PreTrainedModel | PeftModel
    adapter: str | None = None
    head: Tensor | None = None
    learns: bool = False
    recomputes: bool = False  # its activations, in the backward pass
    packs: bool = False  # the real tokens of a batch into one row, so that padding costs nothing

    @property
    def causal(self) -> PreTrainedModel:
        """The model below its adapters."""
        return self.net.get_base_model() if isinstance(self.net, PeftModel) else self.net

    @cached_property
    def layers(self) -> list[BaseTunerLayer]:
        """The layers that carry adapters; first asked for when all of them are there."""
        return [layer for layer in self.net.modules() if isinstance(layer, BaseTunerLayer)]

    def switch_on(self) -> None:
        """Make the model this role.

        PEFT's own `set_adapter` also walks all parameters to freeze those of the other adapters, which on a small model
        takes longer than the forward pass, and would keep policy and value from learning in one backward pass.
        """
        if self.causal.training:
            self.causal.eval()
        for layer in self.layers:
            layer._disable_adapters = self.adapter is None
            if self.adapter is not None:
                layer._active_adapter = [self.adapter]

    def hidden(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the last hidden states [B, L, hidden] of tokens [B, L], padded on either side; `mask` tells which.

        Positions are counted from the first real token: what the padding holds, and how long it is, changes nothing.
        """
        self.switch_on()
        if self.recomputes and torch.is_grad_enabled():
            self.causal.train()  # or transformers would keep the activations
        decoder = getattr(self.causal, self.causal.base_model_prefix)
        with torch.autocast(ids.device.type, dtype=torch.bfloat16, enabled=ids.device.type == "cuda"):
            if not self.packs:
                places = (mask.long().cumsum(1) - 1).clamp(min=0)
                out = decoder(input_ids=ids, attention_mask=mask.long(), position_ids=places, use_cache=False)
                states: Tensor = out.last_hidden_state
                return states
            places, told = segments.bounds(mask.sum(1).tolist(), ids.device)
            real = decoder(input_ids=ids[mask][None], position_ids=places, use_cache=False, **told)
        states = real.last_hidden_state
        return states.new_zeros(*ids.shape, states.shape[-1]).index_put((mask,), states[0])

    def scores(self, hidden: Tensor) -> Tensor:
        """Return the head's number for each hidden state, float32."""
        assert self.head is not None
        return (hidden.float() @ self.head.float().t()).squeeze(-1)


@dataclass
class Roles:
    """All roles of a run. `value` is None where nothing learns values; it may be a head on the policy's own net."""

    policy: Role
    reference: Role
    reward: Role
    value: Role | None = None
    gold: Role | None = None  # a second reward model, which only watches
    shared_states: bool = False  # values are read from the policy's own hidden states

    @property
    def trainable(self) -> dict[str, list[nn.Parameter]]:
        """What learns, by role; a checkpoint holds exactly this."""
        found = {"policy": _learning(self.policy)}
        if self.value is not None:
            assert isinstance(self.value.head, nn.Parameter)
            own = [] if self.shared_states else _learning(self.value)
            found["value"] = [*own, self.value.head]
        return found


def build(
    model: PreTrainedModel,
    origin: adapting.Origin,
    spec: RolloutSpec,
    run: contract.Run,
    *,
    reward: str,
    gold: str | None,
) -> Roles:
    """Put the roles on the base `model`; `reward` and `gold` are directories of reward models.

    Raises `RecipeFailed` or `SpecRefused` with what does not belong together.
    """
    policy, reference = (_separate if spec.adaptation == "full" else _shared)(model, origin, spec, run)
    roles = Roles(policy, reference, _judge(policy, origin, spec, reward, "reward"))
    if gold is not None:
        roles.gold = _judge(policy, origin, spec, gold, "gold")
    if isinstance(spec, PpoSpec):
        roles.value = _value_role(roles, origin, spec, reward)
    _make_fast(
        [role for role in (policy, reference, roles.reward, roles.gold, roles.value) if role is not None]
    )
    if spec.adaptation != "full":
        let_learn(policy.net)
    return roles


def _make_fast(roles: list[Role]) -> None:
    """Make every model of the roles ready: no dropout, rows packed where that can be, LoRA in one pass."""
    packs: dict[int, bool] = {}
    for role in roles:
        if id(role.net) not in packs:
            without_dropout(role.net)
            lowrank.in_one_pass(role.net)
            packs[id(role.net)] = segments.use_segments(role.causal)
        role.packs = packs[id(role.net)]


def let_learn(net: nn.Module) -> None:
    """Let policy and value adapters learn, in float32, and nothing else."""
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(any(f".{adapter}." in name for adapter in LEARNING))
    adapting.in_float32(net)


def _shared(
    model: PreTrainedModel, origin: adapting.Origin, spec: RolloutSpec, run: contract.Run
) -> tuple[Role, Role]:
    """Policy and reference on one base."""
    if origin.adapter is not None:
        net = adapting.going_on(model, origin, spec, run, "policy")
        net.load_adapter(origin.adapter, adapter_name="reference", is_trainable=False)
        return Role(net, "policy", learns=True), Role(net, "reference")
    config = adapting.adapter_config(spec, origin.root)
    assert config is not None
    net = get_peft_model(model, config, adapter_name="policy")
    return Role(net, "policy", learns=True), Role(net)


def _separate(
    model: PreTrainedModel, origin: adapting.Origin, spec: RolloutSpec, run: contract.Run
) -> tuple[Role, Role]:
    """Policy and reference as models of their own."""
    frozen = adapting.load_model(origin.root, spec, origin.revision).to(model.device)
    frozen.requires_grad_(False)
    return Role(model, learns=True), Role(frozen)


def _judge(policy: Role, origin: adapting.Origin, spec: RolloutSpec, folder: str, name: str) -> Role:
    """A reward model: LoRA is an adapter beside the policy's; whole weights and IA3 are a model of their own."""
    config = _reward_config(folder, origin)
    if config is not None and config.get("peft_type") == "LORA" and isinstance(policy.net, PeftModel):
        return Role(policy.net, name, _add_reward(policy.net, folder, name))
    net = _load_reward(folder, origin, config).to(policy.net.device)
    net.requires_grad_(False)
    base = net.get_base_model() if isinstance(net, PeftModel) else net
    wanted = policy.causal.config.vocab_size
    if base.config.vocab_size != wanted:
        raise contract.RecipeFailed(
            f"the reward model {folder} has a vocabulary of {base.config.vocab_size} tokens and the policy one of "
            f"{wanted}; choose a reward model with the same tokenizer"
        )
    adapter = "default" if isinstance(net, PeftModel) else None
    head = base.get_submodule("score" if adapter is None else f"score.modules_to_save.{adapter}")
    return Role(net, adapter, head.weight.detach())


def _add_reward(net: PeftModel, folder: str, name: str) -> Tensor:
    """Load a reward model's adapter beside the others; returns its head [1, hidden]."""
    weights = load_peft_weights(folder, device="cpu")
    (key,) = [key for key in weights if key.endswith(HEAD)] or [""]
    if not key:
        raise contract.RecipeFailed(
            f"the reward model {folder} has no head among its weights; train it again"
        )
    head = weights.pop(key)
    kept = LoraConfig.from_pretrained(folder)
    kept.task_type, kept.modules_to_save, kept.inference_mode = "CAUSAL_LM", None, True
    net.add_adapter(name, kept)
    found = set_peft_model_state_dict(net, weights, adapter_name=name)
    if found.unexpected_keys:
        raise contract.RecipeFailed(
            f"the reward model {folder} has weights that this base does not ({found.unexpected_keys[0]}); "
            "choose a reward model that was trained on this base"
        )
    return head.to(net.device)


def _load_reward(
    reward: str, origin: adapting.Origin, config: dict[str, Any] | None
) -> PreTrainedModel | PeftModel:
    as_reward = RewardSpec(adaptation="full" if config is None else "lora")
    place, revision = (reward, None) if config is None else (origin.root, origin.revision)
    base = adapting.load_model(place, as_reward, revision)
    return base if config is None else PeftModel.from_pretrained(base, reward)


def _value_role(roles: Roles, origin: adapting.Origin, spec: PpoSpec, reward: str) -> Role:
    """The values: a head on the policy's states, an adapter of their own, or in full training a model of their own."""
    net, device = roles.policy.net, roles.policy.net.device
    assert roles.reward.head is not None
    begins = spec.value_start == "reward"
    if spec.value == "head":
        roles.shared_states = True
        return Role(net, roles.policy.adapter, _new_head(roles, device, begins=False), learns=True)
    if spec.adaptation == "full":
        if begins and roles.reward.adapter is None:
            own: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
                reward, num_labels=1, dtype=torch.float32
            )
        else:
            begins = False
            own = adapting.load_model(origin.root, spec, origin.revision)
        own.to(device).requires_grad_(False)
        getattr(own, own.base_model_prefix).requires_grad_(True)
        return Role(own, None, _new_head(roles, device, begins=begins), learns=True)
    assert isinstance(net, PeftModel)
    if begins and roles.reward.net is net:
        _add_reward(net, reward, "value")
    else:
        begins = False
        fresh = adapting.adapter_config(spec, origin.root)
        assert fresh is not None
        net.add_adapter("value", fresh)
    return Role(net, "value", _new_head(roles, device, begins=begins), learns=True)


def _new_head(roles: Roles, device: torch.device, *, begins: bool) -> nn.Parameter:
    """A head that learns: the reward's, or small random numbers (deviation 1 / sqrt(hidden + 1), N+ details)."""
    assert roles.reward.head is not None
    weight = roles.reward.head.detach().float().clone().to(device)
    if not begins:
        width = roles.policy.causal.config.hidden_size
        weight = torch.randn(1, width, device=device) / (width + 1) ** 0.5
    return nn.Parameter(weight)


def _learning(role: Role) -> list[nn.Parameter]:
    """The parameters of a role that learn."""
    wanted = f".{role.adapter}." if role.adapter is not None else ""
    return [p for name, p in role.net.named_parameters() if p.requires_grad and wanted in f"{name}."]


def without_dropout(net: nn.Module) -> None:
    """A sampled answer must have the same probability when it is learned from (N+ details, 3.2).

    In training mode too, without which transformers recomputes no activations.
    """
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.0
    net.eval()


def _reward_config(reward: str, origin: adapting.Origin) -> dict[str, Any] | None:
    """The adapter config of a reward model; None for full weights. Raises `SpecRefused` where it is of another base."""
    refusal = SpecRefused(
        f"{reward} is not a reward model; choose a checkpoint that the reward method trained"
    )
    path = Path(reward) / adapting.ADAPTER
    if not path.exists():
        kinds = read_config(Path(reward)).get("architectures") or []
        if not any(str(kind).endswith("ForSequenceClassification") for kind in kinds):
            raise refusal
        return None
    config: dict[str, Any] = json.loads(path.read_text())
    if config.get("task_type") != "SEQ_CLS":
        raise refusal
    on = config.get("base_model_name_or_path")
    if on and not adapting.same_place(on, origin.root):
        raise SpecRefused(
            f"the reward model {reward} is an adapter of {on} and the policy's base is {origin.root}; "
            "train a reward model on this base"
        )
    return config
