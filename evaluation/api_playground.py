"""REST API of the playground. A conversation is that of who began it; nothing tells who is who while it is blind."""

from typing import Any

from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from evaluation.endpoints import find_endpoint
from evaluation.models import Conversation
from evaluation.playground import ask, begin, begin_anew, delete_conversation, reveal
from evaluation.playground.listing import conversations_of, own_conversation
from evaluation.playground.prompts import PLACES
from evaluation.playground.standing import ShownTurn, shown_turn, shown_turns
from labeling.api import ProjectView
from labeling.models import User
from training.registry import find_checkpoint


class TurnReplySerializer(serializers.Serializer[Any]):
    """One answer, in its place. `name` is empty while who is who is hidden."""

    place = serializers.CharField(help_text="left or right; left where one answers alone.")
    name = serializers.CharField()
    state = serializers.CharField(
        help_text="waiting, loading, writing, lost, done, cut (at max_tokens), stopped, failed."
    )
    words = serializers.CharField(help_text="Why it waits, or why there is none.")
    text = serializers.CharField(help_text="As far as it is written.")
    edited = serializers.CharField()
    tokens = serializers.IntegerField(allow_null=True)


class ChatTurnSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="turn.pk")
    number = serializers.IntegerField(source="turn.number")
    text = serializers.CharField(source="turn.text")
    contexts = serializers.ListField(child=serializers.CharField(), source="turn.contexts")
    settings = serializers.DictField(source="turn.settings")
    over = serializers.BooleanField(source="is_over")
    replies = TurnReplySerializer(many=True)
    vote = serializers.CharField(source="vote.verdict", default=None)


class ConversationSerializer(serializers.ModelSerializer[Conversation]):
    voices: Any = serializers.SlugRelatedField("name", many=True, read_only=True)
    hidden = serializers.BooleanField(source="is_hidden", read_only=True)

    class Meta:
        model = Conversation
        fields = ["id", "title", "voices", "blind", "hidden", "engine", "settings", "created_at", "used_at"]


class WholeConversationSerializer(ConversationSerializer):
    turns = serializers.SerializerMethodField()

    class Meta(ConversationSerializer.Meta):
        fields = [*ConversationSerializer.Meta.fields, "turns"]

    @extend_schema(responses=ChatTurnSerializer(many=True))
    def get_turns(self, conversation: Conversation) -> Any:
        return ChatTurnSerializer(shown_turns(conversation), many=True).data


class ChatSettingsSerializer(serializers.Serializer[Any]):
    temperature = serializers.FloatField(required=False)
    top_p = serializers.FloatField(required=False)
    max_tokens = serializers.IntegerField(required=False)
    seed = serializers.IntegerField(required=False)
    system = serializers.CharField(required=False, allow_blank=True)


class NewConversationSerializer(serializers.Serializer[Any]):
    """One or two that answer, checkpoints before endpoints."""

    checkpoints = serializers.ListField(
        child=serializers.CharField(), required=False, default=list, help_text="By number or name."
    )
    endpoints = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        default=list,
        help_text="By number or name; for those who may train.",
    )
    blind = serializers.BooleanField(required=False, default=False)
    engine = serializers.CharField(required=False, default="", allow_blank=True)
    settings = ChatSettingsSerializer(required=False, default=dict)


class NewTurnSerializer(serializers.Serializer[Any]):
    text = serializers.CharField(trim_whitespace=False)
    contexts = serializers.ListField(
        child=serializers.CharField(trim_whitespace=False), required=False, default=list
    )
    settings = ChatSettingsSerializer(required=False, default=dict)
    carries = serializers.ChoiceField(choices=["", *PLACES], required=False, default="")


class ConversationView(ProjectView):
    """What the views of the playground share."""

    def person(self) -> User:
        person = self.access().person
        assert person is not None
        return person

    def conversation(self) -> Conversation:
        return own_conversation(self.access().project, self.person(), self.kwargs["conversation_id"])


