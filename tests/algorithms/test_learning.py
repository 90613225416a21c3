"""They learn: identity environments to the optimum, CartPole solved, and DAgger stays on the road that BC leaves."""

import numpy as np
import pytest
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import (
    IdentityEnv,
    IdentityEnvBox,
    IdentityEnvMultiBinary,
    IdentityEnvMultiDiscrete,
)
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecNormalize

from gym_ilrl import BC, DAgger, collect, expert
from gym_ilrl import make_vec_env as make_native_vec_env


def copying(observations):
    """The expert of the identity environments: the action is the observation."""
    return observations


IDENTITIES = [
    (lambda: IdentityEnv(dim=4), [PPO, DQN]),
    (lambda: IdentityEnvMultiDiscrete(dim=3), [PPO]),
    (lambda: IdentityEnvMultiBinary(dim=3), [PPO]),
    (lambda: IdentityEnvBox(eps=0.2), [PPO, SAC]),
]
CASES = [(make, base) for make, bases in IDENTITIES for base in bases]


@pytest.mark.parametrize(("make", "base"), CASES, ids=lambda part: getattr(part, "__name__", "env"))
def test_identity(algorithm, make, base):
    env = make_vec_env(make, 2, seed=0)
    options = {"base": base, "learning_rate": 5e-3, "seed": 0}
    if algorithm is BC:
        model = BC("MlpPolicy", env, demonstrations=collect(copying, env, n_episodes=4, seed=0), **options).learn(300)
    else:
        model = DAgger("MlpPolicy", env, expert=copying, n_steps=100, **options).learn(800)
    assert evaluate_policy(model, make_vec_env(make, 1, seed=7), 5)[0] > 95  # of 100


def cart_pole_return(model, normaliser=None):
    env = make_vec_env("CartPole-v1", 5, seed=100)
    if normaliser is not None:
        env = VecNormalize(env, training=False, norm_reward=False)
        env.obs_rms = normaliser.obs_rms
    return evaluate_policy(model, env, 10)[0]


def test_cart_pole_is_solved(algorithm):
    if algorithm is BC:
        demos = collect(expert("CartPole-v1"), "CartPole-v1", n_episodes=4, seed=0)
        model = BC("MlpPolicy", "CartPole-v1", demonstrations=demos, seed=0).learn(600)
    else:
        model = DAgger("MlpPolicy", "CartPole-v1", n_steps=200, seed=0).learn(1000)
    assert cart_pole_return(model) == 500


def test_cart_pole_is_solved_through_vec_normalize(algorithm):
    env = VecNormalize(make_vec_env("CartPole-v1", 2, seed=0))
    if algorithm is BC:
        demos = collect(expert("CartPole-v1"), "CartPole-v1", n_episodes=4, seed=0)
        model = BC("MlpPolicy", env, demonstrations=demos, seed=0).learn(600)
    else:
        model = DAgger("MlpPolicy", env, n_steps=150, seed=0).learn(1200)
    assert cart_pole_return(model, env) > 450


def test_clone_of_a_trained_model_is_finetuned_without_loss():
    """What SB3 gets is the cloned policy: at the first step it already acts as well."""
    demos = collect(expert("CartPole-v1"), "CartPole-v1", n_episodes=4, seed=0)
    model = BC("MlpPolicy", "CartPole-v1", demonstrations=demos, seed=0).learn(600)
    assert cart_pole_return(model.to(PPO)) == 500


@pytest.mark.expensive
def test_dagger_stays_on_the_road_where_cloning_leaves_it():
    """1200 labels each, three seeds: cloning depends on luck, DAgger does not."""
    env_id = "ilrl/LaneKeeping-v0"
    cloned, aggregated = [], []
    for seed in range(3):
        demos = collect(expert(env_id), env_id, n_episodes=2, seed=seed)
        bc = BC("MlpPolicy", env_id, demonstrations=demos, seed=seed).learn(2000)
        dagger = DAgger("MlpPolicy", env_id, n_steps=150, n_epochs=60, patience=None, seed=seed)
        dagger.learn(demos.n_transitions)
        assert dagger.n_labels == demos.n_transitions
        for model, returns in ((bc, cloned), (dagger, aggregated)):
            returns.append(evaluate_policy(model, make_native_vec_env(env_id, 16, seed=1000), 16)[0])
    assert np.mean(aggregated) > max(540, np.mean(cloned) + 40)  # of 600
    assert min(aggregated) > min(cloned) + 100
