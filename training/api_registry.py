"""REST API of the registry: base models, checkpoints, their stage, and merging."""

from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.api import ProjectView
from training.archives import Archive
from training.bases import register_model
from training.merging import start_merge
from training.models import BaseModel, Checkpoint, Merge
from training.registry import visible_checkpoints
from training.staging import Stage, move_by_hand


class BaseModelSerializer(serializers.ModelSerializer[BaseModel]):
    class Meta:
        model = BaseModel
        fields = ["id", "name", "location", "revision", "content_hash", "parameters", "licence", "created_at"]


class RegisterSerializer(serializers.Serializer[Any]):
    location = serializers.CharField(help_text="An absolute folder on the server, or a hub name.")
    name = serializers.CharField(required=False, default="")
    revision = serializers.CharField(required=False, default="")
    licence = serializers.CharField(required=False, default="")


class CheckpointSerializer(serializers.ModelSerializer[Checkpoint]):
    base = serializers.CharField(source="base.name", read_only=True)

    class Meta:
        model = Checkpoint
        fields = [
            "id",
            "name",
            "kind",
            "line",
            "stage",
            "base",
            "parent",
            "run",
            "content_hash",
            "parameters",
            "trainable",
            "created_at",
        ]


class WholeCheckpointSerializer(CheckpointSerializer):
    """With what changed in its weights, a row for each tensor."""

    class Meta(CheckpointSerializer.Meta):
        fields = [*CheckpointSerializer.Meta.fields, "deltas"]


class StageSerializer(serializers.Serializer[Any]):
    before = serializers.ChoiceField(choices=Stage.choices, help_text="The stage that it was seen in.")
    after = serializers.ChoiceField(choices=Stage.choices)
    replaces = serializers.IntegerField(
        required=False,
        allow_null=True,
        default=None,
        help_text="The checkpoint seen in production, which is archived.",
    )
    reason = serializers.CharField(required=False, default="", allow_blank=True)


class MergeSerializer(serializers.ModelSerializer[Merge]):
    class Meta:
        model = Merge
        fields = [
            "id",
            "adapter",
            "made",
            "status",
            "error",
            "progress",
            "result",
            "created_at",
            "finished_at",
        ]


class Bases(ProjectView, generics.ListAPIView[BaseModel]):
    """The base models of this installation; POST to register another."""

    capability = {"GET": "view_results", "POST": "train"}
    serializer_class = BaseModelSerializer
    queryset = BaseModel.objects.all()

    @extend_schema(request=RegisterSerializer, responses={201: CheckpointSerializer})
    def post(self, request: Request, slug: str) -> Response:
        form = RegisterSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        access = self.access()
        root = register_model(project=access.project, person=access.person, **form.validated_data)
        return Response(CheckpointSerializer(root).data, status=status.HTTP_201_CREATED)


class Checkpoints(ProjectView, generics.ListAPIView[Checkpoint]):
    """The checkpoints of a project, and the base models."""

    capability = {"GET": "view_results"}
    serializer_class = CheckpointSerializer
    queryset = Checkpoint.objects.none()
    filterset_fields = ["kind", "stage", "line"]

    def get_queryset(self) -> QuerySet[Checkpoint]:
        return visible_checkpoints(self.access().project)


class OneCheckpoint(ProjectView, generics.RetrieveAPIView[Checkpoint]):
    """One checkpoint."""

    capability = {"GET": "view_results"}
    serializer_class = WholeCheckpointSerializer
    lookup_url_kwarg = "checkpoint_id"
    queryset = Checkpoint.objects.none()

    def get_queryset(self) -> QuerySet[Checkpoint]:
        return visible_checkpoints(self.access().project)


class StageOf(ProjectView):
    """POST moves a checkpoint to another stage, if it still is where it was seen. Where a suite of the project has a
    gate, only owners promote past it, with a reason; POST a decision to an evaluation for a promotion by the gate."""

    capability = {"POST": "train"}

    @extend_schema(request=StageSerializer, responses=CheckpointSerializer)
    def post(self, request: Request, slug: str, checkpoint_id: int) -> Response:
        form = StageSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        access = self.access()
        found = get_object_or_404(visible_checkpoints(access.project), pk=checkpoint_id)
        move_by_hand(
            checkpoint=found, person=access.person, past_gate=access.can.manage, **form.validated_data
        )
        return Response(CheckpointSerializer(found).data)


class MergeOf(ProjectView):
    """The newest merge of an adapter; POST to start one, DELETE to cancel it."""

    capability = {"GET": "view_results", "POST": "train", "DELETE": "train"}

    def _found(self, checkpoint_id: int) -> Checkpoint:
        return get_object_or_404(visible_checkpoints(self.access().project), pk=checkpoint_id)

    @extend_schema(responses=MergeSerializer)
    def get(self, request: Request, slug: str, checkpoint_id: int) -> Response:
        merges = Merge.objects.filter(adapter=self._found(checkpoint_id)).order_by("-id")[:1]
        return Response(MergeSerializer(get_object_or_404(merges)).data)

    @extend_schema(request=None, responses={202: MergeSerializer})
    def post(self, request: Request, slug: str, checkpoint_id: int) -> Response:
        merge = start_merge(adapter=self._found(checkpoint_id), person=self.access().person)
        return Response(MergeSerializer(merge).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(responses={202: MergeSerializer})
    def delete(self, request: Request, slug: str, checkpoint_id: int) -> Response:
        merge = Merge.objects.filter(adapter=self._found(checkpoint_id)).order_by("-id").first()
        merge = get_object_or_404(Merge, pk=merge.pk if merge else None)
        merge.request_cancel()
        merge.refresh_from_db()
        return Response(MergeSerializer(merge).data, status=status.HTTP_202_ACCEPTED)


class WeightsOf(ProjectView):
    """The checkpoint's folder with its model card as one tar file."""

    capability = {"GET": "view_results"}

    @extend_schema(responses={(200, "application/x-tar"): OpenApiResponse(OpenApiTypes.BINARY)})
    def get(self, request: Request, slug: str, checkpoint_id: int) -> StreamingHttpResponse:
        archive = Archive(get_object_or_404(visible_checkpoints(self.access().project), pk=checkpoint_id))
        reply = StreamingHttpResponse(iter(archive), content_type="application/x-tar")
        reply["Content-Length"] = str(len(archive))
        reply["Content-Disposition"] = f'attachment; filename="{archive.name}.tar"'
        return reply


ONE = "projects/<slug:slug>/checkpoints/<int:checkpoint_id>"
urlpatterns = [
    path("projects/<slug:slug>/bases/", Bases.as_view(), name="api-bases"),
    path("projects/<slug:slug>/checkpoints/", Checkpoints.as_view(), name="api-checkpoints"),
    path(f"{ONE}/", OneCheckpoint.as_view(), name="api-checkpoint"),
    path(f"{ONE}/stage/", StageOf.as_view(), name="api-stage"),
    path(f"{ONE}/merge/", MergeOf.as_view(), name="api-merge"),
    path(f"{ONE}/weights.tar", WeightsOf.as_view(), name="api-weights"),
]
