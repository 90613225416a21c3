"""Where the search begins: rewards at which it does not matter what one does, or at which episodes end."""

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from torch import nn

from gym_ilrl.irl import Evaluation
from gym_ilrl.irl.features import features_of
from gym_ilrl.irl.indifference import indifferent_rewards
from gym_ilrl.planning import DivergenceError, TabularMDP, solve
from gym_ilrl.rewards import LinearReward, RewardModel, RewardNetwork
from gym_ilrl.rewards.start import let_episodes_end

SPACES = spaces.Discrete(4), spaces.Discrete(3)


def corridor(gamma, horizon=None, ends=True):
    """To the left, to the right, or stay; one action is missing in one state."""
    place = np.arange(4)
    ways = np.stack([np.maximum(place - 1, 0), np.minimum(place + 1, 3), place], axis=1)[:, :, None]
    available = np.ones((3, 4), dtype=bool)
    available[2, 1] = False
    terminal = (place == 3) & ends
    return TabularMDP.from_successors(
        ways, np.ones(ways.shape), np.zeros(4), terminal=terminal, available=available, gamma=gamma, horizon=horizon
    )


@pytest.mark.parametrize("on_states", [True, False])
@pytest.mark.parametrize(("gamma", "horizon"), [(0.9, None), (1.0, None), (0.9, 5), (1.0, 5)])
def test_at_indifference_all_actions_are_taken_alike(on_states, gamma, horizon):
    mdp = corridor(gamma, horizon)
    rewards = indifferent_rewards(mdp, 0.7, on_states)
    assert rewards.shape == ((4,) if on_states else (3, 4))
    on = "states" if on_states else "actions"
    solution = solve(mdp.replace(rewards=features_of(mdp, None, on).earned.rewards(rewards)), 0.7)
    uniform = mdp.available / mdp.available.sum(axis=0)
    np.testing.assert_allclose(solution.policy[..., :3], np.broadcast_to(uniform, solution.policy.shape)[..., :3])
    np.testing.assert_allclose(solution.values, 0.0, atol=1e-9)


def test_without_endings_nothing_needs_a_cost():
    assert not indifferent_rewards(corridor(0.9, ends=False), 1.0, True).any()


class Recorded:
    """The value of the start, less a target, squared; it counts evaluations."""

    def __init__(self, mdp, target):
        self.mdp, self.target, self.rewards = mdp, target, []

    def __call__(self, rewards):
        self.rewards.append(rewards)
        value = float(self.mdp.initial @ solve(self.mdp.replace(rewards=rewards), 1.0).values)
        return Evaluation((value - self.target) ** 2, rewards, 0.0, None)


def begun(mdp, learned, given=None, target=0.0):
    features = features_of(mdp, given, "states")
    model = RewardModel(*SPACES, learned, True, mdp.gamma)
    objective = Recorded(mdp, target)
    let_episodes_end(model, objective, features, mdp, 1.0)
    return model.tabulate(features), objective


def test_a_table_begins_at_indifference():
    for gamma in (0.9, 1.0):
        mdp = corridor(gamma)
        table, _ = begun(mdp, LinearReward(4))
        np.testing.assert_array_equal(table, indifferent_rewards(mdp, 1.0, True))


def test_features_come_as_near_as_they_can():
    mdp = corridor(1.0)
    features = np.array([[1.0, 0.2], [1.0, -0.3], [1.0, 0.1], [0.0, 0.0]])
    learned = LinearReward(2)
    begun(mdp, learned, features)
    nearest = np.linalg.lstsq(features, indifferent_rewards(mdp, 1.0, True), rcond=None)[0]
    ratio = learned.weights.detach().numpy() / nearest
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    assert np.log2(ratio[0]) == pytest.approx(round(np.log2(ratio[0])), abs=1e-5)  # doubled as often as needed


def test_costs_are_doubled_until_the_values_are_finite():
    mdp = corridor(1.0)
    features = np.array([[1.0], [0.1], [0.1], [0.0]])  # of little use against wandering between the middle ones
    table, objective = begun(mdp, LinearReward(1), features)
    assert np.isfinite(solve(mdp.replace(rewards=objective.rewards[-1]), 1.0).values).all()
    assert len(objective.rewards) > 1
    with pytest.raises(DivergenceError):
        solve(mdp.replace(rewards=objective.rewards[-2]), 1.0)
    np.testing.assert_allclose(table, features[:, 0] * table[0])


def test_features_without_any_cost_are_refused_in_words():
    with pytest.raises(DivergenceError, match="soft values are infinite"):
        begun(corridor(1.0), LinearReward(1), np.array([[0.0], [0.0], [0.0], [1.0]]))


@pytest.mark.parametrize(("target", "is_moved"), [(0.0, True), (100.0, False)])
def test_with_a_discount_the_better_start_is_taken(target, is_moved):
    table, _ = begun(corridor(0.9), LinearReward(4), target=target)
    assert table.any() == is_moved


def test_a_network_begins_with_a_cost_of_every_step():
    th.manual_seed(0)
    mdp = corridor(1.0)
    table, objective = begun(mdp, RewardNetwork(4, (8,)))
    assert (table < 0.0).all()
    assert np.isfinite(objective(objective.rewards[-1]).loss)


def test_modules_of_users_stay_as_they_are():
    module = nn.Linear(4, 1)
    before = module.weight.detach().clone(), module.bias.detach().clone()
    begun(corridor(1.0), module)
    assert th.equal(module.weight, before[0])
    assert th.equal(module.bias, before[1])
