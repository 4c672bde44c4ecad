"""Answer the turns of a conversation while it goes on: `python -m training.recipes.chat RUN_DIR`.

RUN_DIR/spec.json: training.specs.ChatJob. RUN_DIR/requests.jsonl grows while this runs, by whole lines:

- {"id", "target", "messages", "sampling"} asks; the ids are file names, and each is asked once.
- {"stop": id} ends an answer where it is, or before it began.
- {"end": true} ends the process as soon as nothing is left to answer; `idle_seconds` without a question do too.

RUN_DIR/live/ID.txt holds an answer as far as it is written. One that has ended is a line of answers.jsonl, as
training/recipes/answer.py writes them: text, tokens, prompt_tokens, finish ("stop", "length", "stopped"), ms; or an
error, a sentence, alone. Models are loaded once. What has its line is not asked again, so that a killed process,
started again, goes on with the answer it was at, from its beginning: the same seed gives the same text.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack

from training.recipes import contract
from training.recipes.answering.talking import Talk, Voice
from training.specs import ChatJob, parse


def work(run: contract.Run) -> None:
    """Load who answers, answer until nobody asks any more, and write result.json."""
    job, began = parse(ChatJob, run.spec), time.monotonic()
    run.event("start", engine=job.engine, targets=len(job.targets) + len(job.endpoints))
    talk = Talk(run, job)
    with ExitStack() as stack:
        voices = heard_here(run, job, stack)
        run.event("ready", seconds=round(time.monotonic() - began, 1))
        talk.carry_out(voices)
    seconds = round(time.monotonic() - began, 1)
    run.event("end", talk.count, seconds=seconds)
    run.finish(status="succeeded", answered=talk.count, seconds=seconds, environment=contract.environment())


def heard_here(run: contract.Run, job: ChatJob, stack: ExitStack) -> dict[str, Voice]:
    """Everyone who answers, by id; only the engine that is asked is imported."""
    found: dict[str, Voice] = {}
    if job.endpoints:
        from training.recipes.answering.voices_elsewhere import Elsewhere

        found |= {one.id: stack.enter_context(Elsewhere(one, job)) for one in job.endpoints}
    if not job.targets:
        return found
    from training.recipes.answering import targets

    targets.check_paths(job.targets)
    here: Voice
    if job.engine == "vllm":
        from training.recipes.answering.voices_served import ServedVoices

        here = stack.enter_context(ServedVoices(run, job))
    else:
        from training.recipes.answering.voices_here import LocalVoices

        here = LocalVoices(run, job)
    return found | {target.id: here for target in job.targets}


if __name__ == "__main__":
    sys.exit(contract.process(sys.argv, "chat", work))
