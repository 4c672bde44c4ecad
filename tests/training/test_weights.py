"""A model folder is read without any ML library: what is damaged is refused, what is whole has its true shape."""

import json
import shutil
from pathlib import Path

import pytest

from tests.tiny_model import tiny_model
from training.shapes import shape_from_config, shape_from_tensors, shape_of
from training.weights import (
    Tensor,
    WeightsDamaged,
    chat_template,
    check_folder,
    folder_of,
    read_config,
    read_header,
    read_tensors,
    template_hash,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(tiny_model(), tmp_path / "model")


def write_tensors(path: Path, tensors: dict[str, list[int]]) -> None:
    """A safetensors file of zeros in float32."""
    header, end = {}, 0
    for name, shape in tensors.items():
        size = 4
        for side in shape:
            size *= side
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(end))


def shard(folder: Path) -> None:
    """The same folder with its weights in two files and an index."""
    names = sorted(read_header(folder / "model.safetensors").items())
    (folder / "model.safetensors").unlink()
    where = {}
    for number, part in enumerate((names[:5], names[5:])):
        file = f"model-0000{number + 1}-of-00002.safetensors"
        write_tensors(folder / file, {name: list(tensor.shape) for name, tensor in part})
        where |= {name: file for name, _ in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))


def test_a_whole_folder_passes(folder: Path):
    check_folder(folder)


def test_a_sharded_folder_passes_and_has_the_same_shape(folder: Path):
    whole = shape_of(folder)
    shard(folder)
    check_folder(folder)
    sharded = shape_of(folder)
    assert (sharded.parameters, set(sharded.linears)) == (whole.parameters, set(whole.linears))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: (path / "config.json").unlink(), "holds no config.json"),
        (lambda path: (path / "config.json").write_text("{"), "config.json cannot be read"),
        (lambda path: (path / "config.json").write_text("[]"), "no JSON object"),
        (lambda path: (path / "config.json").write_text("{}"), "names no model_type"),
        (lambda path: (path / "model.safetensors").unlink(), "has no weights"),
        (
            lambda path: (path / "model.safetensors").rename(path / "pytorch_model.bin"),
            "only pytorch_model.bin",
        ),
        (lambda path: cut(path / "model.safetensors", 100_000), "has 100,000 bytes and its header asks for"),
        (lambda path: cut(path / "model.safetensors", 1000), "or only its beginning"),
        (lambda path: cut(path / "model.safetensors", 0), "or only its beginning"),
        (lambda path: (path / "tokenizer.json").unlink(), "has no tokenizer files"),
        (
            lambda path: (path / "model.safetensors").rename(path / "adapter_model.safetensors"),
            "no adapter_config",
        ),
        (lambda path: shutil.rmtree(path), "is not a folder"),
    ],
)
def test_a_damaged_folder_is_refused_with_one_sentence(folder: Path, damage, words: str):
    damage(folder)
    with pytest.raises(WeightsDamaged, match=words) as refusal:
        check_folder(folder)
    assert "\n" not in str(refusal.value)
    assert "; " in str(refusal.value)


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def test_a_shard_that_is_absent_is_named(folder: Path):
    shard(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(WeightsDamaged, match="lacks model-00002-of-00002"):
        check_folder(folder)


def test_a_tensor_that_no_shard_holds_is_named(folder: Path):
    shard(folder)
    index = folder / "model.safetensors.index.json"
    where = json.loads(index.read_text())["weight_map"]
    index.write_text(
        json.dumps({"weight_map": where | {"model.extra.weight": "model-00001-of-00002.safetensors"}})
    )
    with pytest.raises(WeightsDamaged, match="extra"):
        check_folder(folder)


def test_an_index_cannot_point_outside_its_folder(folder: Path):
    shard(folder)
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "../model.safetensors"}})
    )
    with pytest.raises(WeightsDamaged, match="lacks"):
        read_tensors(folder)


def test_a_tensor_with_a_place_of_the_wrong_size_is_refused(tmp_path: Path):
    text = json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    with pytest.raises(WeightsDamaged, match="gives a a place of the wrong size"):
        read_header(tmp_path / "model.safetensors")


