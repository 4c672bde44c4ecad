"""API tokens: knox's, looked up together with what their holder may do."""

from typing import Any

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from knox.auth import TokenAuthentication as KnoxAuthentication
from knox.crypto import hash_token
from knox.models import AuthToken

from labeling.access import MEMBERSHIP, as_member
from labeling.compiled import Select, instance, param
from labeling.models import Membership, Project, User

TOKEN = ["digest", "token_key", "user_id", "expiry"]
USER = ["id", "username", "is_active", "is_staff", "is_superuser"]
HOLDER = Select(
    lambda: AuthToken.objects.filter(digest=param("digest", AuthToken)).values_list(
        *TOKEN, *(f"user__{name}" for name in USER)
    )
)
HOLDER_IN_PROJECT = Select(
    lambda: Membership.objects.filter(
        project__slug=param("slug", Project), user__auth_token_set__digest=param("digest", AuthToken)
    ).values_list(
        *(f"user__auth_token_set__{name}" for name in TOKEN),
        *(f"user__{name}" for name in USER),
        *MEMBERSHIP,
    )
)


class TokenAuthentication(KnoxAuthentication):  # type: ignore[misc]
    """Who holds this token, and at an address inside a project also what they are there, by one statement.

    What is not plainly valid, an expired token for example, is left to knox to refuse.
    """

    def authenticate(self, request: Any) -> tuple[User, Any] | None:
        self._slug = request.parser_context["kwargs"].get("slug")
        found: tuple[User, Any] | None = super().authenticate(request)
        return found

    def authenticate_credentials(self, token: bytes) -> tuple[User, Any]:
        try:
            digest = hash_token(token.decode())
        except (TypeError, ValueError):
            digest = ""
        row = None
        if digest and self._slug:
            row = HOLDER_IN_PROJECT.first(digest=digest, slug=self._slug)
        if digest and row is None:
            row = HOLDER.first(digest=digest)
        if row is not None:
            held = instance(AuthToken, TOKEN, row[: len(TOKEN)])
            user = held.user = instance(User, USER, row[len(TOKEN) : len(TOKEN) + len(USER)])
            membership = row[len(TOKEN) + len(USER) :]
            if user.is_active and (held.expiry is None or held.expiry > timezone.now()):
                held.access = as_member(user, membership) if membership else None
                return user, held
        found: tuple[User, Any] = super().authenticate_credentials(token)
        return found


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI page describes these tokens."""

    target_class = TokenAuthentication
    name = "knoxApiToken"

    def get_security_definition(self, auto_schema: Any) -> Any:
        return build_bearer_security_scheme_object(header_name="Authorization", token_prefix="Token")  # noqa: S106
