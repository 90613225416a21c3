"""Small problems, all their deterministic policies, and what these meet, derived without the package's planning."""

from itertools import product

import numpy as np
from scipy import optimize

from gym_ilrl.planning import TabularMDP


def problem(seed=0, n_states=3, n_actions=2, **arguments):
    """A random process of ``n_states`` and one terminal state, which is the last one."""
    generator = np.random.default_rng(seed)
    transitions = generator.dirichlet(np.full(n_states + 1, 0.7), size=(n_states + 1, n_actions))
    terminal = np.arange(n_states + 1) == n_states
    initial = np.append(generator.dirichlet(np.ones(n_states)), 0.0)
    arguments = {"gamma": 0.8, "initial": initial, "terminal": terminal, **arguments}
    return TabularMDP.from_arrays(transitions, np.zeros(n_states + 1), **arguments)


def all_policies(mdp):
    """Every deterministic policy, of shape ``(n_states,)`` or ``(horizon, n_states)``; the terminal state takes 0."""
    acting = np.flatnonzero(~mdp.terminal)
    times = 1 if mdp.horizon is None else mdp.horizon
    policies = []
    for choice in product(range(mdp.n_actions), repeat=len(acting) * times):
        policy = np.zeros((times, mdp.n_states), dtype=np.int64)
        policy[:, acting] = np.reshape(choice, (times, -1))
        policies.append(policy[0] if mdp.horizon is None else policy)
    return policies


def visits_of(mdp, policy):
    """Discounted visits of actions in states, by dense linear algebra or step by step."""
    dynamics = mdp.transitions.toarray().reshape(mdp.n_actions, mdp.n_states, mdp.n_states)
    states = np.arange(mdp.n_states)
    visits = np.zeros((mdp.n_actions, mdp.n_states))
    if mdp.horizon is None:
        moved = dynamics[policy, states]
        visits[policy, states] = np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * moved.T, mdp.initial)
        return visits
    now = mdp.initial
    for t in range(mdp.horizon):
        visits[policy[t], states] += mdp.gamma**t * now
        now = now @ dynamics[policy[t], states]
    return visits


def features_met(mdp, features, visits):
    """Discounted sum of the features of all states of an episode, the terminal one included; by acting, of actions."""
    if features.ndim == 3:
        return np.einsum("as,sad->d", visits, features)
    arrived = mdp.gamma * np.einsum("as,ast->t", visits, arrivals(mdp))
    return (visits.sum(axis=0) + arrived) @ features


def arrivals(mdp):
    return mdp.final_transitions.toarray().reshape(mdp.n_actions, mdp.n_states, mdp.n_states)


def all_features(mdp, features):
    return np.stack([features_met(mdp, features, visits_of(mdp, policy)) for policy in all_policies(mdp)])


def on_simplex(function, n, gradient=None):
    """Minimise a convex function over weights that sum to 1, by a general method."""
    found = optimize.minimize(
        function,
        np.full(n, 1.0 / n),
        method="SLSQP",
        jac=gradient,
        bounds=[(0.0, 1.0)] * n,
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1.0, "jac": np.ones_like},
        options={"maxiter": 2000, "ftol": 1e-15},
    )
    return found.x / found.x.sum()
