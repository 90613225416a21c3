import pickle

import numpy as np
import pytest
import torch as th
from buffer_helpers import ACTIONS, OBSERVATIONS, add_online, demonstrations, is_demo, scaled, steps_of
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.utils import set_random_seed

from gym_ilrl import Demonstrations
from gym_ilrl.buffers import DemoDictReplayBuffer, DemoReplay, DemoReplayBuffer


def make(demos=None, size=50, cls=DemoReplayBuffer, observation_space=OBSERVATIONS, action_space=ACTIONS, **kwargs):
    return cls(size, observation_space, action_space, device="cpu", demonstrations=demos, **kwargs)


def check_rows(samples, demos):
    """Compare every row with the step that its observation names."""
    steps = steps_of(demos)
    for i in range(len(samples.rewards)):
        step = steps[float(samples.observations[i, 0])]
        np.testing.assert_array_equal(samples.next_observations[i].numpy(), step["next_observation"])
        np.testing.assert_allclose(samples.actions[i].numpy(), scaled(step["action"]), atol=1e-6)
        assert samples.rewards[i].item() == pytest.approx(step["reward"], rel=1e-6)
        assert samples.dones[i].item() == step["terminated"]  # a truncated end bootstraps


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    data=st.data(),
    fraction=st.floats(0, 1),
    batch_size=st.integers(1, 40),
    n_envs=st.integers(1, 3),
    n_online=st.integers(0, 8),
)
def test_batches_are_of_the_size_asked_and_of_the_demonstrated_steps(
    lengths, data, fraction, batch_size, n_envs, n_online
):
    ends = data.draw(
        st.lists(st.sampled_from(["terminated", "truncated"]), min_size=len(lengths), max_size=len(lengths))
    )
    demos = demonstrations(lengths, ends)
    buffer = make(demos, size=5 * n_envs, demo_fraction=fraction, n_envs=n_envs)
    add_online(buffer, n_online)
    samples = buffer.sample(batch_size)
    assert {len(field) for field in samples if field is not None} == {batch_size}
    rows = is_demo(samples)
    if n_online == 0:
        assert rows.all()
    else:
        assert int(np.floor(fraction * batch_size)) <= rows.sum() <= int(np.ceil(fraction * batch_size))
    where = th.as_tensor(rows)
    check_rows(type(samples)(*(None if field is None else field[where] for field in samples)), demos)
    assert (samples.rewards[~where] == 0.5).all()
    assert buffer.size() == min(n_online, 5)
    assert buffer.full == (n_online >= 5)


def test_every_demonstrated_step_is_sampled():
    demos = demonstrations()
    samples = make(demos).sample(500)
    assert set(samples.observations[:, 0].tolist()) == set(steps_of(demos))
    check_rows(samples, demos)


def test_rows_are_the_same_one_by_one_and_at_once():
    class Plain(ReplayBuffer):
        def add(self, *args):
            super().add(*args)

    class DemoPlain(DemoReplay, Plain):
        pass

    demos = demonstrations((4, 1, 3), ("terminated", "truncated", "truncated"))
    at_once, by_row = make(demos).demonstrations_buffer, make(demos, cls=DemoPlain).demonstrations_buffer
    assert type(at_once) is ReplayBuffer
    assert type(by_row) is Plain
    assert at_once.size() == by_row.size() == demos.n_transitions
    for name in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
        left, right = getattr(at_once, name), getattr(by_row, name)
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)


def test_fraction_0_draws_what_the_plain_buffer_draws():
    buffer, plain = make(demonstrations(), demo_fraction=0.0), ReplayBuffer(50, OBSERVATIONS, ACTIONS, device="cpu")
    for each in (buffer, plain):
        add_online(each, 30)
    set_random_seed(3)
    ours = buffer.sample(20)
    set_random_seed(3)
    theirs = plain.sample(20)
    assert all(th.equal(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None)


def test_a_fraction_that_does_not_divide_the_batch_is_right_on_average():
    buffer = make(demonstrations(), demo_fraction=0.03)
    add_online(buffer, 10)
    set_random_seed(0)
    counts = [is_demo(buffer.sample(10)).sum() for _ in range(4000)]
    assert set(counts) == {0, 1}
    assert np.mean(counts) == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / 4000))


