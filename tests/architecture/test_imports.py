"""config → evaluation → training → labeling, never back; no Django in recipes; no ML stack in web and job code."""

import sys
import tomllib

from tests.architecture.source import ROOT, run


def test_the_import_contracts_hold() -> None:
    code = "from importlinter.cli import lint_imports_command as lint; lint()"
    done = run(sys.executable, "-c", code, "--no-cache")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_the_contracts_say_what_the_design_says() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract for contract in contracts if contract["type"] == "layers")
    recipes = next(
        c for c in contracts if c["type"] == "forbidden" and "training.recipes" in c["source_modules"]
    )
    web = next(c for c in contracts if c["type"] == "forbidden" and "labeling" in c["source_modules"])
    assert layers["layers"] == ["config", "evaluation", "training", "labeling"]
    assert {"django", "celery", "labeling", "evaluation"} <= set(recipes["forbidden_modules"])
    assert {"torch", "transformers", "trl", "peft", "vllm"} <= set(web["forbidden_modules"])


def test_every_module_of_training_but_the_recipes_is_held_to_the_web_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    web = next(c for c in contracts if c["type"] == "forbidden" and "labeling" in c["source_modules"])
    exempt = {"recipes", "migrations", "data"}
    parts = {
        path.stem
        for path in (ROOT / "training").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    missing = {f"training.{part}" for part in parts - exempt - {"__init__"}} - set(web["source_modules"])
    assert not missing, f"add {sorted(missing)} to the contract in pyproject.toml"
