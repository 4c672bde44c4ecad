"""REST API of suites: list and make them, add cases, freeze versions. The same verbs as the pages."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from evaluation.models import Case, Suite, SuiteVersion
from evaluation.suites import (
    add_picked,
    archive_suite,
    change_suite,
    create_suite,
    freeze_version,
    put_cases,
    suite_from_split,
)
from evaluation.suites.reading import Draft, read_cases
from evaluation.suites.reviewed import flagged_items
from evaluation.suites.versions import living
from labeling.api import ProjectView
from labeling.errors import Refused, RowRefused
from labeling.models import DatasetVersion

MOST_CASES = 1000


class SuiteVersionSerializer(serializers.ModelSerializer[SuiteVersion]):
    class Meta:
        model = SuiteVersion
        fields = ["number", "frozen_at", "content_hash", "cases", "sealed", "note", "created_at"]
        read_only_fields = ["number", "frozen_at", "content_hash", "cases", "sealed", "created_at"]


class SuiteSerializer(serializers.ModelSerializer[Suite]):
    dataset_version = serializers.IntegerField(
        source="dataset_version.number",
        required=False,
        allow_null=True,
        default=None,
        help_text="Number of the version whose rows the suite is made of.",
    )
    split = serializers.CharField(required=False, default="", help_text="The split of that version.")
    name = serializers.CharField(
        required=False, default="", help_text="Needed unless a dataset version is given."
    )
    scoring = serializers.ListField(child=serializers.DictField(), required=False)
    versions = SuiteVersionSerializer(many=True, read_only=True)

    class Meta:
        model = Suite
        fields = [
            *("id", "name", "description", "dataset_version", "split", "system", "scoring"),
            *("versions", "archived_at", "created_at"),
        ]
        read_only_fields = ["archived_at", "created_at"]


class CaseSerializer(serializers.ModelSerializer[Case]):
    id = serializers.CharField(source="uid")
    case = serializers.IntegerField(source="pk", help_text="Number of this state of it, as picks take it.")

    class Meta:
        model = Case
        fields = [
            *(
                "id",
                "case",
                "prompt",
                "reference",
                "rejected",
                "contexts",
                "gold",
                "tags",
                "checks",
                "weight",
            ),
            *("cluster", "sealed", "source", "added", "content_hash"),
        ]


class CasesSerializer(serializers.Serializer[Any]):
    cases = serializers.ListField(
        child=serializers.JSONField(),
        help_text=f"Up to {MOST_CASES:,} rows, in the columns of a file of cases.",
    )


class PutSerializer(serializers.Serializer[Any]):
    new = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    sealed = serializers.IntegerField(
        help_text="How many were put under seal by it: they were sealed before, or share their prompt or cluster with "
        "a sealed case."
    )
    refused = serializers.IntegerField()
    row_errors = serializers.ListField(child=serializers.DictField())


class ChangedSuiteSerializer(serializers.Serializer[Any]):
    """What is left out stays as it is."""

    name = serializers.CharField(required=False)
    description = serializers.CharField(required=False, allow_blank=True)
    system = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    scoring = serializers.ListField(child=serializers.DictField(), required=False)
    archived = serializers.BooleanField(required=False, help_text="Put away, or brought back.")


class Suites(ProjectView, generics.ListAPIView[Suite]):
    """The suites of a project; POST to make one, empty or of a dataset version's split."""

    capability = {"GET": "view_results", "POST": "curate"}
    serializer_class = SuiteSerializer
    queryset = Suite.objects.none()

    def get_queryset(self) -> QuerySet[Suite]:
        return _rows(self)

    @extend_schema(request=SuiteSerializer, responses={201: SuiteSerializer})
    def post(self, request: Request, slug: str) -> Response:
        access, values = self.access(), self.given(SuiteSerializer)
        number = (values.get("dataset_version") or {}).get("number")
        if number is not None:
            version = get_object_or_404(DatasetVersion, project=access.project, number=number)
            suite = suite_from_split(version=version, split=values["split"] or "test", person=access.person)
        else:
            given = {name: values[name] for name in ("description", "system", "scoring") if name in values}
            suite = create_suite(project=access.project, name=values["name"], person=access.person, **given)
        return Response(SuiteSerializer(suite).data, status=status.HTTP_201_CREATED)


class SuiteDetail(ProjectView, generics.RetrieveAPIView[Suite]):
    """One suite with its versions; PATCH to change what is given. Runs keep what they froze."""

    capability = {"GET": "view_results", "PATCH": "curate"}
    serializer_class = SuiteSerializer
    lookup_url_kwarg = "suite_id"

    def get_queryset(self) -> QuerySet[Suite]:
        return _rows(self)

    @extend_schema(request=ChangedSuiteSerializer, responses=SuiteSerializer)
    def patch(self, request: Request, slug: str, suite_id: int) -> Response:
        suite, values = find_suite(self), self.given(ChangedSuiteSerializer)
        archived = values.pop("archived", None)
        change_suite(suite=suite, **values)
        if archived is not None:
            archive_suite(suite=suite, archived=archived, owner=self.access().can.manage)
        return Response(SuiteSerializer(suite).data)


