"""REST API of error analyses: start one, read failures, take the table, plan interventions and read their stages."""

from typing import Any

from django.db.models import Count, Max, Q, QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from evaluation.errors.blame import arms_of, blames, is_over, measured_stages
from evaluation.errors.exporting import as_dict
from evaluation.errors.failures import LARGEST_SEED, start_analysis
from evaluation.errors.interventions import USUAL, plan_intervention
from evaluation.errors.reading import next_failure, record
from evaluation.errors.table import read_table
from evaluation.measured import find_sides
from evaluation.models import Analysis, ErrorRead, Intervention
from labeling.api import ProjectView
from labeling.errors import Refused
from labeling.models import User


class AnalysisSerializer(serializers.ModelSerializer[Analysis]):
    target = serializers.CharField(source="target.name")
    read = serializers.IntegerField(source="done", read_only=True)

    class Meta:
        model = Analysis
        fields = ["id", "run", "target", "metric", "seed", "evaluated", "failing", "read", "created_at"]


class NewAnalysisSerializer(serializers.Serializer[Any]):
    target = serializers.CharField(help_text="RUN for the last target of an evaluation, or RUN.INDEX.")
    metric = serializers.CharField(required=False, default="", help_text="Without it the primary one.")
    seed = serializers.IntegerField(
        required=False, default=None, allow_null=True, min_value=0, max_value=LARGEST_SEED
    )


class Analyses(ProjectView, generics.ListAPIView[Analysis]):
    """The error analyses of a project; POST to start one. The same target and metric again gives the one there is."""

    capability = {"GET": "view_results", "POST": "review"}
    serializer_class = AnalysisSerializer
    queryset = Analysis.objects.none()

    def get_queryset(self) -> QuerySet[Analysis]:
        done = Count("reads", filter=Q(reads__read_at__isnull=False))
        rows = Analysis.objects.filter(project__slug=self.kwargs["slug"]).defer("order")
        return rows.select_related("target").annotate(done=done).order_by("-id")

    @extend_schema(request=NewAnalysisSerializer, responses={201: AnalysisSerializer})
    def post(self, request: Request, slug: str) -> Response:
        access, values = self.access(), self.given(NewAnalysisSerializer)
        (side,) = find_sides(access.project, [values["target"]], least=1)
        made = start_analysis(
            run=side.run,
            target=side.target,
            metric=values["metric"],
            seed=values["seed"],
            person=access.person,
        )
        found = self.get_queryset().get(pk=made.pk)
        return Response(AnalysisSerializer(found).data, status=status.HTTP_201_CREATED)


class AnalysisTable(ProjectView):
    """The table of an analysis: categories with shares and ceilings, stages, and the best value that can be reached."""

    capability = {"GET": "view_results"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, slug: str, analysis_id: int) -> Response:
        return Response(as_dict(read_table(find_analysis(self, analysis_id))))


class ErrorReadSerializer(serializers.ModelSerializer[ErrorRead]):
    case = serializers.CharField(source="case.uid")
    reader = serializers.CharField(source="reader.username")
    change = serializers.IntegerField(allow_null=True, help_text="What was said last; null for nothing yet.")

    class Meta:
        model = ErrorRead
        fields = ["place", "case", "reader", "categories", "note", "claimed_at", "read_at", "change"]


class SaidSerializer(serializers.Serializer[Any]):
    place = serializers.IntegerField(
        required=False,
        default=None,
        allow_null=True,
        help_text="Without it a failure is taken and given back.",
    )
    categories = serializers.ListField(child=serializers.CharField(), default=list)
    note = serializers.CharField(required=False, default="", allow_blank=True)
    base = serializers.IntegerField(
        required=False,
        default=None,
        allow_null=True,
        help_text="The change that you read, 0 for none: a newer one is not overwritten. Without it, any is.",
    )


