"""Carry an evaluation run to its end: generate, ask what the scorers ask, mark, compute the numbers.

Every stage does only what is missing, so that repeating it is harmless: a killed worker's run is taken up by the next
one, and nothing that was answered is asked again. All answers come before any judge is started, which frees the memory
of one for the other.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import transaction

from evaluation.asking import Desk
from evaluation.carrying import desk_of, interruptible, part_of
from evaluation.engines.protocol import Request
from evaluation.marking import mark_all, questions_of
from evaluation.models import Case, CaseResult, EvalRun, RunTarget, Score
from evaluation.plans import Plan
from evaluation.questions import Asked, sampling_of
from evaluation.scorers.base import Ask, Facts
from evaluation.scoring import compute_scores, run_facts
from evaluation.targets import Group
from labeling.errors import Refused
from labeling.lifecycle import Status

CHUNK = 200
GENERATING, JUDGING, MARKING = "generating", "judging", "marking"
SHARES = {GENERATING: (0.0, 0.8), JUDGING: (0.8, 0.95), MARKING: (0.95, 1.0)}
Owed = tuple[int, int, int]  # case, target, sample


def drive(run: EvalRun) -> None:
    """Claim the run, have every target answer every case, score the answers, and end it."""
    if run.claim():
        run.carry(lambda: interruptible(run, lambda: _evaluate(run)))


def _evaluate(run: EvalRun) -> None:
    plan = Plan(run)
    plan.freeze_profiles()
    work = _Work(run, plan)
    work.carry()
    conclude(run, plan, work.warnings())


def conclude(run: EvalRun, plan: Plan, warnings: Sequence[str]) -> None:
    """Compute the numbers of a run whose rows are complete, and end it."""
    owed = len(plan.rows) * plan.samples * Case.objects.of_run(run).count()
    have = CaseResult.objects.filter(run=run).count()
    if have != owed:
        raise Refused(f"{owed - have} of {owed} results are missing; start the evaluation again.")
    scores, facts = compute_scores(plan, run.heartbeat), run_facts(plan, run.heartbeat)
    facts["warnings"] = list(warnings)
    with transaction.atomic():
        if run.finish(Status.SUCCEEDED, progress=1.0, stage="", facts=facts):
            Score.objects.filter(run=run).delete()
            Score.objects.bulk_create(scores, batch_size=500)


@dataclass
class _Work:
    """The stages of one run, in this process."""

    run: EvalRun
    plan: Plan
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        self.desk = desk_of(self.run, self.plan.spec.limits)

    def carry(self) -> None:
        for number, group in enumerate(self.plan.groups):
            self._enter(GENERATING, number, len(self.plan.groups))
            self._generate(group, f"answers-{number}")
        for number, (source, group) in enumerate(self.plan.helpers.items()):
            self._enter(JUDGING, number, len(self.plan.helpers))
            self._judge(source, group)
        watch = self._enter(MARKING, 0, 1)
        mark_all(self.plan, self.desk.errors, watch)

    def warnings(self) -> list[str]:
        """What engines warned of."""
        names = {str(row.index): row.name for row in self.plan.rows}
        names |= {source: facts.get("words", source) for source, facts in self.plan.spec.judges.items()}
        return self.desk.warnings(names)

    def _enter(self, stage: str, number: int, count: int) -> Any:
        """Begin part `number` of `count` of a stage, and give what tells the run how far that part is."""
        low, high = SHARES[stage]
        begins, step = low + (high - low) * number / count, (high - low) / count
        self.run.heartbeat(begins, stage=stage)
        self.desk.watch = part_of(self.run, begins, begins + step)
        return self.desk.watch

    def _generate(self, group: Group, place: str) -> None:
        """One group's answers to every case, with the likelihoods that its scorers want, in one go."""
        asked = [self.plan.asked[target.id] for target in group.targets]
        rows = {str(row.index): row for row in self.plan.rows}
        if not self.plan.generates:
            self._store((case.id, rows[one.id].pk, 0, {}) for case in self._cases() for one in asked)
        owed = self._owed(asked, rows)

        def requests() -> Iterator[Request]:
            for case in self._cases():
                for one in asked:
                    yield from self._completions(case, one)
                    yield from (one.request(ask) for ask in self.plan.of_target(case))

        def settle(found: Mapping[str, dict[str, Any]]) -> None:
            self._store((*place, values) for key, values in found.items() for place in owed.pop(key, ()))

        self.desk.put(
            group,
            requests,
            place=place,
            stored=lambda keys, new: settle(
                {key: {"output_id": number, "reused": not new} for key, number in keys.items()}
            ),
            failed=lambda errors: settle({key: {"error": words[:500]} for key, words in errors.items()}),
            refusal=_put_away([rows[one.id] for one in asked]),
        )

    def _judge(self, source: str, group: Group) -> None:
        asked = self.plan.asked[source]
        self.desk.limits = replace(self.desk.limits, max_length=self.plan.longest(source))

        def requests() -> Iterator[Request]:
            return (asked.request(ask) for ask in questions_of(self.plan, source))

        self.desk.put(group, requests, place=source.replace(":", "-"))

    def _completions(self, case: Facts, asked: Asked) -> Iterator[Request]:
        """The requests for a target's answers to a case, in the order of the samples."""
        if self.plan.generates:
            ask = Ask(id="", of="target", kind="complete", messages=case.messages)
            for sample in range(self.plan.samples):
                yield asked.request(ask, sampling_of(self.plan.spec.sampling, sample))

    def _owed(self, asked: list[Asked], rows: dict[str, RunTarget]) -> dict[str, list[Owed]]:
        """The results that are still to be stored, by the key of what they wait for."""
        done = set(
            CaseResult.objects.filter(run=self.run).order_by().values_list("case_id", "target_id", "sample")
        )
        owed: dict[str, list[Owed]] = defaultdict(list)
        for case in self._cases():
            for one in asked:
                for sample, request in enumerate(self._completions(case, one)):
                    place = (case.id, rows[one.id].pk, sample)
                    if place not in done:
                        owed[request.id].append(place)
        return owed

    def _store(self, found: Any) -> None:
        CaseResult.objects.bulk_create(
            (
                CaseResult(run=self.run, case_id=case, target_id=target, sample=sample, **values)
                for case, target, sample, values in found
            ),
            batch_size=500,
            ignore_conflicts=True,
        )

    def _cases(self) -> Iterator[Facts]:
        rows = Case.objects.of_run(self.run)
        for case in rows.iterator(chunk_size=CHUNK):
            yield self.plan.facts(case)


def _put_away(rows: Sequence[RunTarget]) -> str:
    """Why nothing can be asked of these targets; empty where it can."""
    away = next((row.endpoint for row in rows if row.endpoint and row.endpoint.archived_at), None)
    if away is None:
        return ""
    return f"The endpoint {away} was put away, and some of its answers are missing; bring it back, then go on here."
