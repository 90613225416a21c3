"""Tightrope against an independent scalar walker, closed forms and a tabular learner."""

import gymnasium as gym
import numpy as np
import pytest

import gym_ilrl  # noqa: F401
from gym_ilrl.envs.tightrope import GROUND, NET, ROPE, TightropeDynamics, rule_book
from gym_ilrl.experts.tightrope import TightropeExpert


def started(n, seed=0, **kwargs):
    dynamics = TightropeDynamics(n, **kwargs)
    dynamics.reset(range(n), [np.random.default_rng(seed + row) for row in range(n)])
    return dynamics


def split_mix_64(key, clock):
    """One number of the sequence in Python's integers (Steele, Lea and Flood 2014, figure 4)."""
    mask = 2**64 - 1
    z = (key + (clock + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return ((z ^ (z >> 31)) >> 11) / 2**53


def walk(key, length, slip, codes, choose):
    """One episode, written as the table in the docstring of TightropeEnv reads."""
    lane, lanes, cost = "rope", [], 0
    for cell in range(length):
        code = codes[cell][["rope", "net", "ground"].index(lane)]
        action = choose(cell)
        if lane == "rope" and split_mix_64(key, cell) < slip:
            lane = "net"
        elif action != code:
            lane = "ground"
        else:
            lane = {"rope": "rope", "net": "rope", "ground": "net"}[lane]
        cost += lane != "rope"
        lanes.append(["rope", "net", "ground"].index(lane))
    return lanes, cost


def test_dynamics_equal_an_independent_scalar_walker():
    n, length, slip = 40, 60, 0.2
    dynamics = started(n, length=length, slip=slip)
    keys = dynamics.get_state()["key"].tolist()
    rng = np.random.default_rng(1)
    right = rng.random((length, n)) < 0.9  # mostly the code of the current lane, so that all lanes are visited
    actions = np.zeros((length, n), dtype=np.int64)
    lanes, rewards = np.zeros((length, n), dtype=np.int64), np.zeros((length, n))
    for t in range(length):
        codes = dynamics.codes[dynamics.info()["cell"], dynamics.info()["lane"]]
        actions[t] = np.where(right[t], codes, rng.integers(0, 20, n))
        rewards[t], terminated = dynamics.step(actions[t])
        lanes[t] = dynamics.info()["lane"]
        assert (terminated == (t == length - 1)).all()
    for row in range(n):
        expected, cost = walk(keys[row], length, slip, dynamics.codes.tolist(), lambda t, row=row: actions[t, row])
        assert lanes[:, row].tolist() == expected
        assert rewards[:, row].sum() == -cost
    assert {ROPE, NET, GROUND} <= set(lanes.ravel().tolist())


@pytest.mark.parametrize(("steps_until_the_first_code", "cost"), [(0, 2), (1, 3), (5, 7), (19, 20), (20, 20)])
def test_what_a_fall_costs(steps_until_the_first_code, cost):
    """A fall at cell 10 of 30 without slip: on the ground until the first code, then the net, then the rope."""
    length, fall = 30, 10
    dynamics = started(1, length=length, slip=0.0)
    total = 0.0
    for t in range(length):
        code = dynamics.codes[t, dynamics.info()["lane"]]
        wrong = fall <= t <= fall + steps_until_the_first_code
        total += dynamics.step((code + wrong) % 20)[0][0]
    assert total == -cost


@pytest.mark.parametrize("errs_at_the_end", [False, True])
def test_success_is_to_arrive_on_the_rope(errs_at_the_end):
    env = gym.make("ilrl/Tightrope-v0", length=6, slip=0.0)
    _, info = env.reset(seed=0)
    infos = [info]
    for t in range(6):
        code = rule_book(6)[1][t, ROPE]
        infos.append(env.step((code + (errs_at_the_end and t == 5)) % 20)[4])
    assert [info["is_success"] for info in infos] == [False] * 6 + [not errs_at_the_end]


@pytest.mark.parametrize("length", [25, 100])
def test_expert_costs_what_the_markov_chain_says(length):
    """Off the rope with probability q_t at time t: q_{t+1} = slip (1 - q_t), for the expert climbs back at once."""
    n, slip = 4000, 0.02
    env = gym.make("ilrl/Tightrope-v0", length=length)
    expert, dynamics = TightropeExpert(env), started(n, length=length, slip=slip)
    returns = np.zeros(n)
    for _ in range(length):
        returns += dynamics.step(expert.predict(dynamics.observe())[0])[0]
    q, expected = 0.0, 0.0
    for _ in range(length):
        q = slip * (1.0 - q)
        expected -= q
    assert abs(returns.mean() - expected) < 5 * returns.std() / np.sqrt(n)
    assert (dynamics.info()["lane"] != GROUND).all()


def test_expert_knows_the_code_of_every_page_and_near_it():
    env = gym.make("ilrl/Tightrope-v0", length=50, book_seed=3)
    expert = TightropeExpert(env)
    embeddings, codes = rule_book(50, book_seed=3)
    noise = np.random.default_rng(0).uniform(-0.05, 0.05, embeddings.shape)
    actions, _ = expert.predict((embeddings + noise).reshape(-1, 16).astype(np.float32))
    assert (actions == codes.ravel()).all()
    single, _ = expert.predict(embeddings[7, NET])
    assert single == codes[7, NET]
    with pytest.raises(TypeError, match="needs an ilrl/Tightrope-v0"):
        TightropeExpert(gym.make("CartPole-v1"))


def test_rule_book_does_not_depend_on_the_episode_and_a_short_one_begins_a_long_one():
    short, long, other = rule_book(25, 5), rule_book(200, 5), rule_book(25, 6)
    for a, b, c in zip(short, long, other, strict=True):
        assert (a == b[:26]).all()
        assert not (a == c).all()
    env = gym.make("ilrl/Tightrope-v0")
    first = env.reset(seed=0)[0]
    assert (first == env.reset(seed=1)[0]).all()
    assert (first == rule_book(100, 0)[0][0, ROPE]).all()


def test_rule_book_is_uniform_and_its_pages_are_apart():
    embeddings, codes = rule_book(2000)
    counts = np.bincount(codes.ravel(), minlength=20)
    expected = codes.size / 20
    assert ((counts - expected) ** 2 / expected).sum() < 45.0  # chi-square, 19 degrees: 0.9993 quantile
    assert embeddings.dtype == np.float32
    assert np.abs(embeddings).max() <= 1.0
    assert abs(embeddings.mean()) < 5 / np.sqrt(3 * embeddings.size)
    pages = rule_book(200)[0].reshape(-1, 16).astype(np.float64)
    squared = ((pages[:, None] - pages[None]) ** 2).sum(-1)
    assert squared[~np.eye(len(pages), dtype=bool)].min() > 0.5


def test_episode_ends_after_exactly_length_steps_and_a_finished_row_stays_as_it_is():
    env = gym.make("ilrl/Tightrope-v0", length=25)
    env.reset(seed=0)
    ends = [env.step(0)[2:4] for _ in range(25)]
    assert ends == [(False, False)] * 24 + [(True, False)]
    dynamics = started(2, length=3, slip=0.0)
    for t in range(3):
        dynamics.step(dynamics.codes[[t, t], ROPE])
    before = dynamics.get_state()
    assert (before["lane"] == ROPE).all()
    rewards, terminated = dynamics.step(dynamics.codes[[3, 3], ROPE] + 1)
    assert (rewards == 0).all()
    assert terminated.all()
    assert (dynamics.get_state() == before).all()


def test_a_saved_state_replays():
    env = gym.make("ilrl/Tightrope-v0", slip=0.3).unwrapped
    env.reset(seed=0)
    for t in range(10):
        env.step(t)
    state = env.get_state()

    def future():
        return [(info["lane"], reward) for _, reward, _, _, info in (env.step(t % 20) for t in range(50))]

    first = future()
    env.set_state(state)
    assert future() == first


def tabular_clone_cost(length, interactive, seed, n_demonstrations=10):
    """Cost of a learner that knows what it was shown and guesses the rest; DAgger if ``interactive``, else BC."""
    codes = rule_book(length)[1]
    guess = np.random.default_rng(seed).integers(0, 20, codes.shape)
    known = np.zeros(codes.shape, dtype=np.bool_)

    def roll(n, first_seed, choose, learn):
        dynamics, cost = started(n, first_seed, length=length), 0.0
        for _ in range(length):
            where = (dynamics.info()["cell"], dynamics.info()["lane"])
            cost -= dynamics.step(choose(where))[0].mean()
            if learn:
                known[where] = True
        return cost

    def learner(where):
        return np.where(known[where], codes[where], guess[where])

    for episode in range(n_demonstrations):
        demonstrating = episode == 0 or not interactive
        roll(1, 10_000 * seed + episode, (lambda where: codes[where]) if demonstrating else learner, learn=True)
    return roll(400, 1_000_000, learner, learn=False)


def test_cloning_compounds_and_dagger_does_not():
    """From 10 episodes of labels: the slope of log cost against log length, and what is left of it at the end."""
    lengths = np.array([25, 50, 100])
    seeds = range(4)
    clone = np.array([np.mean([tabular_clone_cost(length, False, seed) for seed in seeds]) for length in lengths])
    dagger = np.array([np.mean([tabular_clone_cost(length, True, seed) for seed in seeds]) for length in lengths])
    assert np.polyfit(np.log(lengths), np.log(clone), 1)[0] > 1.4
    assert np.polyfit(np.log(lengths), np.log(dagger), 1)[0] < 1.1
    assert clone[-1] > 4 * dagger[-1]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"length": 0}, "length must be an integer of at least 1"),
        ({"length": 2.5}, "length must be an integer"),
        ({"slip": -0.1}, "slip is a probability"),
        ({"slip": float("nan")}, "slip is a probability"),
        ({"book_seed": -1}, "book_seed must be an integer in"),
        ({"book_seed": 2**63}, "book_seed must be an integer in"),
    ],
)
def test_bad_arguments_are_refused_in_a_sentence(kwargs, message):
    with pytest.raises(ValueError, match=message):
        gym.make("ilrl/Tightrope-v0", **kwargs)


