"""What every algorithm with a known model does, seen at one whose policy counts its updates."""

import gymnasium as gym
import numpy as np

from gym_ilrl.algorithms.known_model import KnownModel


class Counting(KnownModel):
    """The policy of its n-th update takes action ``n % 4`` everywhere; it has converged after ``enough`` of them."""

    enough = 10**9

    def _update(self):
        table = np.full((4, self.mdp.n_states), -np.inf)
        table[(self._n_updates + 1) % 4] = 0.0
        self.policy.set_log_probabilities(table)
        self.converged = self._n_updates + 1 >= self.enough

    def _record(self):
        self.logger.record("counting/updates", self._n_updates)


def test_model_is_read_from_the_environment():
    model = Counting(env="FrozenLake-v1")
    assert (model.mdp.n_states, model.mdp.n_actions, model.mdp.gamma, model.mdp.horizon) == (16, 4, 0.99, None)
    assert model.mdp is model.mdp
    model = Counting(env=gym.make("FrozenLake-v1"), gamma=0.9, horizon=7)
    assert (model.mdp.gamma, model.mdp.horizon, model.policy.horizon) == (0.9, 7, 7)
