"""Ada has people and programs told: what arrives, what is tried again, what is given up, and where nothing goes."""

import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from evaluation.models import Channel, Delivery, Notice, RetrainPolicy
from evaluation.policies import delivering, webhooks
from evaluation.policies.channels import add_person, add_webhook, renew_secret, take_away
from evaluation.policies.notices import announce_test
from labeling.errors import Refused
from labeling.models import Membership, Project, User
from tests import world
from tests.evaluation.hooks import Receiver, receiving
from tests.evaluation.planned import counting
from tests.evaluation.policing import a_policy, begun, candidate_knows, carried, judged

EVENTS = ["candidate", "stopped", "budget"]


@pytest.fixture(autouse=True)
def inside(settings: Any) -> None:
    settings.PREFLOOP_WEBHOOKS_INSIDE = True
    settings.PREFLOOP_URL = "https://prefloop.example/"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def hooked(project: Project, receiver: Receiver, events: list[str] = EVENTS) -> tuple[Channel, str]:
    return add_webhook(project=project, url=receiver.url, events=events, person=None)


def tried(delivery: Delivery) -> Delivery:
    """Let the next try of a delivery be due, and make it."""
    Delivery.objects.filter(pk=delivery.pk).update(due_at=timezone.now())
    delivering.deliver(delivery)
    delivery.refresh_from_db()
    return delivery


def sent_a_test(channel: Channel) -> Delivery:
    return tried(announce_test(channel))


def test_a_candidate_is_told_to_a_member_and_to_a_program_with_a_link_to_decide(
    project: Project, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate_knows(counting(monkeypatch), monkeypatch)
    User.objects.filter(username="leo").update(email="leo@example.org")
    add_person(project=project, username="leo", events=["candidate"], person=None)
    _, secret = hooked(project, receiver)
    a_policy(project)
    judged(project)
    run = carried(begun(project))
    assert {tried(each).state for each in Delivery.objects.all()} == {"sent"}
    address = f"https://prefloop.example/p/{project.slug}/policy/runs/{run.pk}/"
    (message,) = mail.outbox
    assert (message.to, message.subject) == (["leo@example.org"], "Helpfulness: a candidate is ready")
    assert message.body == f"{run.sentence}\n\n{address}\n"
    ((path, headers, body),) = receiver.got
    told = json.loads(body)
    assert (path, told["type"]) == ("/hook?room=4", "retrain.candidate")
    assert told["data"]["url"] == address
    assert (told["data"]["dataset_version"], told["data"]["gate_passed"]) == (2, True)
    assert receiver.verified(secret)
    assert headers["webhook-id"] == Notice.objects.get().uid
    assert abs(int(headers["webhook-timestamp"]) - timezone.now().timestamp()) < 60


def test_nothing_new_is_told_only_to_those_who_ask_for_it(project: Project, receiver: Receiver) -> None:
    hooked(project, receiver)
    a_policy(project)
    carried(begun(project))
    assert (Notice.objects.get().event, Delivery.objects.count()) == ("nothing_new", 0)


def test_what_does_not_arrive_is_tried_again_with_the_same_id_and_later_each_time(
    project: Project, receiver: Receiver
) -> None:
    channel, secret = hooked(project, receiver)
    receiver.codes = [500, 0, 200]
    first = sent_a_test(channel)
    assert (first.state, first.tries, first.code) == ("waiting", 1, 500)
    assert first.sentence == "127.0.0.1 answered 500; 200 to 299 is expected, and no redirect is followed."
    assert not delivering.deliver(first), "it is not due yet"
    second = tried(first)
    assert second.sentence.startswith("127.0.0.1 could not be reached")
    assert second.due_at - timezone.now() > timedelta(minutes=4)
    third = tried(second)
    assert (third.state, third.tries, third.code, third.sentence) == ("sent", 3, 200, "")
    assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 1
    assert all(receiver.verified(secret, number) for number in range(3))


def test_after_enough_tries_it_is_given_up_with_a_sentence_and_ada_sends_it_again(
    project: Project, receiver: Receiver, ada: User
) -> None:
    channel, _ = hooked(project, receiver)
    receiver.codes = [503] * delivering.MOST_TRIES
    delivery = sent_a_test(channel)
    while delivery.state == "waiting":
        tried(delivery)
    assert (delivery.state, delivery.tries) == ("given_up", delivering.MOST_TRIES)
    assert delivery.sentence.endswith("That was try 7; it is given up.")
    client = world.sign_in(ada)
    page = client.get(reverse("evaluation:notices", args=[project.slug]))
    assert "Given up" in page.text
    assert "secret words of the receiver" not in page.text
    client.post(reverse("evaluation:delivery_again", args=[project.slug, delivery.pk]))
    assert tried(delivery).state == "sent"
    with pytest.raises(Refused, match="on its way already"):
        delivering.send_again(announce_test(channel))


def test_a_worker_that_dies_while_it_sends_leaves_the_message_to_another(
    project: Project, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel, _ = hooked(project, receiver)
    delivery = announce_test(channel)

    def die(**_: Any) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(delivering, "post", die)
        with pytest.raises(KeyboardInterrupt):
            delivering.deliver(delivery)
    assert not delivering.deliver(delivery), "for two minutes it may still be on its way"
    sent: list[int] = []
    monkeypatch.setattr(delivering, "send", lambda job, key: sent.append(key))
    Delivery.objects.update(due_at=timezone.now() - timedelta(minutes=1))
    delivering.sweep()
    assert sent == [delivery.pk]
    assert tried(delivery).state == "sent"


def test_a_redirect_is_not_followed(project: Project, receiver: Receiver) -> None:
    channel, _ = hooked(project, receiver)
    receiver.codes, receiver.headers = [302], {"location": receiver.url}
    assert sent_a_test(channel).code == 302
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "192.168.0.9", "172.16.5.5", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "::1", "fe80::1", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
    ],
)  # fmt: skip
def test_nothing_goes_to_an_address_inside_whatever_its_name_says(
    monkeypatch: pytest.MonkeyPatch, settings: Any, address: str
) -> None:
    settings.PREFLOOP_WEBHOOKS_INSIDE = False
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(family, socket.SOCK_STREAM, 6, "", (address, 443))]
    )
    monkeypatch.setattr(socket, "create_connection", lambda *_: pytest.fail("it was connected to"))
    with pytest.raises(webhooks.NotSent, match="inside this network, where messages may not go"):
        webhooks.post(url="https://hooks.example.com/", body=b"", headers={})


