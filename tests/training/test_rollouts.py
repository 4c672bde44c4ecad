"""What makes rollouts and updates fast gives the numbers of the plain way: sampling, packing, LoRA, gradients."""

import pytest

from tests.tiny_model import tiny_model
from tests.training.forked import call

pytestmark = pytest.mark.slow
SETTINGS = {"response_length": 24, "rollout_size": 8, "batch_size": 4, "max_length": 128}


def policy(**adapter):
    """A role on the tiny model whose LoRA adapter does something, made fast as a run makes it."""
    import peft
    import torch
    from transformers import AutoModelForCausalLM

    from training.recipes.rl.roles import Role, _make_fast

    torch.manual_seed(5)
    base = AutoModelForCausalLM.from_pretrained(tiny_model(), dtype=torch.float32)
    config = peft.LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules="all-linear", **adapter)
    net = peft.get_peft_model(base, config, adapter_name="policy")
    for name, parameter in net.named_parameters():
        if "lora_" in name:
            parameter.data += 0.05 * torch.randn_like(parameter)
    role = Role(net, "policy", learns=True)
    _make_fast([role])
    assert role.packs
    return role


def prompts():
    import torch

    torch.manual_seed(2)
    return [torch.randint(5, 400, (length,)).tolist() for length in (3, 17, 9, 11, 4, 6, 8, 5)]


def sampler(role, *, greedy=False, ends=(), **settings):
    from training.recipes.rl.rollouts import LocalSampler
    from training.specs import parse_spec

    spec = parse_spec("ppo", SETTINGS | settings)
    return LocalSampler(role, spec, set(ends), 0, greedy=greedy)


def both_loops():
    """Greedy answers of our loop and of `generate`, where some end early and leave the batch."""
    role = policy()
    first = sampler(role, greedy=True).answer(prompts())
    ends = {first[0][2], first[3][7], first[5][0]}
    own = sampler(role, greedy=True, ends=ends)
    plain = sampler(role, greedy=True, ends=ends, cache="static")
    assert (own.own, plain.own) == (True, False)
    return own.answer(prompts()), plain.answer(prompts()), [len(answer) for answer in first]


def test_our_loop_writes_what_generate_writes():
    own, plain, whole = call(both_loops)
    assert own == plain
    assert set(whole) == {24}
    assert len({len(answer) for answer in own}) > 1, "some ended early"


def frequencies():
    """How often each token comes first, of 4,000 samples, and how often it should; and two samplings by one seed."""
    import torch

    role = policy()
    (prompt, *_) = prompts()
    role.switch_on()
    with torch.no_grad():
        logits = role.causal(input_ids=torch.tensor([prompt])).logits[0, -1]
    wanted = (logits / 0.7).softmax(-1)
    torch.manual_seed(11)
    many = sampler(role, temperature=0.7, response_length=1, batch_size=1000, rollout_size=1000)
    tokens = torch.tensor([answer[0] for answer in many.answer([prompt] * 4000)])
    found = torch.bincount(tokens, minlength=len(wanted)) / len(tokens)
    likely = wanted > 0.005
    errors = (found - wanted)[likely] / (wanted * (1 - wanted) / len(tokens)).sqrt()[likely]
    rest = (found[~likely].sum() - wanted[~likely].sum()).item()

    def again():
        torch.manual_seed(3)
        return sampler(role).answer(prompts())

    return errors.abs().max().item(), int(likely.sum()), rest, again() == again()


def test_samples_come_from_the_distribution_that_is_learned_from():
    worst, tokens, rest, same = call(frequencies)
    assert tokens > 10
    assert worst < 4.5, (
        "in standard errors; a token of thirty that far off comes once in 5,000 runs, and seeds are fixed"
    )
    assert abs(rest) < 0.04
    assert same


def not_by_others():
    """A prompt's answer in a batch whose other answers end at once, and in one where none ends."""
    import torch

    role, given = policy(), prompts()[1:2] + [prompts()[1]] * 7
    torch.manual_seed(3)
    alone = sampler(role).answer(given)
    torch.manual_seed(3)
    crowd = sampler(role, ends={answer[1] for answer in alone[1:]} - {*alone[0]}).answer(given)
    return alone[0], crowd[0], [len(answer) for answer in crowd]


