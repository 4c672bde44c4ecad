"""Ask checkpoints or endpoints: `python -m training.recipes.answer RUN_DIR`.

RUN_DIR/spec.json: training.specs.AnswerJob. RUN_DIR/requests.jsonl: {"id", "target", "kind", "messages": [...]} and, by
kind, "completion", "labels", "sampling". Appends to RUN_DIR/answers.jsonl one line an answer, whole or not at all:
{"id", "target", "kind"} and

- complete: text, tokens, prompt_tokens, prompt_hash, finish ("stop", "length"), ms from the start of its batch or
  request until it ended; cost from an endpoint.
- likelihood: logprob (sum, in nats, of the completion's `tokens` tokens after the rendered prompt, the end-of-turn
  token included, so an empty completion has one), bytes, truncated. A row above max_length loses the start of its
  prompt; when the completion alone is too long, its end.
- choose: probabilities by label, which sum to 1, and mass, how much of the whole probability lies on the labels.
- reward: reward, a reward model's score of the whole conversation.
- error, a sentence, alone: the request can never work.

What has its line is not asked again, so a stopped or killed run goes on where it was. Who answers is `engine`:
answering/local.py (transformers), answering/served.py (vLLM) or answering/services.py (OpenAI-compatible addresses).
"""

from __future__ import annotations

import sys
import time

from training.recipes import contract
from training.recipes.answering.ledger import Ledger
from training.specs import AnswerJob, parse


def work(run: contract.Run) -> None:
    """Answer every request that has no answer yet, and write result.json."""
    job, began = parse(AnswerJob, run.spec), time.monotonic()
    ledger = Ledger(run, job)
    targets = len(job.targets) + len(job.endpoints)
    run.event("start", engine=job.engine, targets=targets, total=ledger.total, skipped=ledger.skipped)
    if ledger.done < ledger.total:
        ask(run, job, ledger)
    if ledger.done < ledger.total:
        raise contract.RecipeFailed(f"{ledger.total - ledger.done} requests were not answered; start again")
    seconds = round(time.monotonic() - began, 1)
    run.event("end", ledger.done, seconds=seconds)
    run.finish(
        status="succeeded",
        engine=job.engine,
        **ledger.totals(),
        seconds=seconds,
        environment=contract.environment(),
    )


def ask(run: contract.Run, job: AnswerJob, ledger: Ledger) -> None:
    """Have the engine answer what is left; only the one that is asked is imported."""
    if job.engine == "openai":
        from training.recipes.answering.services import Services

        Services(run, job, ledger).answer()
        return
    from training.recipes.answering import targets

    targets.check(job, ledger)
    if job.engine == "vllm":
        from training.recipes.answering.served import Served

        Served(run, job, ledger).answer()
    else:
        from training.recipes.answering.local import Local

        Local(run, job, ledger).answer()


if __name__ == "__main__":
    sys.exit(contract.process(sys.argv, "answer", work))
