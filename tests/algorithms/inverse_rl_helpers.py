"""Small known processes, experts on them, and their demonstrations."""

import numpy as np

from gym_ilrl import Demonstrations, TabularMDP
from gym_ilrl.planning import occupancy, solve


def grid_mdp(slip=0.2, size=4, gamma=0.9, horizon=None, goal_ends=False, seed=0):
    """A grid with four moves; a linear reward in random features; the last cell ends episodes if asked for."""
    n_states = size * size
    cells = np.arange(n_states).reshape(size, size)
    moves = []
    for down, right in ((0, -1), (1, 0), (0, 1), (-1, 0)):
        rows = np.clip(np.arange(size) + down, 0, size - 1)
        columns = np.clip(np.arange(size) + right, 0, size - 1)
        moves.append(cells[np.ix_(rows, columns)].ravel())
    transitions = np.zeros((n_states, 4, n_states))
    for action in range(4):
        for turn, probability in ((0, 1.0 - slip), (1, slip / 2), (-1, slip / 2)):
            transitions[np.arange(n_states), action, moves[(action + turn) % 4]] += probability
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(n_states, 3))
    weights = np.array([1.0, -0.5, 0.8])
    terminal = np.zeros(n_states, dtype=bool)
    terminal[-1] = goal_ends
    start = np.where(terminal, 0.0, 1.0)
    mdp = TabularMDP.from_arrays(
        transitions,
        np.zeros((n_states, 4)),
        initial=start / start.sum(),
        terminal=terminal,
        gamma=gamma,
        horizon=horizon,
    )
    return mdp, features, weights


def episodes_of(mdp, policy, n_episodes, length, seed=0):
    """Sample episodes; stops at endings, truncates after ``length`` steps. ``policy``: action-major, or with time."""
    generator = np.random.default_rng(seed)
    full = (mdp.transitions + mdp.final_transitions).tocsr()
    episodes = []
    for _ in range(n_episodes):
        state = generator.choice(mdp.n_states, p=mdp.initial)
        states, actions, ended = [state], [], False
        while len(actions) < length and not ended:
            table = policy[len(actions)] if policy.ndim == 3 else policy
            action = generator.choice(mdp.n_actions, p=table[:, state])
            row = full[action * mdp.n_states + state]
            state = generator.choice(row.indices, p=row.data / row.data.sum())
            actions.append(action)
            states.append(state)
            ended = bool(mdp.terminal[state])
        episodes.append((np.array(states), np.array(actions), ended))
    return episodes


def demonstrations_of_episodes(mdp, episodes):
    return Demonstrations.from_arrays(
        [states for states, _, _ in episodes],
        [actions for _, actions, _ in episodes],
        mdp.to_env(),
        terminations=[np.arange(len(actions)) == (len(actions) - 1 if ended else -1) for _, actions, ended in episodes],
    )


def kl_to(mdp, expert_policy, log_policy):
    """Expected KL divergence from the expert's policy to the learned one, over the expert's visits."""
    visits = occupancy(mdp, expert_policy)
    ratio = np.where(expert_policy > 0.0, np.log(np.maximum(expert_policy, 1e-300)) - log_policy, 0.0)
    return float((visits * ratio).sum() / visits.sum())


def soft_expert(mdp, rewards, temperature=1.0):
    return solve(mdp.replace(rewards=rewards), temperature)
