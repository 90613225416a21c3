"""The recipe of RLPD as arguments of SACfD."""

from typing import Any

from gym_ilrl.policies.layer_norm import LayerNormCritics, LayerNormSACPolicy


def rlpd_kwargs(
    policy: type[LayerNormCritics] = LayerNormSACPolicy,
    n_critics: int = 10,
    n_target_critics: int = 2,
    gradient_steps: int = 20,
) -> dict[str, Any]:
    """Return the arguments that make ``SACfD`` RLPD: ``SACfD(env=env, demonstrations=demos, **rlpd_kwargs())``.

    Ball et al., "Efficient Online Reinforcement Learning with Offline Data", ICML 2023: half of every batch are
    demonstrations (section 4.1), critics have LayerNorm (4.2), and there are many updates per step, which an ensemble
    of critics makes stable (4.3). No cloning: demonstrations act through the replay only, and need rewards.

    ======================================== ====================== ===================================================
    Argument                                 Value                  Source
    ======================================== ====================== ===================================================
    ``demo_fraction``                        0.5                    paper, section 4.1; ``offline_ratio``
    ``n_critics``, ``n_target_critics``      10, 2                  ``configs/rlpd_config.py``; 10, 1 for AntMaze
    ``gradient_steps`` per environment step  20                     ``utd_ratio``, README of the code
    ``learning_starts``                      5000                   ``start_training``, README of the code
    ``batch_size``                           256                    ``train_finetuning.py``
    ``learning_rate``, ``gamma``, ``tau``    3e-4, 0.99, 0.005      ``sac_learner.py``
    ``ent_coef``                             learned, first 1       ``init_temperature``, ``sac_learner.py``
    ``net_arch``                             two layers of 256      ``sac_learner.py``; three on Adroit and AntMaze
    ======================================== ====================== ===================================================

    The files are those of the authors' code, github.com/ikostrikov/rlpd. What is theirs and not here, since SB3's
    ``SAC.train`` is left as it is: they update the actor and the entropy coefficient once per environment step, SB3
    at every gradient step; their target entropy is half of SB3's, ``-dim(A) / 2``, which ``target_entropy`` sets;
    and on sparse rewards they leave the entropy out of the target.

    :param policy: :class:`~gym_ilrl.policies.LayerNormSACPolicy`, or its variants for images and dictionaries
    :param n_critics: members of the ensemble
    :param n_target_critics: members whose least is the target
    :param gradient_steps: updates per environment step, of a single environment
    :return: a new dictionary of keyword arguments
    """
    return {
        "policy": policy,
        "learning_rate": 3e-4,
        "learning_starts": 5000,
        "batch_size": 256,
        "tau": 0.005,
        "gamma": 0.99,
        "train_freq": 1,
        "gradient_steps": gradient_steps,
        "ent_coef": "auto_1.0",
        "policy_kwargs": {"net_arch": [256, 256], "n_critics": n_critics, "n_target_critics": n_target_critics},
        "demo_fraction": 0.5,
        "pretrain_epochs": 0,
        "imitation_coef": 0.0,
        "anchor_coef": 0.0,
        "critic_warmup": 0,
    }
