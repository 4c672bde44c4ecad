"""REST API of judges: make one, save a version, hold it against people, read how far it agrees."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from evaluation.cards import newest_cards
from evaluation.endpoints import find_endpoint
from evaluation.judges import VersionDraft, archive_judge, create_judge, save_version
from evaluation.judging import start_check
from evaluation.models import AgreementCard, Judge, JudgeVersion
from evaluation.trusting import Standing, standings
from labeling.api import ProjectView
from labeling.models import DatasetVersion, Project
from training.registry import find_checkpoint


class JudgeVersionSerializer(serializers.ModelSerializer[JudgeVersion]):
    checkpoint = serializers.CharField(source="checkpoint.name", default=None, read_only=True)
    endpoint = serializers.CharField(source="endpoint.name", default=None, read_only=True)

    class Meta:
        model = JudgeVersion
        fields = ["id", "number", "rubric", "labels", "checkpoint", "endpoint", "engine", "created_at"]


class MeasureSerializer(serializers.Serializer[Standing]):
    about = serializers.CharField()
    card = serializers.IntegerField(source="row.pk")
    trusted = serializers.BooleanField()
    why = serializers.CharField(source="words")


class JudgeSerializer(serializers.ModelSerializer[Judge]):
    """`trusted` says of the newest version, with the default threshold, whether it may carry a decision by its rubric;
    `measures` the same of each measure that it was checked on."""

    versions = JudgeVersionSerializer(many=True, read_only=True)
    trusted = serializers.SerializerMethodField()
    why = serializers.SerializerMethodField()
    measures = serializers.SerializerMethodField()

    class Meta:
        model = Judge
        fields = ["id", "name", "kind", "archived_at", "trusted", "why", "measures", "versions"]

    def to_representation(self, judge: Judge) -> Any:
        self.standings = _standings(judge)  # read once for the three fields
        return super().to_representation(judge)

    def get_trusted(self, judge: Judge) -> bool:
        return self.standings[0].trusted

    def get_why(self, judge: Judge) -> str:
        return self.standings[0].words

    @extend_schema_field(MeasureSerializer(many=True))
    def get_measures(self, judge: Judge) -> Any:
        found: Any = self.standings[1:]
        return MeasureSerializer(found, many=True).data


def _standings(judge: Judge) -> list[Standing]:
    version = judge.versions.all()[0]
    version.judge = judge
    return standings(version, newest_cards([version.pk]).get(version.pk, {}))


class DraftSerializer(serializers.Serializer[Any]):
    rubric = serializers.CharField(trim_whitespace=False)
    labels = serializers.DictField(
        child=serializers.FloatField(),
        required=False,
        default=dict,
        help_text="The words that a judge by a rubric chooses among, each with its value from 0 to 1.",
    )
    checkpoint = serializers.CharField(
        required=False, default="", help_text="Who answers: a checkpoint by number or name, …"
    )
    endpoint = serializers.CharField(
        required=False, default="", help_text="… or an endpoint by number or name."
    )
    engine = serializers.CharField(required=False, default="")


class NewJudgeSerializer(DraftSerializer):
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=Judge.Kind.choices)


class NewVersionSerializer(DraftSerializer):
    base = serializers.IntegerField(
        required=False,
        default=None,
        allow_null=True,
        help_text="The number of the version that you began from.",
    )


def _draft(project: Project, values: dict[str, Any]) -> VersionDraft:
    checkpoint, endpoint = values["checkpoint"], values["endpoint"]
    return VersionDraft(
        rubric=values["rubric"],
        labels=values["labels"],
        checkpoint=find_checkpoint(project=project, name=checkpoint) if checkpoint else None,
        endpoint=find_endpoint(project=project, name=endpoint) if endpoint else None,
        engine=values["engine"],
    )


def _judges(slug: str) -> QuerySet[Judge]:
    return Judge.objects.filter(project__slug=slug).prefetch_related(
        "versions__checkpoint__base", "versions__checkpoint__parent", "versions__endpoint"
    )


class Judges(ProjectView, generics.ListAPIView[Judge]):
    """The judges of a project with their versions; POST to make another."""

    capability = {"GET": "view_results", "POST": "train"}
    serializer_class = JudgeSerializer
    queryset = Judge.objects.none()

    def get_queryset(self) -> QuerySet[Judge]:
        return _judges(self.kwargs["slug"])

    @extend_schema(request=NewJudgeSerializer, responses={201: JudgeSerializer})
    def post(self, request: Request, slug: str) -> Response:
        access, values = self.access(), self.given(NewJudgeSerializer)
        version = create_judge(
            project=access.project,
            name=values["name"],
            kind=values["kind"],
            draft=_draft(access.project, values),
            person=access.person,
        )
        return Response(JudgeSerializer(_judges(slug).get(pk=version.judge_id)).data, status.HTTP_201_CREATED)


class ArchivedSerializer(serializers.Serializer[Any]):
    archived = serializers.BooleanField(help_text="Put away, or brought back.")


class JudgeDetail(ProjectView, generics.RetrieveAPIView[Judge]):
    """One judge with its versions; PATCH to put it away or bring it back."""

    capability = {"GET": "view_results", "PATCH": "train"}
    serializer_class = JudgeSerializer
    queryset = Judge.objects.none()
    lookup_url_kwarg = "judge_id"

    def get_queryset(self) -> QuerySet[Judge]:
        return _judges(self.kwargs["slug"])

    @extend_schema(request=ArchivedSerializer, responses=JudgeSerializer)
    def patch(self, request: Request, slug: str, judge_id: int) -> Response:
        judge = self.get_object()
        archive_judge(judge=judge, archived=self.given(ArchivedSerializer)["archived"])
        return Response(JudgeSerializer(judge).data)


class JudgeVersions(ProjectView):
    """POST to save the next version of a judge; what the newest one says already makes none."""

    capability = {"POST": "train"}

    @extend_schema(request=NewVersionSerializer, responses={201: JudgeVersionSerializer})
    def post(self, request: Request, slug: str, judge_id: int) -> Response:
        access = self.access()
        judge = get_object_or_404(Judge, project=access.project, pk=judge_id)
        values = self.given(NewVersionSerializer)
        version = save_version(
            judge=judge, draft=_draft(access.project, values), person=access.person, base=values["base"]
        )
        return Response(JudgeVersionSerializer(version).data, status.HTTP_201_CREATED)


class CardSerializer(serializers.ModelSerializer[AgreementCard]):
    """`result` is what evaluation.cards.Card describes; null until the check has ended."""

    judge = serializers.CharField(source="version.judge.name", read_only=True)
    version = serializers.IntegerField(source="version.number", read_only=True)
    dataset_version = serializers.IntegerField(
        source="dataset_version.number", read_only=True, default=None, allow_null=True
    )

    class Meta:
        model = AgreementCard
        fields = [
            *("id", "judge", "version", "about", "dataset_version", "limit"),
            *("status", "error", "progress", "result", "created_at"),
        ]


class JudgeCheckSerializer(serializers.Serializer[Any]):
    version = serializers.IntegerField(help_text="The id of a judge's version.")
    about = serializers.ChoiceField(
        choices=AgreementCard.About.choices,
        default=AgreementCard.About.PAIRS,
        help_text="Its rubric, against decided pairs; or a measure, against reviews of answers from given texts.",
    )
    dataset_version = serializers.IntegerField(
        required=False,
        default=None,
        allow_null=True,
        help_text="Number of a version of pairs that people decided; for a measure none.",
    )
    limit = serializers.IntegerField(required=False, default=500, help_text="Pairs or answers at most.")


class AgreementCards(ProjectView, generics.ListAPIView[AgreementCard]):
    """The checks of a project's judges; POST to hold a version against people."""

    capability = {"GET": "view_results", "POST": "train"}
    serializer_class = CardSerializer
    queryset = AgreementCard.objects.none()
    filterset_fields = ["status"]

    def get_queryset(self) -> QuerySet[AgreementCard]:
        rows = AgreementCard.objects.filter(project__slug=self.kwargs["slug"])
        return rows.select_related("version__judge", "dataset_version")

    @extend_schema(request=JudgeCheckSerializer, responses={202: CardSerializer})
    def post(self, request: Request, slug: str) -> Response:
        access, values = self.access(), self.given(JudgeCheckSerializer)
        versions = JudgeVersion.objects.select_related("judge__project", "endpoint")
        number = values["dataset_version"]
        card = start_check(
            version=get_object_or_404(versions, judge__project=access.project, pk=values["version"]),
            about=values["about"],
            dataset_version=None
            if number is None
            else get_object_or_404(DatasetVersion, project=access.project, number=number),
            limit=values["limit"],
            person=access.person,
        )
        return Response(CardSerializer(card).data, status=status.HTTP_202_ACCEPTED)


