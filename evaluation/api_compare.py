"""REST API of comparisons, cases, gates and decisions. The same verbs as the pages."""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from evaluation.caselist import is_hidden, listed, page_of, read_asked
from evaluation.comparison import compare_or_say, find_sides, shared_metrics
from evaluation.deciding import decide, roll_back
from evaluation.feedback import send_to_labeling
from evaluation.leaderboard import board
from evaluation.leaderboard_choice import choose
from evaluation.leaderboard_ratings import rated
from evaluation.models import Decision, EvalRun, RunTarget
from labeling.api import ProjectView
from labeling.errors import Refused
from labeling.lifecycle import Status
from training.registry import find_checkpoint

SIDES = OpenApiParameter(
    "s", str, many=True, description="RUN.INDEX, twice or more; the first is the baseline."
)
METRIC = OpenApiParameter("metric", str, description="One metric; without it all that the sides share.")
PER_PAGE = 500


class Compare(ProjectView):
    """Paired comparisons of targets against the first of them; `why` where two cannot be compared in a metric."""

    capability = {"GET": "view_results"}

    @extend_schema(parameters=[SIDES, METRIC], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, slug: str) -> Response:
        sides = find_sides(self.access().project, request.query_params.getlist("s"))
        wanted = request.query_params.get("metric", "")
        asked = [wanted] if wanted else []
        found = compare_or_say(sides, asked or shared_metrics(sides), slices_of=asked)
        return Response({name: [each.as_dict() for each in rows] for name, rows in found.items()})


