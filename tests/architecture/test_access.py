"""Every address of our apps asks who is there."""

from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

OURS = ("labeling.", "training.", "evaluation.", "config.")
ANYBODY = {
    "config.urls.health": "load balancers ask it without a login; it tells no more than alive or not",
    "evaluation.views.sharing.shared": "a link with a secret of 256 bits that ends; it shows numbers and no texts",
}


def views(patterns: list[Any]) -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from views(pattern.url_patterns)
        elif isinstance(pattern, URLPattern):
            view = getattr(pattern.callback, "view_class", None) or pattern.callback
            yield f"{view.__module__}.{view.__name__}", view


def ours() -> dict[str, Any]:
    return {name: view for name, view in views(get_resolver().url_patterns) if name.startswith(OURS)}


def test_every_view_of_ours_is_guarded_or_on_the_list_with_a_reason() -> None:
    bare = {name for name, view in ours().items() if not getattr(view, "guard", None)}
    assert bare == set(ANYBODY)


def test_the_rule_sees_our_views() -> None:
    found = ours()
    assert len(found) > 25
    assert "labeling.views.rank.rank" in found
    assert "labeling.api_annotating.NextItem" in found


def test_every_method_of_a_project_api_names_its_capability() -> None:
    from labeling.access import WORDS
    from labeling.api import ProjectView

    for name, view in ours().items():
        if isinstance(view, type) and issubclass(view, ProjectView):
            methods = {m.upper() for m in ("get", "post", "put", "patch", "delete") if hasattr(view, m)}
            assert methods == set(view.capability), name
            assert set(view.capability.values()) <= set(WORDS), name
