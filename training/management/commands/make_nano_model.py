"""manage.py make_nano_model OUT"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from labeling.commands import VerbCommand
from training.nano import make_nano_model, register_nano_model


class Command(VerbCommand):
    help = (
        "Train a small causal language model and its tokenizer from scratch on local text; downloads nothing."
    )

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("out", type=Path)
        parser.add_argument("--seed", type=int, default=42)
        parser.add_argument("--seconds", type=float, default=150, help="clock limit of the training")
        parser.add_argument("--text", nargs="*", help="JSONL or text files instead of the bundled text")
        parser.add_argument("--name", default="", help="also register it under this name as a base model")

    def run(self, **options: Any) -> dict[str, Any]:
        out: Path = options["out"]
        given: dict[str, Any] = (
            {"text": [str(Path(path).resolve()) for path in options["text"]]} if options["text"] else {}
        )
        result = make_nano_model(out=out, seed=options["seed"], budget_seconds=options["seconds"], **given)
        if options["name"]:
            register_nano_model(out=out, name=options["name"], result=result)
        self.say(f"{out}: {result['parameters']:,} parameters in {result['seconds']:.0f} s")
        return {"path": str(out), **result}
