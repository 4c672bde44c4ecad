"""Projects: made from a template, ruled by settings, and their people."""

from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils.text import slugify

from labeling.access import visible_projects
from labeling.allocation import Change, begin_anew, set_overlap
from labeling.attributes import PRESETS, checked, refuse_redefined
from labeling.errors import Refused
from labeling.models import Assignment, Item, Judgment, Membership, Project, Role, Task, User


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of project to begin with: its rules can be changed later, its task only while it has no items."""

    key: str
    label: str
    words: str
    gives: str
    rules: dict[str, Any] = field(default_factory=dict)


TEMPLATES = (
    Template(
        "pairwise",
        "Compare two responses",
        "Which of two responses is better, or neither. The quickest to answer.",
        "Preference pairs, for DPO and reward models",
        {"task": Task.PAIRWISE},
    ),
    Template(
        "strength",
        "Compare two, and say by how much",
        "Which is better: slightly, clearly or much. One key more for each answer.",
        "Preference pairs with a margin",
        {"task": Task.PAIRWISE, "ask_strength": True},
    ),
    Template(
        "ranking",
        "Rank several responses",
        "Three or more responses, best first, equals allowed. It begins unranked.",
        "Many preference pairs from each item",
        {"task": Task.RANKING},
    ),
    Template(
        "ratings",
        "Rate each response",
        "Each response on scales of your own, such as helpfulness from 0 to 4.",
        "Scores for each response and attribute",
        {"task": Task.RATING, "attributes": PRESETS["helpsteer"][1]},
    ),
    Template(
        "demonstrations",
        "Write the best response",
        "People write what the model should have said.",
        "Prompts with completions, for SFT",
        {"task": Task.DEMONSTRATION},
    ),
    Template(
        "edits",
        "Improve a response",
        "People mend a response of the model, and see what they changed.",
        "Completions, and pairs of edit and original",
        {"task": Task.EDIT},
    ),
    Template(
        "rag",
        "Review RAG answers",
        "Retrieved chunks beside the answer: what is relevant, which spans have no support, good or bad.",
        "Pairs from corrections, labels for KTO, rows for retrievers",
        {"task": Task.RAG},
    ),
)
BY_KEY = {template.key: template for template in TEMPLATES}


@dataclass(frozen=True, slots=True)
class ProjectLine:
    """A project in a list, with its counts."""

    project: Project
    role_label: str
    items: int
    judgments: int
    left: int


def create_project(*, name: str, owner: User | None, **rules: Any) -> Project:
    """Make a project whose owner is the person who asks; `rules` are further fields of Project. Raises Refused where
    the name gives no address."""
    slug = slugify(name)[:60]
    if not slug:
        raise Refused(f"The name {name!r} has no letters or digits to make an address of; choose another.")
    try:
        with transaction.atomic():
            project = Project(name=name, slug=slug, **rules)
            project.save(force_insert=True)
            if owner is not None:
                Membership.objects.create(user=owner, project=project, role=Role.OWNER)
    except IntegrityError as error:
        raise Refused(f"There is already a project at /p/{slug}/; choose another name.") from error
    return project


def create_from_template(*, name: str, owner: User | None, template: str = "", **rules: Any) -> Project:
    """Make a project with the rules of a template; `rules` come on top. Raises Refused as `create_project` does."""
    chosen = BY_KEY.get(template or TEMPLATES[0].key)
    if chosen is None:
        raise Refused(f"The template given is {template!r}; choose one of {', '.join(BY_KEY)}.")
    return create_project(name=name, owner=owner, **{**chosen.rules, **rules})


def set_rules(*, project: Project, every_item: bool = False, **rules: Any) -> Change:
    """Change fields of a project; all of them, or none where one is refused. With another overlap the items follow,
    those with a number of their own only if `every_item` is meant. Returns what became of their slots.

    Raises Refused for another task once there are items, for attributes that answers forbid to change, for a second
    pass that no item has people for, and for a value outside of its bounds.
    """
    change = Change(items=0, opened=0, withdrawn=0)
    with transaction.atomic():
        found = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        overlap = rules.pop("overlap", found.overlap)
        _check_task(found, rules.get("task", found.task))
        if "attributes" in rules:
            rules["attributes"] = checked(rules["attributes"])
            refuse_redefined(found, rules["attributes"])
        switched = rules.get("two_pass", found.two_pass) != found.two_pass
        for name, value in rules.items():
            setattr(found, name, value)
        if found.task == Task.RATING and not found.attributes:
            if "attributes" in rules:
                raise Refused("A project of ratings has no attribute; add at least one, or take a preset.")
            rules["attributes"] = found.attributes = PRESETS["helpsteer"][1]
        try:
            found.clean_fields()
        except ValidationError as error:
            said = (f"{name}: {' '.join(words)}" for name, words in error.message_dict.items())
            raise Refused(" ".join(said)) from error
        found.save(update_fields=list(rules))
        if switched:
            begin_anew(found)  # other slots may be given now than those that people passed
        if overlap != found.overlap or every_item:
            change = set_overlap(project=found, overlap=overlap, every=every_item)
        _check_passes(found)
    project.refresh_from_db()
    return change


def _check_passes(project: Project) -> None:
    if project.task != Task.RAG or not project.two_pass or project.overlap > 1:
        return
    if not Item.objects.filter(project=project, overlap__gt=1).exists():
        raise Refused(
            "A second pass takes two people for each item, and this project asks for one. Raise the people for each "
            "item to 2 or more, or switch the second pass off."
        )


def _check_task(project: Project, task: str) -> None:
    if task == project.task:
        return
    if Item.objects.filter(project=project).exists():
        raise Refused(
            f"The task is fixed ({project.get_task_display()}): there are items, and answers of two kinds about "
            "one item could not be counted together. Start another project to ask something else."
        )


def set_role(*, project: Project, username: str, role: str) -> Membership:
    """Give a person a role in a project, or change the one they have. A project keeps at least one owner."""
    user = User.objects.filter(username=username).first()
    if user is None:
        raise Refused(
            f"There is no user {username!r}; invite them by a link, or let an administrator make an account "
            "under /admin/."
        )
    if role not in Role.values:
        raise Refused(f"The role given is {role!r}; choose one of {', '.join(Role.values)}.")
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)  # two owners cannot both step down
        others = Membership.objects.filter(project=project, role=Role.OWNER).exclude(user=user)
        is_owner = Membership.objects.filter(project=project, role=Role.OWNER, user=user).exists()
        if is_owner and role != Role.OWNER and not others.exists():
            raise Refused(f"{username} is the only owner; give somebody else that role first.")
        membership, _ = Membership.objects.update_or_create(
            user=user, project=project, defaults={"role": role}
        )
    return membership


def project_lines(user: User | AnonymousUser) -> list[ProjectLine]:
    """The projects of a person with counts, in one query however many they are."""

    def count(model: type[Item] | type[Judgment] | type[Assignment], **condition: None) -> Coalesce:
        rows = model._base_manager.filter(project=OuterRef("pk"), **condition).order_by()
        return Coalesce(Subquery(rows.values("project").annotate(n=Count("pk")).values("n")), 0)

    projects = visible_projects(user).annotate(
        items_count=count(Item), judgments_count=count(Judgment), left_count=count(Assignment, person=None)
    )
    roles = {m.project_id: m.get_role_display() for m in Membership.objects.filter(user_id=user.pk or 0)}
    return [
        ProjectLine(
            project=project,
            role_label=roles.get(project.pk, "Administrator"),
            items=project.items_count,
            judgments=project.judgments_count,
            left=project.left_count,
        )
        for project in projects
    ]
