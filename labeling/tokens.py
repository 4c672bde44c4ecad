"""API tokens: knox's, looked up by one statement."""

from typing import Any

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from knox.auth import TokenAuthentication as KnoxAuthentication
from knox.crypto import hash_token
from knox.models import AuthToken

from labeling.compiled import Select, instance, param
from labeling.models import User

TOKEN = ["digest", "token_key", "user_id", "expiry"]
USER = ["id", "username", "is_active", "is_staff", "is_superuser"]
HOLDER = Select(
    lambda: AuthToken.objects.filter(digest=param("digest", AuthToken)).values_list(
        *TOKEN, *(f"user__{name}" for name in USER)
    )
)


class TokenAuthentication(KnoxAuthentication):  # type: ignore[misc]
    """Who holds this token. What is not plainly valid, an expired one for example, is left to knox to refuse."""

    def authenticate_credentials(self, token: bytes) -> tuple[User, Any]:
        try:
            digest = hash_token(token.decode())
        except (TypeError, ValueError):
            digest = ""
        row = HOLDER.first(digest=digest) if digest else None
        if row is not None:
            held, user = (
                instance(AuthToken, TOKEN, row[: len(TOKEN)]),
                instance(User, USER, row[len(TOKEN) :]),
            )
            held.user = user
            if user.is_active and (held.expiry is None or held.expiry > timezone.now()):
                return user, held
        found: tuple[User, Any] = super().authenticate_credentials(token)
        return found


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI page describes these tokens."""

    target_class = TokenAuthentication
    name = "knoxApiToken"

    def get_security_definition(self, auto_schema: Any) -> Any:
        return build_bearer_security_scheme_object(header_name="Authorization", token_prefix="Token")  # noqa: S106
