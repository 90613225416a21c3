"""Loading image demonstrations: time, memory, and whether the dtype survives."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from gymnasium import spaces

from benchmarks.harness import Report, main
from gym_ilrl import Demonstrations

SHAPE = (84, 84, 3)
EPISODE_LENGTH = 50

TEXT = """\
Image observations (uint8, 84 x 84 x 3) in episodes of 50 steps, read from disk to one array of transitions'
observations. Ours: `Demonstrations.load(...)` of the `.npz` file, all values checked, and of the directory form,
memory-mapped, then `transitions()`. The peer: `imitation.data.serialize.load`, then
`rollout.flatten_trajectories`, the way into its algorithms. Every reading has a fresh process, in which the same
way was gone once with one episode before; peak memory is the growth of that process' resident set over what it was
before reading."""


def write(directory: Path, n_episodes: int, small: str) -> None:
    """Write the same episodes in all forms."""
    from imitation.data import serialize
    from imitation.data.types import Trajectory

    rng = np.random.default_rng(0)
    spaces_ = (spaces.Box(0, 255, SHAPE, np.uint8), spaces.Discrete(4))
    observations = [rng.integers(256, size=(EPISODE_LENGTH + 1, *SHAPE), dtype=np.uint8) for _ in range(n_episodes)]
    actions = [rng.integers(4, size=EPISODE_LENGTH) for _ in range(n_episodes)]
    demonstrations = Demonstrations.from_arrays(observations, actions, spaces_)
    demonstrations.save(directory / f"ours{small}.npz")
    demonstrations.save(directory / f"ours{small}")
    serialize.save(
        directory / f"imitation{small}",
        [Trajectory(o, a, None, terminal=True) for o, a in zip(observations, actions, strict=True)],
    )


def read_ours(path: str) -> np.ndarray:
    return Demonstrations.load(path).transitions().observations


def read_mapped(path: str) -> np.ndarray:
    return Demonstrations.load(path, mmap=True).transitions().observations


def read_imitations(path: str) -> np.ndarray:
    from imitation.data import rollout, serialize

    return rollout.flatten_trajectories(serialize.load(path)).obs


WAYS: dict[str, tuple[Callable[[str], np.ndarray], str, str]] = {
    "gym_ilrl .npz": (read_ours, "ours", ".npz"),
    "gym_ilrl directory, mmap": (read_mapped, "ours", ""),
    "imitation": (read_imitations, "imitation", ""),
}


def resident(name: str) -> float:
    """Return this process' present (``VmRSS``) or greatest (``VmHWM``) resident set, in MiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def forget_peak() -> None:
    """Let Linux take the present resident set for the greatest (man 5 proc, clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def measure_here(way: str, directory: str) -> dict[str, Any]:
    """Measure one reading in this process."""
    read, stem, suffix = WAYS[way]
    read(f"{directory}/{stem}-small{suffix}")
    forget_peak()
    before = resident("VmRSS")
    cpu, wall = time.process_time(), time.perf_counter()
    observations = read(f"{directory}/{stem}{suffix}")
    seconds = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    return {**seconds, "peak_MiB": resident("VmHWM") - before, "dtype": str(observations.dtype), "n": len(observations)}


def measure(way: str, directory: str) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.loading", "--measure", way, directory]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def benchmark(quick: bool) -> Report:
    n_episodes, turns = (2, 1) if quick else (20, 3)
    settings = {"observations": n_episodes * EPISODE_LENGTH, "turns": turns}
    report = Report("loading", "Loading image demonstrations", TEXT, settings)
    with tempfile.TemporaryDirectory() as directory:
        write(Path(directory), n_episodes, small="")
        write(Path(directory), 1, small="-small")
        results: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for _ in range(turns):
            for way in WAYS:
                results[way].append(measure(way, directory))
    seconds = {way: median(result["cpu_s"] for result in results[way]) for way in WAYS}
    for way, measured in results.items():
        assert measured[0]["n"] == settings["observations"]
        report.add(
            way=way,
            CPU_ms=1000 * seconds[way],
            wall_ms=1000 * median(result["wall_s"] for result in measured),
            peak_memory_MiB=median(result["peak_MiB"] for result in measured),
            dtype=measured[0]["dtype"],
            times_faster_than_imitation=seconds["imitation"] / seconds[way],
            target="milliseconds, uint8" if way != "imitation" else "",
        )
    return report


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure_here(*sys.argv[2:])))
    else:
        main(benchmark)
