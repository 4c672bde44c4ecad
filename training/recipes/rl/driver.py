"""What PPO, RLOO and best-of-n have in common: sample, score, learn, report, keep, resume, end.

A method gives one function, which learns from a rollout; the rest is here.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from transformers import get_scheduler, set_seed

from training.recipes import adapting, contract, preflight, retention, tuning
from training.recipes import keeping as final_weights
from training.recipes.reporting import fingerprints, held_bytes
from training.recipes.rl import gold, keeping, rollouts
from training.recipes.rl.objectives import KlCoefficient, RunningMoments
from training.recipes.rl.probabilities import check_head
from training.recipes.rl.roles import Roles, build
from training.recipes.rl.rollouts import Answers
from training.recipes.rl.watch import Watch
from training.specs import PpoSpec, RolloutSpec, SpecRefused

SHOWN = 20  # times in a run that sampled answers are shown
ADAM_EPSILON = 1e-5  # N+ details, 4.1: with the usual 1e-8 early steps are far too large
FIRST_RATIO = 1e-2  # how far from 1 the first probability ratio may be: rounding alone

CALIBRATION_UPDATES = 2  # the first of which warms up
Learn = Callable[["Session", Answers], dict[str, float]]


@dataclass
class Session:
    """A run at work."""

    plan: tuning.Plan
    spec: RolloutSpec
    roles: Roles
    sampler: rollouts.Sampler
    optimizer: torch.optim.Optimizer
    schedule: Any
    coefficient: KlCoefficient
    tail: list[int]
    moments: RunningMoments = field(default_factory=RunningMoments)
    watch: Watch = field(default_factory=Watch)
    board: Any = None  # TensorBoard's writer
    held: dict[str, float] = field(default_factory=dict)  # what the held-out prompts showed last
    step: int = 0
    total: int = 0

    @property
    def prompts(self) -> list[list[int]]:
        """The tokens of each prompt."""
        return [row["query"]["ids"] for row in self.plan.train.rows]

    def minibatches(self, count: int) -> Iterator[list[Tensor]]:
        """Shuffle `count` answers and yield minibatches, each a list of the passes that make it up."""
        order = torch.randperm(count).to(self.roles.policy.causal.device)
        for places in order.split(self.spec.minibatch):
            yield list(places.split(self.spec.batch_size))

    def apply(self) -> float:
        """Take a step of the optimizer; returns the norm of the gradients before they were clipped."""
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, self.spec.max_grad_norm)
        if not math.isfinite(norm.item()):
            raise contract.RecipeFailed(
                f"the gradients are not numbers at update {self.step}; lower learning_rate and start a new run"
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norm.item()


def carry_out(run: contract.Run, learn: Learn) -> None:
    """Carry out one run of a method. Raises `Stopped` after SIGTERM, with a checkpoint on disk."""
    plan = tuning.prepare(run)
    run.stop_if_asked()
    with tuning.smaller_after_memory(plan):
        session = begin(plan)
        try:
            go_on(session, learn)
        finally:
            session.sampler.close()
    end(session)


def begin(plan: tuning.Plan) -> Session:
    """Build everything that an update needs, and take it up where a checkpoint left it."""
    spec, job = plan.spec, plan.job
    assert isinstance(spec, RolloutSpec)
    if job.reward is None:
        raise SpecRefused(f"{spec.method} needs a reward model; give the directory of one as reward")
    if torch.cuda.is_available() and plan.bare.device.type != "cuda":
        plan.bare.to("cuda")
    roles = build(plan.bare, plan.origin, spec, plan.run, reward=job.reward, gold=job.gold)
    set_seed(spec.seed)  # a second reward model, which only watches, must not change what is sampled
    plan.model = roles.policy.net
    recompute(plan, roles)
    groups = [
        {
            "params": values,
            "lr": spec.learning_rate
            * (spec.value_rate if isinstance(spec, PpoSpec) and name == "value" else 1),
        }
        for name, values in roles.trainable.items()
    ]
    optimizer = torch.optim.AdamW(
        groups, lr=spec.learning_rate, eps=ADAM_EPSILON, weight_decay=spec.weight_decay
    )
    prompts = len(plan.train.rows)
    total = max(1, math.ceil(spec.epochs * prompts * spec.samples / spec.rollout_size))
    target = spec.kl_target or None if isinstance(spec, PpoSpec) else None
    horizon = spec.kl_horizon if isinstance(spec, PpoSpec) else 1
    session = Session(
        plan,
        spec,
        roles,
        sampler_of(plan, spec, roles),
        optimizer,
        schedule_of(spec, optimizer, total),
        KlCoefficient(spec.kl_coefficient, target, horizon),
        rollouts.template_tail(plan.encoder),
        total=total,
    )
    restore(session)
    session.board = SummaryWriter(str(plan.run.path / "tensorboard"), purge_step=session.step + 1)
    return session


def sampler_of(plan: tuning.Plan, spec: RolloutSpec, roles: Roles) -> rollouts.Sampler:
    """Who answers the prompts of this run."""
    if spec.sampler == "vllm":
        from training.recipes.rl.serving import VllmSampler

        return VllmSampler(plan.run, roles.policy, spec, plan.encoder.ends, plan.origin)
    return rollouts.LocalSampler(roles.policy, spec, plan.encoder.ends, plan.tokenizer.pad_token_id or 0)


def schedule_of(spec: RolloutSpec, optimizer: torch.optim.Optimizer, total: int) -> Any:
    """Return the learning rate's schedule, one step ahead: the first update is not spent at rate 0, nor the last."""
    schedule = get_scheduler(spec.scheduler, optimizer, math.floor(spec.warmup * total), total + 1)
    if spec.warmup * total >= 1:
        schedule.step()
    return schedule


