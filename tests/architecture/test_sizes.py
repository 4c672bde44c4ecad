"""Budgets: what has grown beyond them is split by what it does."""

from pathlib import Path

import pytest

from tests.architecture.source import files, functions, lines, modules, name

MODULE, RECIPE, TEMPLATE, TEST, FUNCTION = 300, 450, 200, 400, 50


def over(paths: list[Path], budget: int) -> dict[str, int]:
    return {name(path): lines(path) for path in paths if lines(path) > budget}


def test_modules_and_recipes_keep_to_their_budgets() -> None:
    recipes = [path for path in modules() if "recipes" in path.parts]
    others = [path for path in modules() if "recipes" not in path.parts]
    assert not over(others, MODULE)
    assert not over(recipes, RECIPE)
    assert len(others) > 50


def test_templates_keep_to_their_budget() -> None:
    templates = files("templates", suffix=".html")
    assert templates
    assert not over(templates, TEMPLATE)


def test_tests_keep_to_their_budget() -> None:
    assert not over(files("tests"), TEST)


@pytest.mark.parametrize("folder", ["apps", "tests"])
def test_functions_keep_to_their_budget(folder: str) -> None:
    paths = modules() if folder == "apps" else files("tests")
    assert not {where: size for path in paths for where, size in functions(path) if size > FUNCTION}
