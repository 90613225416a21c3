"""Wrong options are refused in one sentence that names them."""

import numpy as np
import pytest
from algorithm_helpers import AnySpaceEnv, parameters, same
from gymnasium import spaces
from stable_baselines3 import DQN, SAC, TD3
from stable_baselines3.common.env_util import make_vec_env

from gym_ilrl import BC, DAgger, Demonstrations, collect, expert

NAN, INF = float("nan"), float("inf")
WRONG = [
    ("batch_size", [0, -1, 2.5, 64.0, "64", None, True, NAN]),
    ("learning_rate", [-1e-3, NAN, INF, "fast", None]),
    ("ent_coef", [-0.1, NAN, INF, "auto", None]),
    ("l2_coef", [-0.1, NAN, INF, "0.1", None]),
    ("max_grad_norm", [0, -1, NAN, INF, "0.5"]),
    ("validation_fraction", [1, 1.5, -0.1, NAN, "0.1", None]),
    ("patience", [0, -1, 1.5, "3", NAN]),
    ("log_std", ["fixed", None, 0.0]),
    ("log_std_bounds", [(1, 0), (0,), None, 3, (NAN, 1), ("a", "b"), (-1, 0, 1)]),
    ("class_weight", ["balance", True, {0: 1.0}]),
    ("sequence_length", [0, -3, 1.5, None]),
]
WRONG_DAGGER = [
    ("n_steps", [0, -1, 2.5, "500", None]),
    ("n_epochs", [0, -1, 2.5, None]),
    ("beta_schedule", ["constant", None, 0.5, [1, 0]]),
]


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG for value in values])
def test_wrong_option(algorithm, name, value):
    with pytest.raises(ValueError, match=name) as caught:
        algorithm(env="CartPole-v1", **{name: value})
    assert "\n" not in str(caught.value)


def test_demonstrations_given_first_as_another_library_takes_them(algorithm):
    demos = collect(expert("CartPole-v1"), "CartPole-v1", n_episodes=1, seed=0)
    with pytest.raises(TypeError, match="policy must be a policy class, or an alias such as 'MlpPolicy', not <Demo"):
        algorithm(demos, "CartPole-v1")


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG_DAGGER for value in values])
def test_wrong_option_of_dagger(name, value):
    with pytest.raises(ValueError, match=name):
        DAgger(env="CartPole-v1", **{name: value})


@pytest.mark.parametrize("value", [NAN, -0.1, 1.1])
def test_beta_that_is_no_probability(value):
    with pytest.raises(ValueError, match="expected a probability"):
        DAgger(env="CartPole-v1", beta_schedule=lambda round_number: value).learn(10)


def test_numpy_numbers_are_numbers(algorithm):
    options = {"batch_size": np.int64(8), "learning_rate": np.float64(1e-3), "validation_fraction": np.float64(0.5)}
    algorithm(env="CartPole-v1", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": SAC, "ent_coef": 0.1}, "ent_coef"),
        ({"base": TD3, "loss_kwargs": {"mode": "mse"}}, "loss_kwargs"),
        ({"base": SAC, "loss_kwargs": {"tau": 1}}, "loss_kwargs must be among .*mode"),
        ({"base": SAC, "log_std": "residual"}, "log_std"),
        ({"class_weight": "balanced"}, "Discrete"),
        ({"use_sde": True, "log_std": "residual"}, "log_std"),
    ],
)
def test_option_the_policy_has_no_use_for(algorithm, options, message):
    with pytest.raises(ValueError, match=message):
        algorithm(env="Pendulum-v1", **options)


def test_gaussian_option_of_a_categorical_policy(algorithm):
    with pytest.raises(ValueError, match="log_std='residual' needs"):
        algorithm(env="CartPole-v1", log_std="residual")


def test_loss_options_reach_the_loss(demos):
    wide, narrow = (
        BC(env="CartPole-v1", base=DQN, demonstrations=demos, seed=0, loss_kwargs={"mode": "margin", "margin": margin})
        for margin in (0.8, 8.0)
    )
    losses = []
    for model in (wide, narrow):
        model.learn(1, callback=lambda locals_, globals_: losses.append(locals_["fit"].mean_loss()) is None)
    assert losses[1] == pytest.approx(10 * losses[0], rel=0.2)  # at first the margin is nearly all there is


def test_wrong_loss_option_is_refused_in_learn(demos):
    model = BC(env="CartPole-v1", base=DQN, demonstrations=demos, loss_kwargs={"mode": "nonsense"})
    with pytest.raises(ValueError, match="nonsense"):
        model.learn(1)


