"""REST API by which captures come: one address, one right. The others are for the people of a project."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import OnlyJson
from labeling.capturing import api_listing, api_rules
from labeling.capturing.bodies import captures_in, read_body
from labeling.capturing.limiting import Limited, refuse_full
from labeling.capturing.reading import FIELDS
from labeling.capturing.receiving import Fate, receive
from labeling.capturing.tokens import CaptureAuthentication
from labeling.errors import Refused
from labeling.models import CaptureToken

PIECE = 1 << 16  # bytes read at a time
DRAINED = 4  # times the limit is read only to be thrown away
CODES = {
    "stored": status.HTTP_201_CREATED,
    "duplicate": status.HTTP_200_OK,
    "refused": status.HTTP_422_UNPROCESSABLE_ENTITY,
}


class CaptureSerializer(serializers.Serializer[Any]):
    """What a capture holds; see each field. Or captures: a list of up to 1,000 of them."""

    prompt = serializers.JSONField(help_text=FIELDS["prompt"])
    contexts = serializers.ListField(
        child=serializers.JSONField(), required=False, help_text=FIELDS["contexts"]
    )
    answer = serializers.CharField(required=False, help_text=FIELDS["answer"])
    answers = serializers.ListField(
        child=serializers.JSONField(), required=False, help_text=FIELDS["answers"]
    )
    model = serializers.CharField(required=False, help_text=FIELDS["model"])
    thumbs = serializers.ChoiceField(choices=["up", "down"], required=False, help_text=FIELDS["thumbs"])
    chosen = serializers.IntegerField(required=False, help_text=FIELDS["chosen"])
    comment = serializers.CharField(required=False, help_text=FIELDS["comment"])
    user = serializers.CharField(required=False, help_text=FIELDS["user"])
    conversation = serializers.CharField(required=False, help_text=FIELDS["conversation"])
    consent = serializers.BooleanField(help_text=FIELDS["consent"])
    licence = serializers.CharField(required=False, help_text=FIELDS["licence"])
    slice = serializers.CharField(required=False, help_text=FIELDS["slice"])
    tags = serializers.ListField(child=serializers.CharField(), required=False, help_text=FIELDS["tags"])
    captured_at = serializers.DateTimeField(required=False, help_text=FIELDS["captured_at"])
    idempotency_key = serializers.CharField(required=False, help_text=FIELDS["idempotency_key"])


class CaptureBatchSerializer(serializers.Serializer[Any]):
    captures = CaptureSerializer(many=True)


class CaptureFateSerializer(serializers.Serializer[Any]):
    status = serializers.CharField(help_text=f"One of {', '.join(CODES)}.")
    id = serializers.CharField(required=False, help_text="Name of the capture here.")
    detail = serializers.CharField(required=False, help_text="Why it was refused.")


class CaptureFatesSerializer(serializers.Serializer[Any]):
    stored = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    refused = serializers.IntegerField()
    results = CaptureFateSerializer(many=True, help_text="One for each capture, in their order.")


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"


class TooMany(APIException):
    """With `wait`, which becomes the header Retry-After."""

    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    default_code = "too_many"

    def __init__(self, limited: Limited) -> None:
        super().__init__(str(limited))
        self.wait = limited.wait


class HoldsToken(BasePermission):
    """The authentication lets nobody else through; this says it once more."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, CaptureToken)


class Captures(APIView):
    """Send what your product's users asked, were answered and thought of it. Each capture is stored, known already, or
    refused with a sentence, by itself: a bad one costs its neighbours nothing."""

    authentication_classes = [CaptureAuthentication]
    permission_classes = [HoldsToken]
    content_negotiation_class = OnlyJson
    guard = "capture token"

    @extend_schema(
        request=CaptureBatchSerializer,
        responses={200: CaptureFatesSerializer, 201: CaptureFateSerializer},
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                str,
                OpenApiParameter.HEADER,
                description="Key of a request whose captures name none: sending it again stores nothing twice, and "
                "other content under it is refused.",
            )
        ],
    )
    def post(self, request: Request) -> Response:
        token = request.auth
        assert isinstance(token, CaptureToken)
        try:
            refuse_full(token, timezone.now())
            values, is_batch = captures_in(read_body(_raw(request._request)))
            fates = receive(token=token, values=values, key=_key(request))
        except Limited as limited:
            raise TooMany(limited) from limited
        if not is_batch:
            return Response(_line(fates[0]), status=CODES[fates[0].status])
        counts = {name: sum(fate.status == name for fate in fates) for name in CODES}
        return Response({**counts, "results": [_line(fate) for fate in fates]})


def _line(fate: Fate) -> dict[str, str]:
    if fate.status == "refused":
        return {"status": fate.status, "detail": fate.reason}
    return {"status": fate.status, "id": fate.id}


def _key(request: Request) -> str:
    """The key of the request. Raises Refused where it cannot be one."""
    given: str = request.headers.get("Idempotency-Key", "").strip()
    if len(given) > 90:
        raise Refused(f"Idempotency-Key has {len(given)} letters; up to 90 are taken.")
    return given


def _raw(request: HttpRequest) -> bytes:
    """The body, as far as the limit goes. What is beyond is read and thrown away, within reason: a client that still
    sends does not hear an answer."""
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    raw = request.read(limit + 1)
    if len(raw) <= limit:
        return raw
    for _ in range(DRAINED * limit // PIECE):
        if not request.read(PIECE):
            break
    raise TooLarge(
        f"The body has more than {limit:,} bytes; send fewer captures at once, or leave contexts out that the answer "
        "does not rest on. Nothing of it was stored."
    )


urlpatterns = [
    path("captures", Captures.as_view(), name="api-captures"),
    path("captures/", Captures.as_view(schema=None)),  # as the other addresses end
    *api_listing.urlpatterns,
    *api_rules.urlpatterns,
]
