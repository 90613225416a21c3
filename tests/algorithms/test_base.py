"""``base=``: the policy of every SB3 and sb3-contrib algorithm, and the way back into the algorithm."""

import gymnasium as gym
import numpy as np
import pytest
import sb3_contrib
import torch as th
from algorithm_helpers import AnySpaceEnv, parameters, same
from gymnasium import spaces
from sb3_contrib import ARS, QRDQN, TQC, TRPO, RecurrentPPO
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.policies import ActorCriticPolicy

from gym_ilrl import BC, collect, expert

CONTINUOUS = [PPO, A2C, TRPO, SAC, TD3, DDPG, TQC, RecurrentPPO]
CONTINUOUS += [sb3_contrib.CrossQ] if hasattr(sb3_contrib, "CrossQ") else []  # since 2.4
DISCRETE = [PPO, A2C, TRPO, DQN, QRDQN, RecurrentPPO]
ON_POLICY = (PPO, A2C, TRPO, RecurrentPPO)

CASES = [("Pendulum-v1", base) for base in CONTINUOUS] + [("CartPole-v1", base) for base in DISCRETE]


@pytest.fixture(scope="module")
def recorded():
    return {
        env_id: collect(expert(env_id), env_id, n_timesteps=100, seed=0) for env_id in ("Pendulum-v1", "CartPole-v1")
    }


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1].__name__}")
def case(request, recorded):
    env_id, base = request.param
    return env_id, base, recorded[env_id]


def alias(base):
    return next(iter(base.policy_aliases))  # MlpPolicy or MlpLstmPolicy


def small(base):
    if not issubclass(base, ON_POLICY):
        return {"learning_starts": 50, "buffer_size": 100, "train_freq": 1, "gradient_steps": 1}
    return {"n_steps": 32} if base is A2C else {"n_steps": 32, "batch_size": 32}


def test_clone_becomes_the_algorithm(case, algorithm, tmp_path):
    env_id, base, demos = case
    options = {} if algorithm is BC else {"n_steps": 20, "n_epochs": 1}
    options["policy_kwargs"] = {"net_arch": [16]}
    model = algorithm(alias(base), env_id, base=base, demonstrations=demos, seed=0, **options).learn(20)
    assert all(th.isfinite(value).all() for value in parameters(model).values())
    agent = model.to(base, gym.make(env_id), seed=0, **small(base))
    assert type(agent) is base
    observations = demos.transitions().observations[:9]
    expected, _ = model.predict(observations, deterministic=True)
    np.testing.assert_array_equal(agent.predict(observations, deterministic=True)[0], expected)

    agent.save(tmp_path / "agent")
    loaded = base.load(tmp_path / "agent", env=gym.make(env_id))
    np.testing.assert_array_equal(loaded.predict(observations, deterministic=True)[0], expected)
    before = parameters(model)
    loaded.learn(64)
    agent.learn(64)
    assert not same(before, parameters(agent))
    assert same(before, parameters(model))  # the agent has a copy


def test_clone_survives_saving(case, algorithm, tmp_path):
    env_id, base, _ = case
    model = algorithm(alias(base), env_id, base=base, seed=0)
    model.save(tmp_path / "model")
    loaded = algorithm.load(tmp_path / "model", env=gym.make(env_id))
    assert loaded.base is base
    assert same(parameters(model), parameters(loaded))
    agent = loaded.to(env=gym.make(env_id), **small(base))
    assert type(agent) is base


@pytest.mark.parametrize(
    ("base", "online", "target"),
    [
        (TD3, "actor", "actor_target"),
        (DDPG, "actor", "actor_target"),
        (DQN, "q_net", "q_net_target"),
        (QRDQN, "quantile_net", "quantile_net_target"),
    ],
)
def test_target_networks_start_as_the_clone(recorded, base, online, target):
    env_id = "Pendulum-v1" if base in (TD3, DDPG) else "CartPole-v1"
    agent = BC("MlpPolicy", env_id, base=base, demonstrations=recorded[env_id]).learn(20).to()
    assert same(getattr(agent.policy, online).state_dict(), getattr(agent.policy, target).state_dict())


