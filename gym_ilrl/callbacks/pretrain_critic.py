"""Teaching a critic what the demonstrations are worth, the actor held still."""

import functools
from typing import Any, cast

import torch as th
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import polyak_update
from torch import nn

from gym_ilrl.buffers import demonstration_buffer
from gym_ilrl.callbacks.critic_warmup import actor_statistics, held_parameters
from gym_ilrl.callbacks.hybrid_objective import HybridObjective
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.losses.actor import unwrap
from gym_ilrl.losses.values import critic_parameters, has_action_values, state_values
from gym_ilrl.supervised.demonstration_batches import DemonstrationBatches
from gym_ilrl.supervised.vec_normalize import return_scale


def fit_state_values(
    model: OnPolicyAlgorithm, batches: DemonstrationBatches, n_updates: int, learning_rate: float
) -> float:
    """Regress the value function on the demonstrations' discounted returns to go.

    A features extractor shared with the actor is the actor's, and is not moved.

    :param model: whose value function it is
    :param batches: of demonstrations, with their returns to go
    :param n_updates: minibatches
    :param learning_rate: of an Adam of its own
    :return: mean squared error of the last tenth of the updates
    """
    policy = unwrap(model.policy)
    scale = return_scale(model.get_vec_normalize_env())
    parameters = critic_parameters(policy)
    optimizer = th.optim.Adam(parameters, lr=learning_rate)
    policy.set_training_mode(True)
    last_losses = []
    for update in range(n_updates):
        batch = batches.draw()
        errors = (state_values(policy, batch) - cast(th.Tensor, batch.returns_to_go) / scale).square()
        loss = batch.mean(errors)
        optimizer.zero_grad()
        for parameter, gradient in zip(parameters, th.autograd.grad(loss, parameters, allow_unused=True), strict=True):
            parameter.grad = gradient
        optimizer.step()
        if update >= 0.9 * n_updates:
            last_losses.append(loss.detach())
    optimizer.zero_grad()
    policy.set_training_mode(False)
    return float(th.stack(last_losses).mean()) if last_losses else float("nan")


def fit_action_values(
    model: OffPolicyAlgorithm,
    demonstrations: Demonstrations,
    n_updates: int,
    seed: int | None,
    loss_kwargs: dict[str, Any],
) -> None:
    """Run the algorithm's own update on the demonstrations alone.

    Where actor and critic are apart (SAC, TD3 and their kin), the actor and the entropy coefficient are held still.
    Where the action values are the actor (DQN, QR-DQN), the large margin joins the update.

    :param model: with a replay buffer, in whose place the demonstrations are meanwhile
    :param demonstrations: with rewards, unless the model's buffer gives them some
    :param n_updates: of the algorithm, with its own minibatches
    :param seed: of the order of the demonstrations in the large margin; None takes the model's
    :param loss_kwargs: options of the imitation loss, for the large margin
    """
    buffer = demonstration_buffer(model, demonstrations)  # may refuse them: before anything is held
    holder: HybridObjective | _Still
    if has_action_values(model.policy):
        holder = _Still(model)
    else:
        holder = HybridObjective(demonstrations, coef=1.0, anneal="constant", loss_kwargs=loss_kwargs, seed=seed)
        holder.init_callback(model)
        holder._on_training_start()
    online, model.replay_buffer = model.replay_buffer, buffer
    try:
        for n_steps in _until_target_updates(model, n_updates):
            model.train(gradient_steps=n_steps, batch_size=model.batch_size)
            if not has_action_values(model.policy):
                _update_q_target(model)
    finally:
        model.replay_buffer = online
        holder._on_training_end()


class _Still:
    """Keeps the actor, and the entropy coefficient that answers to it, where they are."""

    def __init__(self, model: OffPolicyAlgorithm) -> None:
        self._statistics = [(buffer, buffer.clone()) for buffer in actor_statistics(unwrap(model.policy))]
        self._handles = [
            optimizer.register_step_pre_hook(functools.partial(self._before_step, parameters))
            for optimizer, parameters in held_parameters(model)
        ]

    def _on_training_end(self) -> None:
        for handle in self._handles:
            handle.remove()

    @th.no_grad()
    def _before_step(self, parameters: list[nn.Parameter], *_: Any) -> None:
        for buffer, before in self._statistics:  # of batch normalisation: the actor was run just now
            buffer.copy_(before)
        for parameter in parameters:
            parameter.grad = None  # optimizers leave these out


def _until_target_updates(model: OffPolicyAlgorithm, n_updates: int) -> list[int]:
    """Cut ``n_updates`` where DQN would update its target, which it does by environment steps, not in ``train()``."""
    interval = getattr(model, "target_update_interval", None)
    if interval is None or has_action_values(model.policy):
        return [n_updates]
    frequency = cast(Any, model.train_freq).frequency
    piece = max(1, interval * max(1, model.gradient_steps) // frequency)
    return [min(piece, n_updates - done) for done in range(0, n_updates, piece)]


def _update_q_target(model: OffPolicyAlgorithm) -> None:
    policy = unwrap(model.policy)
    name = "quantile_net" if hasattr(policy, "quantile_net") else "q_net"
    network, target = getattr(policy, name), getattr(policy, f"{name}_target")
    polyak_update(network.parameters(), target.parameters(), model.tau)
    polyak_update(cast(Any, model).batch_norm_stats, cast(Any, model).batch_norm_stats_target, 1.0)
