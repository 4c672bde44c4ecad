"""A bare vLLM script, in vLLM's own environment: `python bare_vllm.py SETTINGS.json`, one JSON object out.

SETTINGS: model, prompts (lists of token ids), warm (another one), max_tokens, max_model_len, stop_token_ids. The
engine is warmed with one prompt; `seconds` is the time over all the others, `tokens` of their answers.
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
        generation_config="vllm",
    )
    sampling = SamplingParams(
        temperature=0.0, max_tokens=settings["max_tokens"], stop_token_ids=settings["stop_token_ids"]
    )
    prompts = [{"prompt_token_ids": ids} for ids in settings["prompts"]]
    engine.generate([{"prompt_token_ids": settings["warm"]}], sampling, use_tqdm=False)
    began = time.perf_counter()
    said = engine.generate(prompts, sampling, use_tqdm=False)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "tokens": sum(len(one.outputs[0].token_ids) for one in said)}


if __name__ == "__main__":
    found = main(json.loads(Path(sys.argv[1]).read_text()))
    print(json.dumps(found), flush=True)
    os._exit(0)  # the engine's own processes are slow to end