def test_options_changed_later_are_checked_later(demos):
    model = BC(env="CartPole-v1", demonstrations=demos)
    model.batch_size = 0
    with pytest.raises(ValueError, match="batch_size"):
        model.learn(1)


def test_nothing_to_learn_from():
    with pytest.raises(ValueError, match="set_demonstrations"):
        BC(env="CartPole-v1").learn(1)


@pytest.mark.parametrize("given", [[1, 2], np.zeros(3), {"obs": 1}, 5])
def test_no_demonstrations(algorithm, given):
    with pytest.raises(TypeError, match="demonstrations must be"):
        algorithm(env="CartPole-v1", demonstrations=given)


def test_demonstrations_of_another_environment(algorithm, demos):
    with pytest.raises(ValueError, match="do not fit the environment"):
        algorithm(env="Pendulum-v1", demonstrations=demos)
    with pytest.raises(ValueError, match="do not fit the environment"):
        algorithm(env="Pendulum-v1").set_demonstrations(demos)


def test_demonstrations_that_do_not_exist(algorithm, tmp_path):
    with pytest.raises(FileNotFoundError):
        algorithm(env="CartPole-v1", demonstrations=tmp_path / "none.npz")


def test_nested_dict_and_infinite_actions_are_refused_by_sb3(algorithm):
    nested = spaces.Dict({"a": spaces.Dict({"b": spaces.Discrete(2)})})
    with pytest.raises(NotImplementedError, match="Nested"):
        algorithm("MultiInputPolicy", AnySpaceEnv(nested, spaces.Discrete(2)))
    with pytest.raises(AssertionError, match="finite"):
        algorithm("MlpPolicy", AnySpaceEnv(spaces.Discrete(2), spaces.Box(-np.inf, np.inf, (1,))))


def one_step(space=None):
    space = space or spaces.Box(-1, 1, (2,))
    return Demonstrations.from_arrays([np.zeros((2, 2), np.float32)], [np.array([1])], (space, spaces.Discrete(2)))


def test_one_episode_of_one_step_without_rewards():
    demos = one_step()
    assert demos.rewards is None
    model = BC(demonstrations=demos, batch_size=1000, learning_rate=0.05).learn(30)
    assert model.predict(np.zeros(2, np.float32), deterministic=True)[0] == 1


def test_one_episode_cannot_be_held_out():
    with pytest.raises(ValueError, match="holds out none or all"):
        BC(demonstrations=one_step(), validation_fraction=0.5).learn(1)


def test_demonstrations_alone_make_a_model_but_no_steps(demos):
    model = BC("MlpPolicy", demonstrations=demos, seed=0).learn(20)
    assert model.predict(np.zeros(4, np.float32))[0] in (0, 1)
    with pytest.raises(ValueError, match=r"set_env\(env\)"):
        model.get_env().step([0])
    with pytest.raises(ValueError, match=r"set_env\(env\)"):
        DAgger("MlpPolicy", demonstrations=demos).learn(20)
    model.set_env(make_vec_env("CartPole-v1"))
    model.get_env().reset()
    model.get_env().step([0])


def test_neither_environment_nor_demonstrations(algorithm):
    with pytest.raises(ValueError, match="give env= or demonstrations="):
        algorithm("MlpPolicy")


def test_zero_updates_change_nothing(demos):
    model = BC(env="CartPole-v1", demonstrations=demos)
    before = parameters(model)
    model.learn(0)
    assert model.num_timesteps == 0
    assert same(before, parameters(model))


def test_images_need_no_environment():
    image = spaces.Box(0, 255, (36, 36, 3), np.uint8)
    env = AnySpaceEnv(image, spaces.Discrete(2))
    demos = collect(lambda observations: np.zeros(len(observations), dtype=int), env, n_episodes=1)
    model = BC("CnnPolicy", demonstrations=demos).learn(2)
    assert model.observation_space.shape == (3, 36, 36)
    assert model.predict(image.sample())[0] in (0, 1)


def test_verbose_says_something(demos, capsys):
    BC(env="CartPole-v1", demonstrations=demos, verbose=1).learn(100)
    assert "imitation/" in capsys.readouterr().out
    DAgger(env="CartPole-v1", expert=expert("CartPole-v1"), n_steps=20, verbose=1).learn(20)
    assert "expert_steps" in capsys.readouterr().out
