"""REST API of generated answers and of endpoints."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from evaluation.candidates import start_generation
from evaluation.endpoints import EndpointDraft, add_endpoint, archive_endpoint, change_endpoint, find_endpoint
from evaluation.models import Endpoint, Generation, Suite
from evaluation.outlook import Wanted
from evaluation.prompts import ALL, MOST, UNJUDGED, from_items, from_rows, from_suite
from labeling.api import ProjectView
from labeling.models import Project
from training.registry import find_checkpoint

FROM_SUITE, ROWS = "suite", "rows"


class GenerationSerializer(serializers.ModelSerializer[Generation]):
    class Meta:
        model = Generation
        fields = [
            *("id", "name", "spec", "prompts", "status", "error", "progress"),
            *("made", "duplicate", "dropped", "facts", "created_at"),
        ]


class AskingSerializer(serializers.Serializer[Any]):
    """Who answers, and how all of them are sampled."""

    checkpoints = serializers.ListField(
        child=serializers.CharField(), required=False, default=list, help_text="By number or name."
    )
    endpoints = serializers.ListField(
        child=serializers.CharField(), required=False, default=list, help_text="By number or name."
    )
    sampling = serializers.DictField(
        required=False, default=dict, help_text="max_tokens, top_p, top_k, seed, stop."
    )
    system = serializers.CharField(required=False, default="", allow_blank=True)
    engine = serializers.CharField(required=False, default="")
    name = serializers.CharField(required=False, default="", allow_blank=True)


def wanted_of(project: Project, values: dict[str, Any], **more: Any) -> Wanted:
    """Who answers and how, of what was given. Raises Refused for a model that is not there."""
    return Wanted(
        checkpoints=[find_checkpoint(project=project, name=name) for name in values["checkpoints"]],
        endpoints=[find_endpoint(project=project, name=name) for name in values["endpoints"]],
        sampling={
            key: tuple(value) if isinstance(value, list) else value
            for key, value in values["sampling"].items()
        },
        **{name: values[name] for name in ("engine", "system")},
        **more,
    )


class NewGenerationSerializer(AskingSerializer):
    prompts = serializers.ChoiceField(choices=[UNJUDGED, ALL, FROM_SUITE, ROWS], default=UNJUDGED)
    suite = serializers.CharField(
        required=False, default="", help_text="A suite's name, where prompts come from one."
    )
    rows = serializers.ListField(
        child=serializers.JSONField(),
        required=False,
        default=list,
        help_text="The prompts themselves, where they are rows: each as a row of a file, such as {prompt}.",
    )
    count = serializers.IntegerField(required=False, default=200, min_value=1, max_value=MOST)
    samples = serializers.IntegerField(required=False, default=2)
    temperatures = serializers.ListField(child=serializers.FloatField(), required=False, default=[0.7])
    limits = serializers.DictField(required=False, default=dict, help_text="max_length, budget and others.")
    grouping = serializers.CharField(required=False, default="", help_text="once, every, together or alone.")


class Generations(ProjectView, generics.ListAPIView[Generation]):
    """The generations of a project; POST to let models answer prompts, which become items to be judged."""

    capability = {"GET": "view_results", "POST": "curate"}
    serializer_class = GenerationSerializer
    queryset = Generation.objects.none()
    filterset_fields = ["status"]

    def get_queryset(self) -> QuerySet[Generation]:
        return Generation.objects.filter(project__slug=self.kwargs["slug"])

    @extend_schema(request=NewGenerationSerializer, responses={202: GenerationSerializer})
    def post(self, request: Request, slug: str) -> Response:
        access, values = self.access(), self.given(NewGenerationSerializer)
        project = access.project
        if values["prompts"] == FROM_SUITE:
            suite = get_object_or_404(Suite, project=project, name=values["suite"])
            prompts = from_suite(suite=suite, count=values["count"])
        elif values["prompts"] == ROWS:
            rows = enumerate(values["rows"], start=1)
            prompts = from_rows(project=project, rows=rows, name="rows of the API", count=values["count"])
        else:
            prompts = from_items(project=project, which=values["prompts"], count=values["count"])
        generation = start_generation(
            project=project,
            prompts=prompts,
            wanted=wanted_of(
                project,
                values,
                **{name: values[name] for name in ("samples", "temperatures", "limits", "grouping")},
            ),
            person=access.person,
            name=values["name"],
        )
        return Response(GenerationSerializer(generation).data, status=status.HTTP_202_ACCEPTED)


class GenerationDetail(ProjectView, generics.RetrieveAPIView[Generation]):
    """One generation: its status, and what became of the answers."""

    capability = {"GET": "view_results"}
    serializer_class = GenerationSerializer
    lookup_url_kwarg = "generation_id"

    def get_queryset(self) -> QuerySet[Generation]:
        return Generation.objects.filter(project__slug=self.kwargs["slug"])


class GenerationActionView(ProjectView):
    """What one may do with a generation that there is."""

    capability = {"POST": "curate"}

    def generation(self) -> Generation:
        return get_object_or_404(Generation, project=self.access().project, pk=self.kwargs["generation_id"])

    def told(self) -> Response:
        return Response(GenerationSerializer(self.generation()).data, status=status.HTTP_202_ACCEPTED)


class GenerationCancel(GenerationActionView):
    """Stop it; what was answered is kept. Repeating it is harmless."""

    @extend_schema(request=None, responses={202: GenerationSerializer})
    def post(self, request: Request, slug: str, generation_id: int) -> Response:
        self.generation().request_cancel()
        return self.told()


class GenerationResume(GenerationActionView):
    """Put one that failed or was cancelled into the queue again: it goes on where it stopped."""

    @extend_schema(request=None, responses={202: GenerationSerializer})
    def post(self, request: Request, slug: str, generation_id: int) -> Response:
        self.generation().resume()
        return self.told()


class EndpointSerializer(serializers.ModelSerializer[Endpoint]):
    """A model elsewhere. `key_variable` names the variable that holds the key; the key itself is not known here."""

    archived = serializers.BooleanField(required=False, write_only=True)

    class Meta:
        model = Endpoint
        fields = [
            *("id", "name", "url", "model", "key_variable", "requests_per_minute"),
            *("price_in", "price_out", "archived", "archived_at"),
        ]
        read_only_fields = ["archived_at"]


class Endpoints(ProjectView, generics.ListAPIView[Endpoint]):
    """The endpoints of a project; POST to add one."""

    capability = {"GET": "manage", "POST": "manage"}
    serializer_class = EndpointSerializer
    queryset = Endpoint.objects.none()

    def get_queryset(self) -> QuerySet[Endpoint]:
        return Endpoint.objects.filter(project__slug=self.kwargs["slug"])

    @extend_schema(request=EndpointSerializer, responses={201: EndpointSerializer})
    def post(self, request: Request, slug: str) -> Response:
        access, values = self.access(), self.given(EndpointSerializer)
        values.pop("archived", None)
        made = add_endpoint(project=access.project, draft=EndpointDraft(**values), person=access.person)
        return Response(EndpointSerializer(made).data, status=status.HTTP_201_CREATED)


class EndpointDetail(ProjectView):
    """One endpoint; PATCH to change what is given, with `archived` to put it away or bring it back."""

    capability = {"PATCH": "manage"}

    @extend_schema(request=EndpointSerializer(partial=True), responses={200: EndpointSerializer})
    def patch(self, request: Request, slug: str, endpoint_id: int) -> Response:
        endpoint = get_object_or_404(Endpoint, project=self.access().project, pk=endpoint_id)
        form = EndpointSerializer(endpoint, data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        values = dict(form.validated_data)
        archived = values.pop("archived", None)
        if values:
            change_endpoint(endpoint=endpoint, changes=values)
        if archived is not None:
            archive_endpoint(endpoint=endpoint, archived=archived)
        return Response(EndpointSerializer(endpoint).data)


PROJECT = "projects/<slug:slug>/"
GENERATION = f"{PROJECT}generations/<int:generation_id>/"
urlpatterns = [
    path(f"{PROJECT}generations/", Generations.as_view(), name="api-generations"),
    path(GENERATION, GenerationDetail.as_view(), name="api-generation"),
    path(f"{GENERATION}cancel/", GenerationCancel.as_view(), name="api-generation-cancel"),
    path(f"{GENERATION}resume/", GenerationResume.as_view(), name="api-generation-resume"),
    path(f"{PROJECT}endpoints/", Endpoints.as_view(), name="api-endpoints"),
    path(f"{PROJECT}endpoints/<int:endpoint_id>/", EndpointDetail.as_view(), name="api-endpoint"),
]
