"""REST API of annotating: the next item, and what a person does with it. The same verbs as the page."""

from dataclasses import asdict, fields
from typing import Any
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import OpenApiResponse, extend_schema
from pydantic import BaseModel, ConfigDict, Field
from pydantic import ValidationError as PydanticError
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response as ApiResponse

from labeling.annotating import LAYOUTS, SKIP_REASONS, Sent, save_draft, skip, submit, submit_and_claim
from labeling.api import ProjectView
from labeling.errors import StaleLease
from labeling.holding import slot_of
from labeling.models import Assignment, Project, User
from labeling.models import Task as Kind
from labeling.queue import claim_next, heartbeat, postpone
from labeling.rag.answers import LONGEST_TITLE, MOST_CHUNKS, MOST_FAILURES, MOST_SPANS
from labeling.reading import read_answer, read_draft
from labeling.tasks import Task, show
from labeling.values import LONGEST_TEXT


class ShownResponseSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    verdict = serializers.CharField()
    text = serializers.CharField()
    same_as = serializers.ListField(child=serializers.IntegerField())


class ShownChunkSerializer(serializers.Serializer[Any]):
    position = serializers.IntegerField()
    title = serializers.CharField()
    text = serializers.CharField()


class ShownCategorySerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    name = serializers.CharField()
    words = serializers.CharField()
    scope = serializers.CharField()
    stage = serializers.CharField()
    offered = serializers.BooleanField(help_text="False: retired, and the answer given so far carries it.")


class CandidateSerializer(serializers.Serializer[Any]):
    start = serializers.IntegerField()
    end = serializers.IntegerField()
    source = serializers.CharField()  # type: ignore[assignment]


class TaskSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    assignment_id = serializers.IntegerField()
    token = serializers.UUIDField()
    client_key = serializers.UUIDField()
    messages = serializers.ListField(child=serializers.DictField(child=serializers.CharField()))
    responses = ShownResponseSerializer(many=True)
    draft = serializers.DictField(allow_null=True)
    expires_at = serializers.DateTimeField()
    revises = serializers.IntegerField(allow_null=True)
    comment = serializers.CharField()
    chunks = ShownChunkSerializer(many=True, required=False, help_text="Of a review: in retrieved order.")
    categories = ShownCategorySerializer(
        many=True, required=False, help_text="Of a review: errors to choose."
    )
    candidates = CandidateSerializer(
        many=True, required=False, help_text="Of a second review: where to look."
    )


class LeaseSerializer(serializers.Serializer[Any]):
    token = serializers.UUIDField()


class SkipSerializer(LeaseSerializer):
    reason = serializers.ChoiceField(choices=list(SKIP_REASONS))


LONG: Any = {"required": False, "allow_blank": True, "max_length": 2 * LONGEST_TEXT, "trim_whitespace": False}


class AnswerSerializer(LeaseSerializer):
    """Of the answer's fields, send those of the project's task. `revises` changes an earlier answer of mine."""

    verdict = serializers.CharField(required=False, max_length=20)
    strength = serializers.IntegerField(required=False)
    order = serializers.CharField(required=False, max_length=400)
    ratings = serializers.DictField(
        required=False, child=serializers.ListField(child=serializers.IntegerField(), max_length=100)
    )
    number = serializers.IntegerField(required=False)
    text = serializers.CharField(**LONG)
    rationale = serializers.CharField(required=False, max_length=20_000, allow_blank=True)
    relevance = serializers.ListField(
        required=False, child=serializers.IntegerField(allow_null=True), max_length=MOST_CHUNKS
    )
    spans = serializers.ListField(required=False, child=serializers.DictField(), max_length=MOST_SPANS)
    failures = serializers.ListField(required=False, child=serializers.DictField(), max_length=MOST_FAILURES)
    answers_question = serializers.IntegerField(required=False, min_value=0, max_value=2)
    corrected = serializers.CharField(**LONG)
    missed = serializers.CharField(**LONG, help_text="The passage that should have been found.")
    missed_ref = serializers.CharField(required=False, max_length=LONGEST_TITLE, allow_blank=True)
    revises = serializers.IntegerField(required=False, min_value=1)


class SubmitSerializer(AnswerSerializer):
    client_key = serializers.UUIDField()
    active_ms = serializers.IntegerField(required=False, min_value=0, max_value=86_400_000)
    layout = serializers.ChoiceField(required=False, choices=LAYOUTS)
    next = serializers.BooleanField(default=False, help_text="Answer with the next item too.")


class JudgmentSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    next = TaskSerializer(allow_null=True, required=False)


class AnnotatingView(ProjectView):
    """A view of an annotator's work."""

    capability = {"POST": "annotate"}

    def place(self) -> tuple[Project, User]:
        access = self.access()
        assert access.person is not None
        return access.project, access.person


SENT = [field.name for field in fields(Sent)]
NEXT = {200: TaskSerializer, 204: OpenApiResponse(description="Nothing is left.")}
DONE = {204: OpenApiResponse(description="Done.")}


class NextItem(AnnotatingView):
    """Lease the next item to judge, or get again the one that is held. 204 when nothing is left."""

    @extend_schema(request=None, responses=NEXT)
    def post(self, request: Request, slug: str) -> ApiResponse:
        task = _next(*self.place())
        return ApiResponse(status=status.HTTP_204_NO_CONTENT) if task is None else ApiResponse(task)


