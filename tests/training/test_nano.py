"""The nano model: small, complete, and fit for every engine that will load it."""

import gzip
import json
from pathlib import Path

import pytest

from tests.tiny_model import ROOT, tiny_model

DATA = ROOT / "training" / "data"


@pytest.fixture(scope="module")
def folder() -> Path:
    return tiny_model()


@pytest.fixture(scope="module")
def tokenizer(folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def model(folder):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder).eval()


def test_the_vocabulary_is_used_to_the_last_token(model, tokenizer):
    assert len(tokenizer) == model.config.vocab_size == model.get_input_embeddings().weight.shape[0]


def test_pad_is_a_token_of_its_own(model, tokenizer):
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)
    assert model.config.pad_token_id == model.generation_config.pad_token_id == tokenizer.pad_token_id
    assert model.config.eos_token_id == model.generation_config.eos_token_id == tokenizer.eos_token_id


def test_the_shape_suits_vllm_on_a_cpu(model):
    assert model.config.model_type == "llama"
    assert model.config.head_dim in (32, 64)
    assert model.config.tie_word_embeddings


def test_an_assistant_turn_ends_with_the_end_of_sequence_token(tokenizer):
    turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day"}]
    whole = tokenizer.apply_chat_template(turns, tokenize=True, return_dict=True)["input_ids"]
    assert whole[-1] == tokenizer.eos_token_id


def test_the_prompt_is_a_prefix_of_the_conversation(tokenizer):
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    whole = tokenizer.apply_chat_template([*turns, {"role": "assistant", "content": "Hi!"}], tokenize=False)
    assert whole.startswith(prompt)
    assert prompt.endswith("<|im_start|>assistant\n")


@pytest.mark.parametrize("text", ["naïve café", "日本語", "a  b\n\n\tc", "👍🏽", "<b>&amp;</b>"])
def test_any_text_survives_the_tokenizer(tokenizer, text):
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_it_answers_without_crashing(model, tokenizer):
    given = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Name a fruit."}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    out = model.generate(**given, max_new_tokens=8)
    assert 1 <= out.shape[1] - given["input_ids"].shape[1] <= 8


def test_training_lowered_the_loss(folder):
    result = json.loads(folder.with_name(folder.name + ".result.json").read_text())
    assert result["loss_last"] < result["loss_first"] - 0.5
    assert 0 < result["bits_per_byte"] < 8


def test_the_bundled_text_is_small_and_of_one_shape():
    files = sorted(DATA.glob("*.jsonl.gz"))
    assert files
    assert sum(path.stat().st_size for path in files) < 700_000
    for path in files:
        for line in gzip.decompress(path.read_bytes()).splitlines():
            row = json.loads(line)
            assert set(row) in ({"prompt", "answer"}, {"text"})
            assert all(isinstance(value, str) and value for value in row.values())


def test_no_bundled_prompt_is_one_the_demo_evaluates_on():
    """PandaLM is not in the repository; where its shared copy is absent this cannot be checked."""
    path = ROOT.parent / "shared" / "data" / "pandalm" / "testset-v1.json"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    rows = json.loads(path.read_text())
    asked = {squeeze(part) for row in rows for part in (row["instruction"], row["input"]) if part}
    for file in DATA.glob("*.jsonl.gz"):
        for line in gzip.decompress(file.read_bytes()).splitlines():
            row = json.loads(line)
            prompt = row.get("prompt", row.get("text"))
            assert squeeze(prompt) not in asked
            assert squeeze(prompt.split("\n\n")[0]) not in asked


def squeeze(text: str) -> str:
    return " ".join(text.lower().split())


def test_every_bundled_file_is_named_in_its_source_note():
    note = (DATA / "SOURCE.md").read_text()
    for path in DATA.glob("*.jsonl.gz"):
        assert path.name in note
