"""REST API of the kinds of error in an analysis: a new kind, the plan against one, its failures to labeling."""

from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from evaluation.api_errors import find_analysis
from evaluation.errors.plans import members, plan_against
from evaluation.errors.sending import send_category
from evaluation.models import CategoryPlan
from labeling.api import ProjectView
from labeling.errors import Refused
from labeling.models import ErrorCategory, Scope, Stage
from labeling.rag.api import CategorySerializer
from labeling.rag.taxonomy import add_category


class NewKindSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80)
    stage = serializers.ChoiceField(choices=Stage.choices, default=Stage.OTHER, help_text="Where it arises.")


class NewKind(ProjectView):
    """POST a kind of error that nobody has met before."""

    capability = {"POST": "review"}

    @extend_schema(request=NewKindSerializer, responses={201: CategorySerializer})
    def post(self, request: Request, slug: str, analysis_id: int) -> Response:
        access, values = self.access(), self.given(NewKindSerializer)
        find_analysis(self, analysis_id)
        made = add_category(project=access.project, person=access.person, scope=Scope.ANSWER, **values)
        return Response(CategorySerializer(made).data, status=status.HTTP_201_CREATED)


class SentKindSerializer(serializers.Serializer[Any]):
    """What became of the failures of a kind."""

    new = serializers.IntegerField(help_text="New items of the queue.")
    known = serializers.IntegerField(help_text="Items that were there already.")
    held = serializers.IntegerField(help_text="Held out by a fix; they stayed.")
    few = serializers.IntegerField(help_text="With too few different answers to judge; they stayed.")
    unfit = serializers.ListField(
        child=serializers.CharField(), help_text="Those that no item takes, each with the reason."
    )
    words = serializers.CharField()


class SendKind(ProjectView):
    """POST to send the failures of one kind to labeling; repeating it is harmless."""

    capability = {"POST": "curate"}

    @extend_schema(request=None, responses=SentKindSerializer)
    def post(self, request: Request, slug: str, analysis_id: int, key: str) -> Response:
        category = _category(self, key)
        sent = send_category(analysis=find_analysis(self, analysis_id), key=category.key)
        return Response(SentKindSerializer(sent).data)


class KindPlanSerializer(serializers.ModelSerializer[CategoryPlan]):
    category = serializers.CharField(source="category.key", read_only=True)
    effort = serializers.FloatField(
        required=False, allow_null=True, default=None, help_text="In days, as you reckon it."
    )
    owner = serializers.CharField(
        source="owner.username", required=False, allow_null=True, default=None, help_text="One of its people."
    )
    changed_by = serializers.CharField(source="changed_by.username", default=None, read_only=True)

    class Meta:
        model = CategoryPlan
        fields = ["category", "effort", "owner", "status", "note", "changed_at", "changed_by"]


class KindPlan(ProjectView):
    """What is planned against a kind of error; PUT writes the whole plan."""

    capability = {"GET": "view_results", "PUT": "review"}

    @extend_schema(responses=KindPlanSerializer)
    def get(self, request: Request, slug: str, key: str) -> Response:
        category = _category(self, key)
        rows = CategoryPlan.objects.filter(category=category).select_related(
            "category", "owner", "changed_by"
        )
        return Response(KindPlanSerializer(rows.first() or CategoryPlan(category=category)).data)

    @extend_schema(request=KindPlanSerializer, responses=KindPlanSerializer)
    def put(self, request: Request, slug: str, key: str) -> Response:
        category, values = _category(self, key), self.given(KindPlanSerializer)
        name = (values.pop("owner", None) or {}).get("username")
        owner = members(category.project).filter(username=name).first()
        if name and owner is None:
            raise Refused(f"{name[:150]} is not in this project; choose one of its people.")
        kept = plan_against(category=category, person=self.access().person, owner=owner, **values)
        return Response(KindPlanSerializer(kept).data)


def _category(view: ProjectView, key: str) -> ErrorCategory:
    rows = ErrorCategory.objects.select_related("project")
    return get_object_or_404(rows, project=view.access().project, key=key)


PROJECT = "projects/<slug:slug>/"
KINDS = f"{PROJECT}analyses/<int:analysis_id>/categories/"
urlpatterns = [
    path(KINDS, NewKind.as_view(), name="api-error-categories"),
    path(f"{KINDS}<slug:key>/send/", SendKind.as_view(), name="api-error-send"),
    path(f"{PROJECT}categories/<slug:key>/plan/", KindPlan.as_view(), name="api-error-plan"),
]
