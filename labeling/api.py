"""REST API of this app, and the parts that the other apps' APIs share. The same verbs as the pages."""

from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from knox.models import AuthToken
from knox.views import LogoutView
from rest_framework import generics, serializers, status
from rest_framework.authentication import BasicAuthentication
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response as ApiResponse
from rest_framework.views import APIView, exception_handler

from labeling.access import Access, open_project
from labeling.curation.freezes import start_freeze
from labeling.curation.recipe import read_recipe
from labeling.errors import Refused, StaleLease
from labeling.exporting_judgments import judgments_file
from labeling.importing.batches import start_import
from labeling.importing.mapping import FORMATS
from labeling.importing.uploads import refuse_large
from labeling.models import DatasetVersion, Freeze, ImportBatch
from labeling.tokens import TokenAuthentication


def refusals_as_sentences(error: Exception, context: dict[str, Any]) -> ApiResponse | None:
    """DRF's exception handler: a refusal is 422, a stale lease 409, each with its sentence."""
    if isinstance(error, Refused):
        code = (
            status.HTTP_409_CONFLICT
            if isinstance(error, StaleLease)
            else status.HTTP_422_UNPROCESSABLE_ENTITY
        )
        return ApiResponse({"detail": error.sentence}, status=code)
    return exception_handler(error, context)


