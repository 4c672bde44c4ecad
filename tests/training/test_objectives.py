"""The formulas of PPO against numbers worked out by hand, plain loops in float64, and autograd of the plain formula."""

import math

import pytest

torch = pytest.importorskip("torch")

from training.recipes.rl.objectives import (  # noqa: E402
    KlCoefficient,
    RunningMoments,
    explained_variance,
    gae,
    kl_estimate,
    leave_one_out,
    masked_mean,
    policy_loss,
    token_rewards,
    value_loss,
    whiten,
)

JUNK = 1e6  # stands where no token is


def batch(seed: int = 0, rows: int = 5, width: int = 7, dtype=torch.float64):
    """Log-probabilities, older ones, values and a mask with answers of 1 to 7 tokens, and junk behind each."""
    made = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([1, 3, 7, 5, 2])[:rows]
    mask = torch.arange(width) < lengths[:, None]

    def numbers(scale: float = 1.0):
        return (torch.randn(rows, width, generator=made, dtype=dtype) * scale).masked_fill(~mask, JUNK)

    return mask, numbers


def test_gae_by_hand():
    # gamma 0.9, lam 0.5; rewards 1, 0, 2; values 0.5, 1, 0 and a fourth place that is no token
    mask = torch.tensor([[True, True, True, False]])
    rewards, values = torch.tensor([[1.0, 0.0, 2.0, JUNK]]), torch.tensor([[0.5, 1.0, 0.0, JUNK]])
    advantages, returns = gae(rewards, values, mask, gamma=0.9, lam=0.5)
    # deltas: 1 + 0.9·1 - 0.5 = 1.4;  0 + 0.9·0 - 1 = -1;  2 - 0 = 2.  A3 = 2, A2 = -1 + 0.45·2, A1 = 1.4 + 0.45·A2
    assert advantages[0].tolist() == pytest.approx([1.355, -0.1, 2.0, 0.0])
    assert returns[0].tolist() == pytest.approx([1.855, 0.9, 2.0, 0.0])


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.97, 0.0), (0.9, 1.0)])
def test_gae_is_the_sum_of_discounted_errors(gamma, lam):
    mask, numbers = batch()
    rewards, values = numbers(), numbers()
    advantages, _ = gae(rewards, values, mask, gamma=gamma, lam=lam)
    for row, length in enumerate(mask.sum(1).tolist()):
        r, v = rewards[row, :length].tolist(), [*values[row, :length].tolist(), 0.0]
        deltas = [r[t] + gamma * v[t + 1] - v[t] for t in range(length)]
        wanted = [sum((gamma * lam) ** (k - t) * deltas[k] for k in range(t, length)) for t in range(length)]
        assert advantages[row, :length].tolist() == pytest.approx(wanted, rel=1e-12)
        assert not advantages[row, length:].any()


def test_with_lam_and_gamma_one_returns_are_what_is_still_to_come():
    mask, numbers = batch(1)
    rewards, values = numbers(), numbers()
    _, returns = gae(rewards, values, mask, gamma=1.0, lam=1.0)
    real = rewards.masked_fill(~mask, 0)
    to_come = real.flip(1).cumsum(1).flip(1).masked_fill(~mask, 0)
    assert torch.allclose(returns, to_come, atol=1e-12)


def test_kl_estimators_by_hand_and_on_average():
    logp, reference = torch.tensor([math.log(0.5)]), torch.tensor([math.log(0.25)])
    found = {kind: kl_estimate(logp, reference, kind).item() for kind in ("k1", "k2", "k3")}
    assert found == pytest.approx(
        {"k1": math.log(2), "k2": math.log(2) ** 2 / 2, "k3": 0.5 - 1 + math.log(2)}
    )
    p, q = torch.tensor([0.5, 0.3, 0.2]).double(), torch.tensor([0.2, 0.3, 0.5]).double()
    exact = (p * (p / q).log()).sum()
    for kind in ("k1", "k3"):  # unbiased: weighted by p they give the KL itself
        assert (p * kl_estimate(p.log(), q.log(), kind)).sum().item() == pytest.approx(exact.item())
    assert (kl_estimate(p.log(), q.log(), "k3") >= 0).all()


def test_the_score_goes_to_the_last_token_and_the_kl_to_each():
    mask = torch.tensor([[True, True, False], [True, False, False]])
    kl = torch.tensor([[0.1, 0.2, JUNK], [0.3, JUNK, JUNK]])
    rewards = token_rewards(torch.tensor([5.0, -1.0]), kl, mask, 0.5)
    assert rewards.tolist() == [pytest.approx([-0.05, 4.9, 0.0]), pytest.approx([-1.15, 0.0, 0.0])]


def test_whitening_is_over_real_tokens_alone():
    mask, numbers = batch(2)
    values = numbers(3.0)
    white = whiten(values, mask)
    assert white[mask].mean().item() == pytest.approx(0, abs=1e-12)
    assert white[mask].var().item() == pytest.approx(1, rel=1e-6)
    assert not white[~mask].any()
    assert whiten(torch.tensor([[3.0]]), torch.tensor([[True]])).item() == 0