def test_annealing_counts_the_transitions_of_all_environments():
    buffer = make(demonstrations(), demo_fraction=0.8, final_demo_fraction=0.2, anneal_timesteps=40, n_envs=2, size=10)
    fractions = [buffer.demo_fraction]
    for _ in range(5):
        add_online(buffer, 5)  # 10 transitions
        fractions.append(buffer.demo_fraction)
    np.testing.assert_allclose(fractions, [0.8, 0.65, 0.5, 0.35, 0.2, 0.2])
    assert is_demo(buffer.sample(10)).sum() == 2
    assert pickle.loads(pickle.dumps(buffer)).demo_fraction == pytest.approx(0.2)


@pytest.mark.parametrize("n_envs", [1, 3])
def test_memory_optimisation_of_the_online_part_leaves_the_demonstrations_whole(n_envs):
    demos = demonstrations((4, 1, 3), ("terminated", "terminated", "terminated"))
    kwargs = {"optimize_memory_usage": True, "handle_timeout_termination": False}
    buffer = make(demos, n_envs=n_envs, size=6 * n_envs, **kwargs)
    add_online(buffer, 9)
    assert buffer.optimize_memory_usage
    samples = buffer.sample(100)
    check_rows(type(samples)(*(None if field is None else field[50:] for field in samples)), demos)
    online = samples.observations[:50, 0]
    assert th.equal(samples.next_observations[:50, 0], online + 1)


@pytest.mark.parametrize(
    "action_space", [spaces.Discrete(4), spaces.MultiDiscrete([3, 2]), spaces.MultiBinary(3)], ids=lambda s: str(s)
)
def test_actions_that_are_no_box_are_stored_as_they_are(action_space):
    demos = demonstrations(action_space=action_space)
    samples = make(demos, action_space=action_space).sample(50)
    steps = steps_of(demos)
    assert samples.actions.dtype == th.as_tensor(np.zeros(1, action_space.dtype)).dtype
    for observation, action in zip(samples.observations[:, 0].tolist(), samples.actions, strict=True):
        np.testing.assert_array_equal(action.numpy(), np.atleast_1d(steps[observation]["action"]))


def test_discrete_observations():
    space = spaces.Discrete(5)
    arrays = {"observations": np.array([0, 3, 4]), "actions": np.array([1, 0]), "rewards": np.array([1.0, 2.0])}
    demos = Demonstrations.from_episodes([arrays], (space, spaces.Discrete(2)))
    samples = make(demos, observation_space=space, action_space=spaces.Discrete(2)).sample(20)
    assert samples.observations.shape == (20, 1)
    rows = {tuple(row) for row in th.cat(samples[:3], dim=1).tolist()}
    assert rows == {(0, 1, 3), (3, 0, 4)}


def image_demonstrations(space, key=None):
    space.seed(0)
    images = np.stack([space.sample() for _ in range(4)])
    observations = images if key is None else {key: images, "n": np.arange(4)}
    whole = space if key is None else spaces.Dict({key: space, "n": spaces.Discrete(4)})
    episode = {"observations": observations, "actions": np.array([0, 1, 0]), "rewards": np.arange(3.0)}
    return Demonstrations.from_episodes([episode], (whole, spaces.Discrete(2))), images


IMAGE = spaces.Box(0, 255, (36, 40, 3), np.uint8)
TRANSPOSED = spaces.Box(0, 255, (3, 36, 40), np.uint8)


def test_images_lie_as_the_algorithm_sees_them():
    demos, images = image_demonstrations(IMAGE)
    samples = make(demos, observation_space=TRANSPOSED, action_space=spaces.Discrete(2)).sample(10)
    assert samples.observations.dtype == th.uint8
    for row, reward in enumerate(samples.rewards.flatten().long().tolist()):
        np.testing.assert_array_equal(samples.observations[row].numpy(), np.moveaxis(images[reward], -1, 0))
        np.testing.assert_array_equal(samples.next_observations[row].numpy(), np.moveaxis(images[reward + 1], -1, 0))


