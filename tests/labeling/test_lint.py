"""The seeded-defect corpus: each defect at known rows, all of them found, and nothing on the clean rows."""

import random
from typing import Any

import pytest

from labeling.curation.evaluation_material import Material
from labeling.curation.freezing import LintBlocked, freeze
from labeling.curation.lint import Lint, LintReport, Rate
from labeling.curation.recipe import Recipe
from labeling.curation.rows import Made
from labeling.curation.votes import Vote
from labeling.models import DatasetVersion, Project, User
from tests import world

SUBJECTS = [
    "basil",
    "the router",
    "your invoice",
    "a sourdough",
    "the violin",
    "this query",
    "a lawn",
    "the tent",
]
VERBS = [
    "needs more light",
    "should be restarted",
    "was sent on Monday",
    "rises overnight",
    "sounds brighter",
]
REASONS = ["because it dries out", "since the cable is loose", "as the notes say", "when the room is warm"]
SAFE = "it depends on the season, and a short test tells more than a long argument."
ROWS = 600
FAKE_KEY = "AKIA" + "IOSFODNN7EXAMPLE"


def sentence(chance: random.Random) -> str:
    words = f"{chance.choice(SUBJECTS)} {chance.choice(VERBS)} {chance.choice(REASONS)}"
    return f"{words[0].upper()}{words[1:]}."


def clean_rows(count: int = ROWS) -> list[dict[str, Any]]:
    """Pairs as careful people make them: sentences that end, code that closes, lists, links, numbers, dates."""
    chance = random.Random(8)
    endings = [
        "",
        "\n\n```python\nprint('done')\n```",
        "\n\n- first, turn it\n- then wait",
        "\n\nSee https://example.org/guide for 12 more, from 2024-05-17",
        "\n\n1. Measure 3,500 g\n2. Bake at 220 °C",
        "\n\nBest regards,\nThe support team",
    ]
    rows = []
    for number in range(count):
        texts = {f"{sentence(chance)} {sentence(chance)}{chance.choice(endings)}" for _ in range(2)}
        while len(texts) < 2:
            texts.add(f"{sentence(chance)} Or else: {SAFE}")
        chosen, rejected = sorted(texts, key=lambda _: chance.random())
        rows.append(
            {
                "split": "test" if number % 5 == 0 else "train",
                "prompt": [
                    {"role": "user", "content": f"Question {number} about {chance.choice(SUBJECTS)}?"}
                ],
                "chosen": chosen,
                "rejected": rejected,
                "soft_label": 1.0,
                "item": f"{number:032x}",
                "prompt_hash": f"{number:064x}",
            }
        )
    return rows


def votes(number: int, left: bool) -> list[Vote]:
    return [
        Vote(
            number,
            "",
            "",
            "",
            "",
            False,
            number,
            1,
            number % 4,
            None,
            "pairwise",
            "0",
            None,
            "submitted",
            "01"[left],
        )
    ]


def look(
    rows: list[dict[str, Any]], *, people: int = 4, left: float = 0.5, material: Any = None
) -> LintReport:
    """The report on these rows, judged by so many people, the left response winning this often."""
    chance = random.Random(4)
    prompts: dict[str, list[Made]] = {}
    for number, row in enumerate(rows):
        (vote,) = votes(number, chance.random() >= left)
        prompts.setdefault(row["prompt_hash"], []).append(
            Made(row, [vote._replace(person_id=number % people, judgment_id=number + 1)], number)
        )
    lint = Lint(material)
    for prompt in prompts.values():
        lint.see(prompt)
    return lint.report()


def found(report: LintReport) -> dict[str, list[int]]:
    return {finding.name: finding.rows for finding in report.findings if finding.count}


def test_nothing_is_found_in_clean_rows() -> None:
    report = look(clean_rows())
    assert found(report) == {}
    assert not report.blocks
    assert {finding.name for finding in report.findings} == {"person", "longer", "left"}


def same(row: dict[str, Any]) -> None:
    row["rejected"] = row["chosen"]


def put(name: str, text: str) -> Any:
    def harm(row: dict[str, Any]) -> None:
        row[name] = f"{row[name]} {text}"

    return harm


def cut(name: str) -> Any:
    def harm(row: dict[str, Any]) -> None:
        row[name] = (
            f"{sentence(random.Random(1))} The second thing that you should look at before you go is the"
        )

    return harm


def replace(name: str, text: str) -> Any:
    def harm(row: dict[str, Any]) -> None:
        row[name] = text

    return harm


DEFECTS: list[tuple[str, Any]] = [
    ("identical", same),
    ("empty", replace("rejected", " \n")),
    ("truncated", cut("chosen")),
    ("truncated", cut("rejected")),
    ("truncated", put("chosen", "\n\n```python\nfor row in rows:")),
    ("template", put("chosen", "<|im_end|>")),
    ("template", replace("rejected", "### Response: It is well.")),
    ("template", put("rejected", "[INST] and more [/INST]")),
    ("identity", put("chosen", "As an AI language model I cannot know.")),
    ("identity", put("rejected", "I'm ChatGPT, and I was trained by OpenAI.")),
    ("identity", put("chosen", "I am a large language model.")),
    ("secret", put("chosen", f"Use {FAKE_KEY} for it.")),
    ("secret", put("rejected", "Token: ghp_" + "a1B2" * 9 + ".")),
    ("secret", put("chosen", "-----BEGIN RSA PRIVATE KEY-----")),
    ("pii", put("chosen", "Write to jane.roe@mail-host.org today.")),
    ("pii", put("rejected", "Call me at +49 30 901820 please.")),
]


