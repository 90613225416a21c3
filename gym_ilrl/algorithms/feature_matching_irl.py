"""Apprenticeship learning with known dynamics: policies that meet the same features as the expert."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch as th
from numpy.typing import ArrayLike, NDArray
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv

from gym_ilrl.algorithms.environment_models import published
from gym_ilrl.algorithms.feature_matching_irl_checks import check_expert, check_options, check_reward_on
from gym_ilrl.algorithms.known_model import KnownModel
from gym_ilrl.arguments import require
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.irl.demonstrated import expert_visits, given_demonstrations
from gym_ilrl.irl.expert_features import expert_features, unseen_share
from gym_ilrl.irl.expert_visits import ExpertVisits
from gym_ilrl.irl.feature_matching import MixtureSearch
from gym_ilrl.irl.features import Features, features_of
from gym_ilrl.irl.max_margin import MaxMargin
from gym_ilrl.irl.policy_planner import PolicyPlanner
from gym_ilrl.irl.projection import Projection
from gym_ilrl.irl.structured_max_margin import StructuredMaxMargin, disagreement
from gym_ilrl.planning import TabularMDP, occupancy
from gym_ilrl.plots import plot_inverse_rl, state_positions
from gym_ilrl.policies.tabular_mixture import TabularMixturePolicy
from gym_ilrl.rewards.table import RewardTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_UNSEEN = 0.01  # share of the discounted time after the end of cut-off demonstrations that goes without a warning


class FeatureMatchingIRL(KnownModel):
    """Apprenticeship learning (Abbeel & Ng, "Apprenticeship learning via inverse reinforcement learning", 2004).

    The reward is taken to be linear in known features. Then a policy that meets the same features as the expert, in
    discounted sums over an episode, earns as much as the expert, whatever the true weights are: by at most
    ``feature_error * |mu_E| * |w|`` more or less. What comes out is a *mixture* of policies, one of which is drawn at
    the start of each episode; as a reward the weights say little. ``method="structured_max_margin"`` gives one reward
    and its best policy instead (Ratliff, Bagnell & Zinkevich, "Maximum margin planning", 2006).

    One "timestep" is one planning problem (with ``structured_max_margin`` one with the loss, and one without where the
    weights became better); nothing is executed in the environment. The reward of a state is earned by acting in it,
    that of a terminal state once, on arrival. Policies start where the demonstrations do.

    :param policy: ``"TabularPolicy"``: a :class:`~gym_ilrl.policies.tabular_mixture.TabularMixturePolicy`, which
        ``predict(deterministic=False)`` follows; ``deterministic=True`` takes the one policy that by itself comes
        closest to the expert
    :param env: an environment with a known model, its id, or a :class:`~gym_ilrl.TabularMDP`
    :param demonstrations: ``Demonstrations`` or the path of a file with them, complete episodes; or, where actions are
        unknown and features are of states, a sequence of integer arrays, the observations of each episode; or, as a
        floating-point array of shape ``(n_states, n_actions)``, the expected discounted visits of the expert. Checked
        here, needed only by :meth:`learn`
    :param method: ``"max_margin"``: the closest mixture of all policies so far, by a quadratic program;
        ``"projection"``: a step towards the newest policy; ``"structured_max_margin"``: weights by which the expert
        beats each policy by as much as that policy differs from it
    :param features: an array of shape ``(n_states, d)`` (``(n_states, n_actions, d)`` on actions), a sparse matrix, or
        a function ``f(states)``, ``f(states, actions)`` or ``f(states, actions, next_states)`` of index arrays ``(n,)``
        that returns ``(n, d)``. None: those that the environment publishes as ``features``, else one for each state
    :param reward_on: what has features: ``"states"``, ``"actions"`` or ``"transitions"``. None: actions where features
        are an array of three dimensions, else states
    :param features_are_costs: restrict the weights to at most 0. Then the policies must meet no feature more often than
        the expert, and may meet it less; this is what problems without discount and horizon need
    :param gamma: discount factor, in ``[0, 1]``; None: 0.99, or that of the ``TabularMDP``
    :param horizon: number of steps of an episode, for policies that depend on time; None: unlimited, or that of the
        ``TabularMDP``
    :param tolerance: converged when no mixture is closer to the expert by more than this, relative to the norm of the
        expert's feature expectation; for ``structured_max_margin``: when the objective is above its minimum by at most
        this share of its value at weights 0
    :param l2_coef: of ``structured_max_margin``: half of it, times the sum of the weights' squares, is added to the
        hinge loss, which is in steps of disagreement per step. Less lets the weights grow until the expert wins by the
        whole policy distance; more gives way to demonstrations that contradict each other
    :param stats_window_size: for SB3; no episodes are run here
    :param tensorboard_log: the log location for TensorBoard, or None
    :param policy_kwargs: passed to the policy
    :param verbose: 0 no output, 1 info, 2 debug
    :param seed: of the policy's draws; learning draws nothing
    :param device: where the policy's tables are
    :param _init_setup_model: whether to build the policy at construction
    :raises ValueError: for options outside their range, and for demonstrations or features that do not fit the model
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"TabularPolicy": TabularMixturePolicy}
    policy: TabularMixturePolicy

    def __init__(
        self,
        policy: str | type[BasePolicy] = "TabularPolicy",
        env: GymEnv | str | TabularMDP | None = None,
        demonstrations: Any = None,
        method: str = "max_margin",
        features: Any = None,
        reward_on: str | None = None,
        features_are_costs: bool = False,
        gamma: float | None = None,
        horizon: int | None = None,
        tolerance: float = 1e-2,
        l2_coef: float = 1e-2,
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
            env,
            gamma=gamma,
            horizon=horizon,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=False,
        )
        self.method, self.features = method, features
        check_reward_on(reward_on)
        self.reward_on: str = reward_on or _kind(self._given_features(None))
        self.features_are_costs, self.tolerance, self.l2_coef = features_are_costs, tolerance, l2_coef
        self.demonstrations: Any = None
        self.weights = np.zeros(0)
        self.feature_error = float("inf")
        self._features: Features | None = None
        self._search: MixtureSearch | StructuredMaxMargin | None = None
        check_options(self)
        if _init_setup_model:
            self._setup_model()
            self._features = self._read_features()
            self.weights = np.zeros(self._features.n_features)
        self.set_demonstrations(demonstrations)

    def set_demonstrations(self, demonstrations: Demonstrations | str | Path | ArrayLike | None) -> None:
        """Replace what is learnt from; the search begins anew.

        :param demonstrations: as for the class
        :raises ValueError: if they do not fit the model
        """
        self.demonstrations = given_demonstrations(demonstrations)
        self._search = None
        if self.demonstrations is not None and self.env is not None:
            check_expert(self, self._expert())

    def set_env(self, env: GymEnv | TabularMDP, force_reset: bool = True) -> None:
        """Replace the environment, and with it the model; the search begins anew (see base class).

        :param env: with the same spaces and number of environments
        :param force_reset: see SB3
        :raises ValueError: if the environment, or what was given with the old one, does not fit
        """
        super().set_env(env, force_reset)
        self._features = self._read_features()
        self.set_demonstrations(self.demonstrations)

    @property
    def reward_table(self) -> NDArray[np.float64]:
        """The reward of every state, of shape ``(n_states,)``; or of its actions, ``(n_states, n_actions)``."""
        table: NDArray[np.float64] = self._reward.table.cpu().numpy().copy()
        return table

    @property
    def occupancy(self) -> NDArray[np.float64]:
        """Expected discounted visits of the mixture from the model's start, of shape ``(n_states, n_actions)``."""
        return np.ascontiguousarray(self._visits(self.mdp).T)

    def _visits(self, mdp: TabularMDP) -> NDArray[np.float64]:
        """Return the expected discounted visits of the mixture, action-major."""
        weights = self.policy.component_weights.cpu().numpy()
        tables = self.policy.component_actions.cpu().numpy()
        policies = tables if self.horizon is not None else tables[:, 0]
        visits: NDArray[np.float64] = np.zeros(mdp.rewards.shape)
        for weight, actions in zip(weights, policies, strict=True):
            if weight > 0.0:
                visits += weight * occupancy(mdp, actions)
        return visits

    def plot(self, title: str | None = None) -> "Figure":
        """Draw the reward beside the environment's own, the policy that comes closest, and the visits of expert and
        mixture from the starts of the demonstrations.

        :param title: of the figure
        :raises ImportError: if matplotlib is missing
        :return: a figure; ``figure.savefig(path)`` writes it
        """
        assert self.env is not None
        expert = None if self.demonstrations is None else self._expert()
        visits = self._visits(self.mdp if expert is None else self.mdp.replace(initial=expert.initial))
        alone = np.exp(self.policy.log_probabilities.cpu().numpy().swapaxes(-1, -2))
        figure: Figure = plot_inverse_rl(
            self.mdp,
            self.reward_table,
            alone,
            expert.occupancy if expert is not None and expert.has_actions else None,
            visits,
            true_reward=self.mdp.rewards.T,
            positions=state_positions(self.env.get_attr("unwrapped", indices=0)[0]),
            title=title,
        )
        return figure

    def reward(
        self, observations: Any, actions: Any = None, next_observations: Any = None, terminated: Any = None
    ) -> NDArray[np.float64]:
        """Return the reward of experience by :attr:`weights`; what :class:`gym_ilrl.wrappers.LearnedReward` takes.

        The weights of ``max_margin`` and ``projection`` are those whose best policy comes closest to the expert.

        :param observations: one or a batch
        :param actions: as many; needed for rewards on actions and transitions
        :param next_observations: as many; needed for rewards on transitions, and on states with ``terminated``
        :param terminated: whether the episode ended there: then a reward on states counts the last one as well
        :raises ValueError: if something is missing or is none of the environment's observations or actions
        :return: of the shape of ``observations``
        """
        if self.reward_on == "transitions":
            return self._reward.of_transitions(self.features, self.weights, observations, actions, next_observations)
        return np.asarray(self._reward(observations, actions, next_observations, terminated))

    def _begin(self) -> None:
        if self._search is not None:
            self.converged = self._search.converged
            return
        if self.demonstrations is None:
            raise ValueError(
                f"{type(self).__name__} has nothing to learn from: give demonstrations= to the constructor, or call "
                "set_demonstrations(demonstrations)"
            )
        visits = self._expert()
        check_expert(self, visits)
        _warn_of_cuts(unseen_share(visits, self.mdp))
        mdp = self.mdp.replace(initial=visits.initial)
        features = self._features = self._features or self._read_features()
        expert = expert_features(features, visits, mdp)
        plans, costs = PolicyPlanner(mdp, features), self.features_are_costs
        if self.method == "structured_max_margin":
            loss = disagreement(visits.counts)
            arguments = expert, visits.occupancy, loss, plans, self.tolerance, self.l2_coef, costs
            self._search = StructuredMaxMargin(*arguments)
        else:
            search = MaxMargin if self.method == "max_margin" else Projection
            self._search = search(expert, plans, self.tolerance, costs)

    def _update(self) -> None:
        assert self._search is not None
        self._search.step()
        self.converged = self._search.converged
        if self._is_watched:
            self._end()

    def _end(self) -> None:
        """Take the weights and the mixture of the search over."""
        if self._search is None or self._features is None or not np.isfinite(self._search.error):
            return  # failed before the first policy
        mixture = self._search.result
        self.policy.set_mixture(mixture.policies, mixture.weights, mixture.closest)
        self.weights, self.feature_error = self._search.weights, self._search.error
        self._reward.set(self._features.table(self.weights).T)

    def _record(self) -> None:
        if self._search is None:
            return
        self.logger.record("irl/feature_error", self._search.error)
        self.logger.record("irl/margin", self._search.margin)
        if isinstance(self._search, StructuredMaxMargin):
            self.logger.record("irl/objective", self._search.objective)
        else:
            self.logger.record("irl/n_policies", self._search.n_policies)

    def _expert(self) -> ExpertVisits:
        return expert_visits(self.demonstrations, self.mdp, self.observation_space, self.action_space)

    def _given_features(self, reward_on: str | None) -> Any:
        """Return features as they were given, or those of the environment if they are what has a reward, or None."""
        if self.features is not None or self.env is None:
            return self.features
        found = published(self.env, "features")
        return found if reward_on in (None, _kind(found)) else None

    def _read_features(self) -> Features:
        return features_of(self.mdp, self._given_features(self.reward_on), self.reward_on)

    def _setup_model(self) -> None:
        super()._setup_model()
        known = isinstance(self.policy, TabularMixturePolicy)
        require(known, "policy", self.policy_class, "'TabularPolicy' or a subclass of TabularMixturePolicy")
        on = "states" if self.reward_on == "states" else "actions"
        self._reward = RewardTable(self.observation_space, self.action_space, on, self.gamma)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "demonstrations", "_features", "_search", "_reward"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy", "_reward"], []


def _kind(features: Any) -> str:
    return "actions" if np.ndim(features) == 3 else "states"


def _warn_of_cuts(unseen: float) -> None:
    if unseen > _UNSEEN:
        warnings.warn(
            f"the demonstrations are cut off before {unseen:.0%} of the discounted time, and what would be met there "
            "counts as not met: give complete episodes, a horizon as long as the episodes, or use MaxEntIRL",
            stacklevel=4,
        )
