"""What `manage.py check --deploy` says of settings by which people are not told, or are sent a link to nowhere."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register

from evaluation.policies.channels import sends_mail

HERE = (None, "localhost", "127.0.0.1", "::1")


@register(deploy=True)
def people_can_be_told(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if urlsplit(settings.PREFLOOP_URL).hostname in HERE:
        words = (
            f"PREFLOOP_URL is {settings.PREFLOOP_URL!r}: links in mails and webhooks lead nowhere for others."
        )
        hint = "Set it to the address under which people reach the site."
        found.append(Warning(words, hint=hint, id="prefloop.W001"))
    if not sends_mail():
        hint = "Set EMAIL_HOST, or EMAIL_BACKEND where mail does not go by SMTP."
        found.append(Warning("Mail is only printed and reaches nobody.", hint=hint, id="prefloop.W002"))
    return found
