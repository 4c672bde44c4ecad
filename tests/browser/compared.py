"""Evaluations that have ended, put into the browser's installation: a champion in production and a better candidate.

Run as `python -m tests.browser.compared`, with the environment of the site. Prints the run's number as its last line.
"""

import django

from tests.browser import world

CHAMPION, CANDIDATE = "support-sft-1", "support-dpo-2"
CASES = 240


def build() -> int:
    from evaluation.models import CaseResult, Suite
    from labeling.models import Project
    from tests.evaluation.finished import checkpoint, finished, suite_of
    from tests.evaluation.gating import listed

    project = Project.objects.get(slug=world.SLUG)
    # On a base of their own: what is in production on the installation's is measured by other journeys.
    champion = checkpoint(project, CHAMPION, on="support", production=True)
    checkpoint(project, CANDIDATE, on="support")
    version = suite_of(project, CASES, name="Returns", tags=lambda n: ["refunds" if n % 3 else "billing"])
    first = [float(n % 2) for n in range(CASES)]
    second = [0.0 if n % 30 == 1 else float(n % 2 or n % 4 == 0) for n in range(CASES)]
    run = finished(
        project,
        {CHAMPION: listed(first), CANDIDATE: listed(second)},
        version=version,
        metrics=("exact", "length"),
        name="Returns, weekly",
    )
    Suite.objects.filter(pk=version.suite_id).update(scoring=[{"name": "exact", "scorer": "exact"}])
    for result in CaseResult.objects.filter(run=run).select_related("output", "target"):
        assert result.output is not None
        days = result.target.index + 3
        result.output.text = f"Open **Orders** and press Return. {result.target.name} refunds in {days} days."
        result.output.save()
    assert champion.stage == "production"
    return run.pk


if __name__ == "__main__":
    django.setup()
    print(build())
