"""Run all benchmarks, or those named: ``python -m benchmarks [--quick] [name ...]``.

Each one has a process of its own, in which the sides take turns.
"""

import argparse
import os
import subprocess
import sys

MODULES = {
    "bc": "behavior_cloning",
    "loading": "loading",
    "dagger": "dagger",
    "reaching": "reaching",
    "collecting": "collecting",
    "vectorised": "vectorised",
    "importing": "importing",
    "experts": "experts",
    "hybrid": "hybrid",
    "exploration": "exploration",
    "beyond": "beyond",
    "first_bad_batch": "first_bad_batch",
    "nonlinear_rewards": "nonlinear_rewards",
    "chance": "chance",
    "routes": "routes",
    "irl": "irl",
    "scale": "scale",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(MODULES)}; default: all")
    parser.add_argument("--quick", action="store_true", help="small sizes; prints, but writes no results")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in MODULES]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(MODULES)}")
    quiet = {"HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}  # of the peer's storage
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    for name in arguments.names or MODULES:
        small = ["--episodes", "2"] if name == "experts" else ["--quick"]
        command = [sys.executable, "-m", f"benchmarks.{MODULES[name]}", *(small if arguments.quick else [])]
        subprocess.run(command, check=True, env={**os.environ, **quiet, **one_thread})


if __name__ == "__main__":
    main()
