"""The projects that a recipe takes judgments from."""

from django.core.exceptions import PermissionDenied
from django.http import Http404

from labeling.access import open_project
from labeling.curation.recipe import Recipe
from labeling.errors import RecipeRefused
from labeling.models import Project, User


def source_projects(project: Project, recipe: Recipe, person: User | None) -> list[Project]:
    """The project and the others that the recipe names, in the order of their slugs. Raises RecipeRefused where one is
    not there or the person may not curate it; the two are not told apart."""
    found = {project.slug: project}
    for slug in recipe.projects:
        other = Project.objects.filter(slug=slug).first() if person is None else _curated(person, slug)
        if other is None:
            raise RecipeRefused(
                f"projects names {slug!r}: there is no such project, or you may not curate it; take it out."
            )
        found[slug] = other
    return [found[slug] for slug in sorted(found)]


def _curated(person: User, slug: str) -> Project | None:
    try:
        return open_project(person, slug, "curate").project
    except (Http404, PermissionDenied):
        return None
