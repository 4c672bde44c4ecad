"""REST API of evaluation: plan runs and read their scores."""

from dataclasses import asdict
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from evaluation import (
    api_candidates,
    api_cases,
    api_categories,
    api_compare,
    api_errors,
    api_gates,
    api_judges,
    api_notices,
    api_playground,
    api_policies,
    api_rounds,
    api_studies,
    api_suites,
    api_turns,
)
from evaluation.endpoints import find_endpoint
from evaluation.models import EvalRun, Score, Split, Suite
from evaluation.planning import plan_again, plan_evaluation, plan_on_held_out, resume_run
from evaluation.reading import target_lines, verdict
from evaluation.specs import CONTEXT_WORDS
from evaluation.verdicts_trust import footer
from evaluation.winrates import rates_of
from labeling.api import ProjectView
from labeling.errors import Refused
from labeling.models import DatasetVersion
from training.registry import find_checkpoint

PLANNED = ("engine", "split", "name", "scoring", "sampling", "limits", "contexts", "contexts_seed")


class ScoreSerializer(serializers.ModelSerializer[Score]):
    """One number with its interval; with `versus`, the paired difference to that target."""

    target = serializers.CharField(source="target.name")
    versus = serializers.CharField(source="versus.name", default=None)

    class Meta:
        model = Score
        fields = [
            *("target", "versus", "metric", "slice", "value", "low", "high", "n", "clusters"),
            *("unscorable", "errors", "p_value", "fixed", "broken"),
        ]


class EvaluationSerializer(serializers.ModelSerializer[EvalRun]):
    scores = ScoreSerializer(many=True, read_only=True)
    suite = serializers.CharField(source="suite.name", read_only=True)
    version = serializers.IntegerField(source="version.number", read_only=True)
    targets = serializers.SlugRelatedField(slug_field="name", many=True, read_only=True)  # type: ignore[var-annotated]

    class Meta:
        model = EvalRun
        fields = [
            *(
                "id",
                "name",
                "suite",
                "version",
                "split",
                "engine",
                "spec",
                "targets",
                "status",
                "stage",
                "error",
            ),
            *("progress", "scores", "created_at"),
        ]


class EvaluationWithVerdict(EvaluationSerializer):
    """One evaluation, and the sentence that it lets one say."""

    verdict = serializers.SerializerMethodField()
    win_rates = serializers.SerializerMethodField(
        help_text="Of each candidate and pairwise metric, the win rate as judged and at equal length."
    )
    answers = serializers.SerializerMethodField(
        help_text="Of each target and metric, how many answers were scored, unscorable or in error."
    )

    rests_on = serializers.SerializerMethodField(
        help_text="What the verdict rests on, and whether a reader should doubt it for that."
    )

    class Meta(EvaluationSerializer.Meta):
        fields = [*EvaluationSerializer.Meta.fields, "verdict", "win_rates", "answers", "rests_on"]

    def get_verdict(self, run: EvalRun) -> str:
        return str(verdict(target_lines(run)))

    def get_answers(self, run: EvalRun) -> dict[str, dict[str, dict[str, int]]]:
        return {
            line.name: {reading.metric.name: dict(reading.states) for reading in line.readings}
            for line in target_lines(run)
        }

    def get_rests_on(self, run: EvalRun) -> list[dict[str, Any]]:
        return [asdict(fact) for fact in footer(run, target_lines(run))]

    def get_win_rates(self, run: EvalRun) -> list[dict[str, Any]]:
        return [rate.as_dict() for line in target_lines(run) for rate in rates_of(line)]


class PlanSerializer(serializers.Serializer[Any]):
    """Either `suite` or `dataset_version` says what the cases are."""

    suite = serializers.IntegerField(required=False, help_text="Number of a suite.")
    dataset_version = serializers.IntegerField(
        required=False, help_text="Number of the version whose test split is the suite."
    )
    checkpoints = serializers.ListField(
        child=serializers.CharField(),
        default=list,
        help_text="Checkpoints by number or name; the base is always scored too.",
    )
    endpoints = serializers.ListField(
        child=serializers.CharField(), default=list, help_text="Endpoints by name."
    )
    baseline = serializers.CharField(required=False, default="", help_text="A checkpoint by number or name.")
    engine = serializers.CharField(required=False, default="")
    split = serializers.ChoiceField(choices=Split.choices, default=Split.DEV)
    name = serializers.CharField(required=False, default="")
    scoring = serializers.ListField(
        child=serializers.DictField(), required=False, default=None, allow_null=True
    )
    contexts = serializers.ChoiceField(
        choices=list(CONTEXT_WORDS.items()),
        default="apart",
        help_text="What prompts hold beside the question.",
    )
    contexts_seed = serializers.IntegerField(
        default=0, min_value=0, help_text="Draws the order of shuffled ones."
    )
    sampling = serializers.DictField(required=False, default=dict)
    limits = serializers.DictField(required=False, default=dict)


class AgainSerializer(serializers.Serializer[Any]):
    scoring = serializers.ListField(
        child=serializers.DictField(),
        required=False,
        default=None,
        allow_null=True,
        help_text="Left out, the scorers of the suite as they are today.",
    )