def test_the_connection_goes_to_the_address_that_was_checked(
    monkeypatch: pytest.MonkeyPatch, settings: Any, receiver: Receiver
) -> None:
    settings.PREFLOOP_WEBHOOKS_INSIDE = False
    found, asked = socket.create_connection, []
    monkeypatch.setattr(webhooks, "resolve", lambda host, port: "192.0.2.7")

    def connect(place: tuple[str, int], timeout: float) -> socket.socket:
        asked.append(place)
        return found(("127.0.0.1", receiver.port), timeout)

    monkeypatch.setattr(socket, "create_connection", connect)
    assert webhooks.post(url="http://hooks.example.com/a", body=b"{}", headers={}) == 200
    assert asked == [("192.0.2.7", 80)]
    assert receiver.got[0][1]["host"] == "hooks.example.com"


def test_a_name_without_an_address_and_a_port_where_nobody_listens_are_sentences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiving() as gone:
        url = gone.url
    with pytest.raises(webhooks.NotSent, match=r"127\.0\.0\.1 refused the connection"):
        webhooks.post(url=url, body=b"", headers={})

    def nobody(*_: Any, **__: Any) -> Any:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(webhooks.NotSent, match="cannot be looked up"):
        webhooks.post(url="https://nowhere.example/", body=b"", headers={})


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://example.com/", "give one such as"),
        ("https://", "give one such as"),
        ("https://a:b@example.com/", "leave them out"),
        ("https://example.com/#x", "leave them out"),
        ("https://example.com/a b", "give one such as"),
        ("http://[::1", "give one such as"),
        (f"https://example.com/{'x' * 500}", "up to 500 are allowed"),
    ],
)
def test_an_address_that_cannot_be_is_refused(project: Project, url: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        add_webhook(project=project, url=url, events=EVENTS, person=None)


def test_the_secret_is_shown_once_and_stands_nowhere(project: Project, ada: User, receiver: Receiver) -> None:
    address, client = reverse("evaluation:notices", args=[project.slug]), world.sign_in(ada)
    answer = client.post(address, {"kind": "webhook", "webhook-url": receiver.url, "webhook-events": EVENTS})
    channel = Channel.objects.get()
    secret = webhooks.secret_of(channel.salt)
    assert secret in answer.text
    assert answer["Cache-Control"] == "no-store"
    assert secret not in client.get(address).text
    assert secret not in str(Channel.objects.values())
    assert "room=4" not in client.get(address).text, "the path may be a key of its own"
    other = renew_secret(channel)
    assert sent_a_test(channel).state == "sent"
    assert receiver.verified(other)
    assert not receiver.verified(secret)


def test_people_who_may_not_see_results_or_have_no_address_are_not_written_to(
    project: Project, leo: User
) -> None:
    with pytest.raises(Refused, match="leo has no e-mail address"):
        add_person(project=project, username="leo", events=EVENTS, person=None)
    for name in ("ben", "mallory", "nobody"):
        with pytest.raises(Refused, match="is no member who may see results"):
            add_person(project=project, username=name, events=EVENTS, person=None)
    User.objects.filter(pk=leo.pk).update(email="leo@example.org")
    channel = add_person(project=project, username="leo", events=EVENTS, person=None)
    with pytest.raises(Refused, match="leo is told already"):
        add_person(project=project, username="leo", events=EVENTS, person=None)
    Membership.objects.filter(user=leo).delete()
    assert "may not see the results of this project any more" in sent_a_test(channel).sentence
    assert mail.outbox == []


def test_mail_that_is_only_printed_is_not_called_sent_and_the_page_says_so(
    project: Project, leo: User, ada: User, settings: Any
) -> None:
    User.objects.filter(pk=leo.pk).update(email="leo@example.org")
    channel = add_person(project=project, username="leo", events=EVENTS, person=None)
    client, address = world.sign_in(ada), reverse("evaluation:notices", args=[project.slug])
    assert "No mail server is set" not in client.get(address).text
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    delivery = sent_a_test(channel)
    assert (delivery.state, delivery.tries, delivery.sent_at) == ("given_up", 1, None)
    page = client.get(address).text
    assert "No mail server is set, so mail is only printed" in page
    assert "so it was only printed to the worker&#x27;s log; send it again once EMAIL_HOST is set." in page
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    client.post(reverse("evaluation:delivery_again", args=[project.slug, delivery.pk]))
    assert (tried(delivery).state, len(mail.outbox)) == ("sent", 1)


def test_a_channel_that_is_taken_away_gets_nothing_more(project: Project, receiver: Receiver) -> None:
    channel, _ = hooked(project, receiver)
    waiting = announce_test(channel)
    take_away(channel)
    assert tried(waiting).state == "given_up"
    a_policy(project)
    carried(begun(project))
    assert (Delivery.objects.count(), receiver.got) == (1, [])
    hooked(project, receiver)


@pytest.mark.data_layer
def test_two_workers_with_one_message_send_it_once(transactional_db: None, receiver: Receiver) -> None:
    project = world.make_project()
    channel, _ = hooked(project, receiver)
    delivery = announce_test(channel)
    assert sorted(world.together([lambda: delivering.deliver(delivery)] * 4)) == [False, False, False, True]
    assert len(receiver.got) == 1


@pytest.mark.data_layer
def test_a_run_that_ends_is_told_of_or_has_not_ended(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evaluation.policies import ending

    a_policy(project)
    run = begun(project)

    def die(_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ending, "announce_end", die)
        with pytest.raises(KeyboardInterrupt):
            carried(run)
    run.refresh_from_db()
    assert run.outcome == ""
    carried(run)
    assert RetrainPolicy.objects.get().runs.get().notices.count() == 1


def test_a_program_says_who_is_told_tests_it_and_sends_it_again(
    project: Project, receiver: Receiver, ada: User, emma: User
) -> None:
    User.objects.filter(username="leo").update(email="leo@example.org")
    client, root = world.sign_in(ada), f"/api/v1/projects/{project.slug}/retrain-policy/"
    told = client.post(f"{root}channels/", {"person": "leo", "events": ["candidate"]}, "application/json")
    assert (told.status_code, told.json()["told"], told.json()["secret"]) == (201, "leo", None)
    made = client.post(f"{root}channels/", {"url": receiver.url}, "application/json")
    assert (made.status_code, made["Cache-Control"], made.json()["events"]) == (201, "no-store", EVENTS)
    hook, secret = f"{root}channels/{made.json()['id']}/", made.json()["secret"]
    assert secret not in client.get(f"{root}channels/").text
    another = client.post(f"{hook}secret/").json()["secret"]
    assert another not in (secret, "")
    sent = client.post(f"{hook}test/").json()
    tried(Delivery.objects.get(pk=sent["id"]))
    emmas = world.sign_in(emma)
    (row,) = emmas.get(f"{root}deliveries/").json()["results"]
    assert (row["event"], row["state"], row["code"], row["channel"]) == (
        "test",
        "sent",
        200,
        made.json()["id"],
    )
    assert emmas.post(f"{root}deliveries/{row['id']}/again/").json()["state"] == "waiting"
    again = emmas.post(f"{root}deliveries/{row['id']}/again/")
    assert (again.status_code, "on its way already" in again.json()["detail"]) == (422, True)
    assert emmas.post(f"{root}channels/", {"person": "leo"}, "application/json").status_code == 403
    for wrong, code in (({}, 400), ({"person": "mallory"}, 422), ({"url": "nowhere"}, 422)):
        assert client.post(f"{root}channels/", wrong, "application/json").status_code == code, wrong
    assert client.delete(hook).status_code == 204
    assert [each["told"] for each in client.get(f"{root}channels/").json()["results"]] == ["leo"]