def test_what_is_sampled_for_one_prompt_does_not_depend_on_when_others_end():
    alone, crowd, lengths = call(not_by_others)
    assert alone == crowd
    assert min(lengths) < 5


def packed_and_padded():
    """Largest differences of hidden states and gradients between packed rows and padded ones."""
    import torch

    role = policy()
    from training.recipes.rl.rollouts import left_padded

    ids, mask = left_padded(prompts(), 0, torch.device("cpu"))
    answers = torch.randint(5, 400, (len(ids), 6))
    ids, mask = torch.cat([ids, answers], 1), torch.cat([mask, torch.ones_like(answers, dtype=torch.bool)], 1)
    mask[0, -2:] = False
    found = []
    for packs in (True, False):
        role.packs = packs
        states = role.hidden(ids, mask)
        states[mask].square().sum().backward()
        grads = [p.grad.flatten() for p in role.net.parameters() if p.grad is not None]
        found.append((states[mask].detach(), torch.cat(grads)))
        role.net.zero_grad()
    (packed, padded) = found
    return [((a - b).abs().max() / b.abs().max()).item() for a, b in zip(packed, padded, strict=True)]


def test_packed_rows_have_the_states_and_gradients_of_padded_ones():
    assert max(call(packed_and_padded)) < 1e-5


def lora_both_ways(**adapter):
    """Largest differences of states and gradients between LoRA in one pass and PEFT's own layers; how many changed."""
    import torch
    from peft.tuners.lora.layer import Linear

    role = policy(**adapter)
    changed = [module for module in role.net.modules() if "forward" in vars(module)]
    plain = sum(type(module) is Linear for module in changed)
    ids = torch.tensor([prompts()[1]])
    mask = torch.ones_like(ids, dtype=torch.bool)
    found = []
    for fast in (True, False):
        if not fast:
            for module in changed:
                del module.forward
        states = role.hidden(ids, mask)
        states.square().sum().backward()
        found.append(
            (
                states.detach(),
                torch.cat([p.grad.flatten() for p in role.net.parameters() if p.grad is not None]),
            )
        )
        role.net.zero_grad()
    return plain, [((a - b).abs().max() / b.abs().max()).item() for a, b in zip(*found, strict=True)]


@pytest.mark.parametrize(
    "adapter", [{}, {"use_dora": True}, {"use_rslora": True}], ids=["lora", "dora", "rslora"]
)
def test_lora_in_one_pass_gives_what_peft_gives(adapter):
    from functools import partial

    plain, apart = call(partial(lora_both_ways, **adapter))
    assert plain == 14, "seven layers of each of two blocks"
    assert max(apart) < 1e-5


def gradients(*, entropies):
    """Largest relative differences of log-probabilities, entropies and gradients: at once, again, in float64."""
    import torch

    from training.recipes.rl import probabilities

    torch.manual_seed(4)
    role = policy()
    states = torch.randn(37, 64)
    tokens, weights = torch.randint(0, 500, (37,)), torch.randn(2, 37)
    probabilities.TILE = 5 * role.causal.config.vocab_size  # eight tiles
    found = []
    for frozen, dtype in ((True, torch.float32), (False, torch.float32), (False, torch.float64)):
        head = role.causal.to(dtype).get_output_embeddings().weight.requires_grad_(not frozen)
        own = states.clone().to(dtype).requires_grad_()
        if dtype == torch.float64:
            logs = (torch.nn.functional.linear(own, head) / 0.8).log_softmax(-1)
            logp, entropy = logs[range(37), tokens], -(logs.exp() * logs).sum(-1)
        else:
            logp, entropy = probabilities.of_tokens(role.causal, own, tokens, 0.8, entropies=entropies)
        ((logp * weights[0]).sum() + (entropy * weights[1]).sum() * entropies).backward()
        found.append([part.double() for part in (logp.detach(), entropy.detach() * entropies, own.grad)])
    return [
        ((a - b).abs().max() / b.abs().max().clamp(min=1e-9)).item()
        for some in found[:2]
        for a, b in zip(some, found[2], strict=True)
    ]


@pytest.mark.parametrize("entropies", [True, False])
def test_gradients_taken_at_once_are_those_of_the_plain_formula(entropies):
    from functools import partial

    assert max(call(partial(gradients, entropies=entropies))) < 1e-4
