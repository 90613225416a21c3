"""Tabular environments against the probabilities that they were given."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from scipy import sparse

from gym_ilrl.envs.compat import NATIVE_VECTOR_ENVS
from gym_ilrl.envs.row_sampler import RowSampler
from gym_ilrl.envs.tabular import TabularDynamics, TabularEnv, TabularVectorEnv

N_ACTIONS, N_STATES = 3, 7


def random_process(seed=0, ending=True):
    """Rows with 1 to 7 next states, two terminal states, one of them without rows."""
    rng = np.random.default_rng(seed)
    weights = rng.exponential(size=(N_ACTIONS, N_STATES, N_STATES))
    weights *= rng.random(weights.shape) < rng.random((N_ACTIONS, N_STATES, 1))
    weights[..., 0] += 0.1
    ends = np.where(rng.random((N_ACTIONS, N_STATES)) < 0.4, rng.random((N_ACTIONS, N_STATES)), 0.0) * ending
    ends[1, 2] = 1.0 * ending
    probabilities = weights / weights.sum(axis=2, keepdims=True) * (1.0 - ends[..., None])
    probabilities[:, 5] = 0.0
    terminal = np.isin(np.arange(N_STATES), [3, 5])
    initial = np.array([0.5, 0.0, 0.2, 0.0, 0.3, 0.0, 0.0])
    reward = rng.normal(size=(N_ACTIONS, N_STATES))
    arguments = {"initial_distribution": initial, "terminal": terminal, "ending": ends if ending else None}
    return {"transition_matrix": probabilities.reshape(-1, N_STATES), "reward": reward, **arguments}


def deviation(counts, p, n):
    """Largest difference of frequencies from probabilities, in standard errors; impossible events must not happen."""
    assert (counts[p == 0.0] == 0).all()
    assert (counts[p == 1.0] == n).all()
    possible = (p > 0.0) & (p < 1.0)
    return (np.abs(counts / n - p) / np.sqrt(np.maximum(p * (1.0 - p), 1e-12) / n))[possible].max(initial=0.0)


@pytest.mark.parametrize("ending", [True, False])
def test_steps_follow_the_model(ending):
    """Every action in every state, 4000 times: arrivals, endings and rewards against the probabilities."""
    repeats, process = 4000, random_process(ending=ending)
    action, state = (array.ravel() for array in np.indices((N_ACTIONS, N_STATES, repeats))[:2])
    dynamics = TabularDynamics(len(state), **process)
    records = dynamics.get_state()
    records["state"], records["over"] = state, process["terminal"][state]
    records["key"] = np.random.default_rng(1).integers(0, 2**63, len(state))
    dynamics.set_state(range(len(state)), records)
    rewards, over = dynamics.step(action)
    to, going = dynamics.observe(), ~process["terminal"][state]
    assert (rewards == np.where(going, process["reward"][action, state], 0.0)).all()
    assert (to[~going] == state[~going]).all()
    assert over[~going].all()
    assert over[process["terminal"][to]].all()
    row = action * N_STATES + state
    # no row is entered and ended without entering at once: what is over elsewhere has ended where it was
    ended = over & ~process["terminal"][to]
    assert (to[ended] == state[ended]).all()
    arrivals = np.zeros((N_ACTIONS * N_STATES, N_STATES))
    np.add.at(arrivals, (row[going & ~ended], to[going & ~ended]), 1.0)
    acting = np.tile(~process["terminal"], N_ACTIONS)
    assert deviation(arrivals[acting], process["transition_matrix"][acting], repeats) < 4.5
    endings = np.bincount(row[ended], minlength=len(arrivals))
    expected = np.zeros(len(arrivals)) if process["ending"] is None else process["ending"].ravel()
    assert deviation(endings[acting], expected[acting], repeats) < 4.5
    assert ended.any() == ending


def test_starts_follow_the_initial_distribution():
    n, process = 20_000, random_process()
    dynamics = TabularDynamics(n, **process)
    dynamics.reset(range(n), [np.random.default_rng(seed) for seed in range(n)])
    counts = np.bincount(dynamics.observe(), minlength=N_STATES)
    assert deviation(counts, process["initial_distribution"], n) < 4.0
    uniform = TabularDynamics(n, **{**process, "initial_distribution": None})
    assert uniform.initial_distribution.tolist() == [0.2, 0.2, 0.2, 0.0, 0.2, 0.0, 0.2]


def test_the_first_step_does_not_depend_on_how_the_start_was_drawn():
    n = 4000
    dynamics = TabularDynamics(n, np.full((2, 2), 0.5), np.zeros((1, 2)))
    dynamics.reset(range(n), [np.random.default_rng(seed) for seed in range(n)])
    start = dynamics.observe()
    dynamics.step(np.zeros(n, dtype=int))
    assert abs((dynamics.observe() == start).mean() - 0.5) < 4 * 0.5 / np.sqrt(n)


def test_a_finished_copy_stays_as_it_is_while_others_go_on():
    dynamics = TabularDynamics(40, **random_process())
    dynamics.reset(range(40), [np.random.default_rng(seed) for seed in range(40)])
    over = np.zeros(40, dtype=bool)
    for t in range(30):
        before = dynamics.get_state()
        rewards, terminated = dynamics.step(np.full(40, t % N_ACTIONS))
        assert (dynamics.get_state()[over] == before[over]).all()
        assert (rewards[over] == 0.0).all()
        assert (terminated >= over).all()
        over = terminated
    assert over.all()


def test_the_published_model_is_the_given_one_and_read_only():
    process = random_process()
    env = TabularEnv(TabularDynamics(1, **process))
    assert (env.transition_matrix.toarray() == process["transition_matrix"]).all()
    for name in ("reward", "initial_distribution", "terminal", "ending"):
        assert (getattr(env, name) == process[name]).all()
        with pytest.raises(ValueError, match="read-only"):
            getattr(env, name)[:] = 0
    with pytest.raises(ValueError, match="read-only"):
        env.transition_matrix.data[:] = 0
    process["transition_matrix"][:] = 0.0
    assert env.transition_matrix.nnz > 0
    assert env.available is None


def test_the_toy_text_form_says_the_same():
    process = random_process()
    env = TabularEnv(TabularDynamics(1, **process))
    assert env.P is env.P
    for state in range(N_STATES):
        for action in range(N_ACTIONS):
            outcomes = env.P[state][action]
            assert all(list(map(type, outcome)) == [float, int, float, bool] for outcome in outcomes)
            assert sum(p for p, *_ in outcomes) == pytest.approx(1.0, abs=1e-12)
            if process["terminal"][state]:
                assert outcomes == [(1.0, state, 0.0, True)]
                continue
            arrivals = np.zeros(N_STATES)
            for p, to, paid, ends in outcomes[: len(outcomes) - (process["ending"][action, state] > 0)]:
                arrivals[to] += p
                assert paid == process["reward"][action, state]
                assert ends == process["terminal"][to]
            assert (arrivals == process["transition_matrix"][action * N_STATES + state]).all()
            if process["ending"][action, state] > 0:
                paid = process["reward"][action, state]
                assert outcomes[-1] == (process["ending"][action, state], state, paid, True)


@pytest.mark.parametrize("n_entries", [1, 2, 3, 4, 5, 8, 9, 100])
def test_every_entry_of_a_row_is_drawn_where_the_cumulative_sum_says(n_entries):
    """Against ``numpy.searchsorted`` on one row among rows of other lengths, at and beside each threshold."""
    rng = np.random.default_rng(n_entries)
    lengths = [3, n_entries, 0, 1, n_entries]
    row = np.repeat(np.arange(5), lengths)
    columns = np.concatenate([rng.permutation(200)[:length] for length in lengths]).astype(int)
    matrix = sparse.csr_matrix((rng.integers(1, 5, len(row)).astype(float), (row, columns)), shape=(5, 200))
    matrix.sort_indices()
    sampler = RowSampler(matrix)
    for index in (1, 4):
        weights, successors = matrix[[index]].data, matrix[[index]].indices
        thresholds = np.cumsum(weights / weights.sum())[:-1]
        u = np.concatenate([[0.0, 1.0 - 2.0**-53], thresholds - 1e-9, thresholds + 1e-9, rng.random(50)])
        expected = successors[np.searchsorted(thresholds, u, side="right")]
        assert (sampler.draw(np.full(len(u), index), u) == expected).all()


def test_a_number_at_a_threshold_belongs_to_the_next_entry():
    """Numbers in [0, 0.25) are the first entry's, so that each has exactly its share of the 2**53 numbers."""
    sampler = RowSampler(sparse.csr_matrix([[0.25, 0.25, 0.5]]))
    u = np.array([0.25 - 2.0**-53, 0.25, 0.5 - 2.0**-53, 0.5])
    assert sampler.draw(np.zeros(4, dtype=int), u).tolist() == [0, 1, 1, 2]


