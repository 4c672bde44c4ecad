"""lm-evaluation-harness on a transformers model: `python lm_eval_hf.py SETTINGS.json`, one JSON object out.

It runs in an environment of its own. SETTINGS: model, batch_size, max_length, pairs (context, continuation: texts) and
prompts (texts) with max_tokens. Loading is not timed; `likelihood` and `generation` have the seconds of each call.
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def main(settings: dict) -> dict:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = HFLM(
        pretrained=settings["model"],
        device="cpu",
        dtype="float32",
        batch_size=settings["batch_size"],
        max_length=settings["max_length"],
        add_bos_token=False,
    )

    def instances(kind: str, arguments: list) -> list:
        return [
            Instance(request_type=kind, doc={}, arguments=tuple(each), idx=index)
            for index, each in enumerate(arguments)
        ]

    began = time.perf_counter()
    sums = [total for total, _ in model.loglikelihood(instances("loglikelihood", settings["pairs"]), True)]
    likelihood = time.perf_counter() - began
    options = {"until": [], "max_gen_toks": settings["max_tokens"], "do_sample": False}
    asked = [(prompt, dict(options)) for prompt in settings["prompts"]]
    began = time.perf_counter()
    texts = model.generate_until(instances("generate_until", asked), disable_tqdm=True) if asked else []
    return {
        "likelihood": likelihood,
        "generation": time.perf_counter() - began,
        "sums": sums,
        "texts": texts,
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))))
