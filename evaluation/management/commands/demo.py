"""manage.py demo: real data through the whole loop (--once), or into a fresh installation for a newcomer."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command

from evaluation.demo import loop, show
from evaluation.demo.data import PUBLISHED_KAPPA
from evaluation.demo.people import PASSWORD, PEOPLE
from labeling import processes
from labeling.commands import VerbCommand


class Command(VerbCommand):
    help = "Fill a fresh installation with real data; with --once, run the whole loop headless and print a table."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="run the whole loop headless")
        parser.add_argument("--serve", metavar="BIND", help="then run the web server and a worker there")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument(
            "--part", action="store_true", help="use the bundled part even where the whole is there"
        )
        parser.add_argument("--nano-seconds", type=float, default=loop.NANO_SECONDS)
        parser.add_argument(
            "--nano-steps", type=int, help="end the nano model's training after so many steps"
        )

    def run(self, **options: Any) -> dict[str, Any]:
        call_command("migrate", verbosity=0)
        nano: dict[str, Any] = {"budget_seconds": options["nano_seconds"]}
        if options["nano_steps"]:
            nano["max_steps"] = options["nano_steps"]
        if options["once"]:
            result = loop.once(seed=options["seed"], whole=not options["part"], nano=nano, say=self.say)
            self._table(result)
            return result
        project = show.fill(nano=nano, say=self.say)
        self.say("\nSign in with any of these names and the password " + PASSWORD)
        for name, role in PEOPLE.items():
            self.say(f"  {name:6} {role.label}")
        if options["serve"]:
            processes.serve(
                bind=options["serve"], say=self.say, meanwhile=show.evaluating(project, say=self.say)
            )
        return {"project": project.slug, "people": list(PEOPLE), "password": PASSWORD}

    def _table(self, result: dict[str, Any]) -> None:
        rows: list[tuple[str, str]] = [
            ("items", f"{result['items']:,}"),
            ("judgments", f"{result['judgments']:,}"),
        ]
        for pair, kappa in result["cohen_kappa"].items():
            published = PUBLISHED_KAPPA.get(tuple(pair.split("-")))
            words = (
                f"{kappa['value']:.3f} [{kappa['low']:.3f}, {kappa['high']:.3f}]"
                if kappa
                else "not enough data"
            )
            rows.append((f"Cohen's kappa {pair}", f"{words} (published for the whole set: {published})"))
        rows.append(("dataset hash", result["dataset_hash"]))
        for name, loss in result["loss"].items():
            rows.append((f"{name} loss first → last", f"{loss['first']:.4f} → {loss['last']:.4f}"))
        for name, score in result["scores"].items():
            rows.append((f"{name} preference accuracy", _interval(score, 3)))
            rows.append((f"{name} perplexity", _interval(score["perplexity"], 1)))
            if score["against_base"]:
                rows.append((f"{name} accuracy − base", _interval(score["against_base"], 3)))
        rows += [(f"seconds: {name}", f"{value:.1f}") for name, value in result["seconds"].items()]
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            self.say(f"{name:{width}}  {value}")


def _interval(numbers: dict[str, Any] | None, places: int) -> str:
    if not numbers or numbers["value"] is None:
        return "not enough data"
    value, low, high = (f"{numbers[name]:.{places}f}" for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}], n {numbers['n']:,}"
