"""REST API of studies. Between looks it says how far people are, and nothing of who is ahead."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from evaluation.api_candidates import AskingSerializer, wanted_of
from evaluation.judges import find_judge_version
from evaluation.models import Study, StudyLook
from evaluation.prompts import MOST, Prompts, find_suite
from evaluation.studies import sentences
from evaluation.studies.design import read_design
from evaluation.studies.looking import cancel_study, end_study, take_look
from evaluation.studies.prompts import of_split, of_suite
from evaluation.studies.starting import StudyPlan, start_study
from labeling.access import open_project
from labeling.api import ProjectView
from labeling.errors import Refused
from labeling.models import DatasetVersion, Project


class StudyLookSerializer(serializers.ModelSerializer[StudyLook]):
    """A look that was taken. `zs` has [first, second, z] of each pair of models, by their numbers."""

    taken_by = serializers.StringRelatedField[Any]()

    class Meta:
        model = StudyLook
        fields = [
            *("number", "final", "fraction", "prompts", "judgments", "boundary", "spent", "zs"),
            *("result", "taken_at", "taken_by"),
        ]


class StudySerializer(serializers.ModelSerializer[Study]):
    """A study. `stage` says where it stands, `headline` what its last look says."""

    models = serializers.ListField(source="names", child=serializers.CharField(), read_only=True)
    queue = serializers.SlugRelatedField[Project](slug_field="slug", read_only=True)
    stage = serializers.SerializerMethodField()

    class Meta:
        model = Study
        fields = [
            *("id", "name", "models", "queue", "design", "prompts", "planned", "status", "error", "progress"),
            *("stage", "closed_as", "closed_at", "facts", "created_at"),
        ]

    @extend_schema_field(serializers.CharField())
    def get_stage(self, study: Study) -> str:
        return sentences.stage(study)[1]


class StudyWithLooksSerializer(StudySerializer):
    looks = StudyLookSerializer(many=True, read_only=True)
    headline = serializers.SerializerMethodField()

    class Meta(StudySerializer.Meta):
        fields = [*StudySerializer.Meta.fields, "headline", "looks"]

    @extend_schema_field(serializers.CharField())
    def get_headline(self, study: Study) -> str:
        return sentences.headline(study, study.looks.last())


class NewStudySerializer(AskingSerializer):
    suite = serializers.CharField(required=False, default="", help_text="A suite's name; or give a version.")
    dataset_version = serializers.IntegerField(required=False, help_text="A version's number in the project.")
    split = serializers.CharField(required=False, default="test", help_text="test or validation.")
    count = serializers.IntegerField(required=False, default=MOST, min_value=1, max_value=MOST)
    design = serializers.DictField(
        required=False, default=dict, help_text="win_rate, ties, power, alpha, looks, spending, annotators, …"
    )
    temperature = serializers.FloatField(required=False, default=0.7)
    judge = serializers.CharField(required=False, default="", help_text="NAME, or NAME:VERSION.")
    queue = serializers.CharField(required=False, default="", help_text="The project whose people are asked.")
    leave_out = serializers.BooleanField(
        required=False, default=False, help_text="Prompts that were trained on."
    )


class TakeLookSerializer(serializers.Serializer[Any]):
    final = serializers.BooleanField(
        required=False, default=False, help_text="The last look: the study ends."
    )


class Studies(ProjectView, generics.ListAPIView[Study]):
    """The studies of a project; POST to start one."""

    capability = {"GET": "view_results", "POST": "train"}
    serializer_class = StudySerializer
    queryset = Study.objects.none()
    filterset_fields = ["status", "closed_as"]

    def get_queryset(self) -> QuerySet[Study]:
        return Study.objects.filter(project__slug=self.kwargs["slug"]).select_related("queue")

    @extend_schema(request=NewStudySerializer, responses={202: StudySerializer})
    def post(self, request: Request, slug: str) -> Response:
        access, values = self.access(), self.given(NewStudySerializer)
        project = access.project
        queue = open_project(request.user, values["queue"], "train").project if values["queue"] else None
        judge = find_judge_version(project=project, name=values["judge"]) if values["judge"] else None
        plan = StudyPlan(
            prompts=_prompts(project, values),
            wanted=wanted_of(project, values, temperatures=(values["temperature"],)),
            design=read_design(values["design"]),
            judge=judge,
            queue=queue,
            leave_out=values["leave_out"],
        )
        study = start_study(project=project, plan=plan, person=access.person, name=values["name"])
        return Response(StudySerializer(study).data, status=status.HTTP_202_ACCEPTED)


class StudyDetail(ProjectView, generics.RetrieveAPIView[Study]):
    """One study with the looks that were taken; DELETE to cancel it, which keeps what people said."""

    capability = {"GET": "view_results", "DELETE": "train"}
    serializer_class = StudyWithLooksSerializer
    lookup_url_kwarg = "study_id"

    def get_queryset(self) -> QuerySet[Study]:
        rows = Study.objects.filter(project__slug=self.kwargs["slug"]).select_related("queue")
        return rows.prefetch_related("looks__taken_by")

    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str, study_id: int) -> Response:
        access = self.access()
        found = get_object_or_404(Study, project=access.project, pk=study_id)
        cancel_study(study=found, person=access.person)
        return Response(status=status.HTTP_204_NO_CONTENT)


class StudyResume(ProjectView):
    """POST to go on with answers that were stopped or failed; what was answered is kept. A closed study stays as it
    is."""

    capability = {"POST": "train"}

    @extend_schema(request=None, responses={202: StudySerializer})
    def post(self, request: Request, slug: str, study_id: int) -> Response:
        rows = Study.objects.select_related("queue", "project")
        found = get_object_or_404(rows, project=self.access().project, pk=study_id)
        if not found.closed_as:
            found.resume()
        return Response(StudySerializer(found).data, status=status.HTTP_202_ACCEPTED)


class StudyLooks(ProjectView):
    """POST to take a look at a study, which spends alpha and cannot be undone. The last one of a study in which nobody
    is asked any more, and too little is complete for it, ends the study without a look: 204."""

    capability = {"POST": "train"}

    @extend_schema(request=TakeLookSerializer, responses={201: StudyLookSerializer, 204: None})
    def post(self, request: Request, slug: str, study_id: int) -> Response:
        access = self.access()
        found = get_object_or_404(Study, project=access.project, pk=study_id)
        take = end_study if self.given(TakeLookSerializer)["final"] else take_look
        look = take(study=found, person=access.person)
        if look is None:
            return Response(status=status.HTTP_204_NO_CONTENT)
        return Response(StudyLookSerializer(look).data, status=status.HTTP_201_CREATED)


def _prompts(project: Project, values: dict[str, Any]) -> Prompts:
    count = values["count"]
    if values.get("dataset_version") is not None:
        version = DatasetVersion.objects.filter(project=project, number=values["dataset_version"]).first()
        if version is None:
            raise Refused(f"There is no dataset version {values['dataset_version']} here; look at its list.")
        return of_split(version=version, split=values["split"], count=count)
    return of_suite(suite=find_suite(project=project, name=values["suite"]), count=count)


PROJECT = "projects/<slug:slug>/"
urlpatterns = [
    path(f"{PROJECT}studies/", Studies.as_view(), name="api-studies"),
    path(f"{PROJECT}studies/<int:study_id>/", StudyDetail.as_view(), name="api-study"),
    path(f"{PROJECT}studies/<int:study_id>/resume/", StudyResume.as_view(), name="api-study-resume"),
    path(f"{PROJECT}studies/<int:study_id>/looks/", StudyLooks.as_view(), name="api-study-looks"),
]