def test_only_the_actor_is_cloned(recorded):
    model = BC("MlpPolicy", "Pendulum-v1", base=SAC, demonstrations=recorded["Pendulum-v1"], l2_coef=0.1)
    before = parameters(model)
    model.learn(5)
    moved = {name.split(".")[0] for name, value in parameters(model).items() if not th.equal(value, before[name])}
    assert moved == {"actor"}


def test_relatives_share_policies(recorded):
    model = BC("MlpPolicy", "CartPole-v1", demonstrations=recorded["CartPole-v1"]).learn(5)
    for algorithm in (A2C, TRPO):
        assert same(parameters(model), model.to(algorithm).policy.state_dict())


def test_arguments_of_the_policy_go_along(algorithm):
    given = {"net_arch": [8], "activation_fn": th.nn.ReLU}
    for base in (A2C, SAC, DDPG):
        model = algorithm("MlpPolicy", "Pendulum-v1", base=base, policy_kwargs=given)
        agent = model.to()
        assert same(parameters(model), agent.policy.state_dict())
    assert given == {"net_arch": [8], "activation_fn": th.nn.ReLU}


@pytest.mark.parametrize("base", [PPO, A2C, SAC])
def test_state_dependent_exploration(recorded, base, algorithm):
    options = {"use_sde": True, "base": base, "demonstrations": recorded["Pendulum-v1"]}
    model = algorithm("MlpPolicy", "Pendulum-v1", **options).learn(10)
    agent = model.to(base, **small(base))
    assert agent.use_sde
    agent.learn(40)


def test_base_by_name():
    assert BC("MlpPolicy", "CartPole-v1", base="QRDQN").base is QRDQN


@pytest.mark.parametrize("base", [ARS, "ARS"])
def test_ars_is_refused(base, algorithm):
    with pytest.raises(ValueError, match="ARS has no gradient"):
        algorithm(env="Pendulum-v1", base=base)


@pytest.mark.parametrize("base", ["PPPO", "common", 3, None, ActorCriticPolicy, PPO("MlpPolicy", "CartPole-v1")])
def test_no_algorithm_is_refused(base, algorithm):
    with pytest.raises(ValueError, match="base must be"):
        algorithm(env="CartPole-v1", base=base)


@pytest.mark.parametrize(("base", "env_id"), [(SAC, "CartPole-v1"), (DQN, "Pendulum-v1")])
def test_base_that_cannot_act_there_is_refused(base, env_id, algorithm):
    with pytest.raises(ValueError, match=f"{base.__name__} cannot build its"):
        algorithm(env=env_id, base=base)


@pytest.mark.parametrize(("base", "other"), [(PPO, SAC), (SAC, PPO), (SAC, TQC), (TD3, SAC), (RecurrentPPO, PPO)])
def test_policies_that_do_not_fit_are_refused(base, other):
    model = BC(alias(base), "Pendulum-v1", base=base)
    with pytest.raises(ValueError, match=f"no policy of {other.__name__}"):
        model.to(other)
    with pytest.raises(ValueError, match=f"no policy of {other.__name__}"):
        BC(model.policy_class, "Pendulum-v1", base=other)


def test_another_architecture_is_refused():
    model = BC("MlpPolicy", "Pendulum-v1")
    with pytest.raises(ValueError, match="same policy_kwargs"):
        model.to(PPO, policy_kwargs={"net_arch": [7]})


def test_unknown_policy_names_those_that_are_known(algorithm):
    with pytest.raises(ValueError, match=r"MlpLstm unknown to RecurrentPPO; it knows .*MlpLstmPolicy"):
        algorithm("MlpLstm", "CartPole-v1", base=RecurrentPPO)


def test_images_go_back_with_their_algorithm():
    env = gym.make("CartPole-v1")
    space = spaces.Box(0, 255, (36, 36, 3), np.uint8)
    env = gym.Wrapper(env)
    env.observation_space = space
    model = BC("CnnPolicy", env)
    assert same(parameters(model), model.to(PPO, n_steps=8, batch_size=8).policy.state_dict())


def test_actions_that_do_not_begin_at_zero_are_no_matter_for_sb3(algorithm):
    env = AnySpaceEnv(spaces.Box(-1, 1, (2,)), spaces.Discrete(3, start=1))
    with pytest.raises(ValueError, match="begin at zero"):
        algorithm(env=env).to(PPO)
