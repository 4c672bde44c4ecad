"""A bare vLLM script, in vLLM's own environment: `python bare_vllm.py SETTINGS.json`, one JSON object out.

SETTINGS: model, prompts (lists of token ids), max_tokens, max_model_len, stop_token_ids, repeats. The engine is started
once and warmed with two prompts; `seconds` has the time of each repeat over all prompts, and `tokens` of its answers.
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")


def main(settings: dict) -> dict:
    from vllm import LLM, SamplingParams

    engine = LLM(
        settings["model"],
        dtype="float32",
        enforce_eager=True,
        max_model_len=settings["max_model_len"],
        enable_prefix_caching=False,
        generation_config="vllm",
    )
    sampling = SamplingParams(
        temperature=0.0, max_tokens=settings["max_tokens"], stop_token_ids=settings["stop_token_ids"]
    )
    prompts = [{"prompt_token_ids": ids} for ids in settings["prompts"]]
    engine.generate(prompts[:2], sampling, use_tqdm=False)
    seconds, tokens = [], 0
    for _ in range(settings["repeats"]):
        began = time.perf_counter()
        said = engine.generate(prompts, sampling, use_tqdm=False)
        seconds.append(time.perf_counter() - began)
        tokens = sum(len(one.outputs[0].token_ids) for one in said)
    return {"seconds": seconds, "tokens": tokens}


if __name__ == "__main__":
    found = main(json.loads(Path(sys.argv[1]).read_text()))
    print(json.dumps(found), flush=True)
    os._exit(0)  # the engine's own processes are slow to end
