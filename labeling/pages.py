"""One URL, one view, one template: the whole page, or for htmx the named fragment of it."""

from typing import Any

from django.apps import apps
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from labeling.access import Access
from labeling.lifecycle import ACTIVE, Lifecycle
from labeling.workers import worker_alive


def page(
    request: HttpRequest, template: str, context: dict[str, Any], *, fragment: str = "", status: int = 200
) -> HttpResponse:
    """Render `template`, or its fragment where htmx asks for one. Caches are told that the two differ."""
    details = getattr(request, "htmx", None)
    partial = bool(fragment and details and not details.boosted and not details.history_restore_request)
    response = render(request, f"{template}#{fragment}" if partial else template, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def shell(request: HttpRequest) -> dict[str, Any]:
    """What every page's frame needs. The queries run only where the template asks for their answers."""
    access: Access | None = getattr(request, "access", None)
    values: dict[str, Any] = {"worker_alive": worker_alive, "active_jobs": lambda: active_jobs(access)}
    if access is not None:
        values |= {"project": access.project, "can": access.can, "role_label": access.role_label}
    return values


def active_jobs(access: Access | None) -> int:
    """How many jobs of this project a worker has, of whatever app."""
    if access is None:
        return 0
    active = {"project": access.project, "status__in": ACTIVE}
    kinds = [model for model in apps.get_models() if issubclass(model, Lifecycle)]
    first, *others = (model._base_manager.filter(**active).order_by().values_list("pk") for model in kinds)
    return first.union(*others, all=True).count()  # one statement, however many kinds of jobs there are
