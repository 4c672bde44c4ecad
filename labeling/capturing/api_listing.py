"""REST API of what came: the captures of a project and one whole, and the tokens by which they come."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.api import ProjectView
from labeling.capturing.forms import CaptureFilter
from labeling.capturing.listing import Wanted, captures_of, hidden_of
from labeling.capturing.tokens import make_token, revoke_token
from labeling.models import Capture, CaptureState, CaptureToken, Voice

TELLING = ("voice", "model", "comment", "chosen", "rule")  # of the answer, or of what was said of it
FILTERS = [
    OpenApiParameter("q", str, description="Words of the prompt."),
    OpenApiParameter("voice", str, enum=Voice.values),
    OpenApiParameter("state", str, enum=CaptureState.values),
    OpenApiParameter("slice", str, description="A slice or a tag."),
    OpenApiParameter("day", str, description="Of one day, as 2026-12-31."),
    OpenApiParameter("after", int, description="The page that begins below this capture …"),
    OpenApiParameter("before", int, description="… or that ends above it."),
]


class ReceivedCaptureSerializer(serializers.ModelSerializer[Capture]):
    """What tells of the answer is null in a `hidden` one: you may still be given its item to judge."""

    hidden = serializers.SerializerMethodField()
    tags = serializers.SerializerMethodField()

    class Meta:
        model = Capture
        fields = [
            *("id", "uid", "preview", "voice", "slice", "tags", "n_answers", "n_contexts", "scrubbed"),
            *("state", "note", "item", "captured_at", "received_at", "hidden"),
        ]

    def get_hidden(self, capture: Capture) -> bool:
        return capture.item_id in self.context["hidden"]

    def get_tags(self, capture: Capture) -> list[str]:
        return [word for word in capture.labels.split("|") if word]

    def to_representation(self, capture: Capture) -> dict[str, Any]:
        found = super().to_representation(capture)
        return found | {name: None for name in TELLING if found["hidden"] and name in found}


class WholeCaptureSerializer(ReceivedCaptureSerializer):
    token = serializers.CharField(source="token.name")
    messages = serializers.ListField(source="body.messages", child=serializers.DictField())
    contexts = serializers.ListField(source="body.contexts", child=serializers.DictField())
    answers = serializers.SerializerMethodField()
    comment = serializers.CharField(source="body.comment", allow_null=True)
    chosen = serializers.IntegerField(source="body.chosen", allow_null=True)

    class Meta(ReceivedCaptureSerializer.Meta):
        fields = [
            *ReceivedCaptureSerializer.Meta.fields,
            *("key", "token", "licence", "model", "rule", "messages", "contexts", "answers", "comment"),
            "chosen",
        ]

    def get_answers(self, capture: Capture) -> list[str]:
        return [answer["text"] for answer in capture.body["answers"]]


class CapturePageSerializer(serializers.Serializer[Any]):
    captures = ReceivedCaptureSerializer(many=True)
    before = serializers.IntegerField(allow_null=True, help_text="Asked with it, the page of newer ones.")
    after = serializers.IntegerField(allow_null=True, help_text="Asked with it, the page of older ones.")


class CaptureTokenSerializer(serializers.ModelSerializer[CaptureToken]):
    """A token by how it begins: only the hash of its secret is stored."""

    created_by = serializers.CharField(source="created_by.username", default=None, read_only=True)
    revoked_by = serializers.CharField(source="revoked_by.username", default=None, read_only=True)

    class Meta:
        model = CaptureToken
        fields = [
            *("id", "name", "begins", "per_minute", "created_at", "created_by", "revoked_at", "revoked_by")
        ]
        read_only_fields = ["begins", "created_at", "revoked_at"]


class MadeCaptureTokenSerializer(CaptureTokenSerializer):
    secret = serializers.CharField(read_only=True, help_text="In this answer only.")

    class Meta(CaptureTokenSerializer.Meta):
        fields = [*CaptureTokenSerializer.Meta.fields, "secret"]


class ReceivedCaptures(ProjectView):
    """The captures of a project, newest first, as its page shows them."""

    capability = {"GET": "curate"}

    @extend_schema(operation_id="projects_captures_list", parameters=FILTERS, responses=CapturePageSerializer)
    def get(self, request: Request, slug: str) -> Response:
        access, form = self.access(), CaptureFilter(request.query_params)
        form.is_valid()
        found = captures_of(project=access.project, wanted=Wanted(**form.cleaned_data), reader=access.person)
        rows = ReceivedCaptureSerializer(found.captures, many=True, context={"hidden": found.hidden})
        return Response({"captures": rows.data, "before": found.before, "after": found.after})


class ReceivedCapture(ProjectView):
    """One capture with all its texts."""

    capability = {"GET": "curate"}

    @extend_schema(responses=WholeCaptureSerializer)
    def get(self, request: Request, slug: str, capture_id: int) -> Response:
        access, rows = self.access(), Capture.objects.select_related("token")
        found = get_object_or_404(rows, project=access.project, pk=capture_id)
        hidden = hidden_of(access.project, [found], access.person)
        return Response(WholeCaptureSerializer(found, context={"hidden": hidden}).data)


class CaptureTokens(ProjectView, generics.ListAPIView[CaptureToken]):
    """Who may send captures; POST makes a token, whose secret is told only then."""

    capability = {"GET": "manage", "POST": "manage"}
    serializer_class = CaptureTokenSerializer
    queryset = CaptureToken.objects.none()

    def get_queryset(self) -> QuerySet[CaptureToken]:
        rows = CaptureToken.objects.filter(project__slug=self.kwargs["slug"])
        return rows.select_related("created_by", "revoked_by")

    @extend_schema(request=CaptureTokenSerializer, responses={201: MadeCaptureTokenSerializer})
    def post(self, request: Request, slug: str) -> Response:
        access, values = self.access(), self.given(CaptureTokenSerializer)
        made, secret = make_token(project=access.project, person=access.person, **values)
        told = {**CaptureTokenSerializer(made).data, "secret": secret}
        return Response(told, status=status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})


class OneCaptureToken(ProjectView):
    """DELETE ends a token. What came by it stays."""

    capability = {"DELETE": "manage"}

    @extend_schema(responses={204: OpenApiResponse(description="It opens nothing any more.")})
    def delete(self, request: Request, slug: str, token_id: int) -> Response:
        access = self.access()
        revoke_token(project=access.project, token_id=token_id, person=access.person)
        return Response(status=status.HTTP_204_NO_CONTENT)


PROJECT = "projects/<slug:slug>/"
urlpatterns = [
    path(f"{PROJECT}captures/", ReceivedCaptures.as_view(), name="api-received-captures"),
    path(f"{PROJECT}captures/<int:capture_id>/", ReceivedCapture.as_view(), name="api-received-capture"),
    path(f"{PROJECT}capture-tokens/", CaptureTokens.as_view(), name="api-capture-tokens"),
    path(f"{PROJECT}capture-tokens/<int:token_id>/", OneCaptureToken.as_view(), name="api-capture-token"),
]
