"""A real installation for the browser: database, people, items and a tiny base model, made by the verbs.

Run as `python -m tests.browser.world MODEL`, with PREFLOOP_VAR naming an empty folder and DATABASE_URL a database
that may be empty or migrated.
"""

import io
import json
import sys
from pathlib import Path
from typing import Any

import django

from tests.browser import kinds

PASSWORD = "correct horse battery"
PEOPLE = {
    "ada": "owner",
    "ben": "annotator",
    "bea": "annotator",
    "cleo": "reviewer",
    "emma": "engineer",
    "leo": "lead",
    "nia": "annotator",
    "noa": "annotator",
    "oli": "annotator",
    "pia": "annotator",
    "quin": "annotator",
    "rio": "annotator",
}
SLUG = "support-answers"
ITEMS = 60
SESSIONS = "sessions.json"


def rows() -> list[dict[str, object]]:
    return [
        {
            "prompt": f"How do I reset the password of account {number}?",
            "responses": [
                {
                    "text": f"Open Settings, choose Security, press Reset; account {number} gets a mail.",
                    "origin": "m1",
                },
                {"text": f"No idea about account {number}.", "origin": "m2"},
            ],
        }
        for number in range(ITEMS)
    ]


def build(model: Path) -> None:
    from django.contrib.auth.hashers import make_password
    from django.core.management import call_command

    from labeling.curation.freezing import freeze
    from labeling.curation.recipe import Recipe
    from labeling.importing.batches import run_import, start_import
    from labeling.models import User
    from labeling.projects import create_project, set_role
    from training.registry import register_base

    call_command("migrate", verbosity=0)
    call_command("vendor_assets", verbosity=0)
    password = make_password(
        PASSWORD
    )  # hashed once: the hash is slow on purpose, and nobody has another password
    people = {name: User.objects.create(username=name, password=password) for name in [*PEOPLE, "mallory"]}
    project = create_project(name="Support answers", owner=people["ada"], overlap=2)
    for name, role in PEOPLE.items():
        set_role(project=project, username=name, role=role)
    file = io.BytesIO("\n".join(json.dumps(row) for row in rows()).encode())
    run_import(start_import(project=project, file=file, filename="answers.jsonl", person=people["emma"]))
    _judge(project, people["bea"], 40)
    recipe = Recipe(complete=False, near_duplicates=None)  # the prompts differ by a number only
    freeze(project=project, recipe=recipe, person=people["emma"], override="a test")
    register_base(name="tiny", location=str(model))
    kinds.build(people, PEOPLE)
    _open_doors(people)


def _open_doors(people: dict[str, Any]) -> None:
    """A session for everyone, so that not every test has to type a password."""
    from django.conf import settings
    from django.test import Client

    sessions = {}
    for name, person in people.items():
        client = Client()
        client.force_login(person)
        sessions[name] = client.cookies["sessionid"].value
    beside_the_database = Path(settings.DATABASES["default"]["NAME"]).with_name(SESSIONS)
    beside_the_database.write_text(json.dumps(sessions))


def _judge(project: object, person: object, count: int) -> None:
    from labeling.annotating import Sent, submit
    from labeling.queue import claim_next
    from labeling.tasks import show
    from labeling.values import PairwiseAnswer

    for _ in range(count):
        assignment = claim_next(project=project, person=person)
        task = show(assignment=assignment, person=person)
        better = next(r.verdict for r in task.responses if r.text.startswith("Open"))
        submit(
            project=project,
            assignment_id=task.assignment_id,
            person=person,
            answer=PairwiseAnswer(verdict=better),
            sent=Sent(token=task.token, client_key=task.client_key),
        )


if __name__ == "__main__":
    django.setup()
    build(Path(sys.argv[1]))
