"""REST API of the turns of a conversation: read, stopped, asked again, and what becomes of one."""

from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from evaluation.api_playground import PROJECT, ChatTurnSerializer, ConversationView, told
from evaluation.models import Suite, Turn
from evaluation.playground import again, change_message, edit, stop, to_queue, to_suite, vote
from evaluation.playground.listing import own_conversation
from evaluation.playground.outcomes import VERDICTS
from evaluation.playground.standing import shown_turn
from labeling.access import visible_projects
from labeling.models import Project


class TurnAgainSerializer(serializers.Serializer[Any]):
    next_seed = serializers.BooleanField(required=False, default=True)
    text = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        trim_whitespace=False,
        help_text="What is asked instead, by the same seed; left out, the same is asked.",
    )


class TurnVoteSerializer(serializers.Serializer[Any]):
    verdict = serializers.ChoiceField(choices=list(VERDICTS))
    project = serializers.CharField(
        required=False, default="", help_text="The address of another project of yours."
    )
    strength = serializers.IntegerField(required=False, allow_null=True, default=None)
    rationale = serializers.CharField(required=False, default="", allow_blank=True)


class VotedTurnSerializer(serializers.Serializer[Any]):
    judgment = serializers.IntegerField()
    item = serializers.IntegerField()
    left = serializers.CharField(help_text="Who wrote the answer on the left.")
    right = serializers.CharField()


class TurnEditSerializer(serializers.Serializer[Any]):
    place = serializers.CharField(required=False, default="left", help_text="left or right.")
    text = serializers.CharField(trim_whitespace=False, help_text="The better answer.")
    project = serializers.CharField(required=False, default="", help_text="As in a vote.")


class EditedTurnSerializer(serializers.Serializer[Any]):
    judgment = serializers.IntegerField()
    item = serializers.IntegerField()


class QueuedTurnSerializer(serializers.Serializer[Any]):
    item = serializers.IntegerField()


class TurnCaseSerializer(serializers.Serializer[Any]):
    suite = serializers.IntegerField(help_text="The number of a suite of this project.")


class CaseOfTurnSerializer(serializers.Serializer[Any]):
    case = serializers.CharField(help_text="The case's id, the same in all versions of the suite.")
    position = serializers.IntegerField()


class TurnView(ConversationView):
    """What the views of one turn share."""

    def turn(self) -> Turn:
        rows = Turn.objects.select_related("conversation__project")
        found = get_object_or_404(
            rows, conversation__project=self.access().project, pk=self.kwargs["turn_id"]
        )
        own_conversation(self.access().project, self.person(), found.conversation_id)
        return found

    def taker(self, slug: str) -> Project | None:
        """The project that takes a judgment; None for that of the conversation."""
        return get_object_or_404(visible_projects(self.person()), slug=slug) if slug else None


class TurnDetail(TurnView):
    """One turn, with its answers as far as they are written."""

    capability = {"GET": "view_results"}

    @extend_schema(responses=ChatTurnSerializer)
    def get(self, request: Request, slug: str, turn_id: int) -> Response:
        return told(shown_turn(self.turn()))


class TurnStop(TurnView):
    """End the answers where they are."""

    capability = {"POST": "view_results"}

    @extend_schema(request=None, responses=ChatTurnSerializer)
    def post(self, request: Request, slug: str, turn_id: int) -> Response:
        stop(turn=self.turn())
        return told(shown_turn(self.turn()))


class TurnAgain(TurnView):
    """Ask the same again, by the next seed or the same one, or something else instead."""

    capability = {"POST": "view_results"}

    @extend_schema(request=TurnAgainSerializer, responses={202: ChatTurnSerializer})
    def post(self, request: Request, slug: str, turn_id: int) -> Response:
        values, turn = self.given(TurnAgainSerializer), self.turn()
        text = values["text"]
        made = (
            change_message(turn=turn, text=text) if text else again(turn=turn, next_seed=values["next_seed"])
        )
        return told(shown_turn(made), status.HTTP_202_ACCEPTED)


class TurnVote(TurnView):
    """Say which answer is better: it becomes a judgment, and who is who is told."""

    capability = {"POST": "view_results"}

    @extend_schema(request=TurnVoteSerializer, responses={201: VotedTurnSerializer})
    def post(self, request: Request, slug: str, turn_id: int) -> Response:
        values, turn = self.given(TurnVoteSerializer), self.turn()
        found = self.taker(values.pop("project"))
        made = vote(turn=turn, person=self.person(), project=found, **values)
        names = {reply.place: reply.name for reply in shown_turn(self.turn()).replies}
        said = {"judgment": made.judgment_id, "item": made.item_id, **names}
        return Response(said, status=status.HTTP_201_CREATED)


class TurnEdit(TurnView):
    """Write an answer better: it becomes a judgment by the kind of the project, and stands in the answer's place."""

    capability = {"POST": "view_results"}

    @extend_schema(request=TurnEditSerializer, responses={201: EditedTurnSerializer})
    def post(self, request: Request, slug: str, turn_id: int) -> Response:
        values, turn = self.given(TurnEditSerializer), self.turn()
        found = self.taker(values.pop("project"))
        made = edit(turn=turn, person=self.person(), project=found, **values)
        said = {"judgment": made.judgment_id, "item": made.item_id}
        return Response(said, status=status.HTTP_201_CREATED)


class TurnQueue(TurnView):
    """Put the turn into the queue, for others to judge."""

    capability = {"POST": "curate"}

    @extend_schema(request=None, responses={201: QueuedTurnSerializer})
    def post(self, request: Request, slug: str, turn_id: int) -> Response:
        made = to_queue(turn=self.turn(), person=self.person())
        return Response({"item": made.item_id}, status=status.HTTP_201_CREATED)


class TurnCase(TurnView):
    """Make the turn a case of a suite; its prompt is kept out of training from this moment."""

    capability = {"POST": "curate"}

    @extend_schema(request=TurnCaseSerializer, responses={201: CaseOfTurnSerializer})
    def post(self, request: Request, slug: str, turn_id: int) -> Response:
        number = self.given(TurnCaseSerializer)["suite"]
        suite = get_object_or_404(Suite, project=self.access().project, pk=number)
        case = to_suite(turn=self.turn(), person=self.person(), suite=suite)
        return Response({"case": case.uid, "position": case.position}, status=status.HTTP_201_CREATED)


TURN = f"{PROJECT}conversation-turns/<int:turn_id>/"
urlpatterns = [
    path(TURN, TurnDetail.as_view(), name="api-turn"),
    path(f"{TURN}stop/", TurnStop.as_view(), name="api-turn-stop"),
    path(f"{TURN}again/", TurnAgain.as_view(), name="api-turn-again"),
    path(f"{TURN}vote/", TurnVote.as_view(), name="api-turn-vote"),
    path(f"{TURN}edit/", TurnEdit.as_view(), name="api-turn-edit"),
    path(f"{TURN}queue/", TurnQueue.as_view(), name="api-turn-queue"),
    path(f"{TURN}case/", TurnCase.as_view(), name="api-turn-case"),
]
