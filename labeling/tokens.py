"""API tokens: knox's, looked up together with what their holder may do."""

from typing import Any

from django.db.models import OuterRef, QuerySet
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from knox.auth import TokenAuthentication as KnoxAuthentication
from knox.crypto import hash_token
from knox.models import AuthToken

from labeling.access import MEMBERSHIP, as_member
from labeling.compiled import Select, instance, param
from labeling.models import Assignment, Membership, Project, User
from labeling.slots import COLUMNS, as_slot, begun, others

TOKEN = ["digest", "token_key", "user_id", "expiry"]
USER = ["id", "username", "is_active", "is_staff", "is_superuser"]
HOLDER = Select(
    lambda: AuthToken.objects.filter(digest=param("digest", AuthToken)).values_list(
        *TOKEN, *(f"user__{name}" for name in USER)
    )
)
AS_MEMBER = [
    *(f"user__auth_token_set__{name}" for name in TOKEN),
    *(f"user__{name}" for name in USER),
    *MEMBERSHIP,
]


def _in_project() -> QuerySet[Membership]:
    return Membership.objects.filter(
        project__slug=param("slug", Project), user__auth_token_set__digest=param("digest", AuthToken)
    )


def _at_slot() -> QuerySet[Membership, Any]:
    person, project, slot = OuterRef("user"), OuterRef("project"), "project__assignments"
    found = _in_project().filter(**{slot: param("assignment_id", Assignment, "id")})
    return found.annotate(
        begun=begun(person, OuterRef(f"{slot}__item")), more=others(person, project, OuterRef(slot))
    ).values_list(*AS_MEMBER, *(f"{slot}__{name}" for name in COLUMNS), "begun", "more")


HOLDER_IN_PROJECT = Select(lambda: _in_project().values_list(*AS_MEMBER))
HOLDER_AT_SLOT = Select(_at_slot)


class TokenAuthentication(KnoxAuthentication):  # type: ignore[misc]
    """Who holds this token; at an address inside a project also what they are there, and at that of an assignment
    this too, by one statement. The token has them as `access` and `slot`.

    What is not plainly valid, an expired token for example, is left to knox to refuse.
    """

    def authenticate(self, request: Any) -> tuple[User, Any] | None:
        self._place = request.parser_context["kwargs"]
        found: tuple[User, Any] | None = super().authenticate(request)
        return found

    def authenticate_credentials(self, token: bytes) -> tuple[User, Any]:
        row = self._row(token)
        if row is not None:
            held = instance(AuthToken, TOKEN, row[: len(TOKEN)])
            user = held.user = instance(User, USER, row[len(TOKEN) : len(TOKEN) + len(USER)])
            membership, slot = row[len(TOKEN) + len(USER) : len(AS_MEMBER)], row[len(AS_MEMBER) :]
            if user.is_active and (held.expiry is None or held.expiry > timezone.now()):
                held.access = as_member(user, membership) if membership else None
                held.slot = as_slot(slot, held.access.project) if slot else None
                return user, held
        found: tuple[User, Any] = super().authenticate_credentials(token)
        return found

    def _row(self, token: bytes) -> tuple[Any, ...] | None:
        """The columns of the token and its user, with those of the membership and the slot where there are any."""
        try:
            known = {"digest": hash_token(token.decode())}
        except (TypeError, ValueError):
            return None
        row, place = None, self._place
        if "slug" in place and "assignment_id" in place:
            row = HOLDER_AT_SLOT.first(**known, **place)
        if "slug" in place and row is None:
            row = HOLDER_IN_PROJECT.first(**known, **place)
        return HOLDER.first(**known) if row is None else row


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI page describes these tokens."""

    target_class = TokenAuthentication
    name = "knoxApiToken"

    def get_security_definition(self, auto_schema: Any) -> Any:
        return build_bearer_security_scheme_object(header_name="Authorization", token_prefix="Token")  # noqa: S106
