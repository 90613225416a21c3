"""SAC's policies with the critics of RLPD."""

from typing import Any, cast

from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.sac.policies import CnnPolicy, MultiInputPolicy, SACPolicy

from gym_ilrl.arguments import require, require_positive_int
from gym_ilrl.policies.ensemble_critic import EnsembleCritic


class LayerNormCritics(BasePolicy):
    """Mixin over SB3's SAC policies: an ensemble of critics with LayerNorm, as RLPD has it.

    LayerNorm bounds what a critic says about actions that are in no data, which is what makes learning from
    demonstrations and fresh experience together stable; many critics, and the least of a few of them as target, let it
    take many updates per step. Ball et al., "Efficient Online Reinforcement Learning with Offline Data" (RLPD), ICML
    2023, sections 4.2 and 4.3; Chen et al., "Randomized Ensembled Double Q-Learning" (REDQ), ICLR 2021.

    SAC's own losses are computed by SAC. What they are given differs:

    - the target is the least of ``n_target_critics`` members, drawn anew at each update from torch's generator;
    - the actor climbs the mean of all members, as in REDQ and RLPD, where SAC takes their least. The critic knows the
      actor's call by its actions, which carry a gradient.

    :param args: of SB3's policy
    :param n_critics: members of the ensemble; 10 in both papers
    :param n_target_critics: members whose least is the target; 2 in both papers, 1 for RLPD's AntMaze
    :param actor_value: ``"mean"`` of the members, or the ``"min"`` of SAC
    :param kwargs: of SB3's policy
    :raises ValueError: unless ``1 <= n_target_critics <= n_critics``, and for another ``actor_value``
    """

    critic_kwargs: dict[str, Any]

    def __init__(
        self, *args: Any, n_critics: int = 10, n_target_critics: int = 2, actor_value: str = "mean", **kwargs: Any
    ) -> None:
        require_positive_int("n_critics", n_critics)
        require_positive_int("n_target_critics", n_target_critics)
        require(n_target_critics <= n_critics, "n_target_critics", n_target_critics, f"at most n_critics={n_critics}")
        require(actor_value in ("mean", "min"), "actor_value", actor_value, "'mean' or 'min'")
        self.n_target_critics = n_target_critics
        self.actor_value = actor_value
        super().__init__(*args, n_critics=n_critics, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)  # type: ignore[misc]
        cast(EnsembleCritic, self.critic).mean_for_actor = self.actor_value == "mean"
        cast(EnsembleCritic, self.critic_target).n_drawn = self.n_target_critics

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> EnsembleCritic:
        """Return a new critic, as SB3's policies do."""
        critic_kwargs = self._update_features_extractor(self.critic_kwargs, features_extractor)
        return EnsembleCritic(**critic_kwargs).to(self.device)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        parameters = super()._get_constructor_parameters()
        parameters.update(n_target_critics=self.n_target_critics, actor_value=self.actor_value)
        return parameters


class LayerNormSACPolicy(LayerNormCritics, SACPolicy):
    """SAC's ``MlpPolicy`` with the critics of :class:`LayerNormCritics`."""


class LayerNormCnnPolicy(LayerNormCritics, CnnPolicy):
    """SAC's ``CnnPolicy`` with the critics of :class:`LayerNormCritics`."""


class LayerNormMultiInputPolicy(LayerNormCritics, MultiInputPolicy):
    """SAC's ``MultiInputPolicy`` with the critics of :class:`LayerNormCritics`."""
