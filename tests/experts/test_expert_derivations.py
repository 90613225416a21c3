"""The formulas of the experts against independent derivations."""

from functools import cache

import gymnasium as gym
import numpy as np
import pytest

from gym_ilrl.experts.inverted_pendulum import linearised, regulator_gains
from gym_ilrl.experts.reacher import angles_at
from gym_ilrl.experts.registry import expert, newest_version

CARDS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10, 10)


def total(hard_total: int, has_ace: bool) -> int:
    return hard_total + 10 if has_ace and hard_total + 10 <= 21 else hard_total


@cache
def dealer_outcomes(hard_total: int, has_ace: bool) -> dict[int, float]:
    """Probabilities of the dealer's final sums; 0 stands for going bust."""
    final = total(hard_total, has_ace)
    if final >= 17:
        return {final if final <= 21 else 0: 1.0}
    outcomes: dict[int, float] = {}
    for card in CARDS:
        for result, probability in dealer_outcomes(hard_total + card, has_ace or card == 1).items():
            outcomes[result] = outcomes.get(result, 0.0) + probability / len(CARDS)
    return outcomes


@cache
def value_of_stick_and_hit(hard_total: int, has_ace: bool, dealer: int) -> tuple[float, float]:
    mine = total(hard_total, has_ace)
    stick = sum(p * np.sign(mine - theirs) for theirs, p in dealer_outcomes(dealer, dealer == 1).items())
    hit = 0.0
    for card in CARDS:
        bust = hard_total + card > 21
        hit += -1.0 if bust else max(value_of_stick_and_hit(hard_total + card, has_ace or card == 1, dealer))
    return stick, hit / len(CARDS)


@pytest.mark.parametrize("usable_ace", [0, 1])
def test_blackjack_is_the_solution_of_the_infinite_deck(usable_ace):
    teacher = expert("Blackjack")
    for dealer in range(1, 11):
        for player in range(12 if usable_ace else 4, 22):
            stick, hit = value_of_stick_and_hit(player - 10 * usable_ace, bool(usable_ace), dealer)
            assert teacher.predict((player, dealer, usable_ace))[0] == int(hit > stick), (player, dealer)


def test_blackjack_reads_tuples_of_numbers_tuples_of_arrays_and_rows():
    teacher = expert("Blackjack")
    rows = np.array([[14, 10, 0], [20, 1, 0], [18, 9, 1]])
    expected = [1, 0, 1]
    assert [int(teacher.predict(tuple(row))[0]) for row in rows] == expected
    np.testing.assert_array_equal(teacher.predict(tuple(rows.T))[0], expected)
    np.testing.assert_array_equal(teacher.predict(rows)[0], expected)


def test_frozen_lake_knows_how_it_was_configured():
    """Without slipping, the plan is a shortest path: it takes 6 steps on the standard map, 2 on this one."""
    for options, n_steps in (({}, 6), ({"desc": ["SF", "HG"]}, 2)):
        env = gym.make("FrozenLake-v1", is_slippery=False, **options)
        teacher = expert(env)
        observation, _ = env.reset()
        for step in range(1, n_steps + 1):
            observation, reward, terminated, _, _ = env.step(int(teacher.predict(observation)[0]))
            assert terminated == (step == n_steps)
        assert reward == 1.0


def test_frozen_lake_plans_for_its_time_limit():
    """On the larger lake, the plan for 200 steps arrives in time more often than those for much fewer or more."""
    limit = gym.spec("FrozenLake8x8-v1").max_episode_steps
    success = {planned_for: success_within(limit, planned_for) for planned_for in (30, limit, 5000)}
    assert success[limit] > success[5000] > success[30]


