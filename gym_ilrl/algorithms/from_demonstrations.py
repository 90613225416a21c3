"""The mixin that makes any SB3 algorithm learn from demonstrations first, and by reinforcement afterwards."""

import inspect
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList, ConvertCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule

from gym_ilrl.algorithms.compat import DemoNStepReplayBuffer
from gym_ilrl.algorithms.demonstration_replay import (
    ReplayClasses,
    demonstration_replay,
    take_online_data,
    takes_n_steps,
)
from gym_ilrl.algorithms.recipes import (
    OFF_POLICY,
    ImitationCoef,
    check_amounts,
    default_warmup,
    enough_epochs,
    options_of,
    recipe_of,
)
from gym_ilrl.buffers import DemoReplay, DemoReplayBuffer
from gym_ilrl.callbacks import CriticWarmup, HybridObjective, KLAnchor, Pretrain
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.data.given import demonstrations_of

Extension = Pretrain | CriticWarmup | HybridObjective | KLAnchor
SelfFromDemonstrations = TypeVar("SelfFromDemonstrations", bound="FromDemonstrations")


class FromDemonstrations(BaseAlgorithm):
    """Mixin over an SB3 or sb3-contrib algorithm: pretrain on demonstrations, then finetune with both objectives.

    Name it before the algorithm; the constructor takes the algorithm's own arguments and these::

        class CrossQfD(FromDemonstrations, CrossQ):
            pass

    It adds nothing but a list of callbacks, and demonstrations to the replay buffer: each of the parts can be used
    alone with the unmodified algorithm (:mod:`gym_ilrl.callbacks`, :mod:`gym_ilrl.buffers`). An argument that is None
    takes the value that suits the family of the algorithm (:mod:`gym_ilrl.algorithms.recipes`); 0 leaves a part out.

    :param policy: as for the algorithm
    :param env: as for the algorithm
    :param args: further arguments of the algorithm
    :param demonstrations: what to learn from, or the path of a file with them; checked against the environment here,
        needed by the first :meth:`learn`
    :param pretrain_epochs: passes over the demonstrations before the first step, by default 20, and at least so many
        that they make 1000 minibatches
        (:class:`~gym_ilrl.callbacks.pretrain.Pretrain`)
    :param imitation_coef: weight of the demonstrations in the actor's updates, annealed to zero for PPO and its kin,
        constant for SAC, TD3, DQN and theirs
        (:class:`~gym_ilrl.callbacks.hybrid_objective.HybridObjective`)
    :param anchor_coef: weight of the divergence from the pretrained policy, annealed to zero
        (:class:`~gym_ilrl.callbacks.kl_anchor.KLAnchor`)
    :param critic_warmup: environment steps in which only the critic learns, by default, for PPO and its kin, a tenth
        of the training and at most 10,000
        (:class:`~gym_ilrl.callbacks.critic_warmup.CriticWarmup`)
    :param demo_fraction: share of demonstrations in each replayed batch, for off-policy algorithms
        (:class:`~gym_ilrl.buffers.DemoReplayBuffer`)
    :param pretrain_kwargs: other arguments of ``Pretrain``; given any, ``pretrain_epochs=0`` leaves only the actor out
    :param imitation_kwargs: other arguments of ``HybridObjective``, such as ``{"filter": "q"}``
    :param anchor_kwargs: other arguments of ``KLAnchor``
    :param critic_warmup_kwargs: other arguments of ``CriticWarmup``
    :param demo_replay_kwargs: other arguments of ``DemoReplayBuffer``
    :param save_demonstrations: store the demonstrations in the model's file, too
    :param kwargs: further arguments of the algorithm
    :raises ValueError: if the demonstrations do not fit the environment, or an argument is outside its range or not for
        this algorithm
    :raises TypeError: if a part is not for this algorithm, such as an anchor for DQN
    """

    host_defaults: ClassVar[dict[str, Any]] = {}  # arguments of the algorithm whose default is another one here
    replay_classes: ClassVar[ReplayClasses] = (DemoReplayBuffer, DemoNStepReplayBuffer)

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: GymEnv | str | None,
        *args: Any,
        demonstrations: Demonstrations | str | Path | None = None,
        pretrain_epochs: int | None = None,
        imitation_coef: ImitationCoef | None = None,
        anchor_coef: float | Schedule | None = None,
        critic_warmup: int | None = None,
        demo_fraction: float | None = None,
        pretrain_kwargs: dict[str, Any] | None = None,
        imitation_kwargs: dict[str, Any] | None = None,
        anchor_kwargs: dict[str, Any] | None = None,
        critic_warmup_kwargs: dict[str, Any] | None = None,
        demo_replay_kwargs: dict[str, Any] | None = None,
        save_demonstrations: bool = False,
        **kwargs: Any,
    ) -> None:
        check_amounts(pretrain_epochs, imitation_coef, anchor_coef, critic_warmup, demo_fraction)
        self.demonstrations = demonstrations_of(demonstrations)
        self.pretrain_epochs = pretrain_epochs
        self.imitation_coef = imitation_coef
        self.anchor_coef = anchor_coef
        self.critic_warmup = critic_warmup
        self.demo_fraction = demo_fraction
        self.pretrain_kwargs = options_of("pretrain_kwargs", pretrain_kwargs)
        self.imitation_kwargs = options_of("imitation_kwargs", imitation_kwargs)
        self.anchor_kwargs = options_of("anchor_kwargs", anchor_kwargs)
        self.critic_warmup_kwargs = options_of("critic_warmup_kwargs", critic_warmup_kwargs)
        self.demo_replay_kwargs = options_of("demo_replay_kwargs", demo_replay_kwargs)
        self.save_demonstrations = save_demonstrations
        self._extensions: list[Extension] | None = None
        given = {*list(inspect.signature(super().__init__).parameters)[: 2 + len(args)], *kwargs}
        defaults = {name: value for name, value in _known_defaults(type(self)).items() if name not in given}
        self._defaulted = list(defaults)
        args = tuple(_copied(value) for value in args)
        kwargs = {name: _copied(value) for name, value in {**defaults, **kwargs}.items()}
        super().__init__(policy, env, *args, **kwargs)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        heirs = cls.__mro__[: cls.__mro__.index(FromDemonstrations)]
        has_its_own = any("__init__" in vars(heir) for heir in heirs)
        cls.__signature__ = None if has_its_own else _joint_signature(cls)  # type: ignore[attr-defined]

    def set_demonstrations(self, demonstrations: Demonstrations | str | Path | None) -> None:
        """Replace what is learnt from; a loaded model has none until then.

        :param demonstrations: or the path of a file with them; None: continue as the plain algorithm
        :raises ValueError: if they do not fit the environment
        """
        loaded = demonstrations_of(demonstrations)
        if loaded is not None and self.env is not None:
            loaded.check_compatible(self.env)
        self.demonstrations, self._extensions = loaded, None
        self._use_demonstrations()

    def learn(
        self: SelfFromDemonstrations, total_timesteps: int, callback: MaybeCallback = None, *args: Any, **kwargs: Any
    ) -> SelfFromDemonstrations:
        """Pretrain, if the model is untrained, and learn (see the algorithm).

        :param total_timesteps: environment steps; the pretraining takes none
        :param callback: called after those of this class
        :param args: further arguments of the algorithm's ``learn``
        :param kwargs: further arguments of the algorithm's ``learn``
        :raises ValueError: if the model is untrained and has no demonstrations
        """
        if len(args) < 2:  # log_interval, tb_log_name
            kwargs.setdefault("tb_log_name", type(self).__name__)
        return super().learn(total_timesteps, callback, *args, **kwargs)  # type: ignore[safe-super]

    def _setup_model(self) -> None:
        if isinstance(self, OffPolicyAlgorithm):
            if "n_steps" in self._defaulted and not takes_n_steps(self):
                cast(Any, self).n_steps = 1
            cast(Any, self).replay_buffer = self._new_replay()
        elif self.demo_fraction:
            raise ValueError(
                f"demo_fraction={self.demo_fraction} is a share of replayed batches and {type(self).__name__} has no "
                "replay buffer; leave it out, or use an off-policy algorithm such as SACfD or DQfD"
            )
        super()._setup_model()  # type: ignore[safe-super]
        self._use_demonstrations()

    def _new_replay(self) -> DemoReplay:
        model = cast(OffPolicyAlgorithm, self)
        options = dict(self.demo_replay_kwargs)
        if self.demo_fraction is not None:
            options = {"demo_fraction": self.demo_fraction, **options}
        elif "demo_fraction" not in model.replay_buffer_kwargs:
            options = {"demo_fraction": OFF_POLICY.demo_fraction, **options}
        return cast(DemoReplay, demonstration_replay(model, options, self.replay_classes))

    def _use_demonstrations(self) -> None:
        self.demonstrations = demonstrations_of(self.demonstrations)  # load(..., demonstrations=path) sets the path
        if self.demonstrations is not None and self.env is not None:
            self.demonstrations.check_compatible(self.env)
        buffer = getattr(self, "replay_buffer", None)
        if isinstance(buffer, DemoReplay):
            is_used = buffer.initial_demo_fraction > 0 or (buffer.final_demo_fraction or 0.0) > 0
            buffer.set_demonstrations(self.demonstrations if is_used else None)
        if self.demonstrations is not None:
            self._extensions = self._build_extensions(self.demonstrations)

    def _build_extensions(self, demonstrations: Demonstrations) -> list[Extension]:
        recipe = recipe_of(self)
        chosen = {name: getattr(self, name) for name in vars(recipe)}
        value = {name: getattr(recipe, name) if given is None else given for name, given in chosen.items()}
        if self.pretrain_epochs is None:
            batch_size = self.pretrain_kwargs.get("batch_size", 64)
            value["pretrain_epochs"] = enough_epochs(recipe.pretrain_epochs, demonstrations.n_transitions, batch_size)
        imitation_kwargs = {**recipe.imitation_kwargs, **self.imitation_kwargs}
        extensions: list[Extension] = []
        if value["pretrain_epochs"] or self.pretrain_kwargs:
            extensions.append(Pretrain(demonstrations, value["pretrain_epochs"], **self.pretrain_kwargs))
        if value["critic_warmup"]:
            extensions.append(CriticWarmup(value["critic_warmup"], **self.critic_warmup_kwargs))
        if value["imitation_coef"]:
            extensions.append(HybridObjective(demonstrations, value["imitation_coef"], **imitation_kwargs))
        if value["anchor_coef"]:
            extensions.append(KLAnchor(value["anchor_coef"], **self.anchor_kwargs))
        for extension in extensions:
            extension.check_model(self)
        return extensions

    def _setup_learn(
        self, total_timesteps: int, callback: MaybeCallback = None, *args: Any, **kwargs: Any
    ) -> tuple[int, BaseCallback]:
        if self._extensions is None and self._n_updates == 0 and self.num_timesteps == 0:
            raise ValueError(
                f"this {type(self).__name__} has no demonstrations: give them at construction, demonstrations=..., or "
                "by set_demonstrations()"
            )
        replayed = getattr(self, "replay_buffer", None)
        if self.demonstrations is not None and replayed is not None and not isinstance(replayed, DemoReplay):
            buffer = self._new_replay()  # load_replay_buffer() has read one of the plain algorithm
            take_online_data(buffer, replayed)
            cast(Any, self).replay_buffer = buffer
            self._use_demonstrations()
        own = self._extensions or []
        for extension in own:
            if isinstance(extension, CriticWarmup) and self.critic_warmup is None:
                extension.n_timesteps = default_warmup(recipe_of(self), total_timesteps)
        if callback is None:
            theirs: list[BaseCallback] = []
        elif isinstance(callback, list):
            theirs = callback
        else:
            theirs = [callback if isinstance(callback, BaseCallback) else ConvertCallback(callback)]
        return super()._setup_learn(total_timesteps, cast(BaseCallback, CallbackList([*own, *theirs])), *args, **kwargs)

    def _excluded_save_params(self) -> list[str]:
        kept = [] if self.save_demonstrations else ["demonstrations"]
        return [*super()._excluded_save_params(), "_extensions", *kept]


