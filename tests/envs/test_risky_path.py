"""RiskyPath: what the two kinds of maximum entropy do, by enumeration, by closed form, and by message passing."""

import itertools
import math

import gymnasium as gym
import numpy as np
import pytest

import gym_ilrl  # noqa: F401
from gym_ilrl import TabularMDP
from gym_ilrl.envs.risky_path import RiskyPathDynamics
from gym_ilrl.experts.registry import expert
from gym_ilrl.planning import backward_messages, solve

PROBLEMS = [
    ({}, 1.0),
    ({}, 0.5),
    ({"win_probability": 0.3, "prize": 2.0, "loss": 1.0, "safe": 0.5}, 1.5),
    ({"win_probability": 1.0, "prize": 1.0}, 1.0),
]


def sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x))


def closed_forms(temperature, win_probability=0.1, prize=4.0, loss=4.0, safe=1.0):
    """Probability of the risky way, as the docstring writes it: maximum entropy, causal."""
    lucky = win_probability * math.exp(prize / temperature) + (1 - win_probability) * math.exp(-loss / temperature)
    fair = win_probability * prize - (1 - win_probability) * loss
    return sigmoid(math.log(lucky) - safe / temperature), sigmoid((fair - safe) / temperature)


def enumerated(env, temperature):
    """Probability of beginning with the risky way when trajectories of two steps are weighed by ``P exp(return)``."""
    weights = np.zeros(2)
    for first, second in itertools.product(range(2), repeat=2):
        for p, there, paid, _ in env.P[0][first]:
            for q, _, paid_there, _ in env.P[there][second]:
                weights[first] += p * q * math.exp((paid + paid_there) / temperature)
    return weights[1] / weights.sum()


@pytest.mark.parametrize(("kwargs", "temperature"), PROBLEMS)
def test_plain_and_causal_maximum_entropy(kwargs, temperature):
    env = gym.make("ilrl/RiskyPath-v0", **kwargs)
    mdp = TabularMDP.from_env(env, gamma=1.0, horizon=env.spec.max_episode_steps)
    plain, causal = (
        math.exp(backward_messages(mdp, temperature, variational=variational).log_policy[0, 1, 0])
        for variational in (False, True)
    )
    assert (plain, causal) == pytest.approx(closed_forms(temperature, **kwargs), abs=1e-12)
    assert plain == pytest.approx(enumerated(env.unwrapped, temperature), abs=1e-12)
    assert causal == pytest.approx(solve(mdp, temperature=temperature).policy[0, 1, 0], abs=1e-12)


def test_the_numbers_of_the_documentation():
    plain, causal = closed_forms(1.0)
    assert round(plain, 3) == 0.668
    assert round(causal, 4) == 0.0148
    returns = [p * (0.1 * 4 - 0.9 * 4) + (1 - p) for p in (plain, causal)]
    assert [round(total, 2) for total in returns] == [-1.81, 0.94]


def test_steps_follow_the_model():
    n = 20_000
    dynamics = RiskyPathDynamics(n)
    dynamics.reset(range(n), [np.random.default_rng(seed) for seed in range(n)])
    actions = np.arange(n) % 2
    rewards, terminated = dynamics.step(actions)
    arrived = dynamics.observe()
    assert not rewards.any()
    assert (arrived[actions == 0] == 1).all()
    assert set(arrived[actions == 1]) == {2, 3}
    wins = (arrived[actions == 1] == 2).mean()
    assert abs(wins - 0.1) < 4 * math.sqrt(0.1 * 0.9 / (n / 2))
    for _ in range(3):
        rewards, terminated = dynamics.step(1 - actions)
        assert (dynamics.observe() == arrived).all()
        assert (rewards == np.array([0.0, 1.0, 4.0, -4.0])[arrived]).all()
        assert not terminated.any()


def test_an_episode_is_to_go_and_to_be_paid():
    env = gym.make("ilrl/RiskyPath-v0")
    assert env.reset(seed=0)[0] == 0
    assert env.step(0)[:4] == (1, 0.0, False, False)
    assert env.step(1)[:4] == (1, 1.0, False, True)


@pytest.mark.parametrize(("kwargs", "way"), [({}, 0), ({"win_probability": 0.7}, 1), ({"safe": 0.0, "loss": 0.0}, 1)])
def test_the_expert_takes_the_way_with_the_higher_expected_reward(kwargs, way):
    env = gym.make("ilrl/RiskyPath-v0", **kwargs)
    assert expert(env).predict(0)[0] == way


def test_features_and_positions_are_read_only():
    env = gym.make("ilrl/RiskyPath-v0").unwrapped
    assert env.features.tolist() == np.eye(4).tolist()
    assert env.feature_names == ("fork", "village", "treasure", "abyss")
    assert len({tuple(place) for place in env.positions.tolist()}) == 4
    for array in (env.features, env.positions):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


@pytest.mark.parametrize("name", ["win_probability", "prize", "loss", "safe"])
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, "a", None, [1]])
def test_bad_arguments_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a"):
        gym.make("ilrl/RiskyPath-v0", **{name: value})


def states(mode, **kwargs):
    """What is drawn in each state."""
    env = gym.make("ilrl/RiskyPath-v0", render_mode=mode, **kwargs).unwrapped
    env.reset(seed=0)
    record = env.get_state()
    for state in range(4):
        record["state"] = state
        env.set_state(record)
        yield env.render()


def test_text_says_where_the_agent_is_and_what_pays():
    texts = list(states("ansi"))
    assert texts[0] == "@ fork     +0\n  village  +1\n  treasure +4\n  abyss    -4\n"
    assert [text.splitlines()[state][0] for state, text in enumerate(texts)] == ["@"] * 4
    assert all(text.count("@") == 1 for text in texts)


def test_the_agent_is_in_another_place_of_each_picture():
    agent = np.array([28, 96, 168])
    places = []
    for picture in states("rgb_array"):
        assert picture.shape == (360, 720, 3)
        places.append(np.argwhere((picture == agent).all(axis=2)).mean(axis=0))
    x = [place[1] for place in places]
    assert x[0] < x[1] < x[3] < x[2]
    heights = [place[0] for place in places]
    assert heights[2] < heights[0] < heights[1] < heights[3]


def test_every_unit_of_reward_is_a_coin():
    few, many = (next(states("rgb_array", prize=prize)) for prize in (1.0, 4.0))
    gold = [(picture == [240, 190, 48]).all(axis=2).sum() for picture in (few, many)]
    assert gold[1] > gold[0] > 0
    capped = [next(states("rgb_array", safe=safe)) for safe in (10.0, 1000.0)]
    assert (capped[0] == capped[1]).all()
