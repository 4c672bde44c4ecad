"""The projects that a recipe takes judgments from."""

from labeling.access import opened
from labeling.curation.recipe import Recipe
from labeling.errors import RecipeRefused
from labeling.models import Project, User


def source_projects(project: Project, recipe: Recipe, person: User | None) -> list[Project]:
    """The project and the others that the recipe names, in the order of their slugs. Raises RecipeRefused where one is
    not there or the person may not curate it; the two are not told apart."""
    found = {project.slug: project}
    for slug in recipe.projects:
        if person is None:
            other = Project.objects.filter(slug=slug).first()
        else:
            access = opened(person, slug, "curate")
            other = access.project if access is not None else None
        if other is None:
            raise RecipeRefused(
                f"projects names {slug!r}: there is no such project, or you may not curate it; take it out."
            )
        found[slug] = other
    return [found[slug] for slug in sorted(found)]