def test_rows_far_down_are_as_exact_as_the_first():
    """Probabilities of 1e-12 in the last of a million rows are told from their neighbours."""
    n = 1_000_000
    data = np.tile([0.5, 0.5], n)
    data[-2:] = [1e-12, 1.0 - 1e-12]
    matrix = sparse.csr_matrix((data, np.tile([0, 1], n), np.arange(0, 2 * n + 1, 2)), shape=(n, 2))
    rows, u = np.full(4, n - 1), np.array([0.0, 0.9e-12, 1.1e-12, 0.3])
    assert RowSampler(matrix).draw(rows, u).tolist() == [0, 0, 1, 1]


def test_a_million_states():
    """A ring: nothing dense, nothing built that is not asked for."""
    n = 1_000_000
    to = np.concatenate([(np.arange(n) + 1) % n, (np.arange(n) - 1) % n])
    matrix = sparse.csr_matrix((np.ones(2 * n), to, np.arange(2 * n + 1)), shape=(2 * n, n))
    dynamics = TabularDynamics(1000, matrix, np.zeros((2, n)))
    dynamics.reset(range(1000), [np.random.default_rng(seed) for seed in range(1000)])
    start, actions = dynamics.observe(), np.arange(1000) % 2
    for _ in range(5):
        dynamics.step(actions)
    assert (dynamics.observe() == (start + np.where(actions == 0, 5, -5)) % n).all()
    assert len(np.unique(start)) > 900


