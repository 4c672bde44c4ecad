"""The people of the demo, and annotators that go the same way as people do: sign in, claim, submit."""

from typing import Any

import httpx2 as httpx

from evaluation.demo.data import Votes
from labeling.models import Membership, Project, Role, User

PASSWORD = "prefloop-demo"  # noqa: S105 - printed by the demo; these accounts exist nowhere else
ANNOTATORS = ("ben", "bea", "bo")
PEOPLE = {
    "ada": Role.OWNER,
    "emma": Role.ENGINEER,
    "cleo": Role.REVIEWER,
    "leo": Role.LEAD,
    **dict.fromkeys(ANNOTATORS, Role.ANNOTATOR),
}


def make_people(project: Project) -> dict[str, User]:
    """The demo's accounts with their roles in the project; made once, found again later."""
    people = {}
    for name, role in PEOPLE.items():
        user, new = User.objects.get_or_create(username=name, defaults={"first_name": name.capitalize()})
        if new:
            user.set_password(PASSWORD)
            user.save(update_fields=["password"])
        Membership.objects.get_or_create(user=user, project=project, defaults={"role": role})
        people[name] = user
    return people


def annotate(*, site: str, slug: str, name: str, votes: Votes, limit: int | None = None) -> int:
    """Sign in as this person and judge until nothing is left (or `limit` is reached). Returns how many were sent."""
    with httpx.Client(base_url=f"{site}/api/v1", timeout=60) as client:
        client.headers["Authorization"] = f"Token {_post(client, 'tokens/', auth=(name, PASSWORD))['token']}"
        task, count = _post(client, f"projects/{slug}/next/"), 0
        while task and (limit is None or count < limit):
            texts = [response["text"] for response in task["responses"]]
            answer = {
                "token": task["token"],
                "client_key": task["client_key"],
                "verdict": votes.verdict(task["messages"][0]["content"], *texts),
                "next": True,
            }
            place = f"projects/{slug}/assignments/{task['assignment_id']}/submit/"
            task, count = _post(client, place, json=answer)["next"], count + 1
    return count


def _post(client: httpx.Client, place: str, **sent: Any) -> dict[str, Any]:
    """What the server answers, an empty dictionary for 204. Raises where it refuses."""
    answer = client.post(place, **sent)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json() if answer.content else {}
    return found
