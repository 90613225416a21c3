"""RLPD's arguments give SACfD with RLPD's parts and none of the others."""

from gym_ilrl import SACfD, collect, expert
from gym_ilrl.algorithms.rlpd import rlpd_kwargs
from gym_ilrl.policies import LayerNormSACPolicy


def test_sacfd_takes_them(tmp_path):
    demos = collect(expert("Pendulum-v1"), "Pendulum-v1", n_episodes=1, seed=0)
    arguments = {**rlpd_kwargs(n_critics=3, gradient_steps=2), "learning_starts": 10, "batch_size": 8}
    model = SACfD(env="Pendulum-v1", demonstrations=demos, seed=0, device="cpu", **arguments)
    model.learn(15)
    assert isinstance(model.policy, LayerNormSACPolicy)
    assert model._n_updates == 2 * 5  # no pretraining, and two updates for each step after the tenth
    assert model._extensions == []
    assert model.replay_buffer.demo_fraction == 0.5
    model.save(tmp_path / "model")
    loaded = SACfD.load(tmp_path / "model", device="cpu")
    assert (loaded.policy.critic.n_critics, loaded.policy.critic_target.n_drawn) == (3, 2)