class Conversations(ConversationView, generics.ListAPIView[Conversation]):
    """One's own conversations; POST to begin one."""

    capability = {"GET": "view_results", "POST": "view_results"}
    serializer_class = ConversationSerializer
    queryset = Conversation.objects.none()

    def get_queryset(self) -> QuerySet[Conversation]:
        return conversations_of(project=self.access().project, person=self.person())

    @extend_schema(request=NewConversationSerializer, responses={201: ConversationSerializer})
    def post(self, request: Request, slug: str) -> Response:
        access, values = self.access(), self.given(NewConversationSerializer)
        if values["endpoints"]:
            access.require("train")
        project = access.project
        checkpoints = [find_checkpoint(project=project, name=name) for name in values["checkpoints"]]
        endpoints = [find_endpoint(project=project, name=name) for name in values["endpoints"]]
        made = begin(
            project=project,
            person=self.person(),
            sources=[*checkpoints, *endpoints],
            blind=values["blind"],
            settings=values["settings"],
            engine=values["engine"],
        )
        return Response(ConversationSerializer(made).data, status=status.HTTP_201_CREATED)


class ConversationDetail(ConversationView):
    """One conversation with its turns; DELETE where no judgment rests on one."""

    capability = {"GET": "view_results", "DELETE": "view_results"}

    @extend_schema(responses=WholeConversationSerializer)
    def get(self, request: Request, slug: str, conversation_id: int) -> Response:
        return Response(WholeConversationSerializer(self.conversation()).data)

    @extend_schema(responses={204: OpenApiResponse(description="It is gone.")})
    def delete(self, request: Request, slug: str, conversation_id: int) -> Response:
        delete_conversation(conversation=self.conversation())
        return Response(status=status.HTTP_204_NO_CONTENT)


class ConversationReveal(ConversationView):
    """Tell who is who without a vote; no vote is blind from then on."""

    capability = {"POST": "view_results"}

    @extend_schema(request=None, responses=ConversationSerializer)
    def post(self, request: Request, slug: str, conversation_id: int) -> Response:
        reveal(conversation=self.conversation())
        return Response(ConversationSerializer(self.conversation()).data)


class ConversationAnew(ConversationView):
    """Another conversation with the same ones, asked in the same way."""

    capability = {"POST": "view_results"}

    @extend_schema(request=None, responses={201: ConversationSerializer})
    def post(self, request: Request, slug: str, conversation_id: int) -> Response:
        made = begin_anew(conversation=self.conversation())
        return Response(ConversationSerializer(made).data, status=status.HTTP_201_CREATED)


class ConversationTurns(ConversationView):
    """Say something: the answers are read at the turn, as they are written."""

    capability = {"POST": "view_results"}

    @extend_schema(request=NewTurnSerializer, responses={202: ChatTurnSerializer})
    def post(self, request: Request, slug: str, conversation_id: int) -> Response:
        turn = ask(conversation=self.conversation(), **self.given(NewTurnSerializer))
        return told(shown_turn(turn), status.HTTP_202_ACCEPTED)


def told(turn: ShownTurn, code: int = status.HTTP_200_OK) -> Response:
    return Response(ChatTurnSerializer(turn).data, status=code)


PROJECT = "projects/<slug:slug>/"
CONVERSATION = f"{PROJECT}conversations/<int:conversation_id>/"
urlpatterns = [
    path(f"{PROJECT}conversations/", Conversations.as_view(), name="api-conversations"),
    path(CONVERSATION, ConversationDetail.as_view(), name="api-conversation"),
    path(f"{CONVERSATION}anew/", ConversationAnew.as_view(), name="api-conversation-anew"),
    path(f"{CONVERSATION}turns/", ConversationTurns.as_view(), name="api-conversation-turns"),
    path(f"{CONVERSATION}reveal/", ConversationReveal.as_view(), name="api-conversation-reveal"),
]
