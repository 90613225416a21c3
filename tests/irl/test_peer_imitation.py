"""imitation's maximum causal entropy: the same where it is right, and two facts about where it is not."""

from types import SimpleNamespace

import numpy as np
import pytest
from gymnasium import spaces
from irl_helpers import finite_differences, problem

from gym_ilrl.irl import CausalEntropyDual, ExpertVisits
from gym_ilrl.planning import TabularMDP, occupancy, solve, visitation

mce_irl = pytest.importorskip("imitation.algorithms.mce_irl")
HORIZON = 8


def pair(gamma: float = 1.0) -> tuple[TabularMDP, SimpleNamespace, np.ndarray]:
    """The same process here and there, and a reward of its states."""
    mdp = problem(gamma, HORIZON, n_states=5, ends=False, missing=None)
    rewards = np.random.default_rng(1).normal(size=5)
    dense = mdp.transitions.toarray().reshape(3, 5, 5).swapaxes(0, 1)
    peer = SimpleNamespace(
        horizon=HORIZON,
        state_dim=5,
        action_dim=3,
        transition_matrix=dense,
        reward_matrix=rewards,
        initial_state_dist=mdp.initial,
        observation_matrix=np.eye(5),
        state_space=spaces.Discrete(5),
        action_space=spaces.Discrete(3),
    )
    return mdp, peer, rewards


def on_actions(rewards: np.ndarray) -> np.ndarray:
    return np.tile(rewards, (3, 1))


@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_values_and_policies_agree(gamma):
    mdp, peer, rewards = pair(gamma)
    values, q_values, policy = mce_irl.mce_partition_fh(peer, reward=rewards, discount=gamma)
    found = solve(mdp.replace(rewards=on_actions(rewards)), 1.0)
    np.testing.assert_allclose(found.values[:-1], values, rtol=1e-13)
    np.testing.assert_allclose(found.q_values.swapaxes(1, 2), q_values, rtol=1e-13)
    np.testing.assert_allclose(found.policy.swapaxes(1, 2), policy, rtol=1e-12)


def test_occupancies_agree_before_the_horizon():
    mdp, peer, rewards = pair()
    each, _ = mce_irl.mce_occupancy_measures(peer, reward=rewards)
    ours = mdp.replace(rewards=on_actions(rewards))
    np.testing.assert_allclose(visitation(ours, solve(ours, 1.0).policy).sum(axis=1), each[:-1], rtol=0, atol=1e-14)
    expert = ExpertVisits.from_occupancy(occupancy(mdp, np.full((3, 5), 1 / 3)).T, mdp)
    visits = CausalEntropyDual(mdp, expert)(ours.rewards).gradient + expert.occupancy
    np.testing.assert_allclose(visits.sum(axis=0), each[:-1].sum(axis=0), rtol=0, atol=1e-13)


def test_fact_its_update_is_not_the_gradient_of_its_own_log_partition():
    """It counts visits at times 0 ... H, and rewards at times 0 ... H - 1."""
    mdp, peer, rewards = pair()

    def log_partition(at: np.ndarray) -> float:
        return float(mdp.initial @ mce_irl.mce_partition_fh(peer, reward=at)[0][0])

    gradient = finite_differences(log_partition, rewards)
    each, summed = mce_irl.mce_occupancy_measures(peer, reward=rewards)
    assert np.abs(summed - gradient).max() > 0.02 * np.abs(gradient).max()
    np.testing.assert_allclose(summed - gradient, each[-1], rtol=0, atol=1e-9)  # what it counts too much

    expert = ExpertVisits.from_occupancy(occupancy(mdp, np.full((3, 5), 1 / 3)).T, mdp)
    ours = CausalEntropyDual(mdp, expert)(on_actions(rewards)).gradient + expert.occupancy
    np.testing.assert_allclose(ours.sum(axis=0), gradient, rtol=0, atol=1e-9)


def test_fact_its_training_plans_without_the_discount():
    gamma = 0.9
    mdp, peer, rewards = pair(gamma)
    torch = pytest.importorskip("torch")
    reward_nets = pytest.importorskip("imitation.rewards.reward_nets")

    class Table(reward_nets.RewardNet):
        def __init__(self) -> None:
            super().__init__(peer.state_space, peer.action_space)
            self.table = torch.nn.Parameter(torch.tensor(rewards))

        def forward(self, state, action, next_state, done):
            return state.to(torch.float64) @ self.table

    trainer = mce_irl.MCEIRL(
        np.zeros(5), peer, Table(), rng=np.random.default_rng(0), discount=gamma, log_interval=None
    )
    trained_on = trainer.train(max_iter=1)
    _, _, policy = mce_irl.mce_partition_fh(peer, reward=rewards, discount=gamma)
    right = mce_irl.mce_occupancy_measures(peer, reward=rewards, pi=policy, discount=gamma)[1]
    _, _, undiscounted = mce_irl.mce_partition_fh(peer, reward=rewards, discount=1.0)
    wrong = mce_irl.mce_occupancy_measures(peer, reward=rewards, pi=undiscounted, discount=gamma)[1]
    np.testing.assert_allclose(trained_on, wrong, rtol=1e-12)
    assert np.abs(trained_on - right).max() > 0.005 * right.max()

    ours = mdp.replace(rewards=on_actions(rewards))
    last = gamma**HORIZON * mce_irl.mce_occupancy_measures(peer, reward=rewards, pi=policy)[0][-1]
    found = occupancy(ours, solve(ours, 1.0).policy).sum(axis=0)
    np.testing.assert_allclose(found, right - last, rtol=0, atol=1e-13)
