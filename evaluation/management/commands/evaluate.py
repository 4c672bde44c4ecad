"""manage.py evaluate --suite S [--checkpoint C …] [--endpoint P …] --engine E [--wait]"""

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from evaluation.endpoints import find_endpoint
from evaluation.engines import ENGINES
from evaluation.execution import drive
from evaluation.models import EvalRun, Suite
from evaluation.planning import plan_evaluation, plan_on_held_out
from evaluation.reading import Reading, TargetLine, difference_words, target_lines, verdict, worded
from evaluation.specs import CONTEXT_WORDS, LimitsSpec, SamplingSpec
from evaluation.verdicts_trust import footer
from labeling.access import open_from_shell
from labeling.commands import VerbCommand, find_version
from labeling.errors import Refused
from labeling.waiting import carried
from training.registry import find_checkpoint

SAMPLING = ("max_tokens", "temperature", "samples", "seed", "top_p", "top_k")
LIMITS = ("budget", "max_length", "concurrency", "batch_size")


class Command(VerbCommand):
    help = "Score checkpoints and their base on a suite; with --wait, print the numbers."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--suite",
            required=True,
            help="a suite as PROJECT/NAME, or a dataset version PROJECT:NUMBER whose test split is the suite",
        )
        parser.add_argument(
            "--checkpoint", action="append", default=[], help="number or name; may be repeated"
        )
        parser.add_argument("--endpoint", action="append", default=[], help="number or name; may be repeated")
        parser.add_argument(
            "--engine", default="", help=f"one of {', '.join(ENGINES)}; vllm where it is set up"
        )
        parser.add_argument(
            "--baseline", default="", help="number or name of what the others are measured by"
        )
        parser.add_argument("--split", default="dev", help="dev or sealed")
        parser.add_argument("--contexts", default="apart", help=f"one of {', '.join(CONTEXT_WORDS)}")
        parser.add_argument("--contexts-seed", type=int, default=0, help="draws the order of shuffled ones")
        parser.add_argument("--name", default="", help="left out, one is made")
        for spec, names in ((SamplingSpec, SAMPLING), (LimitsSpec, LIMITS)):
            for name in names:
                found = spec.model_fields[name]
                kind = type(found.default) if found.default is not None else float
                parser.add_argument(
                    f"--{name.replace('_', '-')}", type=kind, default=found.default, help=found.description
                )
        parser.add_argument(
            "--stop", action="append", default=[], help="a text that ends an answer; may be repeated"
        )
        parser.add_argument("--wait", action="store_true", help="do the work here unless a worker takes it")

    def run(self, **options: Any) -> dict[str, Any]:
        run = self.planned(options)
        self.say(f"evaluation {run.pk} is queued")
        if options["wait"]:
            run = carried(run, drive)
        lines = target_lines(run)
        for line in lines:
            self.say(f"  {line.name}{' (baseline)' if line.is_baseline else ''}")
            for reading in line.readings:
                against = "" if line.is_baseline else difference_words(reading.metric, reading.difference)
                n = f"n {reading.estimate.n:,}" if reading.estimate else ""
                self.say(
                    f"    {reading.metric.name}: {worded(reading.metric, reading.estimate)} {n} {against}".rstrip()
                )
        found, rests_on = verdict(lines), footer(run, lines)
        self.say(str(found))
        for fact in rests_on:
            if fact.doubt:
                self.say(f"  {fact.label}: {fact.words}")
        return {
            "evaluation": run.pk,
            "status": run.status,
            "verdict": found.kind,
            "sentence": str(found),
            "scores": [as_dict(line) for line in lines],
            "rests_on": [asdict(fact) for fact in rests_on],
        }

    def planned(self, options: dict[str, Any]) -> EvalRun:
        """The evaluation that is carried and told of."""
        slug, slash, name = options["suite"].partition("/")
        if not slash:
            version = find_version(options["suite"], options["person"], "train")
            return plan_on_held_out(version=version, **self._plan(version.project, options))
        project = open_from_shell(slug, options["person"], "train").project
        suite = Suite.objects.filter(project=project, name=name).first()
        if suite is None:
            known = (
                ", ".join(Suite.objects.filter(project=project).values_list("name", flat=True)) or "none yet"
            )
            raise Refused(f"There is no suite {name!r} in {slug}. Known: {known}.")
        return plan_evaluation(project=project, suite=suite, **self._plan(project, options))

    def _plan(self, project: Any, options: dict[str, Any]) -> dict[str, Any]:
        names, baseline = options["checkpoint"], options["baseline"]
        return {
            "checkpoints": [find_checkpoint(project=project, name=name) for name in names],
            "endpoints": [find_endpoint(project=project, name=name) for name in options["endpoint"]],
            "baseline": find_checkpoint(project=project, name=baseline) if baseline else None,
            "person": None,
            "name": options["name"],
            "sampling": {each: options[each] for each in (*SAMPLING, "stop")},
            "limits": {each: options[each] for each in LIMITS},
            "engine": options["engine"],
            "split": options["split"],
            "contexts": options["contexts"],
            "contexts_seed": options["contexts_seed"],
        }


def as_dict(line: TargetLine) -> dict[str, Any]:
    """A line as JSON for commands and the API."""
    return {
        "target": line.name,
        "checkpoint_id": line.target.checkpoint_id,
        "baseline": line.is_baseline,
        "metrics": {reading.metric.name: _reading(reading) for reading in line.readings},
        **{name: line.facts.get(name) for name in ("tokens", "ms_p50", "ms_p95", "cost_per_1000")},
    }


def _reading(reading: Reading) -> dict[str, Any]:
    own, delta = reading.own, reading.delta
    return {
        **(
            reading.estimate.as_dict()
            if reading.estimate
            else {"value": None, "low": None, "high": None, "n": 0}
        ),
        "unscorable": own.unscorable if own else 0,
        "errors": own.errors if own else 0,
        "answers": reading.states,
        "against_baseline": reading.difference.as_dict() if reading.difference else None,
        "p": delta.p_value if delta else None,
        "fixed": delta.fixed if delta else None,
        "broken": delta.broken if delta else None,
        "standing": reading.standing,
    }
