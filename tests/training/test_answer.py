"""Answers by transformers: exact, whatever the batch, each by its own random numbers; a stopped run goes on."""

import math
import shutil
import signal
from pathlib import Path

import pytest

from tests.tiny_model import tiny_model
from tests.training.asking import answers, wanted, write_asked
from tests.training.forked import (
    call,
    events,
    no_room_for_four,
    result,
    reward_rows,
    run,
    says,
    sft_rows,
    trained,
)
from training.recipes import contract

TEXTS = [(says("user", "Tell me " + "more " * (i * 3 % 17)), "and so " * (i % 5)) for i in range(13)]
HOT = {"temperature": 1.0, "max_tokens": 12}


def scoring(*targets: str) -> list[dict]:
    return [
        wanted(f"{target}:{i}", target, "likelihood", messages, completion=completion)
        for target in targets
        for i, (messages, completion) in enumerate(TEXTS)
    ]


def completing(target: str = "base", **sampling) -> list[dict]:
    return [
        wanted(f"{target}:{i}", target, messages=messages, sampling=HOT | {"seed": i} | sampling)
        for i, (messages, _) in enumerate(TEXTS)
    ]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory) -> Path:
    return trained(tmp_path_factory.mktemp("s") / "run", "sft", sft_rows(), learning_rate=1e-2) / "final"


@pytest.fixture(scope="module")
def scored(tmp_path_factory, adapter):
    both = [{"id": "base"}, *({"id": name, "adapter": str(adapter)} for name in ("tuned", "again"))]
    path = write_asked(
        tmp_path_factory.mktemp("s") / "score", scoring("base", "tuned", "again"), both, batch_size=5
    )
    assert run(path) == 0, (path / "log").read_text()
    return path


def test_batching_and_padding_change_nothing(scored, tmp_path, adapter):
    both = [{"id": "base"}, {"id": "tuned", "adapter": str(adapter)}]
    alone = write_asked(tmp_path / "one", scoring("base", "tuned"), both, batch_size=1)
    assert run(alone) == 0
    together = answers(scored)
    for key, row in answers(alone).items():
        assert row["logprob"] == pytest.approx(together[key]["logprob"], abs=1e-4)
        assert row["tokens"] == together[key]["tokens"]


def test_a_likelihood_is_what_a_plain_forward_pass_gives(scored):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model())
    model = AutoModelForCausalLM.from_pretrained(tiny_model()).eval()
    for i, (messages, completion) in enumerate(TEXTS):
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        answer = tokenizer(completion + tokenizer.eos_token)["input_ids"]
        ids = torch.tensor([tokenizer(prompt)["input_ids"] + answer])
        with torch.no_grad():
            log_probs = model(ids).logits[0, -len(answer) - 1 : -1].log_softmax(-1)
        expected = sum(log_probs[i, token].item() for i, token in enumerate(answer))
        row = answers(scored)[f"base:{i}"]
        assert row["logprob"] == pytest.approx(expected, abs=1e-4)
        assert (row["tokens"], row["bytes"]) == (len(answer), len(completion))
        assert row["prompt_tokens"] == ids.shape[1] - len(answer)


def test_an_empty_completion_has_its_end_of_turn_token(scored):
    row = answers(scored)["base:0"]
    assert (row["tokens"], row["truncated"]) == (1, False)
    assert -math.inf < row["logprob"] < 0


def test_an_adapter_taken_off_and_put_on_again_scores_the_same(scored):
    found = answers(scored)
    for i in range(len(TEXTS)):
        assert found[f"tuned:{i}"]["logprob"] == found[f"again:{i}"]["logprob"]
        assert found[f"tuned:{i}"]["logprob"] != found[f"base:{i}"]["logprob"]
    assert not events(scored, "warning")