def success_within(n_steps: int, planned_for: int) -> float:
    env = gym.make("FrozenLake8x8-v1", max_episode_steps=planned_for)
    model, teacher = env.unwrapped.P, expert(env)
    actions = teacher.predict(np.arange(len(model)))[0]
    mass, arrived = np.eye(len(model))[0], 0.0
    for _ in range(n_steps):
        following = np.zeros_like(mass)
        for state in np.flatnonzero(mass):
            for probability, next_state, reward, terminated in model[state][int(actions[state])]:
                arrived += mass[state] * probability * reward
                following[next_state] += mass[state] * probability * (not terminated)
        mass = following
    return arrived


@pytest.mark.parametrize("name", ["InvertedPendulum", "InvertedDoublePendulum"])
def test_regulator_is_stable_and_optimal(name):
    env = gym.make(newest_version(name)).unwrapped
    a, b = linearised(env.model, env.frame_skip)
    gains = expert(newest_version(name)).gains
    assert np.abs(np.linalg.eigvals(a)).max() > 1
    assert np.abs(np.linalg.eigvals(a - b @ gains)).max() < 1

    # the Riccati difference equation, iterated from zero cost-to-go, gives the gains of a long horizon
    cost, iterated = np.zeros_like(a), np.zeros_like(gains)
    for _ in range(2000):
        iterated = np.linalg.solve(np.eye(1) + b.T @ cost @ b, b.T @ cost @ a)
        cost = np.eye(len(a)) + a.T @ cost @ (a - b @ iterated)
    np.testing.assert_allclose(gains, iterated, rtol=1e-5)


def test_regulator_of_an_integrator():
    """x' = x + u with unit weights: the cost is the golden ratio, and the gain its inverse."""
    golden = (1 + 5**0.5) / 2
    np.testing.assert_allclose(regulator_gains(np.eye(1), np.eye(1)), [[1 / golden]])


@pytest.mark.parametrize("name", ["InvertedPendulum", "InvertedDoublePendulum"])
def test_linear_model_predicts_a_step_of_the_environment(name):
    env = gym.make(newest_version(name))
    simulation = env.unwrapped
    n = simulation.model.nq

    def stepped(state, force):
        env.reset(seed=0)
        simulation.set_state(state[:n], state[n:])
        env.step(np.array([force], dtype=np.float32))
        return np.concatenate([simulation.data.qpos, simulation.data.qvel])

    a, b = linearised(simulation.model, simulation.frame_skip)
    state = 1e-3 * np.arange(1, 2 * n + 1)
    drift = stepped(np.zeros(2 * n), 0.0)  # the pole of InvertedPendulum is drawn leaning by 1/600
    np.testing.assert_allclose(stepped(state, 0.002) - drift, a @ state + b @ [0.002], atol=2e-5)


@pytest.mark.parametrize("elbow", [1.0, -1.0])
def test_inverse_kinematics_reaches_the_target(elbow):
    rng = np.random.default_rng(0)
    radius, direction = rng.uniform(0.011, 0.209, 50), rng.uniform(-np.pi, np.pi, 50)
    target = np.stack([radius * np.cos(direction), radius * np.sin(direction)], axis=1)
    shoulder, bend = angles_at(target, elbow).T
    fingertip = 0.1 * np.array([np.cos(shoulder), np.sin(shoulder)])
    fingertip += 0.11 * np.array([np.cos(shoulder + bend), np.sin(shoulder + bend)])
    np.testing.assert_allclose(fingertip.T, target, atol=1e-9)
    assert (np.sign(bend) == elbow).all()


def test_lunar_lander_agrees_with_the_law_that_gymnasium_ships():
    lunar_lander = pytest.importorskip("gymnasium.envs.box2d.lunar_lander")
    for name in ("LunarLander", "LunarLanderContinuous"):
        env = gym.make(newest_version(name))
        observations = np.random.default_rng(0).normal(scale=0.5, size=(300, 8)).astype(np.float32)
        observations[:, 6:] = np.random.default_rng(1).random((300, 2)) < 0.2
        theirs = [lunar_lander.heuristic(env, observation) for observation in observations.astype(np.float64)]
        np.testing.assert_allclose(expert(env).predict(observations)[0], theirs, atol=1e-6)
