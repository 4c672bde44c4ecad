"""REST API of training: start runs, read them, cancel and resume them."""

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.api import ProjectView
from training import api_checks, api_pipelines, api_registry
from training.api_checks import LaunchSerializer, asked
from training.launching import launch, resume
from training.models import TrainingRun


class RunSerializer(serializers.ModelSerializer[TrainingRun]):
    dataset_version = serializers.IntegerField(source="dataset_version.number", read_only=True)
    start = serializers.CharField(source="start.name", read_only=True)
    reward = serializers.CharField(source="reward.name", read_only=True, default=None)
    gold = serializers.CharField(source="gold.name", read_only=True, default=None)
    checkpoint = serializers.CharField(source="checkpoint.pk", read_only=True, default=None)

    class Meta:
        model = TrainingRun
        fields = [
            "id",
            "name",
            "method",
            "dataset_version",
            "start",
            "reward",
            "gold",
            "spec",
            "status",
            "error",
            "step",
            "total_steps",
            "loss_first",
            "loss_last",
            "checkpoint",
            "again_of",
            "created_at",
            "started_at",
            "finished_at",
        ]


class Runs(ProjectView, generics.ListAPIView[TrainingRun]):
    """The runs of a project; POST to start another."""

    capability = {"GET": "view_results", "POST": "train"}
    serializer_class = RunSerializer
    queryset = TrainingRun.objects.none()
    filterset_fields = ["status", "method"]

    def get_queryset(self) -> QuerySet[TrainingRun]:
        rows = TrainingRun.objects.filter(project__slug=self.kwargs["slug"])
        return rows.select_related("dataset_version", "start", "reward", "gold", "checkpoint")

    @extend_schema(request=LaunchSerializer, responses={202: RunSerializer})
    def post(self, request: Request, slug: str) -> Response:
        access = self.access()
        run = launch(**asked(access.project, request.data), person=access.person)
        return Response(RunSerializer(run).data, status=status.HTTP_202_ACCEPTED)


class Run(ProjectView, generics.RetrieveAPIView[TrainingRun]):
    """One run; DELETE asks it to stop and keeps the row."""

    capability = {"GET": "view_results", "DELETE": "train"}
    serializer_class = RunSerializer
    lookup_url_kwarg = "run_id"

    def get_queryset(self) -> QuerySet[TrainingRun]:
        return TrainingRun.objects.filter(project__slug=self.kwargs["slug"])

    @extend_schema(responses={202: RunSerializer})
    def delete(self, request: Request, slug: str, run_id: int) -> Response:
        run = self.get_object()
        run.request_cancel()
        run.refresh_from_db()
        return Response(RunSerializer(run).data, status=status.HTTP_202_ACCEPTED)


class ResumeRun(ProjectView, generics.GenericAPIView[TrainingRun]):
    """Let a run that failed or was cancelled go on from its last checkpoint."""

    capability = {"POST": "train"}
    serializer_class = RunSerializer

    @extend_schema(request=None, responses={202: RunSerializer})
    def post(self, request: Request, slug: str, run_id: int) -> Response:
        run = get_object_or_404(TrainingRun, project=self.access().project, pk=run_id)
        resume(run)
        return Response(RunSerializer(run).data, status=status.HTTP_202_ACCEPTED)


urlpatterns = [
    path("projects/<slug:slug>/runs/", Runs.as_view(), name="api-runs"),
    path("projects/<slug:slug>/runs/<int:run_id>/", Run.as_view(), name="api-run"),
    path("projects/<slug:slug>/runs/<int:run_id>/resume/", ResumeRun.as_view(), name="api-run-resume"),
    *api_checks.urlpatterns,
    *api_pipelines.urlpatterns,
    *api_registry.urlpatterns,
]
