"""manage.py decide RUN --target INDEX [--promote | --keep] [--despite] [--reason R]"""

from argparse import ArgumentParser
from typing import Any

from evaluation.deciding import decide
from evaluation.planning import find_run
from labeling.access import open_from_shell
from labeling.commands import VerbCommand
from labeling.errors import Refused


class Command(VerbCommand):
    help = "What the gate says of a candidate; with --promote or --keep, decide and leave a record."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", type=int, help="number of the evaluation")
        parser.add_argument("--target", type=int, required=True, help="the candidate's index in it")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--promote", action="store_true")
        what.add_argument("--keep", action="store_true", help="keep the champion")
        parser.add_argument("--despite", action="store_true", help="although the gate does not pass")
        parser.add_argument("--reason", default="")

    def run(self, **options: Any) -> dict[str, Any]:
        from evaluation.gates import examine

        run = find_run(options["run"])
        acts = options["promote"] or options["keep"]
        access = open_from_shell(run.project.slug, options["person"], "train" if acts else "view_results")
        if options["despite"]:
            open_from_shell(run.project.slug, options["person"], "manage")
        target = run.targets.select_related("checkpoint__base").filter(index=options["target"]).first()
        if target is None or target.is_baseline:
            raise Refused(
                f"Evaluation {run.pk} has no candidate {options['target']}; the baseline is number 0."
            )
        findings = examine(run, target)
        self.say(findings.sentence)
        for each in findings.conditions:
            mark = {True: "holds", False: "does not hold", None: "not known"}[each.passed]
            self.say(f"  {each.label}: {mark}. {each.words}")
        said: dict[str, Any] = {"findings": findings.as_dict()}
        if acts:
            decision = decide(
                run=run,
                target=target,
                promote=options["promote"],
                person=access.person,
                reason=options["reason"],
                despite=options["despite"],
            )
            self.say(str(decision))
            said |= {"decision": decision.pk, "action": decision.action, "hash": decision.content_hash}
        return said