class OnlyJson(DefaultContentNegotiation):
    """Everybody gets JSON, whatever they accept: there is nothing else."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class ProjectView(APIView):
    """A view inside a project; `capability` maps the HTTP method to what the role must allow."""

    content_negotiation_class = OnlyJson
    capability: dict[str, str]
    guard = "project"

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response._csp_exempt = True  # JSON is data: no browser runs it
        return super().finalize_response(request, response, *args, **kwargs)

    def access(self) -> Access:
        """The way into the project, asked for once a request."""
        return self._access

    def given(self, kind: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """The body of this request as a serializer reads it; one that does not fit is answered with 400."""
        form = kind(data=self.request.data)
        form.is_valid(raise_exception=True)
        values: dict[str, Any] = form.validated_data
        return values

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        method = request.method or "GET"
        capability = self.capability.get("GET" if method == "HEAD" else method)
        known = getattr(request.auth, "access", None)  # the token was looked up together with it
        if known is None or request.user.is_superuser:
            known = open_project(request.user, self.kwargs["slug"])
        self._access = known.require(capability) if capability else known


class TokenSerializer(serializers.Serializer[Any]):
    token = serializers.CharField(read_only=True)


class CreateToken(APIView):
    """Exchange user name and password (HTTP Basic) for a token. Only its hash is stored."""

    authentication_classes = [BasicAuthentication]
    guard = "signed in"

    @extend_schema(request=None, responses=TokenSerializer)
    def post(self, request: Request) -> ApiResponse:
        _, token = AuthToken.objects.create(user=request.user)
        return ApiResponse({"token": token}, status=status.HTTP_201_CREATED)


class RevokeToken(LogoutView):  # type: ignore[misc]
    """Revoke the token of this request."""

    authentication_classes = [TokenAuthentication]
    guard = "signed in"

    @extend_schema(request=None, responses={204: OpenApiResponse(description="The token is gone.")})
    def post(self, request: Request, format: str | None = None) -> ApiResponse:
        answer: ApiResponse = super().post(request, format)
        return answer


class ImportSerializer(serializers.ModelSerializer[ImportBatch]):
    file = serializers.FileField(write_only=True)
    format = serializers.ChoiceField(choices=list(FORMATS), default="auto")
    row_errors = serializers.SerializerMethodField()

    class Meta:
        model = ImportBatch
        fields = [
            "id",
            "file",
            "filename",
            "format",
            "licence",
            "scrub",
            "progress",
            "status",
            "error",
            "new",
            "duplicate",
            "refused",
            "row_errors",
        ]
        read_only_fields = ["filename", "progress", "status", "error", "new", "duplicate", "refused"]

    def get_row_errors(self, batch: ImportBatch) -> list[dict[str, Any]]:
        return [{"line": e.line, "reason": e.reason} for e in batch.row_errors.all()[:500]]


class Imports(ProjectView):
    """Send a file; its rows become items."""

    capability = {"POST": "curate"}
    parser_classes = [MultiPartParser]

    @extend_schema(request=ImportSerializer, responses={202: ImportSerializer})
    def post(self, request: Request, slug: str) -> ApiResponse:
        form = ImportSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        values, access = form.validated_data, self.access()
        refuse_large(values["file"].size)
        batch = start_import(
            project=access.project,
            file=values["file"],
            filename=values["file"].name,
            person=access.person,
            format=values["format"],
            licence=values.get("licence", ""),
            scrub=values.get("scrub", False),
        )
        return ApiResponse(ImportSerializer(batch).data, status=status.HTTP_202_ACCEPTED)


class Import(ProjectView, generics.RetrieveAPIView[ImportBatch]):
    """What became of a file."""

    capability = {"GET": "curate"}
    serializer_class = ImportSerializer
    lookup_url_kwarg = "import_id"

    def get_queryset(self) -> QuerySet[ImportBatch]:
        return ImportBatch.objects.filter(project__slug=self.kwargs["slug"])


class Judgments(ProjectView):
    """Every judged item with what was said of it, one item (jsonl) or one judgment (csv) a line. Items that you may
    still be given to judge are left out."""

    capability = {"GET": "view_results"}

    @extend_schema(responses={(200, "application/jsonl"): OpenApiTypes.BINARY})
    def get(self, request: Request, slug: str, format: str) -> StreamingHttpResponse:
        return judgments_file(self.access(), format)


class DatasetVersionSerializer(serializers.ModelSerializer[DatasetVersion]):
    class Meta:
        model = DatasetVersion
        fields = [
            *("number", "kind", "recipe", "content_hash", "file_hash", "splits", "dropped"),
            *("lint", "override", "created_at"),
        ]


class FreezeSerializer(serializers.ModelSerializer[Freeze]):
    version = serializers.IntegerField(source="version.number", read_only=True, allow_null=True, default=None)

    class Meta:
        model = Freeze
        fields = ["id", "status", "progress", "error", "recipe", "override", "version", "lint"]
        read_only_fields = ["id", "status", "progress", "error", "version", "lint"]


class DatasetVersions(ProjectView, generics.ListAPIView[DatasetVersion]):
    """The frozen versions of a project; POST a recipe to freeze another, and follow the job."""

    capability = {"GET": "view_results", "POST": "curate"}
    serializer_class = DatasetVersionSerializer
    queryset = DatasetVersion.objects.none()

    def get_queryset(self) -> QuerySet[DatasetVersion]:
        return DatasetVersion.objects.filter(project__slug=self.kwargs["slug"])

    @extend_schema(request=FreezeSerializer, responses={202: FreezeSerializer})
    def post(self, request: Request, slug: str) -> ApiResponse:
        access = self.access()
        given = _object(request.data)
        job = start_freeze(
            project=access.project,
            recipe=read_recipe(_object(given.get("recipe") or {})),
            person=access.person,
            override=str(given.get("override") or ""),
        )
        return ApiResponse(FreezeSerializer(job).data, status=status.HTTP_202_ACCEPTED)


class FreezeJob(ProjectView, generics.RetrieveAPIView[Freeze]):
    """A recipe on its way to a version: its status, what the check found, and the version's number."""

    capability = {"GET": "view_results"}
    serializer_class = FreezeSerializer
    queryset = Freeze.objects.none()
    lookup_url_kwarg = "freeze_id"

    def get_queryset(self) -> QuerySet[Freeze]:
        return Freeze.objects.filter(project__slug=self.kwargs["slug"]).select_related("version")


def _object(data: Any) -> dict[str, Any]:
    """The body of a request, which must be a JSON object."""
    if not isinstance(data, dict):
        raise Refused(f"The body is a {type(data).__name__}; send a JSON object.")
    return data


urlpatterns = [
    path("tokens/", CreateToken.as_view(), name="api-tokens"),
    path("tokens/revoke/", RevokeToken.as_view(), name="api-token-revoke"),
    path("projects/<slug:slug>/imports/", Imports.as_view(), name="api-imports"),
    path("projects/<slug:slug>/imports/<int:import_id>/", Import.as_view(), name="api-import"),
    path("projects/<slug:slug>/judgments.<str:format>", Judgments.as_view(), name="api-judgments"),
    path("projects/<slug:slug>/datasets/", DatasetVersions.as_view(), name="api-datasets"),
    path("projects/<slug:slug>/freezes/<int:freeze_id>/", FreezeJob.as_view(), name="api-freeze"),
]
