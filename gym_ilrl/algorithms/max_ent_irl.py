"""Maximum entropy inverse reinforcement learning with known dynamics."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import gymnasium as gym
import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from torch import nn

from gym_ilrl.algorithms.environment_models import published
from gym_ilrl.algorithms.known_model import KnownModel
from gym_ilrl.algorithms.max_ent_irl_checks import check_options, chosen_features, chosen_l2, chosen_objective
from gym_ilrl.algorithms.reward_fits import Progress, RewardFit
from gym_ilrl.algorithms.ticks import Ticks
from gym_ilrl.arguments import require
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.irl.demonstrated import expert_visits, given_demonstrations
from gym_ilrl.irl.expert_visits import ExpertVisits
from gym_ilrl.irl.features import features_of
from gym_ilrl.irl.objectives import demonstrated_rates, objective_of
from gym_ilrl.planning import TabularMDP, occupancy
from gym_ilrl.plots import plot_inverse_rl, state_positions
from gym_ilrl.rewards.linear import LinearReward
from gym_ilrl.rewards.model import RewardModel, inputs_of, learned_module
from gym_ilrl.rewards.network import RewardNetwork
from gym_ilrl.rewards.start import let_episodes_end

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SelfMaxEntIRL = TypeVar("SelfMaxEntIRL", bound="MaxEntIRL")


class MaxEntIRL(KnownModel):
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
    :param l2_coef: half of it, times the sum of the weights' squares, is added to the loss. None: the strength of a
        Gaussian prior of mean 0, over the number of demonstrated steps; its deviation is one temperature for each entry
        of a table, and 30 temperatures for a weight of features. It gives the likelihood a maximum and fades with
        the number of demonstrations; 0 for networks and for exact expectations
    :param optimizer: ``"lbfgs"`` or a class of torch optimisers. ``"auto"``: L-BFGS for tables and linear rewards, Adam
        for networks
    :param net_arch: widths of the hidden layers of ``reward="network"``
    :param tolerance: learning has converged where no part of the gradient is larger, relative to the largest feature
        expectation of the demonstrations; for tables and linear rewards
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
        self.optimizer, self.net_arch = optimizer, tuple(net_arch)
        self.tolerance, self.solver = tolerance, solver
        self.demonstrations: Any = None
        self.expert: ExpertVisits | None = None
        self.n_features, self.on_states = 0, True
        self.reward_optimizer: th.optim.Optimizer | None = None
        self._latest: Progress | None = None
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
        self.set_demonstrations(demonstrations)

    def set_demonstrations(self, demonstrations: Any) -> None:
        """Replace what is learnt from.

        :param demonstrations: as for the class
        :raises ValueError: if they do not fit the model
        """
        self.demonstrations, self.expert = given_demonstrations(demonstrations), None
        if self.demonstrations is not None and self.env is not None:
            self.expert = expert_visits(
                self.demonstrations, self.mdp, self.observation_space, self.action_space, self.state_only
            )

    @property
    def is_neural(self) -> bool:
        """Whether the reward is a network."""
        return isinstance(self.kind_of_reward, nn.Module) or self.kind_of_reward == "network"

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weights of the features, of shape ``(d,)``; of a table its entries, action-major.

        :raises AttributeError: if the reward is a network
        """
        learned = self.reward_model.learned
        if not isinstance(learned, LinearReward):
            raise AttributeError("the reward is a network; see reward_model.learned")
        weights: NDArray[np.float64] = learned.weights.detach().cpu().numpy().copy()
        return weights

    @property
    def reward_table(self) -> NDArray[np.float64]:
        """The learned reward of every state, of shape ``(n_states,)``; or of its actions, ``(n_states, n_actions)``."""
        table: NDArray[np.float64] = self.reward_model.table.table.cpu().numpy().copy()
        return table

    def reward(
        self, observations: Any, actions: Any = None, next_observations: Any = None, terminated: Any = None
    ) -> NDArray[np.float64]:
        """Return the learned reward of experience; what :class:`gym_ilrl.wrappers.LearnedReward` takes.

        :param observations: one or a batch
        :param actions: as many; needed for rewards on actions and transitions
        :param next_observations: as many; needed for rewards on transitions, and on states with ``terminated``
        :param terminated: whether the episode ended there: then a reward on states counts the last one as well
        :raises ValueError: if something is missing or is none of the environment's observations or actions
        :return: of the shape of ``observations``
        """
        if self.reward_on == "transitions":
            given = (observations, actions, next_observations)
            if any(each is None for each in given):
                raise ValueError("this reward is one of transitions: call reward(obs, actions, next_obs)")
            shape = np.shape(observations)
            starts = self.observation_space.start, self.action_space.start, self.observation_space.start
            rows = [np.asarray(each).reshape(-1) - start for each, start in zip(given, starts, strict=True)]
            return np.reshape(np.asarray(self.features(*rows), dtype=np.float64) @ self.weights, shape)
        return np.asarray(self.reward_model.table(observations, actions, next_observations, terminated))

    def learned_mdp(self, env: gym.Env[Any, Any] | TabularMDP | None = None) -> TabularMDP:
        """Return a process with the learned reward in place of its own, to plan or to draw in.

        :param env: another world, with its own dynamics: states and actions that stand for themselves must be the
            same; features that the environment publishes, or that are functions, are those of the new one. None: the
            one learned in
        :raises ValueError: if the reward does not fit its states, actions or features
        """
        if env is None:
            return self.mdp.replace(rewards=self._features.earned.rewards(self.reward_model.tabulate(self._features)))
        other = env if isinstance(env, TabularMDP) else TabularMDP.from_env(env, self.gamma, self.horizon)
        there = None if isinstance(env, TabularMDP) else getattr(env.unwrapped, "features", None)
        features = features_of(other, *chosen_features(self, there))
        n_features = features.n_features if features.matrix is None else features.matrix.shape[1]
        require(n_features == self.n_features, "the number of features", n_features, f"{self.n_features}, as here")
        return other.replace(rewards=features.earned.rewards(self.reward_model.tabulate(features)))

    @property
    def log_likelihood(self) -> float:
        """Mean log-likelihood of a demonstrated step at the last evaluation, in nats; NaN where it is not known."""
        return float("nan") if self._latest is None else self._latest.evaluation.log_likelihood

    @property
    def occupancy(self) -> NDArray[np.float64]:
        """Expected discounted visits of the learned policy from the start, of shape ``(n_states, n_actions)``."""
        return np.ascontiguousarray(occupancy(self.mdp, self._probabilities).T)

    @property
    def feature_error(self) -> float:
        """Largest difference of the feature expectations of expert and learned policy, relative to the largest one.

        NaN where the demonstrations are no complete episodes or lack actions: they have no feature expectation.
        """
        if self.expert is None or not (self.expert.is_complete and self.expert.has_actions):
            return float("nan")
        wanted = self._features.adjoint(self.expert.occupancy)
        got = self._features.adjoint(self.occupancy.T)
        return float(np.abs(wanted - got).max() / (np.abs(wanted).max() or 1.0))

    @property
    def _probabilities(self) -> NDArray[np.float64]:
        """Probabilities of the policy's actions, action-major."""
        log_probabilities: NDArray[np.float64] = self.policy.log_probabilities.cpu().numpy()
        probabilities: NDArray[np.float64] = np.exp(log_probabilities.swapaxes(-1, -2))
        return probabilities

    def plot(self, title: str | None = None) -> "Figure":
        """Draw the learned reward beside the environment's own, the policy, and the visits of expert and learner.

        :param title: of the figure
        :raises ImportError: if matplotlib is missing
        :return: a figure; ``figure.savefig(path)`` writes it
        """
        assert self.env is not None
        expert = self.expert
        figure: Figure = plot_inverse_rl(
            self.mdp,
            self.reward_table,
            self._probabilities,
            self.occupancy.T if expert is None or not expert.has_actions else expert.occupancy,
            self.occupancy.T,
            true_reward=self.mdp.rewards.T,
            positions=state_positions(self.env.get_attr("unwrapped", indices=0)[0]),
            title=title,
        )
        return figure

    def set_env(self, env: GymEnv | TabularMDP, force_reset: bool = True) -> None:
        """Replace the environment, and with it the model; demonstrations and features are read anew.

        :param env: with the same spaces and number of environments
        :param force_reset: see SB3
        :raises ValueError: if the environment, or what was given with the old one, does not fit
        """
        super().set_env(env, force_reset)
        self._read_features()
        self.set_demonstrations(self.demonstrations)

    def _begin(self) -> None:
        if self.expert is None:
            raise ValueError("there is nothing to learn from: give demonstrations=, or call set_demonstrations")
        kind, expert = chosen_objective(self, self.expert), self.expert
        objective = objective_of(kind, self.mdp, expert, self.temperature, self.solver, self.state_only)
        self._fit = RewardFit(
            self.reward_model,
            objective,
            self._features,
            self._inputs,
            self._features.adjoint(demonstrated_rates(kind, expert, self.temperature)),
            self.l1_coef,
            chosen_l2(self, kind, self._features, expert),
        )
        if self.mdp.is_goal_directed and self._n_updates == 0:
            let_episodes_end(self.reward_model.learned, objective, self._features, self.temperature)

    def _run(self, ticks: Ticks) -> None:
        def on_evaluation(progress: Progress) -> bool:
            self._latest = progress
            self.converged = progress.gradient <= self.tolerance
            if self._is_watched:
                self.policy.set_log_probabilities(progress.evaluation.solution.log_policy)
            return ticks.update()

        if not ticks.go_on:
            return
        if self.reward_optimizer is None:
            self._fit.lbfgs(on_evaluation)
        else:
            self._fit.descend(self.reward_optimizer, self._update_learning_rate, on_evaluation)

    def _end(self) -> None:
        if self._latest is None:
            return
        table = self.reward_model.tabulate(self._features)
        self.reward_model.table.set(table.T)
        if self.reward_optimizer is None and self._fit.best is not None:
            self._latest = self._fit.best
            solution = self._latest.evaluation.solution
        else:
            solution = self._fit.objective(self._features.earned.rewards(table)).solution
        self.policy.set_log_probabilities(solution.log_policy)

    def _record(self) -> None:
        if self._latest is not None:
            self.logger.record("irl/loss", self._latest.loss)
            self.logger.record("irl/log_likelihood", self._latest.evaluation.log_likelihood)
            self.logger.record("irl/gradient", self._latest.gradient)

    def _setup_model(self) -> None:
        super()._setup_model()
        self._setup_lr_schedule()
        if self.env is not None:
            self._read_features()
        learned = learned_module(self.kind_of_reward, self.is_neural, self.n_features, self.net_arch)
        spaces = self.observation_space, self.action_space
        self.reward_model = RewardModel(*spaces, learned, self.on_states, self.gamma).to(self.device)
        if self.env is not None and isinstance(learned, RewardNetwork):
            learned.standardise(inputs_of(self._features))
        optimizer = self.optimizer
        if optimizer == "auto":
            optimizer = th.optim.Adam if self.is_neural else "lbfgs"
        if not isinstance(optimizer, str):
            self.reward_optimizer = optimizer(learned.parameters(), lr=self.lr_schedule(1.0))  # type: ignore[call-arg]

    def _read_features(self) -> None:
        """Read features anew, for another environment or the first one."""
        assert self.env is not None
        given, on = chosen_features(self, published(self.env, "features"))
        self._features = features_of(self.mdp, given, on)
        self._inputs = None
        self.on_states, self.n_features = on == "states", self._features.n_features
        if self.is_neural:
            inputs = inputs_of(self._features)
            self.n_features = inputs.shape[1]
            self._inputs = th.as_tensor(inputs, dtype=th.float32, device=self.device)

    def _excluded_save_params(self) -> list[str]:
        private = ["demonstrations", "expert", "_features", "_inputs", "_fit", "_latest"]
        return [*super()._excluded_save_params(), "reward_model", "reward_optimizer", *private]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        optimizers = [] if self.reward_optimizer is None else ["reward_optimizer"]
        return ["policy", "reward_model", *optimizers], []
