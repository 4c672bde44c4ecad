"""REST API of the retrain policy: read and set it, start a run, read how far its steps are, stop it, go on."""

from functools import cached_property
from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from evaluation.models import PolicyRun, PolicyStep, RetrainPolicy, Suite
from evaluation.policies import advancing
from evaluation.policies.facts import Facts, facts_of
from evaluation.policies.reading import altered_words, runs_of
from evaluation.policies.rules import let_go_on, set_policy
from evaluation.policies.standing import hindrance, outlook
from evaluation.policies.starting import go_on, policy_of, start
from labeling.api import ProjectView
from labeling.errors import Refused
from labeling.models import Project
from training.models import TrainingRun


class RetrainPolicySerializer(serializers.ModelSerializer[RetrainPolicy]):
    """The rules, what comes next, and why a run would not start now."""

    next = serializers.SerializerMethodField()
    why_not = serializers.SerializerMethodField()
    new_judgments = serializers.SerializerMethodField()
    altered = serializers.SerializerMethodField()

    class Meta:
        model = RetrainPolicy
        fields = [
            *("suite", "is_on", "days", "times", "zone", "every", "origin", "recipe", "values", "override"),
            *("engine", "sampling", "runs_a_week", "hours_a_week", "cost_a_week", "quiet_from", "quiet_to"),
            *("pause_after", "changed_at", "next", "why_not", "new_judgments", "altered"),
        ]

    def get_next(self, policy: RetrainPolicy) -> str:
        return outlook(policy, self._facts).sentence

    def get_why_not(self, policy: RetrainPolicy) -> str:
        found = hindrance(policy, self._facts)
        return found.sentence if found else ""

    def get_new_judgments(self, policy: RetrainPolicy) -> int:
        return self._facts.newer

    def get_altered(self, policy: RetrainPolicy) -> str:
        return altered_words(self._facts)

    @cached_property
    def _facts(self) -> Facts:
        policy: Any = self.instance
        return facts_of(policy, timezone.now())


class RetrainRulesSerializer(serializers.Serializer[Any]):
    """What is left out stays as it is."""

    suite = serializers.IntegerField(required=False, help_text="Number of a suite; its gate decides.")
    is_on = serializers.BooleanField(required=False, help_text="Whether it starts by itself.")
    days = serializers.ListField(child=serializers.IntegerField(), required=False, help_text="0 is Monday.")
    times = serializers.ListField(child=serializers.CharField(), required=False, help_text='"02:30"')
    zone = serializers.CharField(required=False, help_text="Time zone of days, times and quiet hours.")
    every = serializers.IntegerField(required=False, allow_null=True, help_text="So many new judgments.")
    origin = serializers.IntegerField(
        required=False, allow_null=True, help_text="Number of the run to follow; null follows production."
    )
    recipe = serializers.DictField(required=False, allow_null=True)
    values = serializers.DictField(required=False, help_text="Settings in place of that run's.")
    override = serializers.CharField(required=False, allow_blank=True)
    engine = serializers.CharField(required=False, allow_blank=True)
    sampling = serializers.DictField(required=False)
    runs_a_week = serializers.IntegerField(required=False, allow_null=True)
    hours_a_week = serializers.FloatField(required=False, allow_null=True)
    cost_a_week = serializers.FloatField(required=False, allow_null=True)
    quiet_from = serializers.TimeField(required=False, allow_null=True)
    quiet_to = serializers.TimeField(required=False, allow_null=True)
    pause_after = serializers.IntegerField(required=False)


class PolicyStepSerializer(serializers.ModelSerializer[PolicyStep]):
    version = serializers.IntegerField(source="version.number", default=None)
    checkpoint = serializers.CharField(source="checkpoint.name", default=None)

    class Meta:
        model = PolicyStep
        fields = [
            *("kind", "state", "sentence", "version", "training", "checkpoint", "evaluation"),
            *("seconds", "cost", "started_at", "ended_at"),
        ]


class PolicyRunSerializer(serializers.ModelSerializer[PolicyRun]):
    """Under way as long as `outcome` is empty."""

    steps = PolicyStepSerializer(many=True, read_only=True)

    class Meta:
        model = PolicyRun
        fields = ["id", "trigger", "newer", "outcome", "sentence", "steps", "created_at", "ended_at"]


