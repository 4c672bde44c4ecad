"""manage.py check_judge PROJECT JUDGE[:NUMBER] [--dataset PROJECT:NUMBER|--about MEASURE] [--limit N] [--wait]"""

from argparse import ArgumentParser
from typing import Any

from evaluation.cards import read_card
from evaluation.judges import find_judge_version
from evaluation.judging import carry_card, start_check
from evaluation.models import AgreementCard
from evaluation.trusting import trusted
from labeling.access import open_from_shell
from labeling.commands import VerbCommand, find_version
from labeling.models import DatasetVersion
from labeling.waiting import carried

About = AgreementCard.About
NUMBERS_OF_ALL = ("alpha", "kappa", "raw", "sensitivity", "specificity", "people")
NUMBERS = (*NUMBERS_OF_ALL, "flips", "longer_judge")


class Command(VerbCommand):
    help = (
        "Hold a judge against people, on pairs that they decided or on answers that they reviewed; with --wait, print "
        "the numbers."
    )

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project")
        parser.add_argument("judge", help="name of a judge, or NAME:NUMBER for one of its versions")
        parser.add_argument("--dataset", default="", help="PROJECT:NUMBER; without it, the project's newest")
        parser.add_argument(
            "--about",
            default=About.PAIRS.value,
            help=f"{', '.join(About.values[1:])}: against reviews of answers from given texts",
        )
        parser.add_argument("--limit", type=int, default=500, help="pairs or answers at most")
        parser.add_argument("--wait", action="store_true", help="do the work here unless a worker takes it")

    def run(self, **options: Any) -> dict[str, Any]:
        access = open_from_shell(options["project"], options["person"], "train")
        row = start_check(
            version=find_judge_version(project=access.project, name=options["judge"]),
            about=options["about"],
            dataset_version=self._dataset(**options),
            limit=options["limit"],
            person=access.person,
        )
        self.say(f"check {row.pk} of {row.version} is queued")
        if not options["wait"]:
            return {"card": row.pk, "status": row.status}
        row = carried(row, carry_card)
        card = read_card(row)
        assert card is not None
        is_trusted, words = trusted(row.version_id, about=row.about)
        self.say(f"  {card.n:,} of {card.drawn:,} {card.noun} judged, {card.errors:,} without a judgment")
        for name in NUMBERS if row.about == About.PAIRS else NUMBERS_OF_ALL:
            self.say(f"  {name:12} {getattr(card, name) or 'not enough data'}")
        self.say(words)
        return {
            "card": row.pk,
            "status": row.status,
            "trusted": is_trusted,
            "why": words,
            "result": row.result,
        }

    def _dataset(
        self, *, about: str, dataset: str, project: str, person: str, **_: Any
    ) -> DatasetVersion | None:
        """The version that was named; about pairs without one, the project's newest."""
        named = dataset or (project if about == About.PAIRS else "")
        return find_version(named, person, "train") if named else None
