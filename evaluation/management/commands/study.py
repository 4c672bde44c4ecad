"""manage.py study PROJECT plan|start|show|look|end|cancel [--study N] …"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from evaluation.endpoints import find_endpoint
from evaluation.judges import find_judge_version
from evaluation.models import Study
from evaluation.outlook import Wanted
from evaluation.prompts import MOST, Prompts, find_suite
from evaluation.studies import sentences
from evaluation.studies.answering import carry_study
from evaluation.studies.counting import count
from evaluation.studies.design import Design, read_design
from evaluation.studies.lineage import SeenInTraining
from evaluation.studies.looking import cancel_study, end_study, take_look
from evaluation.studies.prompts import of_file, of_split, of_suite
from evaluation.studies.shown import reckoned
from evaluation.studies.starting import StudyPlan, start_study
from labeling.access import Access, open_from_shell
from labeling.commands import VerbCommand, find_version
from labeling.errors import Refused
from labeling.models import Project
from labeling.waiting import carried
from training.registry import find_checkpoint

SUITE, HELD_OUT = "suite:", "held-out:"


class Command(VerbCommand):
    help = "Plan, start, look at and end blind studies of what people prefer."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project")
        parser.add_argument("action", choices=["plan", "start", "show", "look", "end", "cancel"])
        parser.add_argument("--study", type=int, help="its number; the newest without it")
        parser.add_argument(
            "--checkpoint", action="append", default=[], help="number or name; may be repeated"
        )
        parser.add_argument("--endpoint", action="append", default=[], help="number or name; may be repeated")
        parser.add_argument(
            "--models", type=int, choices=range(2, 9), default=2, help="how many, to plan for"
        )
        parser.add_argument("--prompts", default="", help="suite:NAME, held-out:PROJECT:VERSION, or a file")
        parser.add_argument("--split", default="test", help="which rows of a version: test or validation")
        parser.add_argument("--count", type=int, default=MOST, help="prompts at most, drawn at random")
        parser.add_argument("--leave-out", action="store_true", help="leave out prompts that were trained on")
        for name, field in Design.model_fields.items():
            parser.add_argument(
                f"--{name.replace('_', '-')}", type=type(field.default), help=field.description
            )
        parser.add_argument("--temperature", type=float, default=0.7)
        parser.add_argument("--max-tokens", type=int, default=256)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--system", default="", help="system message before prompts that have none")
        parser.add_argument("--engine", default="")
        parser.add_argument("--judge", default="", help="NAME or NAME:VERSION; reads the same pairs")
        parser.add_argument("--queue", default="", help="the project whose people are asked")
        parser.add_argument("--name", default="")
        parser.add_argument("--wait", action="store_true", help="do the work here unless a worker takes it")

    def run(self, **options: Any) -> dict[str, Any]:
        action = options["action"]
        access = open_from_shell(
            options["project"], options["person"], "view_results" if action in ("plan", "show") else "train"
        )
        if action == "plan":
            return self._plan(access.project, options)
        if action == "start":
            return self._start(access, options)
        study = _found(access.project, options["study"])
        if act := {"look": take_look, "end": end_study, "cancel": cancel_study}.get(action):
            act(study=study, person=access.person)
        study.refresh_from_db()
        return self._told(study)

    def _plan(self, project: Project, options: dict[str, Any]) -> dict[str, Any]:
        design = _design(options)
        found = reckoned(design, models=options["models"], project=project)
        size = found.size
        self.say(
            f"{size.prompts:,} prompts ({size.fixed:,} without looks), {found.judgments:,} judgments, about "
            f"{found.hours:,.0f} hours of people"
        )
        for look in found.looks:
            self.say(
                f"  look {look['number']}: {look['prompts']:,} prompts, |Z| above {look['boundary']:.3f}, "
                f"stops by then with {look['stops']:.0%}, by chance with {look['chance']:.2%}"
            )
        return {
            "prompts": size.prompts,
            "fixed": size.fixed,
            "judgments": found.judgments,
            "hours": found.hours,
            "looks": found.looks,
        }

    def _start(self, access: Access, options: dict[str, Any]) -> dict[str, Any]:
        project = access.project
        queue = options["queue"]
        plan = StudyPlan(
            prompts=_prompts(project, options),
            wanted=Wanted(
                checkpoints=[find_checkpoint(project=project, name=name) for name in options["checkpoint"]],
                endpoints=[find_endpoint(project=project, name=name) for name in options["endpoint"]],
                engine=options["engine"],
                temperatures=(options["temperature"],),
                sampling={"max_tokens": options["max_tokens"], "seed": options["seed"]},
                system=options["system"],
            ),
            design=_design(options),
            judge=find_judge_version(project=project, name=options["judge"]) if options["judge"] else None,
            queue=open_from_shell(queue, options["person"], "train").project if queue else None,
            leave_out=options["leave_out"],
        )
        try:
            study = start_study(project=project, plan=plan, person=access.person, name=options["name"])
        except SeenInTraining as refusal:
            for one in refusal.seen:
                self.say(f"  {one.checkpoint} was trained on: {one.prompt} ({one.version})")
            raise
        self.say(f"study {study.pk} of {study.prompts:,} prompts is queued")
        if options["wait"]:
            study = carried(study, carry_study)
        return self._told(study)

    def _told(self, study: Study) -> dict[str, Any]:
        look = study.looks.last()
        headline = sentences.headline(study, look)
        self.say(f"study {study.pk}, {study.name}: {sentences.stage(study)[1]}")
        found: dict[str, Any] = {"study": study.pk, "status": study.status, "closed_as": study.closed_as}
        if study.planned:
            counted = count(study)
            done, given = len(counted.prompts), len(counted.given)
            self.say(f"  {done:,} of {study.planned:,} prompts are complete, {given:,} judgments")
            found |= {"planned": study.planned, "complete": done, "judgments": given}
        self.say(f"  {headline}")
        if look is not None:
            self.say(f"  {sentences.stopping(study, look)}")
        fields = ("number", "final", "fraction", "prompts", "judgments", "boundary", "spent", "zs", "result")
        looks = [{name: getattr(one, name) for name in fields} for one in study.looks.defer("counted")]
        return {**found, "headline": headline, "looks": looks}


def _design(options: dict[str, Any]) -> Design:
    return read_design({name: options[name] for name in Design.model_fields})


def _found(project: Project, number: int | None) -> Study:
    rows = Study.objects.filter(project=project).select_related("project", "queue", "judge__judge")
    found = rows.first() if number is None else rows.filter(pk=number).first()
    if found is None:
        known = ", ".join(map(str, rows.values_list("pk", flat=True)[:20]))
        raise Refused(f"There is no such study here. Known: {known or 'none yet'}.")
    return found


def _prompts(project: Project, options: dict[str, Any]) -> Prompts:
    source, count = options["prompts"], options["count"]
    if source.startswith(SUITE):
        suite = find_suite(project=project, name=source.removeprefix(SUITE))
        return of_suite(suite=suite, count=count)
    if source.startswith(HELD_OUT):
        version = find_version(source.removeprefix(HELD_OUT), options["person"], "view_results")
        return of_split(version=version, split=options["split"], count=count)
    path = Path(source)
    if not source or not path.is_file():
        raise Refused(
            f"{source or 'Nothing'} is no file of prompts; give suite:NAME, held-out:VERSION, or a file."
        )
    return of_file(project=project, path=path, name=path.name, count=count)
