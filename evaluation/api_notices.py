"""REST API of who is told of retraining: channels, their secrets and tests, and every delivery."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from evaluation.models import Channel, Delivery
from evaluation.policies.channels import CHOICES, add_person, add_webhook, renew_secret, take_away
from evaluation.policies.delivering import send_again
from evaluation.policies.notices import USUAL, announce_test
from labeling.api import ProjectView

NO_STORE = {"Cache-Control": "no-store"}


class ChannelSerializer(serializers.ModelSerializer[Channel]):
    told = serializers.CharField(source="shown", help_text="Who, without the path of an address.")
    created_by = serializers.CharField(source="created_by.username", default=None)

    class Meta:
        model = Channel
        fields = ["id", "kind", "told", "events", "created_at", "created_by"]


class ChannelSecretSerializer(serializers.Serializer[Any]):
    secret = serializers.CharField(help_text="Signs for a webhook; in this answer only.")


class MadeChannelSerializer(ChannelSerializer):
    secret = serializers.CharField(help_text="Of a webhook; in this answer only.", allow_null=True)

    class Meta(ChannelSerializer.Meta):
        fields = [*ChannelSerializer.Meta.fields, "secret"]


class NewChannelSerializer(serializers.Serializer[Any]):
    """`person` is told by e-mail, `url` by a signed POST; give one of them."""

    person = serializers.CharField(required=False, help_text="The name of a member who may see results.")
    url = serializers.CharField(required=False)
    events = serializers.ListField(
        child=serializers.CharField(),
        default=[event.value for event in USUAL],
        help_text=f"Of what: {', '.join(event.value for event in CHOICES)}.",
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if ("person" in values) == ("url" in values):
            raise serializers.ValidationError("Give a person, or the url of a webhook.")
        return values


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    event = serializers.CharField(source="notice.event")
    subject = serializers.CharField(source="notice.subject")
    told = serializers.CharField(source="channel.shown")

    class Meta:
        model = Delivery
        fields = [
            *("id", "event", "subject", "channel", "told", "state", "tries", "code", "sentence"),
            *("due_at", "sent_at", "created_at"),
        ]


class Channels(ProjectView, generics.ListAPIView[Channel]):
    """Who is told of retraining; POST to tell another one."""

    capability = {"GET": "train", "POST": "manage"}
    serializer_class = ChannelSerializer
    queryset = Channel.objects.none()

    def get_queryset(self) -> QuerySet[Channel]:
        rows = Channel.objects.filter(project__slug=self.kwargs["slug"], archived_at=None)
        return rows.select_related("person", "created_by")

    @extend_schema(request=NewChannelSerializer, responses={201: MadeChannelSerializer})
    def post(self, request: Request, slug: str) -> Response:
        access, values = self.access(), self.given(NewChannelSerializer)
        who: dict[str, Any] = {
            "project": access.project,
            "events": values["events"],
            "person": access.person,
        }
        secret = None
        if "person" in values:
            made = add_person(username=values["person"], **who)
        else:
            made, secret = add_webhook(url=values["url"], **who)
        told = {**ChannelSerializer(made).data, "secret": secret}
        return Response(told, status=status.HTTP_201_CREATED, headers=NO_STORE)


class ChannelView(ProjectView):
    """What the views of one channel share."""

    def channel(self) -> Channel:
        rows = Channel.objects.select_related("project", "person").filter(archived_at=None)
        return get_object_or_404(rows, project=self.access().project, pk=self.kwargs["channel_id"])


class OneChannel(ChannelView):
    """DELETE to tell it nothing more; what was sent stays in the list."""

    capability = {"DELETE": "manage"}

    @extend_schema(responses={204: OpenApiResponse(description="It is told nothing more.")})
    def delete(self, request: Request, slug: str, channel_id: int) -> Response:
        take_away(self.channel())
        return Response(status=status.HTTP_204_NO_CONTENT)


class TestChannel(ChannelView):
    """POST to send a test message."""

    capability = {"POST": "manage"}

    @extend_schema(request=None, responses={202: DeliverySerializer})
    def post(self, request: Request, slug: str, channel_id: int) -> Response:
        sent = announce_test(self.channel())
        return Response(DeliverySerializer(sent).data, status=status.HTTP_202_ACCEPTED)


class ChannelSecret(ChannelView):
    """POST to make another secret; the one before is worthless at once."""

    capability = {"POST": "manage"}

    @extend_schema(request=None, responses=ChannelSecretSerializer)
    def post(self, request: Request, slug: str, channel_id: int) -> Response:
        return Response({"secret": renew_secret(self.channel())}, headers=NO_STORE)


class Deliveries(ProjectView, generics.ListAPIView[Delivery]):
    """Every message that went out or waits, the newest first."""

    capability = {"GET": "train"}
    serializer_class = DeliverySerializer
    queryset = Delivery.objects.none()
    filterset_fields = ["state"]

    def get_queryset(self) -> QuerySet[Delivery]:
        rows = Delivery.objects.filter(notice__project__slug=self.kwargs["slug"])
        return rows.select_related("notice", "channel__person").defer("notice__payload", "notice__text")


class DeliveryAgain(ProjectView):
    """POST to send once more what was sent or given up, with the same id."""

    capability = {"POST": "train"}

    @extend_schema(request=None, responses={202: DeliverySerializer})
    def post(self, request: Request, slug: str, delivery_id: int) -> Response:
        rows = Delivery.objects.select_related("notice", "channel__person")
        found = get_object_or_404(rows, notice__project=self.access().project, pk=delivery_id)
        send_again(found)
        found.refresh_from_db()
        return Response(DeliverySerializer(found).data, status=status.HTTP_202_ACCEPTED)


POLICY = "projects/<slug:slug>/retrain-policy/"
CHANNEL = f"{POLICY}channels/<int:channel_id>/"
urlpatterns = [
    path(f"{POLICY}channels/", Channels.as_view(), name="api-channels"),
    path(CHANNEL, OneChannel.as_view(), name="api-channel"),
    path(f"{CHANNEL}test/", TestChannel.as_view(), name="api-channel-test"),
    path(f"{CHANNEL}secret/", ChannelSecret.as_view(), name="api-channel-secret"),
    path(f"{POLICY}deliveries/", Deliveries.as_view(), name="api-deliveries"),
    path(f"{POLICY}deliveries/<int:delivery_id>/again/", DeliveryAgain.as_view(), name="api-delivery-again"),
]
