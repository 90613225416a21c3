"""What algorithms have in common that learn the parameters of a reward in a known model, and what they know then."""

from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from gym_ilrl.algorithms.environment_models import published
from gym_ilrl.algorithms.known_model import KnownModel
from gym_ilrl.algorithms.max_ent_irl_checks import chosen_features, chosen_objective
from gym_ilrl.arguments import require
from gym_ilrl.irl.demonstrated import expert_visits, given_demonstrations
from gym_ilrl.irl.expert_visits import ExpertVisits
from gym_ilrl.irl.features import Features, features_of
from gym_ilrl.irl.objectives import Objective, objective_of
from gym_ilrl.planning import TabularMDP, occupancy
from gym_ilrl.plots import plot_inverse_rl, state_positions
from gym_ilrl.rewards.linear import LinearReward
from gym_ilrl.rewards.model import RewardModel, inputs_of, learned_module
from gym_ilrl.rewards.network import RewardNetwork

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class RewardLearner(KnownModel):
    """Base of :class:`~gym_ilrl.MaxEntIRL`: the reward that is learned, and what follows from it.

    A subclass sets its options, which are the attributes below, before it calls this class's constructor.
    """

    causal: bool
    objective: str
    kind_of_reward: str | nn.Module
    features: Any
    reward_on: str | None
    state_only: bool
    temperature: float
    l1_coef: float
    l2_coef: float | None
    optimizer: str | type[th.optim.Optimizer]
    net_arch: tuple[int, ...]
    tolerance: float
    solver: str
    reward_model: RewardModel

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.demonstrations: Any = None
        self.expert: ExpertVisits | None = None
        self.n_features, self.on_states = 0, True
        self._objective: Objective | None = None
        super().__init__(*args, **kwargs)

    @property
    def is_neural(self) -> bool:
        """Whether the reward is a network."""
        return isinstance(self.kind_of_reward, nn.Module) or self.kind_of_reward == "network"

    def set_demonstrations(self, demonstrations: Any) -> None:
        """Replace what is learnt from; a loaded model has none until then.

        :param demonstrations: as for the class
        :raises ValueError: if they do not fit the model, or do not say what the objective needs
        """
        given = given_demonstrations(demonstrations)
        expert, objective = (None, None) if given is None or self.env is None else self._read(given, self.mdp)
        self.demonstrations, self.expert, self._objective = given, expert, objective

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
        table = self.reward_model.table
        if self.reward_on == "transitions":
            return table.of_transitions(self.features, self.weights, observations, actions, next_observations)
        return np.asarray(table(observations, actions, next_observations, terminated))

    def learned_mdp(self, env: gym.Env[Any, Any] | TabularMDP | None = None) -> TabularMDP:
        """Return a process with the learned reward in place of its own, to plan or to draw in.

        :param env: another world, with its own dynamics: states and actions that stand for themselves must be the
            same; features that the environment publishes, or that are functions, are those of the new one. None: the
            one learned in
        :raises ValueError: if the reward does not fit its states, actions or features
        """
        if env is None:
            mdp, features = self.mdp, self._features
        else:
            mdp = env if isinstance(env, TabularMDP) else TabularMDP.from_env(env, self.gamma, self.horizon)
            theirs = None if isinstance(env, TabularMDP) else getattr(env.unwrapped, "features", None)
            features = self._features_in(mdp, theirs)
        return mdp.replace(rewards=features.earned.rewards(self.reward_model.tabulate(features)))

    @property
    def occupancy(self) -> NDArray[np.float64]:
        """Expected discounted visits of the learned policy from the start, of shape ``(n_states, n_actions)``."""
        return np.ascontiguousarray(occupancy(self.mdp, self._probabilities).T)

    @property
    def feature_error(self) -> float:
        """Largest difference of the feature expectations of expert and learned policy, relative to the largest one.

        Both start where the demonstrations do, so that by which starts were drawn does not matter. NaN where the
        demonstrations are no complete episodes or lack actions: they have no feature expectation.
        """
        expert = self.expert
        if expert is None or not (expert.is_complete and expert.has_actions):
            return float("nan")
        wanted = self._features.adjoint(expert.occupancy)
        got = self._features.adjoint(occupancy(self.mdp.replace(initial=expert.initial), self._probabilities))
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
        mdp, env = self.mdp, self.env
        assert env is not None  # or there were no model
        figure: Figure = plot_inverse_rl(
            mdp,
            self.reward_table,
            self._probabilities,
            None if self.expert is None else self.expert.occupancy if self.expert.has_actions else self._state_visits(),
            self.occupancy.T,
            true_reward=mdp.rewards.T,
            positions=state_positions(env.get_attr("unwrapped", indices=0)[0]),
            title=title,
        )
        return figure

    def _state_visits(self) -> NDArray[np.float64]:
        """Return the discounted visits of demonstrations whose actions are not known, of shape ``(n_states,)``."""
        assert self.expert is not None
        steps, discounts = self.expert.steps, self.gamma**self.expert.steps.time
        visits = np.bincount(steps.state, discounts, self.mdp.n_states)
        return np.asarray(visits / self.expert.n_episodes)

    def _read(self, demonstrations: Any, mdp: TabularMDP) -> tuple[ExpertVisits, Objective]:
        """Return what demonstrations say about a process, and the objective that follows."""
        expert = expert_visits(demonstrations, mdp, self.observation_space, self.action_space, self.state_only)
        kind = chosen_objective(self, expert)
        return expert, objective_of(kind, mdp, expert, self.temperature, self.solver, self.state_only)

    def _accept(self, env: VecEnv, mdp: TabularMDP) -> None:
        features = self._features_in(mdp, published(env, "features"))
        expert, objective = (None, None) if self.demonstrations is None else self._read(self.demonstrations, mdp)
        self._features, self.expert, self._objective = features, expert, objective

    def _features_in(self, mdp: TabularMDP, theirs: Any) -> Features:
        """Return the features of another world.

        :param mdp: its model
        :param theirs: the features that it publishes, or None
        :raises ValueError: if the learned reward is not one of such features
        """
        features = features_of(mdp, *chosen_features(self, theirs))
        there = _described(features)
        expected = f"of {self._described}, as in the environment that it is learned in"
        require(there == self._described, "the reward", f"of {there}", expected)
        return features

    def _setup_model(self) -> None:
        super()._setup_model()
        if self.env is not None:
            self._features = features_of(self.mdp, *chosen_features(self, published(self.env, "features")))
            self._described = _described(self._features)
            self.n_features, self.on_states = self._features.n_features, self._features.earned.on_states
        learned = learned_module(self.kind_of_reward, self.is_neural, self.n_features, self.net_arch)
        spaces = self.observation_space, self.action_space
        self.reward_model = RewardModel(*spaces, learned, self.on_states, self.gamma).to(self.device)
        if self.env is not None and isinstance(learned, RewardNetwork):
            learned.standardise(inputs_of(self._features))
        elif self.env is not None:
            self.reward_model.tabulate(self._features)  # a module that does not take the features is refused here

    def _excluded_save_params(self) -> list[str]:
        private = ["demonstrations", "expert", "_features", "_objective"]
        return [*super()._excluded_save_params(), "reward_model", *private]


def _described(features: Features) -> str:
    """Return in words what a reward is made of: the same words where the same parameters fit."""
    if features.matrix is None:
        n_states, *n_actions = features.earned.table_shape[::-1]
        return f"each of {n_states} states" + (f" and {n_actions[0]} actions" if n_actions else "")
    on = "transitions" if features.function is not None else "states" if features.earned.on_states else "actions"
    return f"{features.n_features} features of {on}"
