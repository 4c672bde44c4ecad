"""REST API of the rules that choose captures for people: read, add, change, move, remove and apply them."""

from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.api import ProjectView
from labeling.capturing import queueing, sampling
from labeling.models import CaptureRule
from labeling.models.captures import WHOLE


class ShareField(serializers.FloatField):
    """A share from 0.0001 to 1, which rules count in ten-thousandths."""

    def to_internal_value(self, data: Any) -> Any:
        share = super().to_internal_value(data)
        if not 1 / WHOLE <= share <= 1:
            raise serializers.ValidationError(f"Give a share from {1 / WHOLE:g} to 1.")
        return round(share * WHOLE)

    def to_representation(self, value: Any) -> Any:
        return value / WHOLE


class CaptureRuleSerializer(serializers.ModelSerializer[CaptureRule]):
    """Which captures a rule takes. An empty `voice`, `slice` or `model` fits any."""

    share = ShareField(required=False, help_text="Of these, from 0.0001 to 1, chosen by a hash of each.")

    class Meta:
        model = CaptureRule
        fields = ["id", "voice", "slice", "model", "share", "daily_cap", "is_on", "created_at"]
        read_only_fields = ["created_at"]


class CaptureRulesSerializer(serializers.Serializer[Any]):
    """The rules in their order, with what those that are on would have taken of the last days."""

    rules = CaptureRuleSerializer(many=True)
    would_take = serializers.DictField(child=serializers.IntegerField(), help_text="By the id of the rule.")
    looked_at = serializers.IntegerField(
        help_text="Captures of the last days, the newest where they are many."
    )
    left = serializers.IntegerField(help_text="Those that no rule would have taken.")


class MoveRuleSerializer(serializers.Serializer[Any]):
    up = serializers.BooleanField(help_text="Try it before its neighbour; false for after it.")


class AppliedSerializer(serializers.Serializer[Any]):
    taken = serializers.IntegerField(help_text="Captures that are on their way into the queue by it.")


class CaptureRules(ProjectView):
    """The rules in the order in which they are tried; POST adds one at the end."""

    capability = {"GET": "curate", "POST": "curate"}

    @extend_schema(responses=CaptureRulesSerializer)
    def get(self, request: Request, slug: str) -> Response:
        return _told(self)

    @extend_schema(request=CaptureRuleSerializer, responses={201: CaptureRuleSerializer})
    def post(self, request: Request, slug: str) -> Response:
        access, values = self.access(), self.given(CaptureRuleSerializer)
        made = sampling.save_rule(project=access.project, person=access.person, **values)
        return Response(CaptureRuleSerializer(made).data, status=status.HTTP_201_CREATED)


class OneCaptureRule(ProjectView):
    """PATCH changes what is given of a rule, DELETE takes it away: what it took stays in the queue."""

    capability = {"PATCH": "curate", "DELETE": "curate"}

    @extend_schema(request=CaptureRuleSerializer(partial=True), responses=CaptureRuleSerializer)
    def patch(self, request: Request, slug: str, rule_id: int) -> Response:
        access = self.access()
        form = CaptureRuleSerializer(data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        found = get_object_or_404(CaptureRule, project=access.project, pk=rule_id)
        if form.validated_data:
            found = sampling.save_rule(
                project=access.project, person=access.person, rule_id=rule_id, **form.validated_data
            )
        return Response(CaptureRuleSerializer(found).data)

    @extend_schema(responses={204: OpenApiResponse(description="It is gone.")})
    def delete(self, request: Request, slug: str, rule_id: int) -> Response:
        sampling.remove_rule(project=self.access().project, rule_id=rule_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


class MoveCaptureRule(ProjectView):
    """POST to try a rule before its neighbour, or after it."""

    capability = {"POST": "curate"}

    @extend_schema(request=MoveRuleSerializer, responses=CaptureRulesSerializer)
    def post(self, request: Request, slug: str, rule_id: int) -> Response:
        up = self.given(MoveRuleSerializer)["up"]
        sampling.move_rule(project=self.access().project, rule_id=rule_id, up=up)
        return _told(self)


class ApplyCaptureRules(ProjectView):
    """POST to let the rules take of the last days' captures what no rule took when they came."""

    capability = {"POST": "curate"}

    @extend_schema(request=None, responses={202: AppliedSerializer})
    def post(self, request: Request, slug: str) -> Response:
        project = self.access().project
        count = sampling.apply_rules(project=project)
        queueing.nudge(project)
        return Response({"taken": count}, status=status.HTTP_202_ACCEPTED)


def _told(view: ProjectView) -> Response:
    project = view.access().project
    taken = sampling.would_take(project=project)
    rules = CaptureRule.objects.filter(project=project)
    return Response(
        {
            "rules": CaptureRuleSerializer(rules, many=True).data,
            "would_take": taken.by_rule,
            "looked_at": taken.looked_at,
            "left": taken.left,
        }
    )


RULES = "projects/<slug:slug>/capture-rules/"
urlpatterns = [
    path(RULES, CaptureRules.as_view(), name="api-capture-rules"),
    path(f"{RULES}apply/", ApplyCaptureRules.as_view(), name="api-capture-rules-apply"),
    path(f"{RULES}<int:rule_id>/", OneCaptureRule.as_view(), name="api-capture-rule"),
    path(f"{RULES}<int:rule_id>/move/", MoveCaptureRule.as_view(), name="api-capture-rule-move"),
]
