"""Models of drivers that are fitted to routes: maximum entropy, choices by cost to go, max margin, and none."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.routes_drivers import Route, Town
from gym_ilrl import FeatureMatchingIRL, MaxEntIRL
from gym_ilrl.envs.road_network_costs import FEATURE_NAMES
from gym_ilrl.planning import solve

_LEAST_MINUTE = 1e-3  # cost, so that no loop is free


@dataclass(frozen=True, eq=False)
class Model:
    """What is known of drivers.

    :param best: the actions of the one route that it predicts from each state, of shape ``(n_states,)``
    :param log_policy: logarithms of the probabilities of all actions, of shape ``(n_actions, n_states)``, or None
    """

    best: NDArray[np.int64]
    log_policy: NDArray[np.float64] | None = None


def rewards(town: Town, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return minus the costs of every action, of shape ``(n_actions, n_states)``."""
    return np.ascontiguousarray(-(town.features @ weights).T)


def cheapest(town: Town, weights: NDArray[np.float64]) -> Model:
    """Return the model of drivers who take the cheapest route.

    :param weights: cost of one unit of each feature
    """
    return Model(solve(town.mdp.replace(rewards=rewards(town, weights))).actions)


def most_probable(town: Town, log_policy: NDArray[np.float64]) -> Model:
    """Return the model of drivers who turn by chance, the same in every state; it predicts their most probable route.

    :param log_policy: logarithms of the probabilities of the actions
    """
    return Model(solve(town.mdp.replace(rewards=log_policy)).actions, log_policy)


def fixed(town: Town, preferences: dict[str, float]) -> Model:
    """Return the model of drivers whose preferences are not learnt."""
    return cheapest(town, np.array([preferences.get(name, 0.0) for name in FEATURE_NAMES]))


def max_ent(town: Town, routes: list[Route]) -> Model:
    """Fit maximum entropy."""
    demos = town.demonstrations(routes)
    learner = MaxEntIRL("TabularPolicy", town.env, demonstrations=demos, gamma=1.0).learn(500, log_interval=None)
    assert learner.converged
    soft = solve(town.mdp.replace(rewards=rewards(town, -learner.weights)), temperature=1.0)
    return most_probable(town, soft.log_policy)


def max_margin(town: Town, routes: list[Route]) -> Model:
    """Fit the costs of structured max-margin."""
    learner = FeatureMatchingIRL(
        "TabularPolicy",
        town.env,
        demonstrations=town.demonstrations(routes),
        method="structured_max_margin",
        features_are_costs=True,
        tolerance=1e-3,
        l2_coef=1e-4,
        gamma=1.0,
        horizon=max(len(actions) for _, actions in routes),  # its loss pays for wandering
    )
    learner.learn(200, log_interval=None)
    weights = -learner.weights
    weights[FEATURE_NAMES.index("minutes")] += _LEAST_MINUTE * weights.max()
    return cheapest(town, weights)


def choices_by_cost(town: Town, routes: list[Route]) -> tuple[Model, Model]:
    """Fit choices in proportion to ``exp(Q(s, a))``, minus the costs of the cheapest route that begins with ``a``.

    The subgradient of ``Q`` with respect to the weights are the features of that route.

    :return: the model of its choices, and that of the cheapest route by its costs
    """
    states, actions = (np.concatenate(each) for each in zip(*((s[:-1], a) for s, a in routes), strict=True))
    warm: dict[str, Any] = {}

    def choices(weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        solution = solve(town.mdp.replace(rewards=rewards(town, weights)), **warm)
        warm["initial_values"] = solution.values
        met = town.features + features_to_go(town, solution.actions)[town.following].swapaxes(0, 1)
        q = np.where(town.mdp.available, -(met @ weights).T, -1e100)
        shifted = q - q.max(axis=0)
        return met, shifted - np.log(np.exp(shifted).sum(axis=0))

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        met, log_policy = choices(weights)
        expected = np.einsum("as,sad->sd", np.exp(log_policy), met)
        gradient = (met[states, actions] - expected[states]).mean(axis=0)
        return -float(log_policy[actions, states].mean()), gradient

    least = np.where(np.array(FEATURE_NAMES) == "minutes", _LEAST_MINUTE, 0.0)
    bounds = [(low, None) for low in least]
    weights = minimize(loss, np.full(len(least), 0.5), jac=True, method="L-BFGS-B", bounds=bounds).x
    return most_probable(town, choices(weights)[1]), cheapest(town, weights)


def features_to_go(town: Town, best: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the sum of the features on the way to the destination, of shape ``(n_states, 8)``.

    :param best: the actions of that way, of shape ``(n_states,)``
    """
    every = np.arange(len(best))
    total = np.where(town.mdp.terminal[:, None], 0.0, town.features[every, best])
    after = np.where(town.mdp.terminal, every, town.following[best, every])
    while not town.mdp.terminal[after].all():
        total = total + total[after]  # of twice as many roads
        after = after[after]
    return total