@pytest.mark.parametrize(("name", "harm"), DEFECTS, ids=[f"{n}-{i}" for i, (n, _) in enumerate(DEFECTS)])
def test_a_defect_planted_at_known_rows_is_found_there_and_nowhere_else(name: str, harm: Any) -> None:
    rows, places = clean_rows(), [3, 77, 78, 401, 599]
    for place in places:
        harm(rows[place])
    report = look(rows)
    assert found(report) == {name: places}
    (finding,) = [each for each in report.findings if each.name == name]
    assert finding.items == places


def test_every_defect_at_once_is_told_apart() -> None:
    rows = clean_rows()
    planted: dict[str, list[int]] = {}
    for number, (name, harm) in enumerate(DEFECTS):
        harm(rows[20 * number + 7])
        planted.setdefault(name, []).append(20 * number + 7)
    assert found(look(rows)) == planted


def joined(rows: list[dict[str, Any]], places: list[int], pairs: list[tuple[str, str]]) -> None:
    """Rows of one prompt, with these preferences among its responses."""
    for place, (chosen, rejected) in zip(places, pairs, strict=True):
        rows[place] |= {"prompt_hash": rows[places[0]]["prompt_hash"], "split": rows[places[0]]["split"]}
        rows[place] |= {"chosen": f"{chosen} is right.", "rejected": f"{rejected} is right."}


def test_preferences_that_contradict_each_other_are_found() -> None:
    rows = clean_rows()
    joined(rows, [10, 11, 12], [("A", "B"), ("B", "A"), ("A", "C")])
    assert found(look(rows)) == {"contradiction": [10, 11]}


def test_preferences_that_go_in_a_circle_are_found_and_what_leads_into_it_is_not() -> None:
    rows = clean_rows()
    joined(rows, [20, 21, 22, 23, 24], [("A", "B"), ("B", "C"), ("C", "A"), ("D", "A"), ("B", "E")])
    assert found(look(rows)) == {"cycle": [20, 21, 22]}


def test_a_tie_in_both_directions_is_no_contradiction() -> None:
    rows = clean_rows()
    joined(rows, [10, 11], [("A", "B"), ("B", "A")])
    rows[10]["soft_label"] = rows[11]["soft_label"] = 0.5
    assert found(look(rows)) == {}


def test_a_prompt_in_two_splits_is_found() -> None:
    rows = clean_rows()
    joined(rows, [10, 11], [("A", "B"), ("A", "C")])
    rows[11]["split"] = "train" if rows[10]["split"] == "test" else "test"
    assert found(look(rows)) == {"split": [10, 11]}


def test_near_duplicates_of_evaluation_prompts_are_found_in_training_rows_only() -> None:
    rows = clean_rows()
    text = "Name the three largest lakes of the northern provinces and say how deep each of them is"
    for place in (5, 6, 7):  # 5 is held out
        rows[place]["prompt"] = [{"role": "user", "content": f"Please: {text}"}]
    report = look(rows, material=Material({"a hash"}, [text], Recipe()))
    assert found(report) == {"evaluation": [6, 7]}


def test_one_person_who_gave_most_judgments_blocks_and_four_do_not() -> None:
    alone = look(clean_rows(), people=1)
    (person,) = [finding for finding in alone.findings if finding.name == "person"]
    assert person.blocks
    assert person.estimate is not None
    assert person.estimate["value"] == 1
    assert not look(clean_rows(), people=4).blocks


@pytest.mark.parametrize(("share", "blocks"), [(0.5, False), (0.7, True), (0.3, True)])
def test_the_left_side_must_not_win_too_often_nor_too_rarely(share: float, blocks: bool) -> None:
    report = look(clean_rows(), left=share)
    (left,) = [finding for finding in report.findings if finding.name == "left"]
    assert left.blocks is blocks
    assert left.estimate is not None
    assert left.estimate["value"] == pytest.approx(share, abs=0.06)


def test_choosing_the_longer_response_nearly_always_blocks() -> None:
    rows = clean_rows()
    for row in rows:
        texts = sorted((row["chosen"], row["rejected"]), key=len)
        row["rejected"], row["chosen"] = texts
    report = look(rows)
    assert [finding.name for finding in report.findings if finding.blocks] == ["longer"]


def test_rates_have_the_intervals_of_clustered_samples() -> None:
    """Seeded: of 500 samples of clusters with a rate of their own, the interval holds the truth 95 times in 100."""
    chance, held = random.Random(9), 0
    for _ in range(500):
        rate = Rate()
        for _ in range(80):
            own, n = chance.betavariate(3, 2), chance.randint(1, 6)
            rate.add(sum(chance.random() < own for _ in range(n)), n)
        estimate = rate.estimate()
        assert estimate is not None
        held += estimate.low <= 0.6 <= estimate.high
    assert held >= 0.93 * 500
    assert Rate().estimate() is None


def test_a_limit_lets_single_slips_pass_and_says_so() -> None:
    rows = clean_rows()
    put("chosen", "As an AI language model I cannot know.")(rows[9])
    report = look(rows)
    assert found(report) == {"identity": [9]}
    assert not report.blocks


@pytest.mark.django_db
@pytest.mark.data_layer
def test_what_blocks_is_frozen_only_with_a_reason_that_stays_with_the_version(
    project: Project, ben: User, bea: User
) -> None:
    world.put(project, *[world.draft(n, first=f"Mail a{n}@example.org.") for n in range(4)])
    world.judge_all(project, ben)
    with pytest.raises(
        LintBlocked, match=r"an e-mail address, .* \(4 rows\)\. Mend it, or freeze with a reason"
    ):
        freeze(project=project, recipe=Recipe(), person=None)
    assert DatasetVersion.objects.count() == 0
    version = freeze(project=project, recipe=Recipe(), person=None, override=" They agreed. ")
    assert version.override == "They agreed."
    assert LintReport.from_dict(version.lint).blocks
