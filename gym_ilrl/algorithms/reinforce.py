"""REINFORCE, the score-function estimator, as an SB3 algorithm."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import torch as th
import torch.nn.functional as F
from gymnasium import spaces
from stable_baselines3 import A2C
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from stable_baselines3.common.utils import explained_variance
from stable_baselines3.common.vec_env import VecEnv

from gym_ilrl.algorithms.baselines import Baseline, LastLayer, constant, least_variance, mean_return, silenced, watched
from gym_ilrl.algorithms.reinforce_checks import check_demonstrations, check_reinforce
from gym_ilrl.algorithms.rollouts import Rollout, ordered_rollout
from gym_ilrl.algorithms.trajectories import Trajectories, clock_after
from gym_ilrl.algorithms.weighted_demonstrations import (
    Sample,
    WeightedDemonstrations,
    WeightOptions,
    fused_credits,
    weighted_credits,
)
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.data.given import demonstrations_of
from gym_ilrl.supervised.training_set import labels_of
from gym_ilrl.supervised.vec_normalize import seed_statistics

SelfREINFORCE = TypeVar("SelfREINFORCE", bound="REINFORCE")


class REINFORCE(OnPolicyAlgorithm):
    r"""The score-function estimator of the policy gradient (Williams 1992), and its variance reductions.

    One gradient step a rollout, on all of it: :math:`\nabla J = E[\sum_t \nabla \log \pi(a_t|s_t) (G_t - b_t)]` with
    the rewards to go :math:`G_t = \sum_{t' \ge t} \gamma^{t'-t} r_{t'}` (causality) and a baseline :math:`b_t`. The
    loss is the mean over the steps, as A2C's: :math:`\nabla J` divided by the mean length of the trajectories.

    *Ends.* With ``baseline="value"`` time limits and the end of a rollout are bootstrapped by the critic, as in A2C.
    The other baselines have no critic, and an untrained one does not get into the returns: a time limit ends the
    episode, and a trajectory cut by the end of the rollout is worth what it had earned until then, which gives the
    gradient of the return over so many steps. Let ``n_steps`` span a few episodes. ``policy.predict_values`` is zero
    during such rollouts.

    *Demonstrations* enter as off-policy data, importance-weighted (Jie and Abbeel 2010; Levine and Koltun 2013): to
    the rollout's estimate is added ``demo_coef`` times :math:`\sum_t \nabla \log \pi(a_t|s_t) \prod_{t' \le t}
    \frac{\pi}{q} (G_t - b_t)`, summed over a demonstrated trajectory and averaged over those; :math:`b_t` comes from
    the rollout, so that better demonstrations than what the policy does are reinforced and worse ones are not. They
    need rewards.

    :param policy: "MlpPolicy", "CnnPolicy", "MultiInputPolicy", or a class
    :param env: the environment, its id, or a ``VecEnv``
    :param learning_rate: a number, or a function of the progress remaining
    :param n_steps: steps of each environment in a rollout
    :param gamma: discount
    :param causal: weigh each action by the rewards to go; False: by the whole (discounted) return of the trajectory
    :param baseline: ``"none"``; ``"mean"``, the mean at the same time over the other trajectories of the rollout
        (Peters and Schaal 2008); ``"optimal"``, the constant of least variance (Greensmith et al. 2004), measured on
        the weights of the policy's last layer; ``"value"``, the policy's critic, regressed on the returns. With
        ``causal=False`` the critic is asked at the start of the trajectory
    :param discount_from_start: weigh step :math:`t` by :math:`\gamma^t`: the gradient of the discounted return,
        exactly (Sutton and Barto 2018, section 13.3). False leaves it out, as nearly everyone does (Thomas 2014):
        every step counts the same, however late. Without effect where ``causal=False``, which always discounts from
        the start
    :param ent_coef: weight of the entropy bonus
    :param vf_coef: weight of the critic's regression; used by ``baseline="value"`` only
    :param max_grad_norm: clip the gradient's norm to this
    :param normalize_advantage: whiten the returns, less the baseline, over the rollout (which biases the estimate)
    :param demonstrations: importance-weighted off-policy data, or the path of a file with it; None: none
    :param demo_coef: weight of their estimate beside the rollout's
    :param demo_episodes: demonstrated episodes drawn for each update, or None: all
    :param proposal: what the demonstrations are taken to be drawn from: ``"cloned"``, a policy fitted to them by
        maximum likelihood when training starts; ``"empirical"``, each of them equally likely, whatever else could
        have happened; ``"fusion"``, one half the cloned and one half the present policy, which weighs the rollout
        with them and no trajectory more than twice
    :param proposal_epochs: passes over the demonstrations for the cloned policy
    :param clip: greatest importance weight, or None
    :param self_normalize: divide the weights by their mean over the trajectories, at each time step
    :param weigh_future: also weigh each reward by the decisions between action and reward (Precup et al. 2000):
        unbiased for the return of ``policy``, with more variance. False takes the rewards to go as the demonstrator
        got them
    :param use_sde: generalised state-dependent exploration
    :param sde_sample_freq: draw its noise every so many steps; -1: once a rollout
    :param rollout_buffer_class: as in A2C
    :param rollout_buffer_kwargs: as in A2C
    :param stats_window_size: episodes that the logged mean return is taken over
    :param tensorboard_log: the log location for TensorBoard, or None
    :param policy_kwargs: passed to the policy
    :param verbose: 0 no output, 1 info, 2 debug
    :param seed: makes a run repeatable, bit for bit on CPU
    :param device: "cpu", "cuda", ... or "auto"
    :param _init_setup_model: whether to build the networks at construction
    :raises ValueError: for options outside their range, and demonstrations that do not fit or have no rewards

    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = A2C.policy_aliases

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy] = "MlpPolicy",
        env: GymEnv | str | None = None,
        learning_rate: float | Schedule = 1e-2,
        n_steps: int = 1000,
        gamma: float = 0.99,
        causal: bool = True,
        baseline: str = "mean",
        discount_from_start: bool = False,
        ent_coef: float = 0.0,
        vf_coef: float = 0.5,
        max_grad_norm: float = 0.5,
        normalize_advantage: bool = False,
        demonstrations: Demonstrations | str | Path | None = None,
        demo_coef: float = 1.0,
        demo_episodes: int | None = None,
        proposal: str = "fusion",
        proposal_epochs: int = 20,
        clip: float | None = 10.0,
        self_normalize: bool = True,
        weigh_future: bool = False,
        use_sde: bool = False,
        sde_sample_freq: int = -1,
        rollout_buffer_class: type[RolloutBuffer] | None = None,
        rollout_buffer_kwargs: dict[str, Any] | None = None,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: th.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        super().__init__(
            policy,
            env,  # type: ignore[arg-type]  # None where load() was given no environment
            learning_rate=learning_rate,
            n_steps=n_steps,
            gamma=gamma,
            gae_lambda=1.0,
            ent_coef=ent_coef,
            vf_coef=vf_coef,
            max_grad_norm=max_grad_norm,
            use_sde=use_sde,
            sde_sample_freq=sde_sample_freq,
            rollout_buffer_class=rollout_buffer_class,
            rollout_buffer_kwargs=rollout_buffer_kwargs,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=dict(policy_kwargs or {}),
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=False,
            supported_action_spaces=(spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary),
        )
        self._weighted: WeightedDemonstrations | None = None
        self._clock = th.zeros(0, dtype=th.long)
        self._generator = th.Generator()
        self.causal = causal
        self.baseline = baseline
        self.discount_from_start = discount_from_start
        self.normalize_advantage = normalize_advantage
        self.demo_coef = demo_coef
        self.demo_episodes = demo_episodes
        self.proposal = proposal
        self.proposal_epochs = proposal_epochs
        self.clip = clip
        self.self_normalize = self_normalize
        self.weigh_future = weigh_future
        check_reinforce(self)
        self.set_demonstrations(demonstrations)
        if _init_setup_model:
            self._setup_model()

    def set_demonstrations(self, demonstrations: Demonstrations | str | Path | None) -> None:
        """Replace the demonstrations; None trains on without.

        :raises ValueError: if they do not fit the spaces, have no rewards, or ``causal=False``
        """
        loaded = demonstrations_of(demonstrations)
        if loaded is not None:
            check_demonstrations(self, loaded)
        self.demonstrations, self._weighted = loaded, None

    def learn(
        self: SelfREINFORCE,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "REINFORCE",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> SelfREINFORCE:
        """Train (see base class); demonstrations, if there are any, are cloned first where the proposal needs it."""
        check_reinforce(self)
        self._weighted = None if self.demonstrations is None else self._prepared(self.demonstrations)
        return super().learn(total_timesteps, callback, log_interval, tb_log_name, reset_num_timesteps, progress_bar)

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        """Collect a rollout (see base class), the critic silent unless it is the baseline."""
        with nullcontext() if self.baseline == "value" else silenced(self.policy.value_net):
            return super().collect_rollouts(env, callback, rollout_buffer, n_rollout_steps)

    def train(self) -> None:
        """Take one gradient step on the rollout, and on the demonstrations if there are any."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        rollout = ordered_rollout(self.rollout_buffer, self._clock)
        self._clock = clock_after(rollout.trajectories, self.n_envs)
        with watched(self.policy.action_net) as last_layer:
            values, log_prob, entropy = self.policy.evaluate_actions(rollout.observations, rollout.actions)
        discounts = self._discounts(rollout.trajectories)
        baseline = self._baseline(rollout, discounts, log_prob, last_layer)
        advantages = (rollout.returns if self.causal else rollout.at_start(rollout.returns)) - baseline.on_rollout
        shift, scale = (advantages.mean(), advantages.std() + 1e-8) if self.normalize_advantage else (0.0, 1.0)
        policy_loss = -(discounts * (advantages - shift) / scale * log_prob).mean()
        entropy_loss = log_prob.mean() if entropy is None else -entropy.mean()
        loss = policy_loss + self.ent_coef * entropy_loss
        if self.baseline == "value":
            loss = loss + self.vf_coef * self._value_loss(rollout, values.flatten())
        if self._weighted is not None:
            whitened = Baseline(baseline.on_rollout + shift, lambda times: baseline.by_time(times) + shift)
            estimate = self._estimate_from_demonstrations(self._weighted, rollout, log_prob, whitened)
            loss = loss - self.demo_coef * estimate / scale
        self.policy.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        th.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        self.policy.optimizer.step()
        self._n_updates += 1
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/policy_loss", policy_loss.item())
        self.logger.record("train/entropy_loss", entropy_loss.item())
        if hasattr(self.policy, "log_std"):
            self.logger.record("train/std", self.policy.log_std.exp().mean().item())

    def _setup_model(self) -> None:
        super()._setup_model()
        self._clock = th.zeros(self.n_envs, dtype=th.long, device=self.device)
        self._generator.manual_seed(int(th.randint(2**31, ())))

    def _discounts(self, trajectories: Trajectories) -> th.Tensor:
        """Return what each step's score is weighed by: 1, or gamma^t."""
        is_exact = self.discount_from_start and self.causal
        gamma = self.gamma if is_exact else 1.0
        return gamma ** trajectories.times.float()

    def _baseline(self, rollout: Rollout, discounts: th.Tensor, log_prob: th.Tensor, layer: LastLayer) -> Baseline:
        returns = rollout.returns if self.causal else rollout.at_start(rollout.returns)
        if self.baseline == "mean":
            return mean_return(returns, rollout.trajectories)
        if self.baseline == "optimal":
            scores = discounts[:, None] * layer.scores(log_prob)
            return least_variance(returns, rollout.trajectories, scores)
        zero = constant(rollout.trajectories)
        if self.baseline == "value":
            return zero._replace(on_rollout=rollout.values if self.causal else rollout.at_start(rollout.values))
        return zero

    def _value_loss(self, rollout: Rollout, values: th.Tensor) -> th.Tensor:
        loss = F.mse_loss(values, rollout.returns)
        self.logger.record("train/value_loss", loss.item())
        explained = explained_variance(rollout.values.cpu().numpy(), rollout.returns.cpu().numpy())
        self.logger.record("train/explained_variance", explained)
        return loss

    def _estimate_from_demonstrations(
        self, weighted: WeightedDemonstrations, rollout: Rollout, log_prob: th.Tensor, baseline: Baseline
    ) -> th.Tensor:
        """Return what has the estimate of the demonstrations, a step, as its gradient."""
        options = WeightOptions(self.clip, self.self_normalize, self.weigh_future, self.gamma)
        sample, batch = weighted.draw(self.policy, self.gamma, self.demo_episodes)
        of_demonstrated = baseline.by_time(sample.trajectories.times)
        if self.baseline == "value":
            of_demonstrated = of_demonstrated + self.policy.predict_values(batch.observations).detach().flatten()
        sample = sample._replace(baseline=of_demonstrated)
        discounts = self._discounts(sample.trajectories)
        if self.proposal == "fusion":
            log_proposal = weighted.log_proposal(rollout.observations, rollout.actions)
            own = Sample(rollout.trajectories, log_prob, log_proposal, rollout.returns, baseline.on_rollout)
            credits, own_credits, log_weights = fused_credits(sample, own, options)
            own_estimate = own.objective(own_credits, self._discounts(rollout.trajectories))
            estimate = 0.5 * (sample.objective(credits, discounts) + own_estimate)
        else:
            credits, log_weights = weighted_credits(sample, options)
            estimate = sample.objective(credits, discounts)
        self.logger.record("imitation/effective_sample_size", weighted.effective_share(log_weights))
        self.logger.record("imitation/policy_loss", -estimate.item())
        return estimate / rollout.trajectories.lengths.float().mean()

    def _prepared(self, demonstrations: Demonstrations) -> WeightedDemonstrations:
        check_demonstrations(self, demonstrations)
        if self._weighted is not None and self._weighted.was_made_for(self._vec_normalize_env, self.proposal):
            return self._weighted
        if self._vec_normalize_env is not None:
            seed_statistics(self._vec_normalize_env, labels_of(demonstrations).observations)
        clone: ActorCriticPolicy | None = None
        if self.proposal != "empirical":
            with th.random.fork_rng(devices=[]):  # the run's own random numbers are those without demonstrations
                clone = cast(type[ActorCriticPolicy], self.policy_class)(
                    self.observation_space,
                    self.action_space,
                    lambda _: 1e-3,  # BC's
                    use_sde=self.use_sde,
                    **self.policy_kwargs,
                ).to(self.device)
        return WeightedDemonstrations(
            demonstrations, self.policy, clone, self.proposal_epochs, self._vec_normalize_env, self._generator
        )

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "demonstrations", "_weighted", "_clock", "_generator"]
