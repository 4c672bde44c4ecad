"""REST API of fixes and rounds. The same verbs as the pages."""

from typing import Any

from django.core.paginator import Paginator
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from evaluation.measured import find_sides
from evaluation.models import Analysis, Decision, EvalRun, Round, Study
from evaluation.rounds.ledger import entries_of, fixes_of
from evaluation.rounds.opening import open_fix, take_in
from evaluation.rounds.sheet import as_dict, sheet_of
from evaluation.rounds.staleness import stale_of
from evaluation.rounds.tying import MANY, ONE, change_round, fill_in, rounds_of, start_round
from labeling.api import ProjectView
from labeling.errors import Refused
from labeling.models import DatasetVersion, Project
from labeling.rag.taxonomy import categories_of
from training.models import Checkpoint, TrainingRun

PER_PAGE = 50
PAGE, MOST_TIED = OpenApiParameter("page", int), 1000
TIED: dict[str, Any] = {
    "dataset_version": DatasetVersion.objects.all(),
    "decision": Decision.objects.all(),
    "study": Study.objects.all(),
    "runs": TrainingRun.objects.all(),
    "checkpoints": Checkpoint.objects.all(),
    "evaluations": EvalRun.objects.filter(arm=None),
}


class NewFixSerializer(serializers.Serializer[Any]):
    """`analysis` or `target` says who fails."""

    category = serializers.CharField(help_text="The key of a category.")
    analysis = serializers.IntegerField(required=False, allow_null=True, default=None)
    target = serializers.CharField(required=False, default="", help_text="RUN.INDEX, without an analysis.")
    metric = serializers.CharField(required=False, default="", allow_blank=True)
    held_out = serializers.FloatField(required=False, default=0.5)
    note = serializers.CharField(required=False, default="", allow_blank=True)


class Fixes(ProjectView):
    """The ledger: the fixes of a project with their steps and numbers; POST to open one."""

    capability = {"GET": "view_results", "POST": "curate"}

    @extend_schema(operation_id="projects_fixes_list", parameters=[PAGE], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, slug: str) -> Response:
        pages = Paginator(fixes_of(self.access().project), PER_PAGE)
        found = entries_of(list(pages.get_page(request.query_params.get("page"))))
        return Response(
            {"count": pages.count, "pages": pages.num_pages, "fixes": [each.as_dict() for each in found]}
        )

    @extend_schema(request=NewFixSerializer, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request, slug: str) -> Response:
        access, given = self.access(), self.given(NewFixSerializer)
        known = {each.key: each for each in categories_of(access.project)}
        if given["category"] not in known:
            raise Refused(f"There is no category {given['category'][:60]!r}. Known: {', '.join(known)}.")
        key, name = given.pop("analysis"), given.pop("target")
        analysis = None
        if key is not None:
            rows = Analysis.objects.select_related("target__run__suite")
            analysis = get_object_or_404(rows, project=access.project, pk=key)
        elif not name:
            raise Refused("Neither analysis nor target was given; say who fails.")
        opened = open_fix(
            project=access.project,
            person=access.person,
            target=analysis.target if analysis else find_sides(access.project, [name], least=1)[0].target,
            analysis=analysis,
            **given | {"category": known[given["category"]]},
        )
        entry = entries_of([fixes_of(access.project).get(pk=opened.fix.pk)])[0]
        return Response(entry.as_dict() | {"words": opened.words}, status=status.HTTP_201_CREATED)


class FixDetail(ProjectView):
    """One fix: its steps, and what each checkpoint did to its siblings."""

    capability = {"GET": "view_results"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, slug: str, fix_id: int) -> Response:
        found = get_object_or_404(fixes_of(self.access().project), pk=fix_id)
        return Response(entries_of([found])[0].as_dict())


class FixTakeIn(ProjectView):
    """POST to let the items join a fix that people said are of its category since: `joined` says how many."""

    capability = {"POST": "curate"}

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, slug: str, fix_id: int) -> Response:
        found = get_object_or_404(fixes_of(self.access().project), pk=fix_id)
        joined = take_in(fix=found)
        return Response(entries_of([found])[0].as_dict() | {"joined": joined})


class NewRoundSerializer(serializers.Serializer[Any]):
    """A round begins with a dataset version or with a decision."""

    dataset_version = serializers.IntegerField(
        required=False, allow_null=True, default=None, help_text="The number of a dataset version."
    )
    decision = serializers.IntegerField(required=False, allow_null=True, default=None)
    name = serializers.CharField(required=False, default="", allow_blank=True)


