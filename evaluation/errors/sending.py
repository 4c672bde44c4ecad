"""From errors back to labeling: the failures of one kind become items of the queue, linked by their source."""

from collections.abc import Collection, Sequence

from django.db.models import Count, Q

from evaluation.casepage import first_answers
from evaluation.feedback import MOST, ORIGIN_LENGTH
from evaluation.models import Analysis, Case, ErrorRead, RunTarget
from evaluation.questions import texts_given
from evaluation.targets import digest
from labeling.errors import Refused
from labeling.intake import ContextDraft, Intake, ItemDraft, ResponseDraft, add_items
from labeling.models import Item, Task
from labeling.rag.taxonomy import current

SOURCE = "analysis"
COMPARING = (Task.PAIRWISE, Task.RANKING)


def sent_of(analysis: Analysis) -> set[str]:
    """The uids of the cases that were sent from this analysis."""
    start = f"{SOURCE} {analysis.pk} case "
    rows = Item.objects.filter(project=analysis.project_id, source_kind=SOURCE, source_ref__startswith=start)
    return {ref.removeprefix(start) for ref in rows.order_by().values_list("source_ref", flat=True)}


def items_of(analysis: Analysis, uids: Collection[str]) -> list[Item]:
    """The items that these cases of an analysis became, each with `judged`: how many of its slots are submitted."""
    start = f"{SOURCE} {analysis.pk} case "
    rows = Item.objects.filter(project=analysis.project_id, source_kind=SOURCE, source_ref__startswith=start)
    done = Count("assignments", filter=Q(assignments__submitted_at__isnull=False))
    found = rows.only("preview", "overlap", "source_ref").annotate(judged=done).order_by("pk")[:MOST]
    return [item for item in found if item.source_ref.removeprefix(start) in uids]


def send_category(*, analysis: Analysis, key: str) -> Intake:
    """Put the failures that were read as of this kind into the queue; repeating it is harmless. Raises Refused.

    Prompts are those of the cases, to the letter, so that they stay protected: what people say of them tells how good
    the model is, and trains nothing while the case is in a suite.
    """
    now = current(analysis.project)
    rows = ErrorRead.objects.filter(analysis=analysis, read_at__isnull=False).order_by("place")
    cases = [
        case
        for case, categories in rows.values_list("case_id", "categories")
        if any(key == own or now.get(own) == [key] for own in categories)
    ]
    if not cases:
        raise Refused("No failure that was read is of this kind; there is nothing to send.")
    return send_cases(analysis=analysis, case_ids=cases)


def send_cases(*, analysis: Analysis, case_ids: Sequence[int]) -> Intake:
    """Put some failing cases of an analysis into the queue, in the form that the project's task takes."""
    if len(case_ids) > MOST:
        raise Refused(f"{len(case_ids):,} cases were marked; up to {MOST} are sent at a time.")
    run, project = analysis.run, analysis.project
    cases = list(Case.objects.of_run(run).filter(pk__in=case_ids))
    told = [analysis.target, *_beside(analysis)] if project.task in COMPARING else [analysis.target]
    answers = {target: first_answers(run, target, cases) for target in told}
    drafts = []
    for case in cases:
        said: dict[str, list[str]] = {}
        for target, texts in answers.items():
            if case.pk in texts:
                said.setdefault(texts[case.pk], []).append(target.name)
        if project.task not in COMPARING or len(said) > 1:
            drafts.append(_draft(analysis, case, said))
    if not drafts:
        raise Refused(
            f"None of the {len(cases)} cases has two distinct answers, and people of this project compare answers; "
            "there is nothing to send."
        )
    return add_items(project=project, drafts=drafts, source_kind=SOURCE)


def _beside(analysis: Analysis) -> list[RunTarget]:
    """What a failing answer is compared with: the baseline's, or where the baseline itself is analysed the last one."""
    others = [target for target in analysis.run.targets.all() if target.pk != analysis.target_id]
    return others[:1] if analysis.target.index else others[-1:]


def _draft(analysis: Analysis, case: Case, said: dict[str, list[str]]) -> ItemDraft:
    """The item, with its responses in an order that tells nothing of who gave them and is the same each time."""
    task, spec = analysis.project.task, analysis.run.spec
    ordered = sorted(said, key=lambda text: digest([case.uid, text])) if task in COMPARING else list(said)
    texts = texts_given(case, spec.get("contexts", "apart"), spec.get("contexts_seed", 0))
    return ItemDraft(
        messages=[{"role": message["role"], "content": message["content"]} for message in case.prompt],
        responses=[]
        if task == Task.DEMONSTRATION
        else [ResponseDraft(text, origin=", ".join(said[text])[:ORIGIN_LENGTH]) for text in ordered],
        source_ref=f"{SOURCE} {analysis.pk} case {case.uid}",
        contexts=[ContextDraft(text) for text in texts] if task == Task.RAG else [],
    )
