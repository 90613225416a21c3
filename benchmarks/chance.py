"""Chance: what MaxEnt IRL loses that takes the outcomes of chance for choices, and causal MaxEnt IRL does not."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.chance_figure import FILE, draw
from benchmarks.harness import Report, main
from benchmarks.known_grids import N_ACTIONS, features, grid, true_weights
from gym_ilrl import MaxEntIRL, TabularMDP
from gym_ilrl.planning import occupancy, solve

SIZE, HORIZON, SLIPS = 10, 20, (0.0, 0.1, 0.2, 0.4)
CAUSAL, PLAIN, REPLANNED = "causal", "plain", "plain's reward, planned causally"
EXAMPLE_SEED, EXAMPLE_SLIP = 0, 0.2

TEXT = f"""\
A grid of {SIZE} x {SIZE} cells with four moves and staying, {HORIZON} steps from a uniformly drawn cell; a move goes to
one of its two sides with probability `slip`. The reward is linear in 16 features, 15 Gaussian bumps at random places
and an indicator of a corner, with random weights. The expert is the soft optimal policy of that reward at temperature
1. Its exact expected visits are the demonstrations, so that nothing is lost by sampling; both learners know the
dynamics and converge to a gradient of 1e-6.

"{CAUSAL}" is `MaxEntIRL` as it is, maximum causal entropy (Ziebart, Bagnell and Dey, 2010). "{PLAIN}" is
`causal=False`, the model of Ziebart, Maas, Bagnell and Dey (2008): the probability of a trajectory is that of its
transitions times `exp(return)`. It matches the expert's features in its own belief, in which the outcomes of chance are
chosen, too. "{REPLANNED}" takes only the reward from it.

Return lost is (expert - learner) / (expert - uniformly random actions), in the true process under the true reward; the
feature error is the largest difference of a feature expectation from the expert's, relative to the expert's largest.
Means over the seeds, and ranges of plain's losses."""


@dataclass(frozen=True)
class Outcome:
    """What one seed gives at one slip: shares of return lost, and feature errors, by learner."""

    lost: dict[str, float]
    feature_error: dict[str, float]
    visits: dict[str, NDArray[np.float64]]


def learn(slip: float, seed: int) -> Outcome:
    """Learn the reward of one seed with and without the assumption that chance is chosen."""
    phi = features(SIZE, seed)
    mdp = TabularMDP(grid(SIZE, slip), on_actions(phi @ true_weights(seed + 1)), gamma=1.0, horizon=HORIZON)
    expert = occupancy(mdp, solve(mdp, temperature=1.0).policy)
    visits, errors = {"expert": expert.sum(axis=0)}, {}
    returns = {"expert": total(mdp, expert)}
    for name, causal in ((CAUSAL, True), (PLAIN, False)):
        model = MaxEntIRL("TabularPolicy", mdp, demonstrations=expert.T.copy(), features=phi, causal=causal, seed=seed)
        model.learn(1_000, log_interval=None)
        assert model.converged
        visits[name], errors[name] = model.occupancy.sum(axis=1), model.feature_error
        returns[name] = total(mdp, model.occupancy.T)
    replanned = solve(mdp.replace(rewards=on_actions(model.reward_table)), temperature=1.0)
    returns[REPLANNED] = total(mdp, occupancy(mdp, replanned.policy))
    random = np.full((HORIZON, *mdp.rewards.shape), 1.0 / N_ACTIONS)
    unit = returns["expert"] - total(mdp, occupancy(mdp, random))
    lost = {name: (returns["expert"] - returns[name]) / unit for name in (CAUSAL, PLAIN, REPLANNED)}
    return Outcome(lost, errors, visits)


def on_actions(reward: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a reward of states as one of what is done there."""
    return np.tile(reward, (N_ACTIONS, 1))


def total(mdp: TabularMDP, visits: NDArray[np.float64]) -> float:
    """Return the expected return."""
    return float(np.vdot(mdp.rewards, visits))


def percents(shares: list[float]) -> str:
    """Write the mean and the range, in percent."""
    mean, low, high = (round(100.0 * share) for share in (np.mean(shares), min(shares), max(shares)))
    return f"{mean}% ({low} - {high})"


def benchmark(quick: bool) -> Report:
    seeds = range(1 if quick else 4)
    settings: dict[str, Any] = {"seeds": f"{seeds[0]} to {seeds[-1]}, of features and weights"}
    report = Report("chance", "Chance: plain and causal MaxEnt IRL", TEXT, settings)
    outcomes = {slip: [learn(slip, seed) for seed in seeds] for slip in SLIPS}
    for slip, of_seeds in outcomes.items():
        lost = {name: [outcome.lost[name] for outcome in of_seeds] for name in of_seeds[0].lost}
        report.add(
            slip=slip,
            return_lost_by_causal=f"{np.abs(lost[CAUSAL]).max():.0e} at most",
            return_lost_by_plain=percents(lost[PLAIN]),
            **{"by_plain's_reward,_planned_causally": percents(lost[REPLANNED])},
            feature_error_of_causal=f"{np.max([outcome.feature_error[CAUSAL] for outcome in of_seeds]):.0e} at most",
            feature_error_of_plain=float(np.mean([outcome.feature_error[PLAIN] for outcome in of_seeds])),
        )
    if not quick:
        names = (CAUSAL, PLAIN, REPLANNED)
        losses = {name: np.array([[each.lost[name] for each in outcomes[slip]] for slip in SLIPS]) for name in names}
        draw(SLIPS, losses, outcomes[EXAMPLE_SLIP][EXAMPLE_SEED].visits, SIZE)
        report.settings["picture"] = f"docs/images/{FILE.name}"
    return report


if __name__ == "__main__":
    main(benchmark)
