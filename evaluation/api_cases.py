"""REST API of what is done to many cases of a suite: tags, taking out and bringing back, and the seal."""

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from evaluation.api_suites import find_suite
from evaluation.suites import remove_cases, restore_cases, retag, seal, seal_share, unseal
from labeling.api import ProjectView

ACTIONS = ("tag", "untag", "remove", "restore", "seal", "unseal")
LARGEST_SEED = 2**31 - 1


class CasesChangeSerializer(serializers.Serializer[Any]):
    """What is done, and to which cases. `unseal` is for owners, and with a reason."""

    action = serializers.ChoiceField(choices=ACTIONS)
    cases = serializers.ListField(
        child=serializers.CharField(max_length=100), allow_empty=False, help_text="Their ids."
    )
    tags = serializers.ListField(child=serializers.CharField(), required=False, default=list)
    reason = serializers.CharField(required=False, default="", allow_blank=True)


class ChangedCasesSerializer(serializers.Serializer[Any]):
    changed = serializers.IntegerField(
        help_text="How many. With a case the seal takes and frees all that share its prompt or cluster."
    )


class SealShareSerializer(serializers.Serializer[Any]):
    share = serializers.FloatField(help_text="Of the open cases, such as 0.2.")
    seed = serializers.IntegerField(default=0, min_value=0, max_value=LARGEST_SEED)


class CasesChange(ProjectView):
    """POST what is to be done to some cases. Frozen versions stay as they are."""

    capability = {"POST": "curate"}

    @extend_schema(request=CasesChangeSerializer, responses=ChangedCasesSerializer)
    def post(self, request: Request, slug: str, suite_id: int) -> Response:
        access, values = self.access(), self.given(CasesChangeSerializer)
        who: dict[str, Any] = {"suite": find_suite(self), "uids": values["cases"], "person": access.person}
        match values["action"]:
            case "tag":
                changed = retag(**who, add=values["tags"])
            case "untag":
                changed = retag(**who, remove=values["tags"])
            case "remove":
                changed = remove_cases(**who)
            case "restore":
                changed = restore_cases(**who)
            case "seal":
                changed = seal(**who)
            case _:
                access.require("manage")
                changed = unseal(**who, reason=values["reason"])
        return Response({"changed": len(changed)})


class SealShare(ProjectView):
    """POST to put a random share of the open cases under seal; the same seed gives the same choice."""

    capability = {"POST": "curate"}

    @extend_schema(request=SealShareSerializer, responses=ChangedCasesSerializer)
    def post(self, request: Request, slug: str, suite_id: int) -> Response:
        values, person = self.given(SealShareSerializer), self.access().person
        return Response({"changed": len(seal_share(suite=find_suite(self), person=person, **values))})


SUITE = "projects/<slug:slug>/suites/<int:suite_id>/"
urlpatterns = [
    path(f"{SUITE}cases/change/", CasesChange.as_view(), name="api-cases-change"),
    path(f"{SUITE}seal/", SealShare.as_view(), name="api-suite-seal"),
]