class Leaderboard(ProjectView):
    """Everybody who was scored on a suite's version, with the ranks that the data leave open. Where a judge compared
    answers with ratings over all evaluations that were measured alike."""

    capability = {"GET": "view_results"}

    @extend_schema(
        parameters=[
            OpenApiParameter("suite", int, description="Number of a suite."),
            OpenApiParameter(
                "version", int, description="Number of its version; without it the newest scored one."
            ),
            OpenApiParameter(
                "metric", str, description="One metric; without it the primary of the newest run."
            ),
            OpenApiParameter("ties", str, enum=["half", "davidson"], description="What a tie is in ratings."),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, slug: str) -> Response:
        asked = request.query_params
        version = choose(self.access().project, asked).version
        found = board(version, asked.get("metric", "")) if version else None
        if found is None:
            raise Refused(
                "Nobody has been scored on the open cases of a suite yet; evaluate checkpoints first."
            )
        ratings = rated(found, ties=asked.get("ties", ""))
        return Response({**found.as_dict(), "ratings": ratings.as_dict() if ratings else None})


class RunCases(ProjectView):
    """The cases of an evaluation with the marks of two targets; the filters of the page."""

    capability = {"GET": "view_results"}

    @extend_schema(
        parameters=[
            METRIC,
            *(OpenApiParameter(name, str) for name in ("a", "b", "show", "slice", "q", "sort", "page")),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, slug: str, evaluation_id: int) -> Response:
        run = _run(self, evaluation_id)
        asked_for = request.query_params
        keys = [f"{run.pk}.{asked_for[name]}" for name in ("a", "b") if asked_for.get(name)]
        sides = find_sides(self.access().project, keys or [f"{run.pk}.0", str(run.pk)], least=1)
        listing = listed(sides, read_asked(asked_for, sides, secret=self.access().can.manage))
        pages = Paginator(listing.rows, PER_PAGE)
        some = list(pages.get_page(listing.asked.page))
        hidden = is_hidden(sides, listing.asked)
        rows = [
            {
                "case": row.id,
                "uid": row.uid,
                "number": row.number,
                "preview": row.preview,
                "slices": row.tags,
                "values": [mark.value for mark in row.marks],
                "gain": row.gain,
            }
            for row in (some if hidden else page_of(listing, some))
        ]
        return Response({"count": len(listing.rows), "pages": pages.num_pages, "cases": rows})


class SendSerializer(serializers.Serializer[Any]):
    s = serializers.ListField(
        child=serializers.CharField(),
        help_text="RUN.INDEX, twice or more; where people compare no answers, once is enough.",
    )
    cases = serializers.ListField(
        child=serializers.IntegerField(), help_text="Numbers of cases of the first run."
    )


class Send(ProjectView):
    """Cases go to labeling: the distinct answers of the targets become items, in the form that the project's task
    takes. What stays is counted (`skipped`: too few different answers; `left`: what a pair does not take) or named."""

    capability = {"POST": "curate"}

    @extend_schema(request=SendSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, slug: str) -> Response:
        project, values = self.access().project, self.given(SendSerializer)
        sides = find_sides(project, values["s"], least=1)
        intake, parcel = send_to_labeling(project=project, sides=sides, case_ids=values["cases"])
        return Response(
            {
                "new": intake.new,
                "duplicate": intake.duplicate,
                "skipped": parcel.few,
                "unfit": parcel.unfit,
                "left": parcel.left,
                "protected": parcel.protected,
            }
        )


class DecisionSerializer(serializers.ModelSerializer[Decision]):
    candidate = serializers.CharField(source="candidate.name")
    champion = serializers.CharField(source="champion.name", allow_null=True, default=None)
    created_by = serializers.CharField(source="created_by.username", allow_null=True, default=None)

    class Meta:
        model = Decision
        fields = [
            *(
                "id",
                "run",
                "candidate",
                "champion",
                "verdict",
                "passed",
                "action",
                "reason",
                "findings",
                "record",
            ),
            *("content_hash", "created_at", "created_by"),
        ]


class ActSerializer(serializers.Serializer[Any]):
    action = serializers.ChoiceField(choices=["promote", "keep"])
    reason = serializers.CharField(required=False, default="", allow_blank=True)
    despite = serializers.BooleanField(required=False, default=False)


class GateVerdict(ProjectView):
    """What the gate says of a candidate; POST decides about it."""

    capability = {"GET": "view_results", "POST": "train"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, slug: str, evaluation_id: int, index: int) -> Response:
        from evaluation.gates import examine

        run, target = self._candidate(evaluation_id, index)
        return Response(examine(run, target).as_dict())

    @extend_schema(request=ActSerializer, responses={201: DecisionSerializer})
    def post(self, request: Request, slug: str, evaluation_id: int, index: int) -> Response:
        values, access = self.given(ActSerializer), self.access()
        if values["despite"]:
            access.require("manage")
        run, target = self._candidate(evaluation_id, index)
        made = decide(
            run=run,
            target=target,
            promote=values["action"] == "promote",
            person=access.person,
            reason=values["reason"],
            despite=values["despite"],
        )
        return Response(DecisionSerializer(made).data, status=status.HTTP_201_CREATED)

    def _candidate(self, evaluation_id: int, index: int) -> tuple[EvalRun, RunTarget]:
        run = _run(self, evaluation_id)
        rows = RunTarget.objects.select_related("checkpoint__base", "endpoint")
        target = get_object_or_404(rows, run=run, index=index)
        if target.is_baseline or run.status != Status.SUCCEEDED:
            raise Refused(
                "Choose a candidate of an evaluation that has ended; number 0 is what it is measured by."
            )
        return run, target


class Decisions(ProjectView, generics.ListAPIView[Decision]):
    """What was decided in a project, newest first."""

    capability = {"GET": "view_results"}
    serializer_class = DecisionSerializer
    queryset = Decision.objects.none()
    filterset_fields = ["action"]

    def get_queryset(self) -> QuerySet[Decision]:
        rows = Decision.objects.filter(project__slug=self.kwargs["slug"])
        return rows.select_related("candidate", "champion", "created_by")


class RollBackSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField()


class RollBack(ProjectView):
    """Put what was in production before a checkpoint back."""

    capability = {"POST": "train"}

    @extend_schema(request=RollBackSerializer, responses={201: DecisionSerializer})
    def post(self, request: Request, slug: str, checkpoint: str) -> Response:
        access = self.access()
        found = find_checkpoint(project=access.project, name=checkpoint)
        if found.project_id != access.project.pk:
            raise Refused(f"{found.name} is a base model, which is not promoted.")
        made = roll_back(
            project=access.project,
            checkpoint=found,
            person=access.person,
            reason=self.given(RollBackSerializer)["reason"],
        )
        return Response(DecisionSerializer(made).data, status=status.HTTP_201_CREATED)


def _run(view: ProjectView, evaluation_id: int) -> EvalRun:
    rows = EvalRun.objects.select_related("suite", "version__suite", "project")
    return get_object_or_404(rows, project=view.access().project, pk=evaluation_id)


PROJECT = "projects/<slug:slug>/"
urlpatterns = [
    path(f"{PROJECT}compare/", Compare.as_view(), name="api-compare"),
    path(f"{PROJECT}leaderboard/", Leaderboard.as_view(), name="api-leaderboard"),
    path(f"{PROJECT}evaluations/<int:evaluation_id>/cases/", RunCases.as_view(), name="api-run-cases"),
    path(f"{PROJECT}cases-to-labeling/", Send.as_view(), name="api-send-cases"),
    path(
        f"{PROJECT}evaluations/<int:evaluation_id>/gate/<int:index>/",
        GateVerdict.as_view(),
        name="api-gate-verdict",
    ),
    path(f"{PROJECT}decisions/", Decisions.as_view(), name="api-decisions"),
    path(f"{PROJECT}checkpoints/<str:checkpoint>/roll-back/", RollBack.as_view(), name="api-roll-back"),
]
