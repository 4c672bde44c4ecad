"""REST API of what comes before a run: checks of settings and rows, and retraining."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.api import ProjectView
from labeling.errors import Refused
from labeling.models import DatasetVersion, Project
from training.checking import start_check
from training.models import Preflight, Retraining, TrainingRun
from training.registry import find_checkpoint
from training.retraining import origin_of, outlook, start_retraining
from training.specs import METHODS


class LaunchSerializer(serializers.Serializer[Any]):
    method = serializers.ChoiceField(choices=list(METHODS))
    dataset_version = serializers.IntegerField(help_text="Number of the version in this project.")
    start = serializers.CharField(help_text="Checkpoint to start from, by number or name.")
    reward = serializers.CharField(
        required=False, default="", help_text="Reward model of ppo, rloo and best_of_n, by number or name."
    )
    gold = serializers.CharField(
        required=False, default="", help_text="A second reward model, which only watches."
    )
    name = serializers.CharField(required=False, default="")
    spec = serializers.DictField(required=False, default=dict)


def asked(project: Project, data: Any) -> dict[str, Any]:
    """What a request asks to launch or check, as the verbs take it. Raises what the API answers with 422 and 404."""
    form = LaunchSerializer(data=data)
    form.is_valid(raise_exception=True)
    values = form.validated_data
    return {
        "project": project,
        "method": values["method"],
        "dataset_version": get_object_or_404(
            DatasetVersion, project=project, number=values["dataset_version"]
        ),
        "start": find_checkpoint(project=project, name=values["start"]),
        **{
            judge: find_checkpoint(project=project, name=values[judge]) if values[judge] else None
            for judge in ("reward", "gold")
        },
        "values": values["spec"],
        "name": values["name"],
    }


class CheckSerializer(serializers.ModelSerializer[Preflight]):
    dataset_version = serializers.IntegerField(source="dataset_version.number", read_only=True)
    start = serializers.CharField(source="start.name", read_only=True)
    reward = serializers.CharField(source="reward.name", read_only=True, default=None)
    gold = serializers.CharField(source="gold.name", read_only=True, default=None)

    class Meta:
        model = Preflight
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
            "run",
            "result",
            "created_at",
            "finished_at",
        ]


class Checks(ProjectView, generics.ListAPIView[Preflight]):
    """The checks of a project; POST to see what a run would see, need and take, without training it."""

    capability = {"GET": "view_results", "POST": "train"}
    serializer_class = CheckSerializer
    queryset = Preflight.objects.none()
    filterset_fields = ["status", "method"]

    def get_queryset(self) -> QuerySet[Preflight]:
        rows = Preflight.objects.filter(project__slug=self.kwargs["slug"])
        return rows.select_related("dataset_version", "start", "reward", "gold")

    @extend_schema(request=LaunchSerializer, responses={202: CheckSerializer})
    def post(self, request: Request, slug: str) -> Response:
        access = self.access()
        check = start_check(**asked(access.project, request.data), person=access.person)
        return Response(CheckSerializer(check).data, status=status.HTTP_202_ACCEPTED)


class Check(ProjectView, generics.RetrieveAPIView[Preflight]):
    """One check with its report; DELETE asks it to stop and keeps the row."""

    capability = {"GET": "view_results", "DELETE": "train"}
    serializer_class = CheckSerializer
    lookup_url_kwarg = "check_id"

    def get_queryset(self) -> QuerySet[Preflight]:
        return Preflight.objects.filter(project__slug=self.kwargs["slug"])

    @extend_schema(responses={202: CheckSerializer})
    def delete(self, request: Request, slug: str, check_id: int) -> Response:
        check = self.get_object()
        check.request_cancel()
        check.refresh_from_db()
        return Response(CheckSerializer(check).data, status=status.HTTP_202_ACCEPTED)


class OutlookSerializer(serializers.Serializer[Any]):
    origin = serializers.IntegerField(source="origin.pk", help_text="The run that it would follow.")
    newer = serializers.IntegerField(help_text="Judgments since that run's version.")
    altered = serializers.CharField(help_text="What was altered since that may give other rows.")
    steps = serializers.ListField(child=serializers.CharField())
    refusal = serializers.CharField(help_text="Why it would not be done; empty where it would.")


class RetrainSerializer(serializers.Serializer[Any]):
    override = serializers.CharField(
        required=False, default="", help_text="Reason to freeze even what the check would block."
    )


class RetrainingSerializer(serializers.ModelSerializer[Retraining]):
    version = serializers.IntegerField(source="version.number", read_only=True, default=None)

    class Meta:
        model = Retraining
        fields = ["id", "origin", "version", "run", "status", "error", "created_at"]


class Retrain(ProjectView, generics.GenericAPIView[Retraining]):
    """What retraining would do now; POST does it."""

    capability = {"GET": "train", "POST": "train"}
    serializer_class = OutlookSerializer

    def _origin(self) -> TrainingRun:
        origin = origin_of(self.access().project)
        if origin is None:
            raise Refused(
                "No run of this project has succeeded, so there is none to follow; start one first."
            )
        return origin

    @extend_schema(responses=OutlookSerializer)
    def get(self, request: Request, slug: str) -> Response:
        return Response(OutlookSerializer(outlook(self._origin())).data)

    @extend_schema(request=RetrainSerializer, responses={202: RetrainingSerializer})
    def post(self, request: Request, slug: str) -> Response:
        form = RetrainSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        job = start_retraining(self._origin(), person=self.access().person, **form.validated_data)
        return Response(RetrainingSerializer(job).data, status=status.HTTP_202_ACCEPTED)


urlpatterns = [
    path("projects/<slug:slug>/checks/", Checks.as_view(), name="api-checks"),
    path("projects/<slug:slug>/checks/<int:check_id>/", Check.as_view(), name="api-check"),
    path("projects/<slug:slug>/retrain/", Retrain.as_view(), name="api-retrain"),
]