def _copied(argument: Any) -> Any:
    """Copy a dictionary, such as ``policy_kwargs``: SB3 adds its own entries to the one it is given."""
    return dict(argument) if isinstance(argument, dict) else argument


def _host(cls: type[FromDemonstrations]) -> type[BaseAlgorithm]:
    """Return the class after the mixin that has a constructor."""
    after = cls.__mro__[cls.__mro__.index(FromDemonstrations) + 1 :]
    return cast(type[BaseAlgorithm], next(base for base in after if "__init__" in vars(base)))


def _known_defaults(cls: type[FromDemonstrations]) -> dict[str, Any]:
    known = inspect.signature(_host(cls).__init__).parameters
    return {name: value for name, value in cls.host_defaults.items() if name in known}


def _joint_signature(cls: type[FromDemonstrations]) -> inspect.Signature:
    """Return the algorithm's arguments, and those of the mixin by keyword."""
    changed = _known_defaults(cls)
    theirs = [
        parameter.replace(default=changed.get(parameter.name, parameter.default))
        for parameter in list(inspect.signature(_host(cls).__init__).parameters.values())[1:]
    ]
    own = inspect.signature(FromDemonstrations.__init__).parameters.values()
    added = [parameter for parameter in own if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    before = [parameter for parameter in theirs if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
    after = [parameter for parameter in theirs if parameter.kind is inspect.Parameter.VAR_KEYWORD]
    names = {parameter.name for parameter in theirs}
    return inspect.Signature([*before, *(p for p in added if p.name not in names), *after])