def test_images_that_vec_normalize_makes_floats():
    demos, images = image_demonstrations(IMAGE)
    floats = spaces.Box(-10, 10, IMAGE.shape, np.float32)
    samples = make(demos, observation_space=floats, action_space=spaces.Discrete(2)).sample(10)
    for row, reward in enumerate(samples.rewards.flatten().long().tolist()):
        np.testing.assert_array_equal(samples.observations[row].numpy(), images[reward])


def test_dict_observations_with_images_and_discrete_keys():
    demos, images = image_demonstrations(IMAGE, key="image")
    space = spaces.Dict({"image": TRANSPOSED, "n": spaces.Discrete(4)})
    buffer = make(demos, cls=DemoDictReplayBuffer, observation_space=space, action_space=spaces.Discrete(2))
    samples = buffer.sample(10)
    for row, reward in enumerate(samples.rewards.flatten().long().tolist()):
        assert samples.observations["n"][row].item() == reward
        assert samples.next_observations["n"][row].item() == reward + 1
        np.testing.assert_array_equal(samples.observations["image"][row].numpy(), np.moveaxis(images[reward], -1, 0))


def test_pickling_and_moving_to_another_device():
    buffer = make(demonstrations(), demo_reward=lambda o, a, n: o[:, 0])
    add_online(buffer, 5)
    restored = pickle.loads(pickle.dumps(buffer))
    set_random_seed(0)
    ours = buffer.sample(12)
    set_random_seed(0)
    theirs = restored.sample(12)
    assert all(th.equal(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None)
    restored.device = th.device("meta")
    assert restored.sample(4).observations.device.type == "meta"


def test_demonstrations_can_be_set_later_or_taken_away(tmp_path):
    demos = demonstrations()
    demos.save(tmp_path / "demos.npz")
    buffer = make(str(tmp_path / "demos.npz"))
    assert buffer.demonstrations_buffer.size() == demos.n_transitions
    buffer.set_demonstrations(demonstrations((5,), ("terminated",)))
    assert buffer.demonstrations_buffer.size() == 5
    buffer.set_demonstrations(None)
    assert buffer.demonstrations_buffer is None
    add_online(buffer, 3)
    assert not is_demo(buffer.sample(10)).any()


REFUSED = [
    ({"demo_fraction": 1.5}, "demo_fraction must be"),
    ({"demo_fraction": float("nan")}, "demo_fraction must be"),
    ({"final_demo_fraction": 0.1}, "annealing needs both"),
    ({"anneal_timesteps": 10}, "annealing needs both"),
    ({"final_demo_fraction": -0.1, "anneal_timesteps": 10}, "final_demo_fraction must be"),
    ({"final_demo_fraction": 0.1, "anneal_timesteps": 0}, "anneal_timesteps must be"),
    ({"demo_reward": "one"}, "demo_reward must be"),
    ({"online_reward": float("inf")}, "online_reward must be"),
    ({"demos": demonstrations(rewards=False)}, "no rewards; give demo_reward"),
    ({"demos": demonstrations(action_space=spaces.Discrete(2))}, "action space"),
    ({"observation_space": spaces.Box(-1, 1, (2,)), "demos": demonstrations()}, "observation space"),
    ({"observation_space": spaces.Dict({"a": OBSERVATIONS})}, "use DemoDictReplayBuffer"),
    ({"cls": DemoDictReplayBuffer}, "use DemoReplayBuffer"),
    ({"action_space": spaces.Discrete(2, start=1), "demos": demonstrations()}, "count the actions from 0"),
]


@pytest.mark.parametrize(("kwargs", "message"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        make(**kwargs)


def test_no_demonstrations_at_all_is_refused_by_type():
    with pytest.raises(TypeError, match="path of a saved one"):
        make(demos=3)