def test_an_adapter_needs_no_model_but_its_own_two_files(tmp_path: Path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    with pytest.raises(WeightsDamaged, match="no adapter_model"):
        check_folder(tmp_path)
    write_tensors(tmp_path / "adapter_model.safetensors", {"q_proj.lora_A.weight": [4, 8]})
    check_folder(tmp_path)
    cut(tmp_path / "adapter_model.safetensors", 120)
    with pytest.raises(WeightsDamaged, match="copy that file again"):
        check_folder(tmp_path)


def test_a_hub_id_is_found_in_the_cache_and_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = tmp_path / "hub" / "models--ada--small"
    (model / "snapshots" / "abc").mkdir(parents=True)
    assert folder_of("ada/small", tmp_path / "hub") is None
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("abc\n")
    assert folder_of("ada/small", tmp_path / "hub") == model / "snapshots" / "abc"
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert folder_of("ada/small") == model / "snapshots" / "abc"
    assert folder_of("ada/other") is None
    assert folder_of("../ada/small") is None
    assert folder_of(str(model)) == model
    assert folder_of(str(tmp_path / "absent")) is None


def test_the_template_is_found_wherever_it_is_kept(folder: Path):
    text = chat_template(folder)
    assert text is not None
    assert "<|im_start|>" in text
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    for kept, found in [(text, text), ([{"name": "tool_use", "template": "no"}], None), (None, None)]:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": kept}))
        assert chat_template(folder) == found
    named = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "yes"}]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": named}))
    assert chat_template(folder) == "yes"
    (folder / "tokenizer_config.json").unlink()
    assert chat_template(folder) is None


def test_templates_that_differ_by_one_character_have_different_hashes():
    assert template_hash("{{ a }}") != template_hash("{{ a }} ")
    assert len(template_hash("")) == 64


def test_the_tiny_model_is_what_its_config_says(folder: Path):
    shape = shape_of(folder)
    assert (shape.hidden, shape.layers, shape.head_dim, shape.tied) == (64, 2, 32, True)
    assert len(shape.linears) == 2 * 7
    assert shape_from_config(read_config(folder)).parameters == shape.parameters


def test_experts_and_routers_of_a_mixture_are_no_linear_layers():
    config = {
        "model_type": "mixtral",
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "vocab_size": 32,
    }
    names = {
        "model.layers.0.self_attn.q_proj.weight": (8, 8),
        "model.layers.0.block_sparse_moe.gate.weight": (4, 8),
        "model.layers.0.block_sparse_moe.experts.0.w1.weight": (16, 8),
    }
    shape = shape_from_tensors(config, {name: Tensor("F32", size) for name, size in names.items()})
    assert [linear.name for linear in shape.linears] == ["model.layers.0.self_attn.q_proj"]
    assert shape.parameters == 64 + 32 + 128


def test_a_family_that_only_its_weights_describe_is_refused_without_them():
    config = {
        "model_type": "mamba",
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "vocab_size": 32,
    }
    with pytest.raises(WeightsDamaged, match="download its weights"):
        shape_from_config(config)
    with pytest.raises(WeightsDamaged, match="choose a decoder"):
        shape_from_config({"model_type": "clip"})


SMALL = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "pad_token_id": 0,
}
GPT2 = {"vocab_size": 96, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what the libraries warn of is theirs
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    "kind",
    ["llama", "mistral", "smollm3", "granite", "gemma", "gemma2", "qwen2", "qwen3", "gpt2", "gpt_neox"],
)
def test_shapes_are_what_transformers_builds_and_peft_finds(kind: str, tied: bool, tmp_path: Path):
    from peft import LoraConfig, get_peft_model
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    values = GPT2 if kind == "gpt2" else SMALL
    model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](**values, tie_word_embeddings=tied))
    model.save_pretrained(tmp_path)
    shape = shape_of(tmp_path)
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    assert shape.tied == tied
    if kind not in ("gpt2", "gpt_neox"):
        assert shape_from_config(read_config(tmp_path)).parameters == shape.parameters
        assert shape_from_config(read_config(tmp_path)).linears == tuple(
            sorted_like(shape.linears, kind, tmp_path)
        )
    peft = get_peft_model(model, LoraConfig(r=3, target_modules="all-linear", task_type="CAUSAL_LM"))
    trained = sum(p.numel() for p in peft.parameters() if p.requires_grad)
    assert trained == sum(3 * (linear.inputs + linear.outputs) for linear in shape.linears)


def sorted_like(linears, kind: str, path: Path):
    """The linear layers of a folder in the order of the layers they stand in."""
    order = [linear.name for linear in shape_from_config(read_config(path)).linears]
    return sorted(linears, key=lambda linear: order.index(linear.name))
