"""manage.py generate_candidates PROJECT --checkpoint C … --prompts suite:NAME|items|unjudged|FILE [--wait]"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from evaluation.candidates import carry_generation, start_generation
from evaluation.endpoints import find_endpoint
from evaluation.outlook import Wanted
from evaluation.prompts import ALL, MOST, UNJUDGED, Prompts, find_suite, from_file, from_items, from_suite
from labeling.access import open_from_shell
from labeling.commands import VerbCommand
from labeling.errors import Refused
from labeling.models import Project
from labeling.waiting import carried
from training.registry import find_checkpoint

SUITE = "suite:"


class Command(VerbCommand):
    help = "Let models answer prompts, and put their answers into the queue as items to be judged."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project")
        parser.add_argument(
            "--checkpoint", action="append", default=[], help="number or name; may be repeated"
        )
        parser.add_argument("--endpoint", action="append", default=[], help="number or name; may be repeated")
        parser.add_argument("--prompts", default=UNJUDGED, help="suite:NAME, items, unjudged, or a file")
        parser.add_argument("--count", type=int, default=MOST, help="prompts at most")
        parser.add_argument("--samples", type=int, default=2, help="answers of each model")
        parser.add_argument(
            "--temperature", type=float, action="append", help="may be repeated; 0.7 without it"
        )
        parser.add_argument("--max-tokens", type=int, default=256)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--system", default="", help="system message before prompts that have none")
        parser.add_argument("--grouping", default="", help="once, every, together or alone")
        parser.add_argument("--engine", default="")
        parser.add_argument("--budget", type=float, help="money that endpoints may cost")
        parser.add_argument("--wait", action="store_true", help="do the work here unless a worker takes it")

    def run(self, **options: Any) -> dict[str, Any]:
        access = open_from_shell(options["project"], options["person"], "curate")
        project = access.project
        budget = options["budget"]
        generation = start_generation(
            project=project,
            prompts=_prompts(project, options["prompts"], options["count"]),
            wanted=Wanted(
                checkpoints=[find_checkpoint(project=project, name=name) for name in options["checkpoint"]],
                endpoints=[find_endpoint(project=project, name=name) for name in options["endpoint"]],
                engine=options["engine"],
                samples=options["samples"],
                temperatures=tuple(options["temperature"] or (0.7,)),
                sampling={"max_tokens": options["max_tokens"], "seed": options["seed"]},
                limits={} if budget is None else {"budget": budget},
                system=options["system"],
                grouping=options["grouping"],
            ),
            person=access.person,
        )
        self.say(f"generation {generation.pk} of answers to {generation.prompts:,} prompts is queued")
        if options["wait"]:
            generation = carried(generation, carry_generation)
            self.say(
                f"  {generation.made:,} new items, {generation.dropped:,} prompts without enough answers"
            )
        return {
            "generation": generation.pk,
            "status": generation.status,
            "made": generation.made,
            "duplicate": generation.duplicate,
            "dropped": generation.dropped,
            "facts": generation.facts,
        }


def _prompts(project: Project, source: str, count: int) -> Prompts:
    if source in ("items", ALL, UNJUDGED):
        return from_items(project=project, which=UNJUDGED if source == UNJUDGED else ALL, count=count)
    if source.startswith(SUITE):
        suite = find_suite(project=project, name=source.removeprefix(SUITE))
        return from_suite(suite=suite, count=count)
    path = Path(source)
    if not path.exists():
        raise Refused(f"{source} is not there; give suite:NAME, items, unjudged, or a file.")
    return from_file(project=project, path=path, name=path.name, count=count)
