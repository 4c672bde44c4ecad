"""A project with answers to review, beside those of `tests.browser.world`.

Run as `python -m tests.browser.reviews`, in the surroundings of a site that is built: Ben and Bea have judged twelve
items and differ on every second one; six further ones have a known answer, which Ben was checked by.
"""

from typing import Any

import django

SLUG = "reviewed-answers"
ITEMS, KNOWN = 12, 6


def build() -> None:
    from labeling.gold import mark_gold
    from labeling.intake import ItemDraft, ResponseDraft, add_items
    from labeling.models import Project, User
    from labeling.projects import create_project, set_role

    people = {user.username: user for user in User.objects.all()}
    project = create_project(name="Reviewed answers", owner=people["ada"], overlap=2, ask_strength=True)
    Project.objects.filter(pk=project.pk).update(gold_share=0.5)
    for name, role in {"ben": "annotator", "bea": "annotator", "cleo": "reviewer", "leo": "lead"}.items():
        set_role(project=project, username=name, role=role)
    drafts = [
        ItemDraft(
            [{"role": "user", "content": f"How do I close account {n}?"}],
            [ResponseDraft(f"Open Settings, then Close account {n}.", "m1"), ResponseDraft("No idea.", "m2")],
        )
        for n in range(ITEMS + KNOWN)
    ]
    add_items(project=project, drafts=drafts, source_kind="test")
    project.refresh_from_db()
    for item in project.items.order_by("pk")[:KNOWN]:
        mark_gold(project=project, item_id=item.pk, person=people["leo"], label="0")
    for name in ("ben", "bea"):
        _judge(project, people[name], contrary=name == "bea")


def _judge(project: Any, person: Any, *, contrary: bool) -> None:
    import uuid

    from labeling.annotating import Sent, submit
    from labeling.queue import claim_next
    from labeling.tasks import shown_order
    from labeling.values import PairwiseAnswer

    first = project.items.order_by("pk").first().pk
    while (slot := claim_next(project=project, person=person)) is not None:
        wanted = 1 if contrary and (slot.item_id - first) % 2 else 0
        verdict = ("first", "second")[shown_order(slot, slot.turn).index(wanted)]
        submit(
            project=project,
            assignment_id=slot.pk,
            person=person,
            answer=PairwiseAnswer.model_validate({"verdict": verdict, "strength": 2}),
            sent=Sent(token=slot.token, client_key=uuid.uuid4(), active_ms=12_000, layout="side"),
        )


if __name__ == "__main__":
    django.setup()
    build()
