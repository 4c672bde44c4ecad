"""Which files one test process runs, and in which order: what is dear to start is started in one process only."""

from xdist.scheduler import LoadFileScheduling

# Longest first. The browser's files share a site and its worker; the others share libraries that take ten seconds to
# import, in the process and in the fork server of tests/training/test_recipes.py.
UNITS = {
    "browser": ("tests/browser/",),
    "recipes": (
        "tests/training/test_adaptations.py",
        "tests/training/test_traps.py",
        "tests/training/test_recipes.py",
        "tests/training/test_packing.py",
        "tests/training/test_ppo.py",
        "tests/training/test_objectives.py",
        "tests/training/test_rollouts.py",
        "tests/training/test_serving.py",
        "tests/training/test_merge_recipe.py",
        "tests/training/test_deltas.py",
        "tests/training/test_sizing.py",
        "tests/training/test_weights.py",
        "tests/training/test_answer.py",
        "tests/training/test_chat.py",
        "tests/training/test_answer_services.py",
        "tests/training/test_answer_vllm.py",
        "tests/training/test_subset_recipe.py",
        "tests/training/test_trainers_load.py",
        "tests/training/test_nano.py",
        "tests/training/test_selecting.py",
    ),
}


def unit(file: str) -> str:
    """The unit of a test file; most are a unit of their own."""
    return next((name for name, starts in UNITS.items() if file.startswith(starts)), file)


def place(nodeid: str) -> int:
    """Where among the units a test stands."""
    names = [*UNITS]
    name = unit(nodeid.split("::")[0])
    return names.index(name) if name in UNITS else len(names)


class Units(LoadFileScheduling):
    """`--dist loadfile` with units that are several files."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(super()._split_scope(nodeid))
