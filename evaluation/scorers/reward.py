"""What a reward model thinks of an answer, alone and beside the baseline's."""

from typing import Any

from evaluation.scorers.base import Ask, Facts, Given, Mark, Need, NoValue, Scale, Scorer, failed


class Reward(Scorer):
    """The reward model's score of the answer, on its own scale without bounds; compare answers to one prompt."""

    key = "reward"
    label = "Reward"
    about = "The score that a reward model gives the answer; higher is better."
    scale = Scale.NUMBER
    needs = frozenset({Need.ANSWER, Need.REWARD})

    def asks(self, case: Facts, given: Given, params: Any) -> list[Ask]:
        return [_reward("answer", case, given.text or "")]

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        return Mark(_told(given, "answer"))


class RewardWin(Scorer):
    """1 where the reward model scores the answer above the baseline's answer to the same case, one half where equal."""

    key = "reward_win"
    label = "Reward win rate"
    about = "The share of answers that a reward model scores above the baseline's; equal scores are one half."
    needs = frozenset({Need.ANSWER, Need.REWARD, Need.BASELINE})

    def asks(self, case: Facts, given: Given, params: Any) -> list[Ask]:
        if given.text == given.baseline:
            return []
        return [_reward("answer", case, given.text or ""), _reward("baseline", case, given.baseline or "")]

    def mark(self, case: Facts, given: Given, params: Any) -> Mark:
        if given.text == given.baseline:
            return Mark(0.5, detail={"equal": True})
        mine, other = _told(given, "answer"), _told(given, "baseline")
        value = 0.5 if mine == other else float(mine > other)
        return Mark(value, detail={"answer": mine, "baseline": other})


def _reward(name: str, case: Facts, text: str) -> Ask:
    return Ask(id=name, of="reward", kind="reward", messages=case.messages, completion=text)


def _told(given: Given, name: str) -> float:
    answer = given.told.get(name)
    if answer is None:
        raise NoValue(failed(f"the reward model was not asked about the {name}"))
    if answer.error:
        raise NoValue(failed(f"the reward model gave nothing for the {name}: {answer.error}"))
    if answer.reward is None or not abs(answer.reward) < float("inf"):
        raise NoValue(failed(f"the reward model scored the {name} as {answer.reward}"))
    return answer.reward
