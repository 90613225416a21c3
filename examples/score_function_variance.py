"""How noisy the score-function estimator is, and what each baseline takes away.

Every number is the variance of the gradient that ``REINFORCE`` itself computes at a policy that stands still
(``learning_rate=0``), over many rollouts.

1. A bandit of one step: two equally likely actions that earn 100 and 110 on average, with noise of deviation 5. The
   policy's one parameter theta moves the two logits apart, so the score is +1 or -1, and the gradient of a trajectory
   is g = score * reward. With r = 105 + 5 score + noise, g = 105 score + 5 + score * noise: its variance is
   105^2 + 5^2 = 11050. Less a baseline of 105 it is g = 5 + score * noise: variance 25. (Without the noise, 11050 and
   25 are the second moments E[g^2], and the variances are 11025 and 0.) A mean over the n - 1 other trajectories of the
   rollout costs a little more than the true one: 25 + 75 / (n - 1).
2. CartPole-v1 under a policy halfway to good: whole returns against rewards to go, and each baseline. (The critic also
   stands in for what comes after the rollout's end, so its returns are longer, and noisier, than the others'.)

Prints a table and saves ``outputs/score_function_variance.png``. Takes about half a minute on one core.
"""

import argparse
from pathlib import Path

import gymnasium as gym
import matplotlib
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback

from gym_ilrl import REINFORCE, make_vec_env

matplotlib.use("Agg")  # writes a file, opens no window
import matplotlib.pyplot as plt

BASELINES = ("none", "mean", "optimal", "value")
VARIANCE_WITHOUT, VARIANCE_WITH = 11050.0, 25.0  # of the bandit, derived above


class Bandit(gym.Env):
    """Two actions, one step, rewards of 100 and 110 with noise of deviation 5."""

    observation_space = spaces.Box(1.0, 1.0, (1,))
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        """Begin the one step."""
        super().reset(seed=seed)
        return np.ones(1, dtype=np.float32), {}

    def step(self, action):
        """Earn."""
        reward = 100.0 + 10.0 * action + 5.0 * self.np_random.normal()
        return np.ones(1, dtype=np.float32), float(reward), True, False, {}


class Gradients(BaseCallback):
    """Keeps the gradient of the policy's last layer after every update."""

    def __init__(self) -> None:
        super().__init__()
        self.samples: list[torch.Tensor] = []

    def _on_rollout_start(self) -> None:
        gradient = [parameter.grad for parameter in self.model.policy.action_net.parameters()]
        if gradient[0] is not None:
            self.samples.append(-torch.cat([part.flatten() for part in gradient]))

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        self._on_rollout_start()


def gradient_samples(model: REINFORCE, n_updates: int) -> torch.Tensor:
    """Return the gradients of ``n_updates`` rollouts under the same policy, one a row."""
    gradients = Gradients()
    model.learn(n_updates * model.n_steps * model.n_envs, callback=gradients, log_interval=None)
    return torch.stack(gradients.samples)


def bandit_variance(baseline: str, n_trajectories: int = 20, n_updates: int = 500, seed: int = 0) -> float:
    """Return the variance of one trajectory's d/d theta: that of the rollout's mean, times its trajectories."""
    env = make_vec_env(Bandit, n_trajectories, seed=seed)
    options = {"learning_rate": 0.0, "n_steps": 1, "max_grad_norm": 1e9, "policy_kwargs": {"net_arch": []}}
    model = REINFORCE("MlpPolicy", env, baseline=baseline, seed=seed, **options)
    for parameter in model.policy.parameters():
        torch.nn.init.zeros_(parameter)  # both actions equally likely
    torch.nn.init.constant_(model.policy.value_net.bias, 105.0)  # a critic that knows
    bias = gradient_samples(model, n_updates)[:, -2:]
    d_theta = bias[:, 1] - bias[:, 0]  # logits -theta and theta
    return float(d_theta.var()) * n_trajectories


def cart_pole_variance(trained: REINFORCE, n_updates: int, **options) -> float:
    """Return the variance of the whole gradient of a rollout of 500 steps, at the policy of ``trained``."""
    env = make_vec_env("CartPole-v1", 2, seed=1)
    model = REINFORCE("MlpPolicy", env, learning_rate=0.0, n_steps=250, max_grad_norm=1e9, seed=1, **options)
    model.set_parameters(trained.get_parameters())
    model.policy.optimizer.param_groups[0]["lr"] = 0.0
    return float(gradient_samples(model, n_updates).var(dim=0).sum())


def halfway(seed: int) -> REINFORCE:
    """Return a policy halfway to good, with a critic that knows what it is worth."""
    env = make_vec_env("CartPole-v1", 2, seed=seed)
    return REINFORCE("MlpPolicy", env, baseline="value", learning_rate=3e-3, n_steps=250, seed=seed).learn(20_000)


def draw(bandit: dict[str, float], cart_pole: dict[str, float], path: Path) -> None:
    """Draw both experiments, logarithmic."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    titles = ("One-step bandit", "CartPole-v1, 500 steps")
    for axis, values, title in zip(axes, (bandit, cart_pole), titles, strict=True):
        colours = ["#999999" if name in ("none", "whole returns") else "#1b7f5c" for name in values]
        bars = axis.bar(list(values), list(values.values()), color=colours)
        axis.bar_label(bars, [f"{value:,.0f}" if value > 100 else f"{value:.3g}" for value in values.values()])
        axis.set(title=title, yscale="log", ylabel="variance of the gradient")
        axis.margins(y=0.2)
        axis.tick_params(axis="x", labelrotation=20)
        axis.spines[["top", "right"]].set_visible(False)
    for value, style in ((VARIANCE_WITHOUT, "--"), (VARIANCE_WITH, ":")):
        axes[0].axhline(value, linestyle=style, color="#d1495b", linewidth=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=500, help="rollouts of the bandit; a tenth as many of CartPole")
    parser.add_argument("--output", type=Path, default=Path("outputs/score_function_variance.png"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # small networks

    bandit = {name: bandit_variance(name, n_updates=arguments.updates) for name in BASELINES}
    trained, n_updates = halfway(seed=0), max(2, arguments.updates // 10)
    cart_pole = {"whole returns": cart_pole_variance(trained, n_updates, baseline="none", causal=False)}
    for name in BASELINES:
        cart_pole[name] = cart_pole_variance(trained, n_updates, baseline=name)
    print(f"bandit, derived: {VARIANCE_WITHOUT:.0f} without a baseline, {VARIANCE_WITH:.0f} with")
    for title, values in (("bandit", bandit), ("CartPole-v1", cart_pole)):
        for name, value in values.items():
            print(f"{title:12} {name:14} {value:12.4g}")
    draw(bandit, cart_pole, arguments.output)
    print(f"saved {arguments.output}")


if __name__ == "__main__":
    main()
