"""One project for each kind of task, for the browser: with guidelines, with many and with odd responses.

Everybody may judge every item of them, so that each test has its own person and they do not meet.
"""

from typing import Any

STRENGTH, RANKING, RATING = "strong-opinions", "ranked-answers", "rated-answers"
WRITING, EDITING, EMPTY, HARD = "written-answers", "improved-answers", "nothing-here", "hard-texts"
REVIEWING = "rag-answers"
ATTRIBUTES = [
    {"key": "helpful", "words": "Helpful", "low": 1, "high": 5},
    {"key": "tone", "words": "Tone", "low": -2, "high": 2},
]
GUIDE = "# How to judge\n\n- Prefer the answer that a customer could **act on**.\n- Length is no merit."
ANSWERS = [
    "Open Settings, choose Security, then press Reset. A mail with a link arrives within a minute.",
    "You cannot. Write to us and wait.",
    "Settings, Security, Reset: you will get a mail. The link in it is good for an hour.",
    "No idea.",
    "Restart the computer; that usually helps with passwords.",
]
CODE = "Run this:\n\n```python\ndef area(r):\n    return 3.14159 * r ** 2\n```\n\n| r | area |\n|---|---|\n| 1 | 3.14 |"
MATHS = "The area is $A = \\pi r^2$, so for $r = 2$:\n\n$$A = 4\\pi \\approx 12.57$$"
HARD_TEXTS = [
    ("Code and mathematics", [CODE, MATHS]),
    ("Right to left", ["مرحبا، اضغط على الإعدادات ثم الأمان 🔐 ثم إعادة الضبط.", "לא ידוע לי על כך דבר."]),
    ("Long words, emoji", ["Donaudampfschifffahrtsgesellschaft" * 12, "👩🏽‍🚀🎉" * 60]),
    ("The same text twice", ["Open Settings.", "Open Settings."]),
    ("Nothing said", ["", "Open Settings."]),
    ("Very long", ["A long sentence about nothing in particular. " * 4500, ANSWERS[0]]),
    ("Hostile", ["<script>document.title='owned'</script><img src=x onerror=alert(1)>", ANSWERS[1]]),
]
# 😀 stands before the marks: a page counts it twice, an offset once.
RAG_ANSWER = (
    "Yes 😀, **basil** needs *six hours* of sun & warmth. It was first grown on the Moon in 1969.\n\n"
    "- Water it when the soil is dry.\n- Turn the pot."
)
RAG_CHUNKS = [
    ("Herbs indoors", "Basil wants six hours of sun a day. Turn the pot, or it leans to the window."),
    ("Watering", "Water basil when the top of the soil is dry.\n<b>Standing</b> water rots its roots."),
    ("Long", "Nothing about herbs here. " * 2_000 + "The word zucchini stands at the end."),
]


def conversation(last: str) -> list[dict[str, str]]:
    return [
        {"role": "system", "content": "You help customers of a bank. Be short and kind."},
        {"role": "user", "content": "I forgot my password."},
        {"role": "assistant", "content": "Which account is it?"},
        {"role": "user", "content": last},
    ]


def build(people: dict[str, Any], roles: dict[str, str]) -> None:
    asked: list[tuple[str, dict[str, Any], list[list[str]]]] = [
        ("Strong opinions", {"ask_strength": True, "rationale": "optional"}, [ANSWERS[:2]] * 16),
        ("Ranked answers", {"task": "ranking"}, [ANSWERS[:3], [*ANSWERS, *_more(7)], *[ANSWERS[:4]] * 10]),
        ("Rated answers", {"task": "rating", "attributes": ATTRIBUTES}, [ANSWERS[:2]] * 12),
        ("Written answers", {"task": "demonstration", "rationale": "required"}, [[]] * 12),
        ("Improved answers", {"task": "edit"}, [ANSWERS[:2], *[ANSWERS[:1]] * 11]),
        ("Nothing here", {}, []),
    ]
    for name, rules, texts in asked:
        _project(people, roles, name, rules, [(f"It is account {n}.", row) for n, row in enumerate(texts)])
    _project(people, roles, "Hard texts", {}, HARD_TEXTS)
    _reviews(people, roles)


def _reviews(people: dict[str, Any], roles: dict[str, str]) -> None:
    """Answers with what was retrieved for them: six to review, and last one that is empty and had no chunk. Each was
    reviewed once, so that everybody is on the second pass."""
    from labeling.intake import ContextDraft, ItemDraft, ResponseDraft, VerdictDraft, add_items

    project = _project(
        people, roles, "RAG answers", {"task": "rag", "two_pass": True, "rationale": "optional"}, []
    )
    contexts = [ContextDraft(text, title=title) for title, text in RAG_CHUNKS]
    drafts = [
        ItemDraft(
            messages=conversation(f"Does basil need sun in room {n}?"),
            responses=[ResponseDraft(RAG_ANSWER if n < 6 else "", origin="m")],
            contexts=contexts if n < 6 else [],
            verdicts=[VerdictDraft(person="first", kind="rag", rag={"verdict": "good"})],
        )
        for n in range(7)
    ]
    add_items(project=project, drafts=drafts, source_kind="test")


def _more(count: int) -> list[str]:
    return [f"Way {n}: open Settings, choose Security, press Reset {n} times." for n in range(count)]


def _project(
    people: dict[str, Any],
    roles: dict[str, str],
    name: str,
    rules: dict[str, Any],
    items: list[tuple[str, list[str]]],
) -> Any:
    from labeling.intake import ItemDraft, ResponseDraft, add_items
    from labeling.models import Guideline, Project
    from labeling.projects import create_project, set_role

    project = create_project(
        name=name, owner=people["ada"], overlap=12, gold_share=0, repeat_share=0, **rules
    )
    for person, role in roles.items():
        set_role(project=project, username=person, role=role)
    if name != "Nothing here":
        guideline = Guideline.objects.create(project=project, number=1, text=GUIDE)
        Project.objects.filter(pk=project.pk).update(guideline=guideline)
    drafts = [
        ItemDraft(messages=conversation(last), responses=[ResponseDraft(text, origin="m") for text in texts])
        for last, texts in items
    ]
    add_items(project=project, drafts=drafts, source_kind="test")
    return project
