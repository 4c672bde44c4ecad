"""REST API of what stands around a verdict: the gate of a suite, and links for people without an account."""

from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from evaluation.deciding import set_gate
from evaluation.findings import gate_of
from evaluation.models import EvalRun, Gate, ShareLink, Suite
from evaluation.sharing import DAYS, open_links, revoke, share
from labeling.api import ProjectView
from labeling.models import User


class RailSerializer(serializers.Serializer[Any]):
    metric = serializers.CharField()
    margin = serializers.FloatField(help_text="In the unit of the metric.")


class GateSerializer(serializers.ModelSerializer[Gate]):
    """Shares and margins of shares are from 0 to 1. `forgetting` is the number of a suite."""

    forgetting = serializers.IntegerField(source="forgetting_id", required=False, allow_null=True)
    guardrails = RailSerializer(many=True, required=False)
    changed_by = serializers.CharField(source="changed_by.username", default=None, read_only=True)

    class Meta:
        model = Gate
        fields = [
            *("alpha", "margin", "guardrails", "forgetting", "forgetting_margin", "contamination"),
            *("missing", "agreement", "needs_sealed", "changed_at", "changed_by"),
        ]


class SuiteGate(ProjectView):
    """What a candidate must show on a suite; PATCH to change what is given, which holds from the next decision on."""

    capability = {"GET": "view_results", "PATCH": "manage"}

    @extend_schema(responses=GateSerializer)
    def get(self, request: Request, slug: str, suite_id: int) -> Response:
        return Response(GateSerializer(gate_of(self._suite(suite_id))).data)

    @extend_schema(request=GateSerializer, responses=GateSerializer)
    def patch(self, request: Request, slug: str, suite_id: int) -> Response:
        suite, values = self._suite(suite_id), self.given(GateSerializer)
        if "forgetting_id" in values:
            key = values.pop("forgetting_id")
            values["forgetting"] = None if key is None else self._suite(key)
        person = self.access().person
        gate = set_gate(suite=suite, values=values, person=person) if values else gate_of(suite)
        return Response(GateSerializer(gate).data)

    def _suite(self, suite_id: int) -> Suite:
        return get_object_or_404(Suite, project=self.access().project, pk=suite_id)


class ShareLinkSerializer(serializers.ModelSerializer[ShareLink]):
    """A link that opens a verdict. Only the hash of its secret is stored."""

    created_by = serializers.CharField(source="created_by.username", default=None)

    class Meta:
        model = ShareLink
        fields = ["id", "created_at", "created_by", "expires_at"]


class MadeShareLinkSerializer(ShareLinkSerializer):
    address = serializers.CharField(help_text="With the secret, in this answer only.")

    class Meta(ShareLinkSerializer.Meta):
        fields = [*ShareLinkSerializer.Meta.fields, "address"]


class NewShareLinkSerializer(serializers.Serializer[Any]):
    days = serializers.IntegerField(help_text=f"How long it opens: {', '.join(map(str, DAYS))}.")


class ShareLinks(ProjectView):
    """The links to a verdict that still open; POST to make one."""

    capability = {"GET": "share", "POST": "share"}

    @extend_schema(responses=ShareLinkSerializer(many=True))
    def get(self, request: Request, slug: str, evaluation_id: int) -> Response:
        return Response(ShareLinkSerializer(open_links(_run(self)), many=True).data)

    @extend_schema(request=NewShareLinkSerializer, responses={201: MadeShareLinkSerializer})
    def post(self, request: Request, slug: str, evaluation_id: int) -> Response:
        run, person, days = _run(self), self.access().person, self.given(NewShareLinkSerializer)["days"]
        assert isinstance(person, User)
        link, secret = share(run=run, days=days, person=person)
        address = request.build_absolute_uri(reverse("evaluation:shared", args=[secret]))
        told = {**ShareLinkSerializer(link).data, "address": address}
        return Response(told, status=status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})


class OneShareLink(ProjectView):
    """DELETE makes a link worthless at once."""

    capability = {"DELETE": "share"}

    @extend_schema(responses={204: OpenApiResponse(description="It opens nothing any more.")})
    def delete(self, request: Request, slug: str, evaluation_id: int, link_id: int) -> Response:
        revoke(run=_run(self), link_id=link_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _run(view: ProjectView) -> EvalRun:
    return get_object_or_404(EvalRun, project=view.access().project, pk=view.kwargs["evaluation_id"])


LINKS = "projects/<slug:slug>/evaluations/<int:evaluation_id>/share-links/"
urlpatterns = [
    path("projects/<slug:slug>/suites/<int:suite_id>/gate/", SuiteGate.as_view(), name="api-gate"),
    path(LINKS, ShareLinks.as_view(), name="api-share-links"),
    path(f"{LINKS}<int:link_id>/", OneShareLink.as_view(), name="api-share-link"),
]