class SuiteCases(ProjectView, generics.ListAPIView[Case]):
    """The cases as they are now; POST rows to add or change some. Sealed ones are listed for owners only."""

    capability = {"GET": "view_results", "POST": "curate"}
    serializer_class = CaseSerializer
    queryset = Case.objects.none()

    def get_queryset(self) -> QuerySet[Case]:
        rows = living(find_suite(self)).order_by("position", "id")
        return rows if self.access().can.manage else rows.filter(sealed=False)

    @extend_schema(request=CasesSerializer, responses={200: PutSerializer})
    def post(self, request: Request, slug: str, suite_id: int) -> Response:
        rows = self.given(CasesSerializer)["cases"]
        if len(rows) > MOST_CASES:
            raise Refused(f"{len(rows):,} cases were sent; up to {MOST_CASES:,} can be added at once.")
        found = list(read_cases(enumerate(rows, start=1), source="API"))
        drafts = [draft for _, draft in found if isinstance(draft, Draft)]
        done = put_cases(suite=find_suite(self), drafts=drafts, person=self.access().person)
        errors = [
            {"line": line, "reason": row.sentence} for line, row in found if isinstance(row, RowRefused)
        ]
        counts = {name: getattr(done, name) for name in ("new", "updated", "unchanged", "sealed")}
        return Response({**counts, "refused": len(errors), "row_errors": errors})


class PicksSerializer(serializers.Serializer[Any]):
    items = serializers.ListField(
        child=serializers.IntegerField(min_value=1),
        required=False,
        default=list,
        help_text="Numbers of items of the labeling queue.",
    )
    flagged = serializers.BooleanField(
        default=False, help_text="Take every item whose RAG answer a reviewer calls bad."
    )
    cases = serializers.ListField(
        child=serializers.IntegerField(min_value=1),
        required=False,
        default=list,
        help_text="Numbers of cases, as the cases of a suite or of an evaluation have them.",
    )
    tags = serializers.ListField(child=serializers.CharField(max_length=60), required=False, default=list)


class PickedSerializer(serializers.Serializer[Any]):
    new = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    sealed = serializers.IntegerField(
        help_text="How many came under seal, as what the suite has of their prompt."
    )


class SuitePicks(ProjectView):
    """Make cases of labeling items, or copy cases of other suites and of evaluations. A reviewed RAG answer brings its
    chunks, the correction as reference and the errors as tags, and its prompt is kept out of training from then on."""

    capability = {"POST": "curate"}

    @extend_schema(request=PicksSerializer, responses={200: PickedSerializer})
    def post(self, request: Request, slug: str, suite_id: int) -> Response:
        access, values = self.access(), self.given(PicksSerializer)
        items = list(values["items"])
        if values["flagged"]:
            items += flagged_items(project=access.project, person=access.person)
        done = add_picked(
            suite=find_suite(self),
            items=list(dict.fromkeys(items)),
            cases=list(dict.fromkeys(values["cases"])),
            tags=values["tags"],
            person=access.person,
        )
        return Response({name: getattr(done, name) for name in ("new", "unchanged", "sealed")})


class SuiteFreezes(ProjectView):
    """Freeze the open version; where nothing changed, the newest frozen one is given back."""

    capability = {"POST": "curate"}

    @extend_schema(request=SuiteVersionSerializer, responses={200: SuiteVersionSerializer})
    def post(self, request: Request, slug: str, suite_id: int) -> Response:
        note = self.given(SuiteVersionSerializer).get("note", "")
        version = freeze_version(suite=find_suite(self), person=self.access().person, note=note)
        return Response(SuiteVersionSerializer(version).data)


def _rows(view: ProjectView) -> QuerySet[Suite]:
    rows = Suite.objects.filter(project__slug=view.kwargs["slug"])
    return rows.select_related("dataset_version").prefetch_related("versions")


def find_suite(view: ProjectView) -> Suite:
    """The suite of the address, in the project that is open, or 404."""
    rows = Suite.objects.select_related("project")
    return get_object_or_404(rows, project=view.access().project, pk=view.kwargs["suite_id"])


SUITES = "projects/<slug:slug>/suites/"
urlpatterns = [
    path(SUITES, Suites.as_view(), name="api-suites"),
    path(f"{SUITES}<int:suite_id>/", SuiteDetail.as_view(), name="api-suite"),
    path(f"{SUITES}<int:suite_id>/cases/", SuiteCases.as_view(), name="api-suite-cases"),
    path(f"{SUITES}<int:suite_id>/picks/", SuitePicks.as_view(), name="api-suite-picks"),
    path(f"{SUITES}<int:suite_id>/freeze/", SuiteFreezes.as_view(), name="api-suite-freeze"),
]