class Evaluations(ProjectView, generics.ListAPIView[EvalRun]):
    """The evaluations of a project; POST to plan another."""

    capability = {"GET": "view_results", "POST": "train"}
    serializer_class = EvaluationSerializer
    queryset = EvalRun.objects.none()
    filterset_fields = ["status", "suite", "split"]

    def get_queryset(self) -> QuerySet[EvalRun]:
        return _rows(self.kwargs["slug"])

    @extend_schema(request=PlanSerializer, responses={202: EvaluationSerializer})
    def post(self, request: Request, slug: str) -> Response:
        access, values = self.access(), self.given(PlanSerializer)
        project, baseline = access.project, values["baseline"]
        plan = {
            "checkpoints": [find_checkpoint(project=project, name=name) for name in values["checkpoints"]],
            "endpoints": [find_endpoint(project=project, name=name) for name in values["endpoints"]],
            "baseline": find_checkpoint(project=project, name=baseline) if baseline else None,
            "person": access.person,
            **{name: values[name] for name in PLANNED},
        }
        if "suite" in values:
            suite = get_object_or_404(Suite, project=project, pk=values["suite"])
            run = plan_evaluation(project=project, suite=suite, **plan)
        elif "dataset_version" in values:
            version = get_object_or_404(DatasetVersion, project=project, number=values["dataset_version"])
            run = plan_on_held_out(version=version, **plan)
        else:
            raise Refused("Neither suite nor dataset_version was given; say which cases are to be scored.")
        return Response(EvaluationSerializer(run).data, status=status.HTTP_202_ACCEPTED)


class Evaluation(ProjectView, generics.RetrieveAPIView[EvalRun]):
    """One evaluation with its scores."""

    capability = {"GET": "view_results"}
    serializer_class = EvaluationWithVerdict
    lookup_url_kwarg = "evaluation_id"

    def get_queryset(self) -> QuerySet[EvalRun]:
        return _rows(self.kwargs["slug"])


class EvaluationActionView(ProjectView):
    """What one may do with an evaluation that there is."""

    capability = {"POST": "train"}

    def evaluation(self) -> EvalRun:
        rows = EvalRun.objects.select_related("suite", "project")
        return get_object_or_404(rows, project=self.access().project, pk=self.kwargs["evaluation_id"])

    def told(self, run: EvalRun) -> Response:
        found = _rows(self.kwargs["slug"]).get(pk=run.pk)
        return Response(EvaluationSerializer(found).data, status=status.HTTP_202_ACCEPTED)


class EvaluationCancel(EvaluationActionView):
    """Stop it; what was answered is kept. Repeating it is harmless."""

    @extend_schema(request=None, responses={202: EvaluationSerializer})
    def post(self, request: Request, slug: str, evaluation_id: int) -> Response:
        run = self.evaluation()
        run.request_cancel()
        return self.told(run)


class EvaluationResume(EvaluationActionView):
    """Put one that failed or was cancelled into the queue again: it goes on where it stopped."""

    @extend_schema(request=None, responses={202: EvaluationSerializer})
    def post(self, request: Request, slug: str, evaluation_id: int) -> Response:
        run = self.evaluation()
        resume_run(run)
        return self.told(run)


class EvaluationAgain(EvaluationActionView):
    """Score its answers again, as another evaluation on the same cases: nothing that was answered is generated anew."""

    @extend_schema(request=AgainSerializer, responses={202: EvaluationSerializer})
    def post(self, request: Request, slug: str, evaluation_id: int) -> Response:
        scoring = self.given(AgainSerializer)["scoring"]
        return self.told(plan_again(run=self.evaluation(), person=self.access().person, scoring=scoring))


def _rows(slug: str) -> QuerySet[EvalRun]:
    rows = EvalRun.objects.filter(project__slug=slug).select_related("suite", "version")
    return rows.prefetch_related("targets", "scores__target", "scores__versus")


ONE = "projects/<slug:slug>/evaluations/<int:evaluation_id>/"
urlpatterns = [
    *api_suites.urlpatterns,
    *api_cases.urlpatterns,
    *api_gates.urlpatterns,
    *api_judges.urlpatterns,
    *api_candidates.urlpatterns,
    *api_compare.urlpatterns,
    *api_playground.urlpatterns,
    *api_turns.urlpatterns,
    *api_errors.urlpatterns,
    *api_categories.urlpatterns,
    *api_policies.urlpatterns,
    *api_notices.urlpatterns,
    *api_rounds.urlpatterns,
    *api_studies.urlpatterns,
    path("projects/<slug:slug>/evaluations/", Evaluations.as_view(), name="api-evaluations"),
    path(ONE, Evaluation.as_view(), name="api-evaluation"),
    path(f"{ONE}cancel/", EvaluationCancel.as_view(), name="api-evaluation-cancel"),
    path(f"{ONE}resume/", EvaluationResume.as_view(), name="api-evaluation-resume"),
    path(f"{ONE}again/", EvaluationAgain.as_view(), name="api-evaluation-again"),
]
