"""REST API of pipelines: launch one, read how far its steps are, stop it, train a step again."""

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
from training import pipelines
from training.chaining import Asked, StepRefused
from training.models import Pipeline, PipelineStep
from training.registry import find_checkpoint
from training.specs import ROLLOUTS
from training.standing import made, standing, status_of, steps_of, with_steps

Role = PipelineStep.Role


class AskedStepSerializer(serializers.Serializer[Any]):
    """A checkpoint that is there, or what to train."""

    method = serializers.ChoiceField(
        choices=["sft", "reward", *ROLLOUTS], required=False, help_text="Of the policy; left out, ppo."
    )
    checkpoint = serializers.CharField(
        required=False, default="", help_text="A checkpoint that is there, by number or name."
    )
    dataset_version = serializers.IntegerField(
        required=False, help_text="Number of the version to train on, where no checkpoint is given."
    )
    spec = serializers.DictField(required=False, default=dict)
    gold = serializers.CharField(
        required=False, default="", help_text="Of the policy: a second reward model, which only watches."
    )


class AskedPipelineSerializer(serializers.Serializer[Any]):
    start = serializers.CharField(help_text="Checkpoint to begin with, by number or name.")
    name = serializers.CharField(required=False, default="")
    sft = AskedStepSerializer()
    reward = AskedStepSerializer()
    policy = AskedStepSerializer()


class PipelineSerializer(serializers.ModelSerializer[Pipeline]):
    start = serializers.CharField(source="start.name", read_only=True)
    status = serializers.SerializerMethodField()
    steps = serializers.SerializerMethodField()

    class Meta:
        model = Pipeline
        fields = ["id", "name", "start", "status", "steps", "created_at", "cancelled_at"]

    def get_status(self, pipeline: Pipeline) -> str:
        return str(status_of(pipeline, steps_of(pipeline)))

    def get_steps(self, pipeline: Pipeline) -> list[dict[str, Any]]:
        steps = steps_of(pipeline)
        return [_step(pipeline, steps, role) for role in steps]


def _step(pipeline: Pipeline, steps: dict[str, PipelineStep], role: str) -> dict[str, Any]:
    step, found, checkpoint = steps[role], standing(pipeline, steps, role), made(steps[role])
    return {
        "role": role,
        "method": step.method,
        "status": found.status,
        "waits_for": list(found.waits_for),
        "outdated": found.outdated,
        "error": step.refusal or (step.run.error if step.run else ""),
        "run": step.run_id,
        "checkpoint": checkpoint.pk if checkpoint else None,
    }


def _asked(project: Project, role: str, values: dict[str, Any]) -> Asked:
    number = values.get("dataset_version")
    version = None
    if number is not None:
        version = DatasetVersion.objects.filter(project=project, number=number).first()
        if version is None:
            raise StepRefused(
                role, f"dataset_version was given as {number}, and there is none of that number here."
            )
    method = {Role.SFT: "sft", Role.REWARD: "reward"}.get(Role(role)) or values.get("method", "ppo")
    return Asked(
        method,
        given=find_checkpoint(project=project, name=values["checkpoint"]) if values["checkpoint"] else None,
        dataset_version=version,
        values=values["spec"],
        gold=find_checkpoint(project=project, name=values["gold"]) if values["gold"] else None,
    )


class Pipelines(ProjectView, generics.ListAPIView[Pipeline]):
    """The pipelines of a project; POST to launch another."""

    capability = {"GET": "view_results", "POST": "train"}
    serializer_class = PipelineSerializer
    queryset = Pipeline.objects.none()

    def get_queryset(self) -> QuerySet[Pipeline]:
        return with_steps(Pipeline.objects.filter(project__slug=self.kwargs["slug"]))

    @extend_schema(request=AskedPipelineSerializer, responses={202: PipelineSerializer})
    def post(self, request: Request, slug: str) -> Response:
        access = self.access()
        form = AskedPipelineSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        values = form.validated_data
        try:
            pipeline = pipelines.launch_pipeline(
                project=access.project,
                start=find_checkpoint(project=access.project, name=values["start"]),
                person=access.person,
                name=values["name"],
                **{role: _asked(access.project, role, values[role]) for role in Role.values},
            )
        except StepRefused as refusal:
            raise Refused(f"{refusal.role}: {refusal.sentence}") from refusal
        return Response(PipelineSerializer(pipeline).data, status=status.HTTP_202_ACCEPTED)


class OnePipeline(ProjectView, generics.RetrieveAPIView[Pipeline]):
    """One pipeline; DELETE starts no further step, stops the one at work and keeps the row."""

    capability = {"GET": "view_results", "DELETE": "train"}
    serializer_class = PipelineSerializer
    lookup_url_kwarg = "pipeline_id"

    def get_queryset(self) -> QuerySet[Pipeline]:
        return with_steps(Pipeline.objects.filter(project__slug=self.kwargs["slug"]))

    @extend_schema(responses={202: PipelineSerializer})
    def delete(self, request: Request, slug: str, pipeline_id: int) -> Response:
        pipelines.cancel(self.get_object())
        return Response(PipelineSerializer(self.get_object()).data, status=status.HTTP_202_ACCEPTED)


class RestartStep(ProjectView, generics.GenericAPIView[Pipeline]):
    """Train one step again, with the same settings; the steps behind it keep what they have."""

    capability = {"POST": "train"}
    serializer_class = PipelineSerializer

    @extend_schema(request=None, responses={202: PipelineSerializer})
    def post(self, request: Request, slug: str, pipeline_id: int, role: str) -> Response:
        found = get_object_or_404(Pipeline, project=self.access().project, pk=pipeline_id, steps__role=role)
        pipelines.restart(found, role)
        found.refresh_from_db()
        return Response(PipelineSerializer(found).data, status=status.HTTP_202_ACCEPTED)


class GoOn(ProjectView, generics.GenericAPIView[Pipeline]):
    """Take up a pipeline that was cancelled."""

    capability = {"POST": "train"}
    serializer_class = PipelineSerializer

    @extend_schema(request=None, responses={202: PipelineSerializer})
    def post(self, request: Request, slug: str, pipeline_id: int) -> Response:
        found = get_object_or_404(Pipeline, project=self.access().project, pk=pipeline_id)
        pipelines.go_on(found)
        found.refresh_from_db()
        return Response(PipelineSerializer(found).data, status=status.HTTP_202_ACCEPTED)


PLACE = "projects/<slug:slug>/pipelines/"
urlpatterns = [
    path(PLACE, Pipelines.as_view(), name="api-pipelines"),
    path(f"{PLACE}<int:pipeline_id>/", OnePipeline.as_view(), name="api-pipeline"),
    path(f"{PLACE}<int:pipeline_id>/go-on/", GoOn.as_view(), name="api-pipeline-go-on"),
    path(
        f"{PLACE}<int:pipeline_id>/<slug:role>/restart/",
        RestartStep.as_view(),
        name="api-pipeline-restart",
    ),
]
