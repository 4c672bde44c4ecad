"""manage.py error_table ANALYSIS [--csv]"""

from argparse import ArgumentParser
from typing import Any

from evaluation.errors.exporting import as_csv, as_dict
from evaluation.errors.saturation import saturation
from evaluation.errors.table import points_of, read_table
from evaluation.models import Analysis
from labeling.access import open_from_shell
from labeling.commands import VerbCommand
from labeling.errors import Refused


class Command(VerbCommand):
    help = (
        "Print the table of an error analysis: of each kind of error how often it was read and what it costs."
    )

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("analysis", type=int, help="number of an analysis, as in its address")
        parser.add_argument("--csv", action="store_true", help="print it as CSV")

    def run(self, **options: Any) -> dict[str, Any]:
        rows = Analysis.objects.select_related("project", "run__version__suite", "run__project", "target")
        analysis = rows.filter(pk=options["analysis"]).first()
        if analysis is None:
            raise Refused(f"There is no analysis {options['analysis']}.")
        open_from_shell(analysis.project.slug, options["person"], "view_results")
        table = read_table(analysis)
        if options["csv"]:
            self.say(as_csv(table).rstrip("\n"))
            return as_dict(table)
        self.say(
            f"{analysis.target.name} in {analysis.metric}: {analysis.failing:,} of {analysis.evaluated:,} cases fail, "
            f"{len(table.reads):,} were read. Ceilings in points, with 95 % intervals:"
        )
        for row in table.rows:
            kind = f"{row.category.name} ({row.category.get_stage_display().lower()})"
            costs = f"{points_of(row.ceiling)}, sole cause {points_of(row.sole)}"
            self.say(f"  {kind}: {row.read:,} read, {costs}")
        if table.reachable:
            self.say(f"Reachable with these known answers: {points_of(table.reachable)}")
        self.say(saturation(table.reads, analysis.failing).words)
        return as_dict(table)