class Submit(AnnotatingView):
    """Store a judgment. Sending it again with the same client_key is harmless; a stale token gets 409."""

    @extend_schema(request=SubmitSerializer, responses={201: JudgmentSerializer})
    def post(self, request: Request, slug: str, assignment_id: int) -> ApiResponse:
        project, person = self.place()
        sent, values, go_on = _submission(request)
        answer = read_answer(values, task=project.task)
        more: dict[str, Any] = {}
        if go_on:
            slot = getattr(request.auth, "slot", None) or slot_of(project, person, assignment_id)
            judgment, following = submit_and_claim(slot=slot, person=person, answer=answer, sent=sent)
            more["next"] = _shown(following, person)
        else:
            judgment = submit(
                project=project, assignment_id=assignment_id, person=person, answer=answer, sent=sent
            )
        stored = {"id": judgment.pk, "created_at": judgment.created_at, **more}
        return ApiResponse(stored, status=status.HTTP_201_CREATED)


class Skip(AnnotatingView):
    """Put an item aside for good, with a reason."""

    @extend_schema(request=SkipSerializer, responses=DONE)
    def post(self, request: Request, slug: str, assignment_id: int) -> ApiResponse:
        project, person = self.place()
        skip(project=project, assignment_id=assignment_id, person=person, **_read(SkipSerializer, request))
        return ApiResponse(status=status.HTTP_204_NO_CONTENT)


class Later(AnnotatingView):
    """Put an item to the end of my own queue."""

    @extend_schema(request=LeaseSerializer, responses=DONE)
    def post(self, request: Request, slug: str, assignment_id: int) -> ApiResponse:
        project, person = self.place()
        token = _read(LeaseSerializer, request)["token"]
        _held(postpone(project=project, assignment_id=assignment_id, person=person, token=token))
        return ApiResponse(status=status.HTTP_204_NO_CONTENT)


class Beat(AnnotatingView):
    """Hold an item for as long again."""

    @extend_schema(request=LeaseSerializer, responses=DONE)
    def post(self, request: Request, slug: str, assignment_id: int) -> ApiResponse:
        project, person = self.place()
        token = _read(LeaseSerializer, request)["token"]
        _held(heartbeat(project=project, assignment_id=assignment_id, person=person, token=token))
        return ApiResponse(status=status.HTTP_204_NO_CONTENT)


class KeepDraft(AnnotatingView):
    """Keep an unfinished answer on the server."""

    @extend_schema(request=AnswerSerializer, responses=DONE)
    def post(self, request: Request, slug: str, assignment_id: int) -> ApiResponse:
        project, person = self.place()
        values = _read(AnswerSerializer, request)
        save_draft(
            project=project,
            assignment_id=assignment_id,
            person=person,
            token=values.pop("token"),
            revises=values.pop("revises", None),
            answer=read_draft(values, task=project.task),
        )
        return ApiResponse(status=status.HTTP_204_NO_CONTENT)


class _Body(BaseModel):
    """The body of a submit. Read by pydantic: a serializer of DRF costs as much as storing the answer."""

    model_config = ConfigDict(extra="allow")

    token: UUID
    client_key: UUID
    active_ms: int | None = Field(default=None, ge=0, le=86_400_000)
    layout: str = Field(default="", max_length=10)
    revises: int | None = Field(default=None, ge=1)
    next: bool = False


def _submission(request: Request) -> tuple[Sent, dict[str, Any], bool]:
    try:
        body = _Body.model_validate(request.data)
    except PydanticError as error:
        found = {".".join(map(str, e["loc"])) or "body": [f"{e['msg']}."] for e in error.errors()}
        raise serializers.ValidationError(found) from error
    sent = Sent(**{name: getattr(body, name) for name in SENT})
    return sent, dict(body.model_extra or {}), body.next


def _read(form: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    filled = form(data=request.data)
    filled.is_valid(raise_exception=True)
    return dict(filled.validated_data)


def _held(still: bool) -> None:
    if not still:
        raise StaleLease("Your time for this item had run out; somebody else may have it now.")


def _next(project: Project, person: User) -> dict[str, Any] | None:
    return _shown(claim_next(project=project, person=person), person)


def _shown(assignment: Assignment | None, person: User) -> dict[str, Any] | None:
    return None if assignment is None else _task(show(assignment=assignment, person=person))


def _task(task: Task) -> dict[str, Any]:
    """A task as JSON. Written out, because a serializer would cost more than the claim."""
    return {
        "kind": task.kind,
        "assignment_id": task.assignment_id,
        "token": str(task.token),
        "client_key": str(task.client_key),
        "messages": task.messages,
        "responses": [
            {"number": r.number, "verdict": r.verdict, "text": r.text, "same_as": r.same_as}
            for r in task.responses
        ],
        "draft": task.draft,
        "expires_at": task.expires_at,
        "revises": task.revises,
        "comment": task.comment,
        **(_review(task) if task.kind == Kind.RAG else {}),
    }


def _review(task: Task) -> dict[str, Any]:
    return {
        "chunks": [asdict(chunk) for chunk in task.chunks],
        "categories": [asdict(category) for category in task.categories],
        "candidates": [candidate.model_dump() for candidate in task.candidates],
    }


HERE = "projects/<slug:slug>/assignments/<int:assignment_id>/"
urlpatterns = [
    path("projects/<slug:slug>/next/", NextItem.as_view(), name="api-next"),
    path(f"{HERE}submit/", Submit.as_view(), name="api-submit"),
    path(f"{HERE}skip/", Skip.as_view(), name="api-skip"),
    path(f"{HERE}later/", Later.as_view(), name="api-later"),
    path(f"{HERE}beat/", Beat.as_view(), name="api-beat"),
    path(f"{HERE}draft/", KeepDraft.as_view(), name="api-draft"),
]