def recompute(plan: tuning.Plan, roles: Roles) -> None:
    """Recompute activations in the backward pass where the spec or the memory asks for it; nothing has dropout."""
    learning = [role for role in (roles.policy, roles.value) if role is not None]
    if not tuning.recomputes(plan, cuda=torch.cuda.is_available()):
        return
    for role in learning:
        role.causal.gradient_checkpointing_enable({"use_reentrant": False})
        role.recomputes = True


def restore(session: Session) -> None:
    """Take up the newest checkpoint, if there is one."""
    folder = session.plan.resume
    if folder is None:
        return
    parts = keeping.load(folder, session.roles.trainable)
    session.optimizer.load_state_dict(parts["optimizer"])
    session.schedule.load_state_dict(parts["schedule"])
    session.coefficient.value = parts["kl_coefficient"]
    session.moments, session.watch = RunningMoments(**parts["moments"]), Watch(**parts["watch"])
    session.held, session.step = parts["held"], parts["step"]


def go_on(session: Session, learn: Learn) -> None:
    """Update the policy until the prompts are used up."""
    plan, run, roles = session.plan, session.plan.run, session.roles
    total, _ = adapting.sizes(plan.model)
    trainable = sum(p.numel() for values in roles.trainable.values() for p in values)
    preflight.check(plan, plan.model)
    run.event(
        "resume" if session.step else "start",
        session.step,
        parameters=total,
        trainable=trainable,
        **tuning.counts(plan),
        device=str(roles.policy.causal.device),
    )
    run.event("begin", session.step, total_steps=session.total)
    if not session.step:
        first = rollouts.left_padded(session.prompts[:1], 0, roles.policy.causal.device)
        check_head(roles.policy, *first)
        roles.policy.switch_on()
        final_weights.show_samples(plan, plan.model, 0)
        retention.look_before(plan, plan.model)
    plan.meter.forget_peak()
    held = gold.begin(session)
    while session.step < session.total:
        update(session, learn)
        last = session.step == session.total
        if held is not None and (last or session.step % session.spec.held_steps == 0):
            session.held = gold.check(session, held)
            run.event("eval", session.step, **session.held)
        if run.stopping or session.step % session.spec.save_steps == 0:
            checkpoint(session)
        if run.stopping and session.step < session.total:
            raise contract.Stopped