class Rounds(ProjectView):
    """The rounds of a project, and which are stale; POST makes one, or finds that which there is."""

    capability = {"GET": "view_results", "POST": "curate"}

    @extend_schema(operation_id="projects_rounds_list", parameters=[PAGE], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, slug: str) -> Response:
        pages = Paginator(rounds_of(self.access().project), PER_PAGE)
        some = list(pages.get_page(request.query_params.get("page")))
        stale = stale_of(some)
        found = [
            {
                "id": each.pk,
                "name": each.name,
                "dataset_version": str(each.dataset_version) if each.dataset_version else None,
                "decision": each.decision_id,
                "stale": stale[each.pk].words or None,
                "created_at": each.created_at,
            }
            for each in some
        ]
        return Response({"count": pages.count, "pages": pages.num_pages, "rounds": found})

    @extend_schema(request=NewRoundSerializer, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request, slug: str) -> Response:
        access, given = self.access(), self.given(NewRoundSerializer)
        number, decision = given["dataset_version"], given["decision"]
        made = start_round(
            project=access.project,
            person=access.person,
            name=given["name"],
            version=None
            if number is None
            else get_object_or_404(DatasetVersion, project=access.project, number=number),
            decision=None
            if decision is None
            else get_object_or_404(Decision, project=access.project, pk=decision),
        )
        return Response(as_dict(sheet_of(made)), status=status.HTTP_201_CREATED)


def tied_field(words: str) -> serializers.ListField:
    child = serializers.IntegerField()
    return serializers.ListField(child=child, required=False, max_length=MOST_TIED, help_text=words)


class ChangedRoundSerializer(serializers.Serializer[Any]):
    """What is left out stays as it is; what is given takes the place of what was tied."""

    name = serializers.CharField(required=False)
    note = serializers.CharField(required=False, allow_blank=True)
    dataset_version = serializers.IntegerField(
        required=False, allow_null=True, help_text="The number of a dataset version."
    )
    decision = serializers.IntegerField(required=False, allow_null=True)
    study = serializers.IntegerField(required=False, allow_null=True)
    runs = tied_field("Numbers of training runs.")
    checkpoints = tied_field("Their numbers.")
    evaluations = tied_field("Their numbers.")


class RoundDetail(ProjectView):
    """One round with everything that it ties, and the hashes; PATCH to change what is given of it."""

    capability = {"GET": "view_results", "PATCH": "curate"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, slug: str, round_id: int) -> Response:
        return Response(as_dict(sheet_of(_round(self, round_id))))

    @extend_schema(request=ChangedRoundSerializer, responses=OpenApiTypes.OBJECT)
    def patch(self, request: Request, slug: str, round_id: int) -> Response:
        found, values = _round(self, round_id), self.given(ChangedRoundSerializer)
        for name in (*ONE, *MANY):
            if values.get(name) is not None:
                values[name] = _tied(found.project, name, values[name])
        change_round(round=found, values=values)
        return Response(as_dict(sheet_of(_round(self, round_id))))


class RoundFill(ProjectView):
    """POST to add what lineage says belongs to a round by now: `new` says how many links."""

    capability = {"POST": "curate"}

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, slug: str, round_id: int) -> Response:
        new = fill_in(round=_round(self, round_id))
        return Response(as_dict(sheet_of(_round(self, round_id))) | {"new": new})


def _round(view: ProjectView, round_id: int) -> Round:
    return get_object_or_404(rounds_of(view.access().project), pk=round_id)


def _tied(project: Project, name: str, given: int | list[int]) -> Any:
    """What these numbers mean in a project. Raises Refused for one that there is not."""
    key = "number" if name == "dataset_version" else "pk"
    found = []
    for number in dict.fromkeys(given if isinstance(given, list) else [given]):
        row = TIED[name].filter(project=project, **{key: number}).first()
        if row is None:
            raise Refused(f"{name}: there is no {number} in this project; look at its list.")
        found.append(row)
    return found if isinstance(given, list) else found[0]


PROJECT = "projects/<slug:slug>/"
urlpatterns = [
    path(f"{PROJECT}fixes/", Fixes.as_view(), name="api-fixes"),
    path(f"{PROJECT}fixes/<int:fix_id>/", FixDetail.as_view(), name="api-fix"),
    path(f"{PROJECT}fixes/<int:fix_id>/take-in/", FixTakeIn.as_view(), name="api-fix-take-in"),
    path(f"{PROJECT}rounds/", Rounds.as_view(), name="api-rounds"),
    path(f"{PROJECT}rounds/<int:round_id>/", RoundDetail.as_view(), name="api-round"),
    path(f"{PROJECT}rounds/<int:round_id>/fill/", RoundFill.as_view(), name="api-round-fill"),
]
