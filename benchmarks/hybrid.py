"""The hybrid objective: its gradient against the explicit sum, and what it costs in each update."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import gymnasium as gym
import sb3_contrib
import stable_baselines3
import torch as th
from sb3_contrib import TRPO
from sb3_contrib.common.envs import InvalidActionEnvDiscrete
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.distributions import kl_divergence

from benchmarks.harness import Report, compare, main
from gym_ilrl import Demonstrations, collect, expert, imitation_loss
from gym_ilrl.callbacks import GradientCallback, HybridObjective, KLAnchor
from gym_ilrl.callbacks.hooks import flatten
from gym_ilrl.losses.actor import actor_optimizer
from gym_ilrl.supervised.demonstration_batches import DemonstrationBatches

COEF = 0.3
TARGETS = {"PPO": 1.25, "SAC": 1.15}
LARGEST_DIFFERENCE = 1e-6

TEXT = """\
Gradient: the one that the actor's first step is made with, in a run with `HybridObjective`, beside the sum of the
gradient of the same run without it and 0.3 times the gradient of `imitation_loss` on the same demonstrations (for
TRPO, whose actor has no optimizer: what its natural gradient is computed from). Both runs are the same up to that
step, so the difference should be rounding alone: below 1e-6. "Largest gradient" is the sum's largest element.

Time: CPU milliseconds of `train()` alone, in the `learn()` of an unmodified algorithm with SB3's default networks and
options, without and with the callback, which is given as many demonstrations (`KLAnchor`: states) as the algorithm
trains on in each update. The sides take turns, one `learn()` each; the ratio is that of the medians, its range that of
the turns. `imitation` has no counterpart to compare with."""


@dataclass(frozen=True)
class Case:
    """An algorithm, and how long one turn of it is."""

    name: str
    n_timesteps: int
    batch_size: int
    env: str = "Pendulum-v1"
    policy: str = "MlpPolicy"
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def algorithm(self) -> type[BaseAlgorithm]:
        """The class, of SB3 or sb3-contrib."""
        package = stable_baselines3 if hasattr(stable_baselines3, self.name) else sb3_contrib
        return getattr(package, self.name)

    def build(self) -> BaseAlgorithm:
        """Return a model, whose ``train()`` is timed."""
        timed = type(self.name, (TimedTraining, self.algorithm), {})
        env = MASKED if self.env == "masked" else gym.make(self.env)
        return timed(self.policy, env, seed=0, device="cpu", **self.options)


class TimedTraining:
    """Sums up the CPU seconds of an algorithm's ``train()``."""

    seconds = 0.0

    def train(self, *args: Any, **kwargs: Any) -> None:
        """Train, and note how long it takes."""
        start = time.process_time()
        super().train(*args, **kwargs)  # type: ignore[misc]
        self.seconds += time.process_time() - start


ROLLOUT = {"n_steps": 512}
EARLY = {"learning_starts": 20}
MASKED = InvalidActionEnvDiscrete(dim=20, n_invalid_actions=10)
CASES = [
    Case("PPO", 512, 64, options=ROLLOUT),
    Case("A2C", 500, 5),
    Case("TRPO", 512, 512, options=ROLLOUT),
    Case("RecurrentPPO", 128, 128, policy="MlpLstmPolicy"),
    Case("MaskablePPO", 512, 64, env="masked", options=ROLLOUT),
    Case("SAC", 100, 256, options=EARLY),
    Case("TD3", 100, 256, options=EARLY),
    Case("DDPG", 100, 256, options=EARLY),
    Case("TQC", 60, 256, options=EARLY),
    Case("CrossQ", 30, 256, options=EARLY),
    Case("DQN", 400, 32, env="CartPole-v1", options=EARLY),
    Case("QRDQN", 400, 32, env="CartPole-v1", options=EARLY),
]


class FirstGradient(BaseCallback):
    """Keeps the gradient that an actor's first step is made with, as one vector, and ends the training.

    :param demonstrations: to which COEF times the gradient of the imitation loss is added explicitly, or None
    """

    def __init__(self, demonstrations: DemonstrationBatches | None = None, options: dict[str, Any] | None = None):
        super().__init__()
        self.demonstrations, self.options, self.value = demonstrations, options or {}, None

    def _on_training_start(self) -> None:
        optimizer = actor_optimizer(self.model.policy)
        self.parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        if not isinstance(self.model, TRPO):
            optimizer.register_step_pre_hook(lambda *_: self.keep([p.grad for p in self.parameters]))

    def _on_rollout_end(self) -> None:
        if isinstance(self.model, TRPO):  # with a hook of the callback before this one in it
            self.parameters, gradient = natural_gradient_input(self.model)
            self.keep([-part for part in gradient.split([parameter.numel() for parameter in self.parameters])])

    def keep(self, gradients: list[th.Tensor | None]) -> None:
        """Keep the first of them, with the demonstrations' added."""
        if self.value is None:
            self.value = flatten(self.parameters, gradients).clone()
            if self.demonstrations is not None:
                self.value += COEF * self.explicit()

    def explicit(self) -> th.Tensor:
        """Return the gradient of the imitation loss at the present parameters."""
        policy = self.model.policy
        policy.set_training_mode(False)
        loss = imitation_loss(policy, self.demonstrations.draw(), **self.options)
        return flatten(self.parameters, th.autograd.grad(loss, self.parameters, allow_unused=True))

    def _on_step(self) -> bool:
        return self.value is None


