"""REST API of the error categories: read them with their history, change them by the same verbs as the page."""

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response as ApiResponse

from labeling.api import ProjectView
from labeling.models import CategoryChange, ErrorCategory, Project
from labeling.rag.changing import ACTIONS, change_categories
from labeling.rag.taxonomy import all_categories, current

MOST_CHANGES = 500


class CategorySerializer(serializers.ModelSerializer[ErrorCategory]):
    class Meta:
        model = ErrorCategory
        fields = ["key", "name", "words", "scope", "stage", "retired_at"]


class CategoryHistorySerializer(serializers.ModelSerializer[CategoryChange]):
    person = serializers.CharField(source="person.username", default=None)

    class Meta:
        model = CategoryChange
        fields = ["action", "before", "after", "reason", "person", "created_at"]


class TaxonomySerializer(serializers.Serializer[Any]):
    categories = CategorySerializer(many=True)
    current = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        help_text="What each key is called now, after merges and splits.",
    )
    history = CategoryHistorySerializer(many=True)
    done = serializers.CharField(required=False, help_text="What a change did, in words.")


class PartSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    key = serializers.CharField(required=False)
    words = serializers.CharField(required=False)
    stage = serializers.CharField(required=False)


class CategoryChangeSerializer(serializers.Serializer[Any]):
    """Of the fields, send those of the action: add (name, scope, stage), rename (key, name), merge (keys, into),
    split (key, parts), retire (key)."""

    action = serializers.ChoiceField(choices=list(ACTIONS))
    key = serializers.CharField(required=False)
    keys = serializers.ListField(required=False, child=serializers.CharField(), max_length=100)
    into = serializers.CharField(required=False)
    name = serializers.CharField(required=False)
    words = serializers.CharField(required=False, allow_blank=True)
    scope = serializers.CharField(required=False)
    stage = serializers.CharField(required=False)
    parts = PartSerializer(many=True, required=False)
    reason = serializers.CharField(required=False, allow_blank=True)


class Categories(ProjectView):
    """The error categories of a project, with what became of each; POST one change."""

    capability = {"GET": "review", "POST": "manage"}

    @extend_schema(responses=TaxonomySerializer)
    def get(self, request: Request, slug: str) -> ApiResponse:
        return ApiResponse(_taxonomy(self.access().project))

    @extend_schema(request=CategoryChangeSerializer, responses=TaxonomySerializer)
    def post(self, request: Request, slug: str) -> ApiResponse:
        access, form = self.access(), CategoryChangeSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        values = dict(form.validated_data)
        words = change_categories(
            project=access.project, person=access.person, action=values.pop("action"), values=values
        )
        return ApiResponse({**_taxonomy(access.project), "done": words})


def _taxonomy(project: Project) -> dict[str, Any]:
    history = CategoryChange.objects.filter(project=project).select_related("person")[:MOST_CHANGES]
    return {
        "categories": CategorySerializer(all_categories(project), many=True).data,
        "current": current(project),
        "history": CategoryHistorySerializer(history, many=True).data,
    }


urlpatterns = [path("projects/<slug:slug>/categories/", Categories.as_view(), name="api-categories")]