def masked_process():
    matrix = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    return {"transition_matrix": matrix, "reward": np.array([[1.0, 2.0], [3.0, np.nan]])}


def test_an_action_that_does_not_exist_is_marked_and_refused():
    env = TabularEnv(TabularDynamics(1, **masked_process(), initial_distribution=[1.0, 0.0]))
    assert env.available.tolist() == [[True, True], [True, False]]
    state, info = env.reset(seed=0)
    assert info["action_mask"].tolist() == [1, 1]
    state, _, _, _, info = env.step(0)
    assert state == 1
    assert info["action_mask"].tolist() == [1, 0]
    assert {int(env.action_space.sample(info["action_mask"])) for _ in range(20)} == {0}
    before = env.get_state()
    with pytest.raises(ValueError, match="action 1 does not exist in state 1"):
        env.step(1)
    assert env.get_state() == before
    assert env.step(0)[:3] == (0, 2.0, False)


@pytest.mark.filterwarnings("error")
def test_gymnasium_checker():
    check_env(TabularEnv(TabularDynamics(1, **random_process())), skip_render_check=True)


@pytest.mark.skipif(not NATIVE_VECTOR_ENVS, reason="Gymnasium before 1.1 has no such vector environments")
def test_the_vectorised_form_does_what_single_ones_do():
    process = random_process()
    native = TabularVectorEnv(4, max_episode_steps=6, **process)

    def single():
        return gym.wrappers.TimeLimit(TabularEnv(TabularDynamics(1, **process)), 6)

    loop = gym.vector.SyncVectorEnv([single] * 4)
    for envs in (native, loop):
        envs.action_space.seed(0)
    np.testing.assert_array_equal(native.reset(seed=3)[0], loop.reset(seed=3)[0])
    for _ in range(100):
        actions = native.action_space.sample()
        for ours, theirs in zip(native.step(actions)[:4], loop.step(actions)[:4], strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_copies_and_pickles_go_on_alike():
    env = TabularEnv(TabularDynamics(1, **random_process()), render_mode="ansi")
    env.reset(seed=1)
    env.step(0)
    others = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    for t in range(5):
        steps = [one.step(t % N_ACTIONS) for one in (env, *others)]
        assert steps[1:] == steps[:1] * 2
    assert env.render().startswith(f"state {env.observe()} of 7")


def test_rules_of_another_size_refuse_the_state():
    large = TabularEnv(TabularDynamics(1, np.eye(9), np.zeros((1, 9))))
    state = large.get_state()
    state["state"] = 8
    with pytest.raises(ValueError, match="another size"):
        TabularEnv(TabularDynamics(1, np.eye(3), np.zeros((1, 3)))).set_state(state)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transition_matrix": np.zeros((4, 4))}, r"transition_matrix must have the shape \(21, 7\)"),
        ({"transition_matrix": np.full((21, 7), 0.1)}, "action 0 in state 0 must sum to 1 and its reward be finite"),
        ({"transition_matrix": np.full((21, 7), -0.1)}, "must be at least 0"),
        ({"reward": np.zeros(7)}, r"reward must have the shape \(n_actions, n_states\)"),
        ({"reward": np.full((3, 7), np.inf)}, "its reward be finite"),
        ({"terminal": [True]}, "terminal must have the shape"),
        ({"terminal": [True] * 7, "initial_distribution": None}, "every state is terminal"),
        ({"ending": np.zeros((2, 2))}, "ending must have the shape"),
        ({"ending": np.full((3, 7), -1.0)}, "must be at least 0"),
        ({"initial_distribution": [0.5] * 7}, "sums to 3.5"),
        ({"initial_distribution": np.eye(7)[3]}, "state 3 is terminal, and an episode cannot start there"),
        ({"num_envs": 0}, "num_envs must be at least 1"),
    ],
)
def test_bad_models_are_refused_in_a_sentence(changes, message):
    with pytest.raises(ValueError, match=message):
        TabularDynamics(**{"num_envs": 1, **random_process(), **changes})


def test_a_state_without_actions_is_refused():
    with pytest.raises(ValueError, match="state 1 has no action"):
        TabularDynamics(1, [[1.0, 0.0], [0.0, 0.0]], np.zeros((1, 2)))
