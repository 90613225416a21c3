"""DAgger: environment steps per CPU second at equal work."""

from functools import partial
from statistics import median

import torch as th

from benchmarks.dagger_sides import StepCounter, counted_environments, imitations_trainer
from benchmarks.harness import Report, Run, alternate, compare, main
from gym_ilrl import DAgger, expert

# Environments whose episodes all have the same length: then imitation's rounds, which end when all episodes have, are
# exactly ours. seals/CartPole-v0 is CartPole that goes on after the pole has fallen.
EPISODE_LENGTHS = {"Pendulum-v1": 200, "seals/CartPole-v0": 500}
EXPERTS = {"Pendulum-v1": "Pendulum-v1", "seals/CartPole-v0": "CartPole-v1"}
N_ENVS = 8
# imitation's defaults
OPTIONS = {"n_epochs": 4, "batch_size": 32, "ent_coef": 1e-3, "beta_schedule": "linear", "log_std": "fit"}
TARGET = 2.0

TEXT = """\
The same rounds on both sides: as many steps (8 environments, one episode of each), as many epochs over as many
labels, the same network (two layers of 64), batch size, entropy bonus, beta schedule and expert; the options that
differ between the libraries have imitation's defaults. Ours is `DAgger(...).learn(n)`, the peer
`SimpleDAggerTrainer(...).train(n)`, which evaluates its policy in the training environments as it comes: a wrapper
counts what is executed. "Quiet" is the peer with `log_rollouts_venv=None`, which executes what it says. Rates are
steps per CPU second; "labelled" are those the learner gets labels from, "executed" all of them."""


def ours(env_id: str, n_rounds: int, counters: list[StepCounter], turn: int) -> Run:
    venv = counted_environments(env_id, N_ENVS, seed=turn)
    counters.append(venv)
    n_steps = EPISODE_LENGTHS[env_id]
    teacher = expert(EXPERTS[env_id])
    model = DAgger(
        "MlpPolicy", venv, expert=teacher, n_steps=n_steps, patience=None, seed=turn, device="cpu", **OPTIONS
    )
    return lambda: model.learn(n_rounds * n_steps * N_ENVS).n_labels


def imitations(env_id: str, n_rounds: int, quiet: bool, counters: list[StepCounter], turn: int) -> Run:
    venv = counted_environments(env_id, N_ENVS, seed=turn)
    counters.append(venv)
    trainer = imitations_trainer(venv, expert(EXPERTS[env_id]), seed=turn)
    n_steps = n_rounds * EPISODE_LENGTHS[env_id] * N_ENVS
    train_kwargs = {"progress_bar": False, **({"log_rollouts_venv": None} if quiet else {})}

    def run() -> float:
        trainer.train(n_steps, bc_train_kwargs=train_kwargs)
        return n_steps

    return run


def benchmark(quick: bool) -> Report:
    n_rounds, turns = (2, 1) if quick else (5, 3)
    settings = {"rounds": n_rounds, "environments at once": N_ENVS, "turns": turns, **OPTIONS}
    report = Report("dagger", "DAgger: environment steps per CPU second at equal work", TEXT, settings)
    th.set_num_threads(1)
    for env_id in EPISODE_LENGTHS:
        counters: dict[str, list[StepCounter]] = {"gym_ilrl": [], "imitation": [], "imitation, quiet": []}
        sides = {
            "gym_ilrl": partial(ours, env_id, n_rounds, counters["gym_ilrl"]),
            "imitation": partial(imitations, env_id, n_rounds, False, counters["imitation"]),
            "imitation, quiet": partial(imitations, env_id, n_rounds, True, counters["imitation, quiet"]),
        }
        labelled = alternate(sides, turns)
        n_labelled = n_rounds * EPISODE_LENGTHS[env_id] * N_ENVS
        executed = {
            side: [rate * counter.n_steps / n_labelled for rate, counter in zip(rates, counters[side][1:], strict=True)]
            for side, rates in labelled.items()
        }
        for side in sides:
            report.add(
                environment=env_id,
                side=side,
                labelled=n_labelled,
                executed=int(median(counter.n_steps for counter in counters[side])),
                CPU_s=n_labelled / median(labelled[side]),
                labelled_per_s=median(labelled[side]),
                executed_per_s=median(executed[side]),
                our_ratio_labelled=compare(labelled["gym_ilrl"], labelled[side])["ratio"],
                our_ratio_executed=compare(executed["gym_ilrl"], executed[side])["ratio"],
                target="" if side == "gym_ilrl" else TARGET,
            )
    return report


if __name__ == "__main__":
    main(benchmark)