def copied(adapter: Path, place: Path, change, name=lambda key: key) -> Path:
    """An adapter with other weights, or with other names of them."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(adapter, place)
    weights = load_file(place / "adapter_model.safetensors")
    save_file(
        {name(key): change(key, value) for key, value in weights.items()}, place / "adapter_model.safetensors"
    )
    return place


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda name, value: value * ("lora_A" in name), "its weights are zero"),
        (lambda name, value: value * 1e-12, "what it learned is too little to show"),
    ],
)
def test_an_adapter_that_does_nothing_is_called_out(tmp_path, adapter, change, words):
    idle = copied(adapter, tmp_path / "idle", change)
    path = write_asked(tmp_path / "run", completing("idle"), [{"id": "idle", "adapter": str(idle)}])
    assert run(path) == 0
    (warning,) = events(path, "warning")
    assert warning["values"]["checkpoint"] == "idle"
    assert words in warning["values"]["message"]


def test_an_adapter_of_other_layers_is_refused_and_answers_nothing_as_the_base(tmp_path, adapter):
    other = copied(
        adapter, tmp_path / "other", lambda _, value: value, lambda key: key.replace("layers.", "layers.9")
    )
    path = write_asked(tmp_path / "run", completing("other"), [{"id": "other", "adapter": str(other)}])
    assert run(path) == contract.FAILED
    assert "other silently answers as the base" in events(path, "error")[-1]["values"]["message"]
    assert not answers(path)


def test_a_killed_run_scores_only_what_is_left(tmp_path, scored, adapter):
    both = [{"id": "base"}, {"id": "tuned", "adapter": str(adapter)}]
    path = write_asked(tmp_path / "score", scoring("base", "tuned"), both, batch_size=5)
    assert run(path, ("progress", 10, signal.SIGKILL)) == -signal.SIGKILL
    whole = (path / "answers.jsonl").read_bytes()
    (path / "answers.jsonl").write_bytes(whole[:-9])  # the last line is torn
    assert run(path) == 0
    assert events(path, "start")[1]["values"]["skipped"] == 9
    assert result(path)["answered"] == 2 * len(TEXTS) - 9
    for key, row in answers(path).items():
        assert row["logprob"] == pytest.approx(answers(scored)[key]["logprob"], abs=1e-4)


def test_a_long_prompt_loses_its_start_and_a_long_completion_its_end(tmp_path):
    rows = [
        wanted("prompt", kind="likelihood", messages=says("user", "Tell me more. " * 20), completion="yes"),
        wanted("answer", kind="likelihood", messages=says("user", "Hi"), completion="and so on " * 40),
    ]
    path = write_asked(tmp_path / "score", rows, max_length=16)
    assert run(path) == 0
    found = answers(path)
    assert found["prompt"]["truncated"]
    assert found["prompt"]["tokens"] < 8
    assert found["answer"]["truncated"]
    assert found["answer"]["tokens"] == 15
    assert result(path)["truncated"] == 2


def test_a_full_checkpoint_is_asked_by_itself(tmp_path, scored):
    path = write_asked(tmp_path / "score", scoring("full"), [{"id": "full", "model": str(tiny_model())}])
    assert run(path) == 0
    for i in range(len(TEXTS)):
        expected = answers(scored)[f"base:{i}"]["logprob"]
        assert answers(path)[f"full:{i}"]["logprob"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("kind", ["likelihood", "complete", "choose"])
def test_a_checkpoint_that_diverged_is_refused_with_a_sentence(tmp_path, adapter, kind):
    broken = copied(adapter, tmp_path / "broken", lambda _, value: value * math.nan)
    row = wanted("one", "broken", kind, completion="yes", labels=["yes", "no"])
    path = write_asked(tmp_path / "run", [row], [{"id": "broken", "adapter": str(broken)}])
    assert run(path) == 1
    assert "it diverged in training" in events(path, "error")[-1]["values"]["message"]


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    path = write_asked(tmp_path_factory.mktemp("s") / "run", completing(), batch_size=5)
    assert run(path) == 0, (path / "log").read_text()
    return answers(path)


def test_what_is_sampled_for_a_prompt_hangs_on_its_seed_and_not_on_its_batch(sampled, tmp_path):
    alone = write_asked(tmp_path / "alone", completing()[::-1], batch_size=1)
    others = write_asked(tmp_path / "others", completing(seed=99))
    assert run(alone) == run(others) == 0
    text = {key: row["text"] for key, row in sampled.items()}
    assert {key: row["text"] for key, row in answers(alone).items()} == text
    assert sum(row["text"] != text[key] for key, row in answers(others).items()) > 10


def test_answers_say_why_they_ended_and_how_long_they_are(sampled):
    for row in sampled.values():
        assert row["finish"] == ("length" if row["tokens"] == 12 else row["finish"])
        assert 1 <= row["tokens"] <= 12
        assert len(row["prompt_hash"]) == 64
        assert row["ms"] > 0


def test_an_answer_is_timed_until_it_ends_and_not_until_its_batch_does(tmp_path):
    lengths = {f"{most}": most for most in (1, 6, 12)}
    asked = [wanted(key, sampling=HOT | {"max_tokens": most, "top_k": 0}) for key, most in lengths.items()]
    path = write_asked(tmp_path / "run", asked)
    assert run(path) == 0
    found = answers(path).values()
    by_length = sorted(found, key=lambda row: row["tokens"])
    assert by_length[0]["tokens"] < by_length[-1]["tokens"]
    assert by_length[0]["ms"] < by_length[-1]["ms"]
    assert [row["ms"] for row in by_length] == sorted(row["ms"] for row in found)


def greedy_by_transformers():
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = (kind.from_pretrained(tiny_model()) for kind in (AutoTokenizer, AutoModelForCausalLM))
    found = []
    for messages, _ in TEXTS:
        ids = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        with torch.no_grad():
            out = model.generate(**ids, max_new_tokens=12, do_sample=False)
        found.append(tokenizer.decode(out[0, ids["input_ids"].shape[1] :], skip_special_tokens=True))
    return found


def test_greedy_answers_are_those_of_generate(tmp_path):
    path = write_asked(tmp_path / "run", completing(temperature=0.0), batch_size=5)
    assert run(path) == 0
    assert [answers(path)[f"base:{i}"]["text"] for i in range(len(TEXTS))] == call(greedy_by_transformers)


def with_windows():
    """Greedy answers of our loop and of `generate`, by a model whose layers see a few tokens back, or all of them."""
    import torch
    from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

    from training.recipes.answering.generating import at_once, write
    from training.recipes.answering.ledger import Sampling, Wanted
    from training.recipes.answering.tokens import Texts

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=512, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, sliding_window=6, use_sliding_window=True,
        layer_types=["sliding_attention", "full_attention"],
    )  # fmt: skip
    model = Qwen3ForCausalLM(config).eval()
    texts = Texts(AutoTokenizer.from_pretrained(tiny_model()), [511], 200)
    asked = [
        Wanted(str(i), "t", "complete", messages, sampling=Sampling(9 + i))
        for i, (messages, _) in enumerate(TEXTS)
    ]
    drafts = [texts.draft(one) for one in asked]
    own = [tokens for tokens, *_ in write(model, drafts, texts, lambda: None)]
    plain = []
    for draft in drafts:
        ids = torch.tensor([draft.ids])
        out = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=draft.most, do_sample=False,
            eos_token_id=511, pad_token_id=511,
        )  # fmt: skip
        plain.append(out[0, ids.shape[1] :].tolist())
    return at_once(model), own, plain


def test_models_with_windows_are_asked_in_batches_too():
    batched, own, plain = call(with_windows)
    assert batched
    assert own == plain


def test_one_likeliest_token_is_greedy_and_a_stop_string_ends_an_answer(tmp_path):
    path = write_asked(tmp_path / "greedy", completing(temperature=0.0), batch_size=5)
    few = write_asked(tmp_path / "few", completing(top_k=1))
    little = write_asked(tmp_path / "little", completing(top_p=1e-6))
    assert run(path) == run(few) == run(little) == 0
    texts = {key: row["text"] for key, row in answers(path).items()}
    for other in (few, little):
        assert {key: row["text"] for key, row in answers(other).items()} == texts
    word = texts["base:3"][4:6]
    stopped = write_asked(tmp_path / "stopped", completing(temperature=0.0, stop=[word]))
    assert run(stopped) == 0
    for key, row in answers(stopped).items():
        assert row["text"] == texts[key].split(word)[0]
        if word in texts[key]:
            assert (row["finish"], row["tokens"] <= 12) == ("stop", True)


def test_the_labels_have_their_share_of_what_the_model_finds_likely(tmp_path):
    rows = [
        wanted("short", kind="choose", labels=["A", "B"]),
        wanted("long", kind="choose", labels=["yes", "not so"]),
    ]
    rows += [
        wanted(f"is {label}", kind="likelihood", completion=label) for label in ("A", "B", "yes", "not so")
    ]
    rows += [wanted("same", kind="choose", labels=["A", "A B"])]
    path = write_asked(tmp_path / "run", rows)
    assert run(path) == 0, (path / "log").read_text()
    found = answers(path)
    for name, (one, other) in {"short": ("A", "B"), "long": ("yes", "not so")}.items():
        row = found[name]
        assert sum(row["probabilities"].values()) == pytest.approx(1)
        assert 0 < row["mass"] < 1
        assert row["mass"] * row["probabilities"][one] > math.exp(found[f"is {one}"]["logprob"]), (
            "an end comes after it"
        )
        assert set(row["probabilities"]) == {one, other}
    assert "begins with the tokens of 'A'" in found["same"]["error"]
    assert result(path)["errors"] == 1


def test_what_can_never_work_is_an_answer_that_says_so(tmp_path):
    rows = [
        wanted("long", messages=says("user", "Tell me more. " * 60), sampling={"max_tokens": 4}),
        wanted("short", sampling={"max_tokens": 500}),
    ]
    path = write_asked(tmp_path / "run", rows, max_length=32)
    assert run(path) == 0
    assert "a row may have 32" in answers(path)["long"]["error"]
    short = answers(path)["short"]
    assert short["tokens"] + short["prompt_tokens"] <= 32
    assert result(path)["errors"] == 1


def test_where_memory_runs_out_half_as_many_go_at_a_time(tmp_path, sampled):
    path = write_asked(tmp_path / "run", completing(), batch_size=8)
    assert run(path, ("start", 0, no_room_for_four)) == 0
    assert {key: row["text"] for key, row in answers(path).items()} == {
        k: r["text"] for k, r in sampled.items()
    }
    words = [event["values"]["message"] for event in events(path, "warning")]
    assert [word.split()[-1] for word in words] == ["4.", "2."]


def test_a_stop_in_the_middle_of_an_answer_loses_this_batch_alone(tmp_path):
    path = write_asked(tmp_path / "run", completing(), batch_size=5)
    assert run(path, ("progress", 5, signal.SIGTERM)) == 75
    assert len(answers(path)) == 5
    assert run(path) == 0
    assert len(answers(path)) == len(TEXTS)


@pytest.mark.parametrize("adaptation", ["lora", "full"])
def test_a_reward_model_scores_what_it_learned_to_read(tmp_path, adaptation):
    rows = reward_rows()
    learned = trained(
        tmp_path / "judge", "reward", rows, held=rows, adaptation=adaptation, learning_rate=1e-2
    )
    where = {"adapter" if adaptation == "lora" else "model": str(learned / "final")}
    asked = [
        wanted(f"{side}:{i}", "judge", "reward", row["prompt"], completion=row[side][0]["content"])
        for i, row in enumerate(rows)
        for side in ("chosen", "rejected")
    ]
    path = write_asked(tmp_path / "run", asked, [{"id": "judge", "rewards": True} | where])
    assert run(path) == 0, (path / "log").read_text()
    rewards = [row["reward"] for row in answers(path).values()]
    told = result(learned)["held_out"]
    assert sum(rewards) / len(rewards) == pytest.approx(told["reward_mean"], abs=1e-3)
    found = answers(path)
    right = sum(found[f"chosen:{i}"]["reward"] > found[f"rejected:{i}"]["reward"] for i in range(len(rows)))
    assert right / len(rows) == pytest.approx(told["accuracy"], abs=0.05)


def test_only_a_reward_model_is_asked_for_rewards(tmp_path, adapter):
    path = write_asked(tmp_path / "run", [wanted("one", kind="reward")])
    assert run(path) == 1
    assert "which is no reward model" in events(path, "error")[-1]["values"]["message"]
    tuned = [{"id": "tuned", "adapter": str(adapter), "rewards": True}]
    path = write_asked(tmp_path / "other", [wanted("one", "tuned", "reward")], tuned)
    assert run(path) == 1
    assert "tuned is not a reward model" in events(path, "error")[-1]["values"]["message"]


@pytest.mark.parametrize("adaptation", ["prompt", "ia3"])
def test_other_adapters_answer_too(tmp_path, adaptation):
    tuned = (
        trained(tmp_path / "tuned", "sft", sft_rows(), adaptation=adaptation, learning_rate=1e-2) / "final"
    )
    rows = completing("tuned", temperature=0.0)[:3] + completing(temperature=0.0)[:3]
    path = write_asked(tmp_path / "run", rows, [{"id": "tuned", "adapter": str(tuned)}, {"id": "base"}])
    assert run(path) == 0, (path / "log").read_text()
    alone = write_asked(tmp_path / "alone", completing(temperature=0.0)[:3])
    assert run(alone) == 0
    for key, row in answers(alone).items():
        assert answers(path)[key]["text"] == row["text"], "the adapter was taken off"