def update(session: Session, learn: Learn) -> None:
    """Sample, score and learn once."""
    began, spec, run = time.monotonic(), session.spec, session.plan.run
    prompts = [prompt for prompt in next_prompts(session) for _ in range(spec.samples)]
    sampled = rollouts.together(
        prompts,
        session.sampler.answer(prompts),
        session.plan.encoder.ends,
        session.plan.tokenizer.pad_token_id or 0,
        session.roles.policy.causal.device,
    )
    rolled = time.monotonic()
    answers = rollouts.looked_at(sampled, session.roles, spec, session.tail)
    rollouts.check_scores(answers, session.watch.spreads)
    session.step += 1
    facts = seen(answers)
    if (apart := session.sampler.check(answers)) is not None:
        facts["sampler_gap"] = apart
    before = fingerprints_of(session) if session.step == 1 else {}
    facts |= learn(session, answers)
    check_first(session, facts, before)
    facts |= {
        "kl_coefficient": session.coefficient.value,
        "learning_rate": session.optimizer.param_groups[0]["lr"],
        "tokens_per_second": float(answers.real.sum()) / max(1e-9, time.monotonic() - began),
        "rollout_share": (rolled - began) / max(1e-9, time.monotonic() - began),
        "memory_bytes": float(held_bytes()),
    }
    session.coefficient.update(facts["kl"], len(answers))
    session.schedule.step()
    if session.step % max(1, session.total // SHOWN) == 0 or session.step == 1:
        show(session, answers)
    run.event("log", session.step, **facts)
    for name, value in facts.items():
        session.board.add_scalar(f"train/{name}", value, session.step)
    session.board.flush()
    spread = answers.scores.std().item() if answers.scores is not None and len(answers) > 1 else 1.0
    session.watch.look(spec, session.step, kl=facts["kl"], endless=facts["no_end"], spread=spread)


def calibrate(session: Session, learn: Learn) -> dict[str, Any]:
    """Do a few updates and return seconds of one, after the first, and how many a run has."""
    marks = [time.monotonic()]
    for _ in range(CALIBRATION_UPDATES):
        update(session, learn)
        session.plan.run.stop_if_asked()
        marks.append(time.monotonic())
    return {
        "seconds_per_update": (marks[-1] - marks[1]) / (len(marks) - 2),
        "updates": session.total,
        "steps": CALIBRATION_UPDATES,
    }


def next_prompts(session: Session) -> list[list[int]]:
    """Return the prompts of the next update: each once an epoch, in an order that seed and epoch alone decide."""
    every, count = session.prompts, session.spec.rollout_size // session.spec.samples
    orders: dict[int, list[int]] = {}
    found = []
    for place in range(session.step * count, (session.step + 1) * count):
        epoch, at = divmod(place, len(every))
        if epoch not in orders:
            orders[epoch] = list(range(len(every)))
            random.Random(f"{session.spec.seed}-{epoch}").shuffle(orders[epoch])
        found.append(every[orders[epoch][at]])
    return found


def seen(answers: Answers) -> dict[str, float]:
    """What a rollout shows: means over its answers, KL in nats of a whole answer, entropy in nats of a token."""
    assert answers.scores is not None
    assert answers.kl is not None
    assert answers.entropy is not None
    tokens = answers.real.sum(1)
    return {
        "reward": answers.scores.mean().item(),
        "reward_std": answers.scores.std().item() if len(answers) > 1 else 0.0,
        "kl": answers.kl.sum(1).mean().item(),
        "entropy": (answers.entropy.sum() / tokens.sum()).item(),
        "length": tokens.float().mean().item(),
        "no_end": 1 - answers.ended.float().mean().item(),
    }


def shaped(session: Session, answers: Answers) -> Tensor:
    """Return the scores [B] that are learned from: scaled and clipped as the spec says, less the penalty for no end."""
    spec, scores = session.spec, answers.scores
    assert scores is not None
    if spec.normalize_rewards:
        session.moments.update(scores)
        scores = scores / session.moments.std
    if spec.reward_clip:
        scores = scores.clamp(-spec.reward_clip, spec.reward_clip)
    return scores - spec.no_end_penalty * (~answers.ended).to(scores.dtype)


def fingerprints_of(session: Session) -> dict[str, tuple[float, float]]:
    """(sum, norm) of every tensor that learns, by role and place."""
    named = nn.ParameterDict()
    for name, values in session.roles.trainable.items():
        for place, value in enumerate(values):
            named[f"{name}_{place}"] = value
    return fingerprints(named)


def check_first(session: Session, facts: dict[str, float], before: dict[str, tuple[float, float]]) -> None:
    """After the first update: KL was zero, the first ratio one, and something learned. Raises `RecipeFailed`."""
    if session.step != 1:
        return
    run = session.plan.run
    kl, ratio = facts["kl"], facts.pop("first_ratio", 1.0)
    ok = abs(kl) < FIRST_RATIO and abs(ratio - 1) < FIRST_RATIO
    run.event("check", 1, name="policy_is_reference", ok=ok, kl=kl, ratio=ratio)
    if not ok:
        raise contract.RecipeFailed(
            f"before the first update the KL is {kl:.4f} and must be 0, the ratio {ratio:.4f} and must be 1: policy "
            "and reference differ; check that start and base belong together"
        )
    after = fingerprints_of(session)
    moved = sum(after[name] != value for name, value in before.items())
    run.event("check", 1, name="trainable_moved", ok=bool(moved), moved=moved, total=len(before))
    if not moved:
        raise contract.RecipeFailed(
            "nothing changed in the first update; raise learning_rate or choose another adaptation"
        )


def show(session: Session, answers: Answers) -> None:
    """Report sampled answers with their scores: the best, the worst and the first others, so that hacking is seen."""
    assert answers.scores is not None
    assert answers.kl is not None
    order = answers.scores.argsort(descending=True).tolist()
    count = min(session.spec.sample_prompts, len(order))
    places = list(dict.fromkeys([*order[: (count + 1) // 2], *order[len(order) - count // 2 :]]))
    width = answers.real.shape[1]
    tokenizer = session.plan.tokenizer
    asked = {tuple(row["query"]["ids"]): row["prompt"][-1]["content"] for row in session.plan.train.rows}
    samples = [
        {
            "prompt": asked[tuple(answers.ids[place, :-width][answers.mask[place, :-width]].tolist())],
            "completion": tokenizer.decode(
                answers.ids[place, -width:][answers.real[place]], skip_special_tokens=True
            ).strip(),
            "reward": answers.scores[place].item(),
            "kl": answers.kl[place].sum().item(),
        }
        for place in places
    ]
    if samples:
        session.plan.run.event("rollout", session.step, samples=samples)


def checkpoint(session: Session) -> None:
    """Write what the next update depends on."""
    run, parts = session.plan.run, session
    folder = keeping.save(
        run.path,
        session.step,
        session.roles.trainable,
        {
            "optimizer": parts.optimizer.state_dict(),
            "schedule": parts.schedule.state_dict(),
            "kl_coefficient": parts.coefficient.value,
            "moments": parts.moments.state(),
            "watch": parts.watch.state(),
            "held": parts.held,
            "step": parts.step,
        },
    )
    keeping.forget(run.path, session.spec.keep_checkpoints)
    run.event("checkpoint", session.step, path=folder.name)


def end(session: Session) -> None:
    """Write final/, checked by reading it back, and result.json."""
    plan = session.plan
    total, _ = adapting.sizes(plan.model)
    trainable = sum(p.numel() for values in session.roles.trainable.values() for p in values)
    sizes = {"parameters": total, "trainable": trainable, "peak_bytes": plan.meter.peak_bytes()}
    plan.meter.stop()
    session.board.close()
    session.roles.policy.switch_on()
    if isinstance(plan.model, PeftModel):
        plan.model.set_adapter("policy")
    session.optimizer.zero_grad(set_to_none=True)
    told = {"win_rates": session.held} if session.held else {}
    tuning.finish(plan, plan.model, session.step, losses(plan), sizes, lambda _: told)


def losses(plan: tuning.Plan) -> list[float]:
    """The losses of all updates, those before a resume too."""
    logs = [event for event in contract.read_lines(plan.run.path / "events.jsonl") if event["type"] == "log"]
    return [event["values"]["loss"] for event in logs if event["values"].get("loss") is not None]
