"""The demo's project of RAG reviews: real answers, some reviewed, the rest left for whoever tries it."""

from django.urls import reverse

from evaluation.demo.reviews import FIRST, SECOND, fill_reviews
from labeling.models import Chunk, User
from labeling.queue import claim_next
from labeling.tasks import show
from tests import world


def test_a_newcomer_finds_answers_with_passages_and_some_reviews_and_a_second_call_adds_nothing(
    db: None,
) -> None:
    said: list[str] = []
    project = fill_reviews(say=said.append)
    assert (project.items.count(), Chunk.objects.filter(item__project=project).count()) == (27, 72)
    assert project.judgments.count() == FIRST + SECOND
    assert set(project.items.values_list("licence", flat=True)) == {"Apache-2.0"}
    assert set(project.judgments.values_list("label", flat=True)) == {"good", "bad"}
    second = project.judgments.filter(person__username="bea")
    assert all("shown" in answer for answer in second.values_list("answer", flat=True))
    assert fill_reviews(say=said.append).judgments.count() == FIRST + SECOND
    assert len(said) == 2
    bo = User.objects.get(username="bo")
    slot = claim_next(project=project, person=bo)
    assert slot is not None
    assert show(assignment=slot, person=bo).chunks
    page = world.sign_in(bo).get(reverse("labeling:rank", args=[project.slug]))
    assert page.status_code == 200