def natural_gradient_input(model: TRPO) -> tuple[list[th.nn.Parameter], th.Tensor]:
    """Return what TRPO's ``train()`` computes: the actor's parameters, and the gradient of the surrogate objective."""
    (data,) = model.rollout_buffer.get()
    with th.no_grad():
        before = model.policy.get_distribution(data.observations)
    now = model.policy.get_distribution(data.observations)
    objective = (data.advantages * th.exp(now.log_prob(data.actions) - data.old_log_prob)).mean()
    parameters, gradient, *_ = model._compute_actor_grad(kl_divergence(now, before).mean(), objective)
    return parameters, gradient


def gradients(case: Case, demonstrations: Demonstrations) -> dict[str, str]:
    """Return the largest element of the explicit sum, and the largest difference of the hybrid objective's from it."""
    hybrid = HybridObjective(demonstrations, COEF, "constant", batch_size=case.batch_size, max_grad_norm=None)
    with_it = FirstGradient()
    case.build().learn(case.n_timesteps, callback=[hybrid, with_it])
    plain = case.build()  # seeds the global random streams anew
    sum_of_both = FirstGradient(DemonstrationBatches(plain, demonstrations, case.batch_size), hybrid._options)
    plain.learn(case.n_timesteps, callback=sum_of_both)
    difference = float((with_it.value - sum_of_both.value).abs().max())
    assert difference < LARGEST_DIFFERENCE, f"{case.name}: {difference}"
    return {"largest_gradient": f"{sum_of_both.value.abs().max():.1e}", "largest_difference": f"{difference:.1e}"}


def training_times(case: Case, callback: GradientCallback, turns: int) -> dict[str, Any]:
    """Let ``learn()`` with and without the callback take turns, each a model of its own, the first to warm up."""
    sides = {"without": (case.build(), None), "with": (case.build(), callback)}
    milliseconds: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(turns + 1):
        for side, (model, callbacks) in sides.items():
            model.seconds = 0.0
            model.learn(case.n_timesteps, callback=callbacks, reset_num_timesteps=turn == 0)
            if turn > 0:
                milliseconds[side].append(1000.0 * model.seconds)
    medians = {f"{side}_ms": median(values) for side, values in milliseconds.items()}
    return {**medians, **compare(milliseconds["with"], milliseconds["without"])}


def callbacks_of(case: Case, demonstrations: Demonstrations) -> Iterator[tuple[GradientCallback, dict[str, str]]]:
    """Yield the callbacks to measure, and what is known of their gradients."""
    hybrid = HybridObjective(demonstrations, COEF, "constant", batch_size=case.batch_size)
    yield hybrid, gradients(case, demonstrations)
    if case.name in TARGETS:
        unknown = dict.fromkeys(("largest_gradient", "largest_difference"), "")
        yield KLAnchor(COEF, anneal="constant", batch_size=case.batch_size), unknown


def demonstrations_of(case: Case) -> Demonstrations:
    if case.env == "masked":
        return collect(case.build(), MASKED, n_timesteps=1000, seed=0)
    return collect(expert(case.env), case.env, n_timesteps=1000, seed=0)


def benchmark(quick: bool) -> Report:
    turns = 2 if quick else 9
    report = Report("hybrid", "Joint, not alternating: gradient and cost", TEXT, {"coef": COEF, "turns": turns})
    th.set_num_threads(1)
    for case in CASES:
        for callback, known in callbacks_of(case, demonstrations_of(case)):
            is_hybrid = isinstance(callback, HybridObjective)
            report.add(
                algorithm=case.name,
                callback=type(callback).__name__,
                batch_size=case.batch_size,
                **known,
                **training_times(case, callback, turns),
                target=TARGETS.get(case.name, "") if is_hybrid else "",
            )
    return report


if __name__ == "__main__":
    main(benchmark)