class ErrorReads(ProjectView, generics.ListAPIView[ErrorRead]):
    """The failures that are read or open; POST without a place to take the next one, with its place to say what it
    is."""

    capability = {"GET": "view_results", "POST": "review"}
    serializer_class = ErrorReadSerializer
    queryset = ErrorRead.objects.none()

    def get_queryset(self) -> QuerySet[ErrorRead]:
        rows = ErrorRead.objects.filter(analysis=find_analysis(self, self.kwargs["analysis_id"]))
        shown = ("place", "categories", "note", "claimed_at", "read_at", "case__uid", "reader__username")
        return (
            rows.select_related("case", "reader")
            .only(*shown)
            .annotate(change=Max("changes"))
            .order_by("place")
        )

    @extend_schema(request=SaidSerializer, responses=ErrorReadSerializer)
    def post(self, request: Request, slug: str, analysis_id: int) -> Response:
        values, person = self.given(SaidSerializer), self.access().person
        analysis = find_analysis(self, analysis_id)
        assert isinstance(person, User)
        place = values.pop("place")
        if place is None:
            read = next_failure(analysis=analysis, person=person)
            if read is None:
                raise Refused("Every failing case is read, or open with somebody else.")
        else:
            read = get_object_or_404(ErrorRead, analysis=analysis, place=place)
            record(read=read, person=person, **values)
        return Response(ErrorReadSerializer(self.get_queryset().get(pk=read.pk)).data)


class ListedInterventionSerializer(serializers.ModelSerializer[Intervention]):
    class Meta:
        model = Intervention
        fields = ["id", "scope", "cases", "seed", "created_at"]


class InterventionSerializer(serializers.Serializer[Any]):
    scope = serializers.ChoiceField(choices=Intervention.Scope.choices, default=Intervention.Scope.FAILING)
    count = serializers.IntegerField(default=USUAL)
    seed = serializers.IntegerField(default=0)


class Interventions(ProjectView, generics.ListAPIView[Intervention]):
    """The interventions of an analysis; POST to ask the failing cases again with retrieved, gold, no and reordered
    contexts."""

    capability = {"GET": "view_results", "POST": "train"}
    serializer_class = ListedInterventionSerializer
    queryset = Intervention.objects.none()

    def get_queryset(self) -> QuerySet[Intervention]:
        analysis = find_analysis(self, self.kwargs["analysis_id"])
        return Intervention.objects.filter(analysis=analysis).order_by("-id")

    @extend_schema(request=InterventionSerializer, responses={202: OpenApiTypes.OBJECT})
    def post(self, request: Request, slug: str, analysis_id: int) -> Response:
        made = plan_intervention(
            analysis=find_analysis(self, analysis_id),
            person=self.access().person,
            **self.given(InterventionSerializer),
        )
        return Response(_intervention(made), status=status.HTTP_202_ACCEPTED)


class InterventionDetail(ProjectView):
    """The arms of an intervention, and when all have ended the stages with their measured ceilings."""

    capability = {"GET": "view_results"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, slug: str, analysis_id: int, intervention_id: int) -> Response:
        analysis = find_analysis(self, analysis_id)
        found = get_object_or_404(Intervention, analysis=analysis, pk=intervention_id)
        found.analysis = analysis
        return Response(_intervention(found))


def _intervention(found: Intervention) -> dict[str, Any]:
    arms = arms_of(found)
    stages = measured_stages(found, blames(found)) if is_over(arms) else []
    return {
        "id": found.pk,
        "scope": found.scope,
        "cases": found.cases,
        "seed": found.seed,
        "arms": [
            {"contexts": name, "evaluation": run.pk, "status": run.status} for name, run in arms.items()
        ],
        "stages": [
            {
                "stage": each.key,
                "cases": each.cases,
                "share": each.share.as_dict(),
                "ceiling": each.ceiling.as_dict() if each.ceiling else None,
                "measured": each.measured,
            }
            for each in stages
        ],
    }


def find_analysis(view: ProjectView, analysis_id: int) -> Analysis:
    """An analysis of the project that is open, or 404."""
    rows = Analysis.objects.select_related(
        "project", "run__version__suite", "run__suite", "run__project", "target"
    )
    return get_object_or_404(rows, project=view.access().project, pk=analysis_id)


ONE = "projects/<slug:slug>/analyses/<int:analysis_id>/"
urlpatterns = [
    path("projects/<slug:slug>/analyses/", Analyses.as_view(), name="api-analyses"),
    path(ONE, AnalysisTable.as_view(), name="api-analysis"),
    path(f"{ONE}reads/", ErrorReads.as_view(), name="api-error-reads"),
    path(f"{ONE}interventions/", Interventions.as_view(), name="api-interventions"),
    path(f"{ONE}interventions/<int:intervention_id>/", InterventionDetail.as_view(), name="api-intervention"),
]
