"""Capture tokens: the right to send captures to one project and nothing else, made and revoked by its owners."""

import hashlib
import secrets
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed

from labeling.errors import Refused
from labeling.models import CaptureToken, Project, User

PREFIX, SECRET_BYTES, SHOWN = "pfc_", 32, 12
MOST_TOKENS, LONGEST_NAME = 100, 120
SCHEMES = (b"bearer", b"token")


def make_token(
    *, project: Project, name: str, person: User | None, per_minute: int | None = None
) -> tuple[CaptureToken, str]:
    """A new token and its secret, which is not kept: who loses it makes another one."""
    given = " ".join(name.split())
    if not given or len(given) > LONGEST_NAME:
        raise Refused(
            f"The name given has {len(given)} letters; give 1 to {LONGEST_NAME}, such as where it is used."
        )
    if per_minute is not None and per_minute < 1:
        raise Refused(f"{per_minute} captures a minute are none; give 1 or more, or leave it empty.")
    if CaptureToken.objects.filter(project=project, revoked_at=None).count() >= MOST_TOKENS:
        raise Refused(f"The project has {MOST_TOKENS} tokens that hold; revoke one that nobody uses first.")
    secret = f"{PREFIX}{secrets.token_urlsafe(SECRET_BYTES)}"
    token = CaptureToken.objects.create(
        project=project,
        name=given,
        begins=secret[:SHOWN],
        secret_hash=_hash(secret),
        per_minute=per_minute,
        created_by=person,
    )
    return token, secret


def revoke_token(*, project: Project, token_id: int, person: User | None) -> CaptureToken:
    """End a token. What came by it stays. Raises Refused where it holds no more."""
    done = CaptureToken.objects.filter(project=project, pk=token_id, revoked_at=None).update(
        revoked_at=timezone.now(), revoked_by=person
    )
    if not done:
        raise Refused("This token holds no more, or there is none of this number; reload the page.")
    return CaptureToken.objects.get(pk=token_id)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class CaptureAuthentication(BaseAuthentication):
    """`Authorization: Bearer pfc_…`; nothing else opens this address, and this token opens no other. It is a
    program's, and no person's."""

    def authenticate(self, request: Any) -> tuple[AnonymousUser, CaptureToken]:
        scheme, _, given = get_authorization_header(request).partition(b" ")
        secret = given.strip().decode("latin-1")
        if scheme.lower() not in SCHEMES or not secret:
            raise AuthenticationFailed(
                "No capture token was sent; send Authorization: Bearer and a token that an owner of the project made."
            )
        token = CaptureToken.objects.select_related("project").filter(secret_hash=_hash(secret)).first()
        if token is None:
            raise AuthenticationFailed(
                f"This is no capture token; those begin with {PREFIX}, and owners make them on the project's page "
                "of captures."
            )
        if token.revoked_at is not None:
            raise AuthenticationFailed(
                f"The token {token.name!r} was revoked on {token.revoked_at:%Y-%m-%d}; ask an owner of the project "
                "for another one."
            )
        return AnonymousUser(), token

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"


class CaptureScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI page describes these tokens."""

    target_class = CaptureAuthentication
    name = "captureToken"

    def get_security_definition(self, auto_schema: Any) -> Any:
        return build_bearer_security_scheme_object(header_name="Authorization", token_prefix="Bearer")  # noqa: S106
