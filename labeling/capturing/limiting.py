"""How many captures a token may send in a minute, counted in its row: every web process sees the same count."""

from datetime import datetime

from django.db.models import BigIntegerField, Case, F, Q, Value, When
from django.db.models.functions import Greatest

from labeling.errors import Refused
from labeling.models import CaptureToken

MINUTE = 60


class Limited(Exception):
    """The token has sent what it may; `wait` says for how many seconds it shall be silent."""

    def __init__(self, token: CaptureToken, wait: int) -> None:
        super().__init__(
            f"The token {token.name!r} may send {token.limit:,} captures a minute and has sent them; "
            f"send again in {wait} seconds. Nothing of this request was stored."
        )
        self.wait = wait


def refuse_full(token: CaptureToken, now: datetime) -> None:
    """Raise Limited where the token, as it was read, has nothing left: before a body is read at all."""
    if token.window >= _minute(now) and token.used >= token.limit:
        raise Limited(token, _left(now))


def admit(token: CaptureToken, count: int, now: datetime) -> None:
    """Count this many captures, if the minute has room for all of them. Raises Limited where it has not, and Refused
    where no minute ever has."""
    if count > token.limit:
        raise Refused(
            f"{count:,} captures were sent, and the token {token.name!r} may send {token.limit:,} a minute; send "
            "fewer at once."
        )
    minute = _minute(now)
    room = Q(window__lt=minute) | Q(used__lte=token.limit - count)
    taken = CaptureToken.objects.filter(room, pk=token.pk).update(
        used=Case(When(window__lt=minute, then=0), default=F("used"), output_field=BigIntegerField()) + count,
        window=Greatest(F("window"), Value(minute, BigIntegerField())),
    )
    if not taken:
        raise Limited(token, _left(now))


def _minute(now: datetime) -> int:
    return int(now.timestamp()) // MINUTE


def _left(now: datetime) -> int:
    return MINUTE - int(now.timestamp()) % MINUTE
