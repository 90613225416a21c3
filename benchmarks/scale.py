"""How long an exact gradient takes, from a thousand states to a million, beside the machine's memory bandwidth."""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.harness import Report, main
from benchmarks.known_grids import N_ACTIONS, problem, true_weights
from gym_ilrl import MaxEntIRL
from gym_ilrl.irl import ActionLikelihood, ExpertVisits
from gym_ilrl.planning import PolicySystem, occupancy, solve

GAMMA, CHANGE, TOLERANCE = 0.99, 0.01, 1e-6
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "scale.png"

TEXT = """\
Discounted by 0.99, N x N grids with 5 actions, slip 0.2 and 16 features; each size in a process of its own, one thread.
*Cold*: soft values and the expected visits of their policy, from nothing. *Warm*: the gradient of the likelihood with
respect to 16 weights after all of them have changed by 1 % (of a normal deviate), median of five, with values to 1e-6;
"missed by" is what that misses of the gradient with values to 1e-12, relative to the largest feature expectation.
*Fit*: `MaxEntIRL.learn()` from weights 0 to a gradient below 1e-6, relative to the features' expectations; its
demonstrations are the exact visits of an expert. *Roofline*: the time in which this machine's memory delivers the
transitions twice, once for a backup and once for the visits: less is impossible for anything that reads them. Memory
is the peak of the process, before the fit. CPU seconds throughout."""


def measure(size: int) -> dict[str, float]:
    """Measure one size; runs in a process of its own."""
    mdp, phi = problem(size, GAMMA, None)
    weights = true_weights()
    start = time.process_time()
    system = PolicySystem()
    solution = solve(mdp, 1.0, system=system)
    visits = occupancy(mdp, solution.policy, system=system)
    cold = time.process_time() - start
    assert abs(visits.sum() * (1.0 - GAMMA) - 1.0) < 1e-9
    expert = ExpertVisits.from_occupancy(visits.T, mdp)
    objective = ActionLikelihood(mdp, expert, tolerance=TOLERANCE)
    generator = np.random.default_rng(0)
    warm = []
    for _ in range(5):
        changed = phi @ (weights * (1.0 + CHANGE * generator.normal(size=16)))
        rewards = np.tile(changed, (N_ACTIONS, 1))
        objective(mdp.rewards)  # where the step of 1 % begins
        start = time.process_time()
        gradient = phi.T @ objective(rewards).gradient.sum(axis=0)
        warm.append(time.process_time() - start)
    measured = {"cold": cold, "warm": median(warm)}
    measured["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    del objective  # and its factor
    reference = phi.T @ ActionLikelihood(mdp, expert)(rewards).gradient.sum(axis=0)
    measured["missed"] = float(np.abs(gradient - reference).max() / np.abs(phi.T @ visits.sum(axis=0)).max())
    matrix = mdp.transitions
    measured["bytes"] = 2.0 * (matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes)
    irl = MaxEntIRL("TabularPolicy", mdp, demonstrations=visits.T.copy(), features=phi)
    start = time.process_time()
    irl.learn(500)
    measured["fit"], measured["evaluations"] = time.process_time() - start, irl.num_timesteps
    assert irl.converged
    return measured


def bandwidth() -> float:
    """Return bytes per second of reading two arrays and writing a third one, the best of five."""
    first, second, third = np.ones(40_000_000), np.ones(40_000_000), np.empty(40_000_000)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        np.add(first, second, out=third)
        seconds.append(time.process_time() - start)
    return 3 * first.nbytes / min(seconds)


def in_its_own_process(*arguments: str) -> Any:
    """Return what this module prints as JSON: its memory is then that of one measurement."""
    command = [sys.executable, "-m", "benchmarks.scale", *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def draw(rows: list[dict[str, float]]) -> None:
    """Draw time against size."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0))
    ax = figure.subplots()
    states = [row["states"] for row in rows]
    for name, style, label in (
        ("cold_s", "o-", "values and visits, from nothing"),
        ("warm_s", "o-", "gradient, after a step of 1 %"),
        ("roofline_s", "--", "reading the transitions twice"),
    ):
        ax.loglog(states, [row[name] for row in rows], style, label=label)
    ax.set_xlabel("states")
    ax.set_ylabel("CPU seconds, one thread")
    ax.legend(frameon=False)
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(PICTURE, dpi=110)


def benchmark(quick: bool) -> Report:
    speed = in_its_own_process("--bandwidth")
    settings = {"gamma": GAMMA, "change of weights": CHANGE, "memory bandwidth, GB/s": round(speed / 1e9, 1)}
    report = Report("scale", "Exact gradients from a thousand states to a million", TEXT, settings)
    for size in (32, 100) if quick else (32, 100, 316, 1000):
        found = in_its_own_process("--size", str(size))
        report.add(
            states=size**2,
            cold_s=found["cold"],
            warm_s=f"{found['warm']:.3g}",
            roofline_s=f"{found['bytes'] / speed:.2g}",
            memory_GB=found["memory"],
            gradient_missed_by=f"{found['missed']:.0e}",
            fit_s=found["fit"],
            evaluations=found["evaluations"],
        )
    if not quick:
        draw([{name: float(row[name]) for name in ("states", "cold_s", "warm_s", "roofline_s")} for row in report.rows])
    return report


if __name__ == "__main__":
    if "--bandwidth" in sys.argv:
        print(bandwidth())
    elif "--size" in sys.argv:
        size = int(sys.argv[sys.argv.index("--size") + 1])
        print(json.dumps(measure(size)))
    else:
        main(benchmark)