def test_pictures_show_where_the_walker_is():
    env = gym.make("ilrl/Tightrope-v0", length=30, slip=0.0, render_mode="ansi").unwrapped
    env.reset(seed=0)
    codes = env.dynamics.codes
    env.step(codes[0, ROPE])
    assert env.render().splitlines()[1][7:9] == "-@"
    env.step((codes[1, ROPE] + 1) % 20)
    assert env.render().splitlines()[3][7:10] == "..@"
    frames = [TightropeDynamics(1, 30)]
    states = np.zeros(3, dtype=frames[0].get_state().dtype)
    states["cell"], states["lane"] = [5, 5, 20], [ROPE, GROUND, ROPE]
    pictures = []
    for state in states:
        frames[0].set_state([0], state[None])
        pictures.append(frames[0].render(0, "rgb_array"))
    assert all(picture.shape == (240, 720, 3) and picture.dtype == np.uint8 for picture in pictures)
    assert (pictures[0] != pictures[1]).any()
    changed = np.flatnonzero((pictures[0] != pictures[2]).any(axis=(0, 2)))
    assert changed.min() >= 60 + 600 * 5 / 30 - 40  # only about the two walkers and the bar between them
    assert changed.max() <= 60 + 600 * 20 / 30 + 40
    with pytest.raises(ValueError, match="cannot be rendered as 'svg'"):
        frames[0].render(0, "svg")