class AgreementCardDetail(ProjectView, generics.RetrieveAPIView[AgreementCard]):
    """One check: its status, and how far the judge agrees with people."""

    capability = {"GET": "view_results"}
    serializer_class = CardSerializer
    lookup_url_kwarg = "card_id"

    def get_queryset(self) -> QuerySet[AgreementCard]:
        rows = AgreementCard.objects.filter(project__slug=self.kwargs["slug"])
        return rows.select_related("version__judge", "dataset_version")


class CardActionView(ProjectView):
    """What one may do with a check that there is."""

    capability = {"POST": "train"}

    def card(self) -> AgreementCard:
        rows = AgreementCard.objects.select_related("version__judge", "dataset_version")
        return get_object_or_404(rows, project=self.access().project, pk=self.kwargs["card_id"])

    def told(self) -> Response:
        return Response(CardSerializer(self.card()).data, status=status.HTTP_202_ACCEPTED)


class CardCancel(CardActionView):
    """Stop it; what was answered is kept. Repeating it is harmless."""

    @extend_schema(request=None, responses={202: CardSerializer})
    def post(self, request: Request, slug: str, card_id: int) -> Response:
        self.card().request_cancel()
        return self.told()


class CardResume(CardActionView):
    """Put one that failed or was cancelled into the queue again: it goes on where it stopped."""

    @extend_schema(request=None, responses={202: CardSerializer})
    def post(self, request: Request, slug: str, card_id: int) -> Response:
        self.card().resume()
        return self.told()


PROJECT = "projects/<slug:slug>/"
CARD = f"{PROJECT}agreement-cards/<int:card_id>/"
urlpatterns = [
    path(f"{PROJECT}judges/", Judges.as_view(), name="api-judges"),
    path(f"{PROJECT}judges/<int:judge_id>/", JudgeDetail.as_view(), name="api-judge"),
    path(f"{PROJECT}judges/<int:judge_id>/versions/", JudgeVersions.as_view(), name="api-judge-versions"),
    path(f"{PROJECT}agreement-cards/", AgreementCards.as_view(), name="api-agreement-cards"),
    path(CARD, AgreementCardDetail.as_view(), name="api-agreement-card"),
    path(f"{CARD}cancel/", CardCancel.as_view(), name="api-agreement-card-cancel"),
    path(f"{CARD}resume/", CardResume.as_view(), name="api-agreement-card-resume"),
]
