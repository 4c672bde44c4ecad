"""What the page of a run tells of it: what it says, what was checked, what it began from and how that differs."""

from typing import Any

from labeling.models import DatasetVersion
from training.fields import counts, label, words
from training.models import RunEvent, TrainingRun
from training.series import Points

STEPS = 8  # steps of which samples are shown
PROMPTS = 12
LONGEST = 2000  # characters of a sampled completion
MOST = 50  # checks and warnings, each
MANY_LOOKS, DROP = 4, 0.1  # looks at held-out prompts, and the fall of a win rate, before it is said
FALL = 10.0  # nats by which the log-probability of chosen responses may fall before it is said
CHECKS = {
    "trainable_moved": "Every trainable tensor moved",
    "first_loss": "The first loss is what policy = reference gives",
    "policy_is_reference": "Before the first update the policy is the reference: KL 0, ratio 1",
    "reload": "The weights read back from disk score the same",
}


def samples(run: TrainingRun) -> list[dict[str, Any]]:
    """What the run wrote to each prompt, at its first and its latest step and up to six between.

    Each is {prompt, said: [{step, text, more}]} with the latest last; `more` counts the characters left out.
    """
    rows = RunEvent.objects.filter(run=run, type="sample").order_by("step", "seq")
    steps = list(rows.values_list("pk", "step"))
    keep = (
        {round(n * (len(steps) - 1) / (STEPS - 1)) for n in range(STEPS)}
        if len(steps) > STEPS
        else range(len(steps))
    )
    blocks: dict[str, list[dict[str, Any]]] = {}
    for step, values in rows.filter(pk__in=[steps[n][0] for n in keep]).values_list("step", "values"):
        for sample in values.get("samples", ()):
            prompt, text = plain(sample.get("prompt", "")), plain(sample.get("completion", ""))
            said = {"step": step, "text": text[:LONGEST], "more": max(0, len(text) - LONGEST)}
            if prompt in blocks or len(blocks) < PROMPTS:
                blocks.setdefault(prompt, []).append(said)
    return [{"prompt": prompt, "said": said} for prompt, said in blocks.items()]


def rollouts(run: TrainingRun) -> list[dict[str, Any]]:
    """Answers that were sampled in training, with their scores: up to eight updates, the latest first.

    Each is {step, answers: [{prompt, text, more, reward, kl}]}, the best scores first.
    """
    rows = RunEvent.objects.filter(run=run, type="rollout").order_by("-step", "-seq")
    shown: dict[int, list[dict[str, Any]]] = {}
    for step, values in rows.values_list("step", "values")[: 4 * STEPS]:
        if step in shown or len(shown) == STEPS:
            continue
        shown[step] = [
            {
                "prompt": plain(answer.get("prompt", ""))[-LONGEST:],
                "text": plain(answer.get("completion", ""))[:LONGEST],
                "more": max(0, len(plain(answer.get("completion", ""))) - LONGEST),
                "reward": answer.get("reward"),
                "kl": answer.get("kl"),
            }
            for answer in values.get("samples", ())[:PROMPTS]
        ]
    return [{"step": step, "answers": answers} for step, answers in shown.items()]


def plain(value: Any) -> str:
    """A text, or the contents of messages one below the other."""
    if isinstance(value, list):
        return "\n\n".join(
            str(turn.get("content", "")) if isinstance(turn, dict) else str(turn) for turn in value
        )
    return str(value)


def checks(run: TrainingRun) -> tuple[list[dict[str, Any]], list[str]]:
    """What the run checked of itself, the newest of each name, and what it warned of, each sentence once."""
    rows = RunEvent.objects.filter(run=run, type__in=("check", "warning")).order_by("-seq")[: 4 * MOST]
    checked: dict[str, dict[str, Any]] = {}
    warned: dict[str, None] = {}
    for event in rows:
        values = dict(event.values)
        if event.type == "warning":
            warned.setdefault(str(values.get("message", "")))
            continue
        name, ok = str(values.pop("name", "check")), bool(values.pop("ok", False))
        facts = ", ".join(f"{label(key).lower()} {words(value)}" for key, value in values.items())
        checked.setdefault(
            name, {"words": CHECKS.get(name, label(name)), "ok": ok, "facts": facts, "step": event.step}
        )
    return list(checked.values())[:MOST][::-1], [sentence for sentence in warned if sentence][:MOST][::-1]


def falling(points: Points) -> str:
    """A sentence where chosen responses became less likely while their margin was trained; else empty."""
    chosen = points.get("log", "logps/chosen")
    if chosen is None or chosen.n < 4:
        return ""
    first, last = chosen.ends()
    if first - last <= FALL:
        return ""
    return (
        f"The log-probability of chosen responses fell from {first:.1f} to {last:.1f} nats a response, by more than "
        f"{FALL:g}: the margin grows because rejected ones fall faster. A higher beta, a lower learning rate or "
        "fewer epochs hold it."
    )


def gamed(points: Points) -> str:
    """A sentence where the second reward model's win rate fell while the first one's rose; else empty."""
    proxy, gold = points.get("eval", "win_rate"), points.get("eval", "gold_win_rate")
    if proxy is None or gold is None or gold.n < MANY_LOOKS:
        return ""
    best = max(group.high for group in gold)
    last, (first, now) = gold.ends()[1], proxy.ends()
    if best - last <= DROP or now <= first:
        return ""
    return (
        f"The second reward model's win rate fell from {best:.0%} to {last:.0%} while that of the first rose to "
        f"{now:.0%}: the policy is learning what is wrong with the reward model. Take an earlier end (fewer epochs), "
        "a higher kl_coefficient, or a reward model trained on more judgments."
    )


def facts(value: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested facts as pairs of words."""
    found: list[tuple[str, str]] = []
    for name, each in value.items():
        title = f"{prefix} {label(name).lower()}" if prefix else label(name)
        if isinstance(each, dict):
            found += facts(each, title)
        elif each not in (None, "", []):
            found.append((title, ", ".join(map(str, each)) if isinstance(each, list) else words(each)))
    return found


def told(run: TrainingRun) -> dict[str, Any]:
    """All that a run was told: method, data, start and every setting, by name."""
    return {
        "method": run.method,
        "dataset_version": _version(run.dataset_version),
        "start_from": run.start.name,
        **({"reward_model": run.reward.name} if run.reward is not None else {}),
        **({"second_reward_model": run.gold.name} if run.gold is not None else {}),
        **{name: value for name, value in settings(run).items() if name != "method"},
    }


def settings(run: TrainingRun) -> dict[str, Any]:
    """The settings of a run, without those that another one of them makes useless."""
    return {name: value for name, value in run.spec.items() if counts(name, run.spec)}


def _version(version: DatasetVersion) -> str:
    return f"version {version.number}"


def differing(runs: list[TrainingRun]) -> list[tuple[str, list[str]]]:
    """What these runs were told differently: (setting, its value in each run); "not set" where a method lacks it."""
    each = [told(run) for run in runs]
    names = list(dict.fromkeys(name for values in each for name in values))
    rows = [
        (name, [words(values[name]) if name in values else "not set" for values in each]) for name in names
    ]
    return [(label(name), values) for name, values in rows if len(set(values)) > 1]
