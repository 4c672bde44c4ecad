"""REST API of evaluation: plan runs and read their scores."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from evaluation.models import EvalRun, Score
from evaluation.planning import plan_on_held_out
from labeling.api import ProjectView
from labeling.models import DatasetVersion
from training.registry import find_checkpoint


class ScoreSerializer(serializers.ModelSerializer[Score]):
    checkpoint = serializers.CharField(source="checkpoint.name")

    class Meta:
        model = Score
        fields = ["checkpoint", "metric", "value", "low", "high", "n", "p_value", "fixed", "broken"]


class EvaluationSerializer(serializers.ModelSerializer[EvalRun]):
    scores = ScoreSerializer(many=True, read_only=True)
    suite = serializers.CharField(source="suite.name", read_only=True)

    class Meta:
        model = EvalRun
        fields = [
            "id",
            "name",
            "suite",
            "engine",
            "plan",
            "status",
            "error",
            "progress",
            "scores",
            "created_at",
        ]


class PlanSerializer(serializers.Serializer[Any]):
    dataset_version = serializers.IntegerField(
        help_text="Number of the version whose test split is the suite."
    )
    checkpoints = serializers.ListField(
        child=serializers.CharField(),
        help_text="Checkpoints by number or name; the base is always scored too.",
    )
    name = serializers.CharField(required=False, default="")


class Evaluations(ProjectView, generics.ListAPIView[EvalRun]):
    """The evaluations of a project; POST to plan another."""

    capability = {"GET": "view_results", "POST": "train"}
    serializer_class = EvaluationSerializer
    queryset = EvalRun.objects.none()
    filterset_fields = ["status"]

    def get_queryset(self) -> QuerySet[EvalRun]:
        rows = EvalRun.objects.filter(project__slug=self.kwargs["slug"])
        return rows.select_related("suite").prefetch_related("scores__checkpoint")

    @extend_schema(request=PlanSerializer, responses={202: EvaluationSerializer})
    def post(self, request: Request, slug: str) -> Response:
        form = PlanSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        access, values = self.access(), form.validated_data
        version = get_object_or_404(DatasetVersion, project=access.project, number=values["dataset_version"])
        names = values["checkpoints"]
        run = plan_on_held_out(
            version=version,
            checkpoints=[find_checkpoint(project=access.project, name=name) for name in names],
            person=access.person,
            name=values["name"],
        )
        return Response(EvaluationSerializer(run).data, status=status.HTTP_202_ACCEPTED)


class Evaluation(ProjectView, generics.RetrieveAPIView[EvalRun]):
    """One evaluation with its scores."""

    capability = {"GET": "view_results"}
    serializer_class = EvaluationSerializer
    lookup_url_kwarg = "evaluation_id"

    def get_queryset(self) -> QuerySet[EvalRun]:
        rows = EvalRun.objects.filter(project__slug=self.kwargs["slug"])
        return rows.select_related("suite").prefetch_related("scores__checkpoint")


urlpatterns = [
    path("projects/<slug:slug>/evaluations/", Evaluations.as_view(), name="api-evaluations"),
    path(
        "projects/<slug:slug>/evaluations/<int:evaluation_id>/", Evaluation.as_view(), name="api-evaluation"
    ),
]