class Policy(ProjectView):
    """The retrain policy of a project; PUT to set it, or to change what is given of it."""

    capability = {"GET": "view_results", "PUT": "train"}

    @extend_schema(responses=RetrainPolicySerializer)
    def get(self, request: Request, slug: str) -> Response:
        return Response(RetrainPolicySerializer(_policy(self.access().project)).data)

    @extend_schema(request=RetrainRulesSerializer, responses=RetrainPolicySerializer)
    def put(self, request: Request, slug: str) -> Response:
        access, changes = self.access(), self.given(RetrainRulesSerializer)
        for name, model in (("suite", Suite), ("origin", TrainingRun)):
            if changes.get(name) is not None:
                changes[name] = get_object_or_404(model, project=access.project, pk=changes[name])
        set_policy(project=access.project, changes=changes, person=access.person)
        return Response(RetrainPolicySerializer(_policy(access.project)).data)


class GoOnPolicy(ProjectView):
    """POST to let a policy that paused after failures start again by itself: those before count no more."""

    capability = {"POST": "train"}

    @extend_schema(request=None, responses=RetrainPolicySerializer)
    def post(self, request: Request, slug: str) -> Response:
        project = self.access().project
        let_go_on(_policy(project))
        return Response(RetrainPolicySerializer(_policy(project)).data)


def _policy(project: Project) -> RetrainPolicy:
    found = policy_of(project)
    if found is None:
        raise Http404("This project has no retrain policy yet; PUT one.")
    return found


class PolicyRuns(ProjectView, generics.ListAPIView[PolicyRun]):
    """The runs of the policy, the newest first; POST to start one by hand."""

    capability = {"GET": "view_results", "POST": "train"}
    serializer_class = PolicyRunSerializer
    queryset = PolicyRun.objects.none()
    filterset_fields = ["outcome", "trigger"]

    def get_queryset(self) -> QuerySet[PolicyRun]:
        return runs_of(self.access().project)

    @extend_schema(request=None, responses={202: PolicyRunSerializer})
    def post(self, request: Request, slug: str) -> Response:
        access = self.access()
        run = start(project=access.project, person=access.person)
        return Response(PolicyRunSerializer(run).data, status=status.HTTP_202_ACCEPTED)


class OnePolicyRun(ProjectView, generics.RetrieveAPIView[PolicyRun]):
    """One run with its steps; DELETE stops it and keeps the row."""

    capability = {"GET": "view_results", "DELETE": "train"}
    serializer_class = PolicyRunSerializer
    queryset = PolicyRun.objects.none()
    lookup_url_kwarg = "run_id"

    def get_queryset(self) -> QuerySet[PolicyRun]:
        return runs_of(self.access().project)

    @extend_schema(responses={202: PolicyRunSerializer})
    def delete(self, request: Request, slug: str, run_id: int) -> Response:
        if not advancing.cancel(self.get_object()):
            raise Refused("This run is over; there is nothing to stop.")
        return Response(PolicyRunSerializer(self.get_object()).data, status=status.HTTP_202_ACCEPTED)


class GoOnPolicyRun(ProjectView):
    """POST to evaluate what a run trained, and ask the gate, in a new run: nothing is trained again."""

    capability = {"POST": "train"}

    @extend_schema(request=None, responses={202: PolicyRunSerializer})
    def post(self, request: Request, slug: str, run_id: int) -> Response:
        access = self.access()
        found = get_object_or_404(PolicyRun, project=access.project, pk=run_id)
        run = go_on(run=found, person=access.person)
        return Response(PolicyRunSerializer(run).data, status=status.HTTP_202_ACCEPTED)


PROJECT = "projects/<slug:slug>/"
urlpatterns = [
    path(f"{PROJECT}retrain-policy/", Policy.as_view(), name="api-policy"),
    path(f"{PROJECT}retrain-policy/go-on/", GoOnPolicy.as_view(), name="api-policy-go-on"),
    path(f"{PROJECT}policy-runs/", PolicyRuns.as_view(), name="api-policy-runs"),
    path(f"{PROJECT}policy-runs/<int:run_id>/", OnePolicyRun.as_view(), name="api-policy-run"),
    path(f"{PROJECT}policy-runs/<int:run_id>/go-on/", GoOnPolicyRun.as_view(), name="api-policy-run-go-on"),
]