def plain_policy_loss(logp, old, advantages, mask, clip):
    terms = []
    for row, column in mask.nonzero().tolist():
        ratio = torch.exp(logp[row, column] - old[row, column])
        a = advantages[row, column]
        terms.append(-torch.minimum(ratio * a, torch.clamp(ratio, 1 - clip, 1 + clip) * a))
    return sum(terms) / len(terms)


def test_policy_loss_and_its_gradient_are_those_of_the_formula():
    mask, numbers = batch(3)
    old, advantages = numbers(), numbers()
    logp = (old + torch.where(mask, numbers(0.3), 0)).requires_grad_()
    found = policy_loss(logp, old, advantages, mask, clip=0.2)
    (gradient,) = torch.autograd.grad(found.loss, logp)
    plain = logp.detach().clone().requires_grad_()
    wanted = plain_policy_loss(plain, old, advantages, mask, 0.2)
    assert found.loss.item() == pytest.approx(wanted.item(), rel=1e-12)
    assert torch.allclose(gradient, torch.autograd.grad(wanted, plain)[0], atol=1e-14)
    ratio = (logp - old).exp()[mask]
    beyond = ((ratio > 1.2) & (advantages[mask] > 0)) | ((ratio < 0.8) & (advantages[mask] < 0))
    assert found.clipped.item() == pytest.approx(beyond.float().mean().item())
    assert found.largest.item() == pytest.approx(ratio.max().item())


def test_without_a_move_the_loss_is_minus_the_mean_advantage_and_nothing_is_clipped():
    mask, numbers = batch(4)
    logp, advantages = numbers(), numbers()
    found = policy_loss(logp, logp, advantages, mask, clip=0.2)
    assert found.loss.item() == pytest.approx(-advantages[mask].mean().item())
    assert (found.ratio.item(), found.clipped.item(), found.moved.item()) == (pytest.approx(1), 0, 0)


def test_value_loss_takes_the_larger_error():
    mask = torch.tensor([[True, True, False]])
    old, returns = torch.tensor([[0.0, 0.0, 0.0]]), torch.tensor([[1.0, 1.0, JUNK]])
    values = torch.tensor([[0.5, -0.5, JUNK]])
    loss, clipped = value_loss(values, old, returns, mask, clip=0.2)
    # held at 0.2: (0.2 - 1)² = 0.64 > 0.25;  held at -0.2: 1.44 < 2.25, the free one counts
    assert loss.item() == pytest.approx((0.64 + 2.25) / 2 / 2)
    assert clipped.item() == 0.5


@pytest.mark.parametrize("seed", range(3))
def test_what_stands_behind_an_answer_changes_nothing(seed):
    mask, numbers = batch(seed)
    a, b, c = numbers(), numbers(), numbers()

    def everything(junk):
        x, y, z = (value.masked_fill(~mask, junk) for value in (a, b, c))
        policy = policy_loss(x, y, z, mask, clip=0.2)
        return [
            *gae(x, y, mask, gamma=0.9, lam=0.8),
            whiten(x, mask),
            policy.loss,
            policy.moved,
            policy.largest,
            *value_loss(x, y, z, mask, clip=0.2),
            token_rewards(x[:, 0], kl_estimate(y, z, "k1"), mask, 0.1),
            masked_mean(x, mask),
        ]

    for first, second in zip(everything(0.0), everything(-77.0), strict=True):
        assert torch.equal(first, second)


def test_explained_variance():
    mask = torch.ones(1, 4, dtype=torch.bool)
    returns = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    assert explained_variance(returns, returns, mask) == 1
    assert explained_variance(torch.zeros(1, 4), returns, mask) == 0
    assert math.isnan(explained_variance(returns, torch.ones(1, 4), mask))


def test_leave_one_out_compares_with_the_others():
    found = leave_one_out(torch.tensor([1.0, 2.0, 6.0, 0.0, 0.0, 3.0]), 3)
    assert found.tolist() == pytest.approx([-3.0, -1.5, 4.5, -1.5, -1.5, 3.0])


def test_the_weight_of_the_kl_moves_towards_its_target_by_at_most_a_fifth():
    weight = KlCoefficient(0.1, target=6.0, horizon=100)
    weight.update(60.0, 10)
    assert weight.value == pytest.approx(0.1 * (1 + 0.2 * 10 / 100))
    weight.update(5.4, 10)
    assert weight.value == pytest.approx(0.1 * 1.02 * (1 - 0.1 * 0.1))
    fixed = KlCoefficient(0.1)
    fixed.update(60.0, 10)
    assert fixed.value == 0.1


def test_running_moments_are_those_of_all_scores_together():
    made = torch.Generator().manual_seed(5)
    scores = torch.randn(100, generator=made) * 3 + 50
    moments = RunningMoments()
    for part in scores.split([1, 9, 40, 50]):
        moments.update(part)
    assert moments.mean == pytest.approx(scores.mean().item())
    assert moments.std == pytest.approx(scores.std().item())
    assert RunningMoments(**moments.state()).std == moments.std
    assert RunningMoments().std == 1.0
