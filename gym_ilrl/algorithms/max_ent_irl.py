"""Maximum entropy inverse reinforcement learning with known dynamics."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch as th
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from torch import nn

from gym_ilrl.algorithms.max_ent_irl_checks import check_options, chosen_objective, chosen_penalty
from gym_ilrl.algorithms.reward_fits import Progress, RewardFit
from gym_ilrl.algorithms.reward_learner import RewardLearner
from gym_ilrl.algorithms.ticks import Ticks
from gym_ilrl.arguments import require
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.irl.evaluation import Evaluation
from gym_ilrl.irl.objectives import demonstrated_rates
from gym_ilrl.planning import TabularMDP
from gym_ilrl.rewards.start import let_episodes_end


class MaxEntIRL(RewardLearner):
    """Maximum entropy inverse reinforcement learning: the reward under which the demonstrations are most likely.

    The demonstrator is taken to maximise its reward and the entropy of its actions (Ziebart, Bagnell & Dey, "Modeling
    Interaction via the Principle of Maximum Causal Entropy", 2010): ``pi(a | s) = exp((Q(s, a) - V(s)) / temperature)``
    with soft values. Planning is exact, and so is the gradient. One "timestep" is one evaluation of loss and gradient:
    nothing is executed in the environment.

    Rewards are identified by behaviour only up to what leaves the soft policy unchanged, such as shaping by a potential
    (Ng, Harada & Russell, 1999): compare policies and returns, not weights.

    The reward of a state is earned by acting in it, that of a terminal state once, on arrival.

    :param policy: ``"TabularPolicy"``
    :param env: an environment with a known model, its id, or a :class:`~gym_ilrl.TabularMDP`
    :param learning_rate: of a torch optimiser; a schedule sees the progress remaining, from 1 to 0
    :param demonstrations: ``Demonstrations`` or the path of a file with them, whole episodes or parts; or, where
        actions are unknown, a sequence of integer arrays, the observations of each episode; or, as a floating-point
        array of shape ``(n_states, n_actions)``, the expected discounted visits of the expert. Checked here, needed
        only by :meth:`learn`
    :param causal: False: the earlier model of Ziebart, Maas, Bagnell & Dey ("Maximum Entropy Inverse Reinforcement
        Learning", 2008), in which the probability of a trajectory is proportional to ``exp(return / temperature)``
        times that of its transitions. Under deterministic dynamics it is the same; under stochastic ones it takes
        chance to be on the demonstrator's side. For comparison; needs a horizon
    :param objective: ``"likelihood"``: of the demonstrated actions, given their states; right for truncated episodes
        and parts of them. ``"dual"``: the convex dual of matching the feature expectations of complete episodes.
        ``"auto"``: the dual with a horizon and complete episodes, else the likelihood
    :param reward: ``"tabular"``: a parameter for each state (or action); ``"linear"``: weights of features;
        ``"network"``: a perceptron of features, or of one-hot states where there are none; or a ``torch.nn.Module``
        that maps features ``(n, d)`` to ``(n,)`` or ``(n, 1)``. ``"auto"``: linear where there are features, else
        tabular
    :param features: an array of shape ``(n_states, d)`` (``(n_states, n_actions, d)`` on actions), a sparse matrix, or
        a function ``f(states)``, ``f(states, actions)`` or ``f(states, actions, next_states)`` of index arrays ``(n,)``
        that returns ``(n, d)``. None: those that the environment publishes as ``features``, if any
    :param reward_on: what has a reward: ``"states"``, ``"actions"`` or ``"transitions"`` (linear only). None: actions
        where the environment's own features are ones of actions, else states
    :param state_only: leave the actions of the demonstrations out
    :param temperature: of the demonstrator, positive: the unit of the learned rewards
    :param gamma: discount factor, in ``[0, 1]``; None: 0.99, or that of the ``TabularMDP``
    :param horizon: number of steps of an episode, for policies that depend on time; None: unlimited, or that of the
        ``TabularMDP``
    :param l1_coef: times the sum of the weights' absolute values, is added to the loss
    :param l2_coef: half of it, times the sum of the weights' squares, is added to the loss. None: a weak Gaussian
        prior, which gives the likelihood a maximum and fades with the number of demonstrations. The entries of a table
        have a deviation of one temperature, around rewards under which it does not matter what one does (see
        :func:`~gym_ilrl.irl.indifferent_rewards`); a weight deviates from 0 by 30 temperatures over the largest
        absolute value of its feature. No prior for networks and for exact expectations
    :param optimizer: ``"lbfgs"``, for tables and linear rewards, or a class of torch optimisers. ``"auto"``: L-BFGS for
        tables and linear rewards, Adam for networks
    :param net_arch: widths of the hidden layers of ``reward="network"``
    :param tolerance: learning has ``converged`` where no part of the gradient is larger, relative to the largest
        feature expectation of the demonstrations; for tables and linear rewards. Where rounding allows no further
        progress before, L-BFGS ends without
    :param solver: of the planning, see :func:`gym_ilrl.planning.solve`
    :param stats_window_size: for SB3; no episodes are run here
    :param tensorboard_log: the log location for TensorBoard, or None
    :param policy_kwargs: passed to the policy
    :param verbose: 0 no output, 1 info, 2 debug
    :param seed: of networks and of the policy's draws
    :param device: of networks
    :param _init_setup_model: whether to build the policy at construction
    :raises ValueError: for options outside their range, and for demonstrations or features that do not fit the model
    """

    _not_copied = frozenset({"_logger", "_objective", "_fit", "_latest"})  # the last ones keep factors of matrices

    def __init__(
        self,
        policy: str | type[BasePolicy] = "TabularPolicy",
        env: GymEnv | str | TabularMDP | None = None,
        learning_rate: float | Schedule = 1e-2,
        demonstrations: Demonstrations | str | Path | Sequence[Any] | NDArray[Any] | None = None,
        causal: bool = True,
        objective: str = "auto",
        reward: str | nn.Module = "auto",
        features: Any = None,
        reward_on: str | None = None,
        state_only: bool = False,
        temperature: float = 1.0,
        gamma: float | None = None,
        horizon: int | None = None,
        l1_coef: float = 0.0,
        l2_coef: float | None = None,
        optimizer: str | type[th.optim.Optimizer] = "auto",
        net_arch: Sequence[int] = (64, 64),
        tolerance: float = 1e-6,
        solver: str = "auto",
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: th.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        self.causal, self.objective, self.state_only = causal, objective, state_only
        self.kind_of_reward, self.features, self.reward_on = reward, features, reward_on
        self.temperature, self.l1_coef, self.l2_coef = temperature, l1_coef, l2_coef
        require(isinstance(net_arch, Sequence), "net_arch", net_arch, "widths of hidden layers, such as (64, 64)")
        self.optimizer, self.net_arch = optimizer, tuple(net_arch)
        self.tolerance, self.solver = tolerance, solver
        self.reward_optimizer: th.optim.Optimizer | None = None
        self._latest: Progress | None = None
        self._fit: RewardFit | None = None
        check_options(self)
        super().__init__(
            policy,
            env,
            gamma=gamma,
            horizon=horizon,
            learning_rate=learning_rate,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=_init_setup_model,
        )
        expected = "given with causal=False, for instance env.spec.max_episode_steps"
        require(causal or self.horizon is not None, "horizon", horizon, expected)
        self.set_demonstrations(demonstrations)

    @property
    def log_likelihood(self) -> float:
        """Mean log-likelihood of a demonstrated step at the last evaluation, in nats; NaN where it is not known."""
        return float("nan") if self._latest is None else self._latest.evaluation.log_likelihood

    def _begin(self) -> None:
        if self._objective is None:
            self.set_demonstrations(self.demonstrations)  # load(..., demonstrations=...) sets the attribute only
        if self.expert is None or self._objective is None:
            raise ValueError("there is nothing to learn from: give demonstrations=, or call set_demonstrations")
        if self._fit is not None and self._fit.objective is self._objective:
            return  # where the last learn() has ended
        self._fit = None
        kind, features = chosen_objective(self, self.expert), self._features
        expectation = features.adjoint(demonstrated_rates(kind, self.expert, self.temperature))
        penalty = chosen_penalty(self, kind, features, self.expert)
        if self._n_updates == 0:
            let_episodes_end(self.reward_model, self._objective, features, self.mdp, self.temperature)
        self._fit = RewardFit(self.reward_model, self._objective, features, expectation, penalty)

    def _run(self, ticks: Ticks) -> None:
        fit = self._fit
        assert fit is not None

        def on_evaluation(progress: Progress) -> bool:
            assert fit.best is not None
            self._latest = progress
            self.converged = fit.best.gradient <= self.tolerance
            if self._is_watched:
                self._show(progress.evaluation)
            return ticks.update()

        if not ticks.go_on:
            return
        if self.reward_optimizer is None:
            fit.lbfgs(on_evaluation)
        else:
            fit.descend(self.reward_optimizer, self._update_learning_rate, on_evaluation)
        if ticks.go_on:
            self.logger.info(f"no further progress up to rounding, and tolerance={self.tolerance} is not reached")

    def _end(self) -> None:
        if self._fit is None or self._fit.best is None:
            return  # failed before the first evaluation
        self._latest = self._fit.best
        if self.reward_optimizer is not None:  # it has made a step since
            self._latest = replace(self._latest, evaluation=self._fit.evaluate())
        self._show(self._latest.evaluation)

    def _show(self, evaluation: Evaluation) -> None:
        """Bring the table of rewards and the policy up to date."""
        self.reward_model.table.set(self.reward_model.tabulate(self._features).T)
        self.policy.set_log_probabilities(evaluation.solution.log_policy)

    def _record(self) -> None:
        if self._latest is not None:
            self.logger.record("irl/loss", self._latest.loss)
            self.logger.record("irl/log_likelihood", self._latest.evaluation.log_likelihood)
            self.logger.record("irl/gradient", self._latest.gradient)

    def _setup_model(self) -> None:
        super()._setup_model()
        self._setup_lr_schedule()
        optimizer = self.optimizer
        if optimizer == "auto":
            optimizer = th.optim.Adam if self.is_neural else "lbfgs"
        if not isinstance(optimizer, str):
            parameters = [each for each in self.reward_model.learned.parameters() if each.requires_grad]
            self.reward_optimizer = optimizer(parameters, lr=self.lr_schedule(1.0))  # type: ignore[call-arg]

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "reward_optimizer", "_fit", "_latest"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        optimizers = [] if self.reward_optimizer is None else ["reward_optimizer"]
        return ["policy", "reward_model", *optimizers], []
