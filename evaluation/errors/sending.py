"""From errors back to labeling: the failures of one kind become items of the queue, linked by their source."""

from collections.abc import Iterable, Mapping

from django.db.models import Count, Q

from evaluation.casepage import first_answers
from evaluation.errors.reading import keys_of, read_as
from evaluation.feedback import MOST, ORIGIN_LENGTH
from evaluation.models import Analysis, Case, EvalRun, RunTarget
from evaluation.questions import texts_given
from evaluation.targets import digest
from labeling.errors import Refused
from labeling.importing.checks import MIN_RESPONSES
from labeling.intake import ContextDraft, Intake, ItemDraft, ResponseDraft, add_items
from labeling.models import Item, Task
from labeling.rag.contexts import checked_contexts

SOURCE = "analysis"
COMPARING = (Task.PAIRWISE, Task.RANKING)


def sent_of(analysis: Analysis) -> dict[str, int]:
    """The numbers of the items that cases of this analysis became, by the uid of the case."""
    start = _ref(analysis, "")
    rows = Item.objects.filter(project=analysis.project_id, source_kind=SOURCE, source_ref__startswith=start)
    return {ref.removeprefix(start): key for ref, key in rows.order_by().values_list("source_ref", "pk")}


def items_of(keys: Iterable[int]) -> list[Item]:
    """These items as a list shows them, each with `judged`: how many of its slots are submitted."""
    done = Count("assignments", filter=Q(assignments__submitted_at__isnull=False))
    rows = Item.objects.filter(pk__in=list(keys)).only("preview", "overlap").annotate(judged=done)
    return list(rows.order_by("pk")[:MOST])


def send_category(*, analysis: Analysis, key: str) -> Intake:
    """Put the failures that were read as of this kind into the queue, in the form that the project's task takes;
    repeating it is harmless. Raises Refused.

    Prompts are those of the cases, to the letter, so that they stay protected: what people say of them tells how good
    the model is, and trains nothing while the case is in a suite.
    """
    run, project = analysis.run, analysis.project
    uids, _ = read_as(analysis, keys_of(project, key))
    if not uids:
        raise Refused("No failure that was read is of this kind; there is nothing to send.")
    if len(uids) > MOST:
        raise Refused(f"{len(uids):,} failures are of this kind; up to {MOST} are sent at a time.")
    cases = list(Case.objects.of_run(run).filter(uid__in=uids))
    told = [analysis.target, *(_beside(analysis) if project.task in COMPARING else [])]
    answers = [(target.name, first_answers(run, target, cases)) for target in told]
    drafts = []
    for case in cases:
        said: dict[str, str] = {}
        for name, texts in answers:
            if (text := texts.get(case.pk)) is not None:
                said[text] = f"{said[text]}, {name}" if text in said else name
        if len(said) >= MIN_RESPONSES[project.task]:
            shown = {} if project.task == Task.DEMONSTRATION else said
            drafts.append(draft_of(run, case, shown, project.task, _ref(analysis, case.uid)))
    if not drafts:
        raise Refused(
            f"None of the {len(cases)} cases has as many distinct answers as people of this project judge; "
            "there is nothing to send."
        )
    return add_items(project=project, drafts=drafts, source_kind=SOURCE)


def _ref(analysis: Analysis, uid: str) -> str:
    return f"{SOURCE} {analysis.pk} case {uid}"


def _beside(analysis: Analysis) -> list[RunTarget]:
    """What a failing answer is compared with: the baseline's, or where the baseline itself is analysed the last one."""
    others = [target for target in analysis.run.targets.all() if target.pk != analysis.target_id]
    return others[:1] if analysis.target.index else others[-1:]


def draft_of(run: EvalRun, case: Case, said: Mapping[str, str], task: str, source_ref: str = "") -> ItemDraft:
    """The item that a case of a run becomes. `said` has answers with who gave them, which are put in an order that
    tells nothing of who did and is the same each time."""
    spec = run.spec
    texts = texts_given(case, spec.get("contexts", "apart"), spec.get("contexts_seed", 0))
    return ItemDraft(
        messages=[{"role": message["role"], "content": message["content"]} for message in case.prompt],
        responses=[
            ResponseDraft(text, origin=said[text][:ORIGIN_LENGTH])
            for text in sorted(said, key=lambda text: digest([case.uid, text]))
        ],
        source_ref=source_ref,
        contexts=checked_contexts([ContextDraft(text) for text in texts]) if task == Task.RAG else [],
    )
