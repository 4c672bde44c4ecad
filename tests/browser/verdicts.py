"""A project with a finished evaluation on the site of the browser's tests. Run as `python -m tests.browser.verdicts`;
prints the run's number."""

import django

SLUG = "verdicts"


def build() -> int:
    from labeling.models import User
    from labeling.projects import create_project, set_role
    from tests.evaluation.finished import better_than, checkpoint, finished, passing, suite_of

    project = create_project(name="Verdicts", owner=User.objects.get(username="ada"))
    for name, role in {"leo": "lead", "emma": "engineer"}.items():
        set_role(project=project, username=name, role=role)
    tags = [["refunds", "billing", "shipping"], ["english", "german"]]
    version = suite_of(project, 240, name="Support", tags=lambda n: [tags[0][n % 3], tags[1][n % 4 == 0]])
    first = passing(0.55)
    known = {
        "champion": checkpoint(project, "champion", rows=900, production=True),
        "tuned": checkpoint(project, "tuned", rows=2400),
    }
    targets = {
        "champion": first,
        "tuned": better_than(first, 0.45, 0.06),
        "other": better_than(first, 0.1, 0.1),
    }
    run = finished(
        project,
        targets,
        version=version,
        metrics=["exact", "perplexity", "contains"],
        checkpoints=known,
        dirty={"tuned": 2},
    )
    return run.pk


if __name__ == "__main__":
    django.setup()
    print(build())
