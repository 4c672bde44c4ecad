"""A link brings one person into a project, once, with the role that it names."""

from datetime import timedelta
from functools import partial

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labeling.errors import Refused
from labeling.invitations import accept, find, invite, open_invitations, revoke
from labeling.models import Invitation, Membership, Project, User
from tests import world

pytestmark = pytest.mark.data_layer
NEW = {"username": "nora", "email": "", "password1": "a long enough one", "password2": "a long enough one"}


def link(secret: str) -> str:
    return reverse("labeling:invitation", args=[secret])


def lapse(invitation: Invitation) -> None:
    Invitation.objects.filter(pk=invitation.pk).update(expires_at=timezone.now() - timedelta(days=1))


@pytest.fixture
def secret(project: Project, ada: User) -> str:
    return invite(project=project, role="reviewer", person=ada)[1]


def test_mallory_joins_with_the_role_that_the_link_names(
    project: Project, secret: str, mallory: User
) -> None:
    assert accept(secret=secret, person=mallory).role == "reviewer"
    assert Membership.objects.get(project=project, user=mallory).role == "reviewer"
    assert open_invitations(project) == []


def test_only_the_hash_of_the_secret_is_stored(project: Project, secret: str) -> None:
    (row,) = Invitation.objects.values()
    assert secret not in str(row)
    assert len(secret) >= 40


def test_a_link_is_for_one_person(project: Project, secret: str, mallory: User) -> None:
    accept(secret=secret, person=mallory)
    with pytest.raises(Refused, match="used already: a link is for one person"):
        accept(secret=secret, person=world.person("nora"))


def test_a_link_lapses(project: Project, ada: User, mallory: User) -> None:
    invitation, secret = invite(project=project, role="annotator", person=ada, days=1)
    lapse(invitation)
    with pytest.raises(Refused, match=r"lapsed on \d{4}-\d\d-\d\d"):
        accept(secret=secret, person=mallory)
    assert not Membership.objects.filter(user=mallory).exists()


def test_a_revoked_link_is_worthless_and_a_used_one_is_not_revoked(
    project: Project, ada: User, mallory: User
) -> None:
    first, secret = invite(project=project, role="annotator", person=ada)
    revoke(project=project, invitation_id=first.pk)
    with pytest.raises(Refused, match="no such invitation, or it was revoked"):
        find(secret)
    second, secret = invite(project=project, role="annotator", person=ada)
    accept(secret=secret, person=mallory)
    with pytest.raises(Refused, match="remove the person instead"):
        revoke(project=project, invitation_id=second.pk)


def test_a_link_of_another_project_cannot_be_revoked_here(project: Project, ada: User) -> None:
    other = world.make_project("Another")
    theirs, secret = invite(project=other, role="annotator", person=ada)
    revoke(project=project, invitation_id=theirs.pk)
    assert find(secret) == theirs


def test_a_member_keeps_their_role_and_leaves_the_link_for_somebody_else(
    project: Project, secret: str, ben: User
) -> None:
    with pytest.raises(Refused, match="You are in Helpfulness already, as Annotator"):
        accept(secret=secret, person=ben)
    assert len(open_invitations(project)) == 1


@pytest.mark.parametrize(
    ("wish", "words"),
    [({"role": "king"}, "role given is 'king'"), ({"days": 0}, "0 days"), ({"days": 91}, "between 1 and 90")],
)
def test_an_invitation_that_cannot_be_is_refused(
    project: Project, ada: User, wish: dict[str, object], words: str
) -> None:
    with pytest.raises(Refused, match=words):
        invite(**{"project": project, "person": ada, "role": "annotator", **wish})  # type: ignore[arg-type]


@pytest.mark.django_db(transaction=True)
def test_of_six_people_who_open_one_link_at_once_one_joins() -> None:
    project = world.make_project()
    _, secret = invite(project=project, role="annotator", person=None)
    crowd = [world.person(f"guest{n}") for n in range(6)]

    def join(who: User) -> bool:
        try:
            accept(secret=secret, person=who)
        except Refused:
            return False
        return True

    assert sorted(world.together([partial(join, who) for who in crowd])) == [False] * 5 + [True]
    assert Membership.objects.filter(user__in=crowd).count() == 1


def test_nora_signs_up_by_the_link_and_is_in(project: Project, secret: str) -> None:
    client = Client()
    page = client.get(link(secret))
    assert page.status_code == 200
    assert "Helpfulness" in page.text
    assert page["Cache-Control"] == "no-store"

    joined = client.post(link(secret), NEW, follow=True)

    assert joined.status_code == 200
    assert joined.context["user"].username == "nora"
    assert Membership.objects.get(user__username="nora").role == "reviewer"
    assert User.objects.get(username="nora").check_password(NEW["password1"])


def test_a_sign_up_that_does_not_fit_makes_nobody_and_leaves_the_link(project: Project, secret: str) -> None:
    refused = Client().post(link(secret), {**NEW, "password2": "another"})
    assert refused.status_code == 422
    taken = Client().post(link(secret), {**NEW, "username": "ben"})
    assert taken.status_code == 422
    assert not User.objects.filter(username="nora").exists()
    assert len(open_invitations(project)) == 1


def test_sign_up_without_an_invitation_stays_closed(db: None) -> None:
    assert "nora" not in Client().post(reverse("account_signup"), NEW, follow=True).text
    assert not User.objects.filter(username="nora").exists()


def test_mallory_who_has_an_account_joins_by_one_button(project: Project, secret: str, mallory: User) -> None:
    client = world.sign_in(mallory)
    page = client.get(link(secret))
    assert "Join as mallory" in page.text
    assert client.post(link(secret)).status_code == 302
    assert Membership.objects.get(user=mallory).role == "reviewer"


def test_who_has_an_account_is_brought_back_to_the_link_after_signing_in(secret: str) -> None:
    assert f"{reverse('account_login')}?next={link(secret)}" in Client().get(link(secret)).text


def test_a_dead_link_says_why_and_how_to_go_on(project: Project, ada: User, mallory: User, ben: User) -> None:
    invitation, secret = invite(project=project, role="annotator", person=ada)
    lapse(invitation)
    for url, words in ((link(secret), "lapsed on"), (link("never-was-one"), "no such invitation")):
        for reply in (Client().get(url), world.sign_in(mallory).post(url)):
            assert reply.status_code == 410
            assert words in reply.text
            assert project.name not in reply.text
    _, good = invite(project=project, role="annotator", person=ada)
    member = world.sign_in(ben).get(link(good))
    assert "You are in Helpfulness already" in member.text


def test_ada_makes_a_link_on_the_people_page_sees_it_once_and_revokes_it(project: Project, ada: User) -> None:
    client, url = world.sign_in(ada), reverse("labeling:people", args=[project.slug])
    made = client.post(url, {"action": "invite", "role": "annotator", "days": 3, "note": "for Nora"})
    assert "/join/" in made.text
    again = client.get(url)
    assert "/join/" not in again.text
    assert "for Nora" in again.text
    (invitation,) = open_invitations(project)
    gone = client.post(url, {"action": "revoke", "invitation": invitation.pk}, follow=True)
    assert "for Nora" not in gone.text
    assert open_invitations(project) == []
    refused = client.post(url, {"action": "invite", "role": "annotator", "days": 400})
    assert refused.status_code == 422
