"""What ``import gym_ilrl`` costs beyond ``import gymnasium``."""

import subprocess
import sys
from statistics import median

from benchmarks.harness import Report, main

TARGET = 400  # CPU milliseconds

TEXT = """\
CPU milliseconds of an import statement, each in a fresh interpreter that has imported gymnasium already (first row:
that has imported nothing). `import gym_ilrl` registers the environments and loads neither torch nor
Stable-Baselines3, which are loaded by the first algorithm that is named; `from imitation.algorithms import dagger`
stands beside the latter."""

STATEMENTS = {
    "import gymnasium": "",
    "import gym_ilrl": "import gymnasium",
    "import gymnasium; gymnasium.make('gym_ilrl:ilrl/GridMaze-v0')": "import gymnasium",
    "from gym_ilrl import BC, DAgger, collect": "import gymnasium, stable_baselines3",
    "from imitation.algorithms import bc, dagger": "import gymnasium, stable_baselines3",
}


def import_seconds(statement: str, before: str) -> float:
    timed = f"{before}\nimport time\nstart = time.process_time()\n{statement}\nprint(time.process_time() - start)"
    command = [sys.executable, "-W", "ignore", "-c", timed]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def benchmark(quick: bool) -> Report:
    turns = 1 if quick else 7
    report = Report("importing", "The cost of importing", TEXT, {"turns": turns})
    seconds: dict[str, list[float]] = {statement: [] for statement in STATEMENTS}
    for turn in range(turns + 1):
        for statement, before in STATEMENTS.items():
            measured = import_seconds(statement, before)
            if turn > 0:  # the first turn fills the disk cache and writes the byte code
                seconds[statement].append(measured)
    for statement, values in seconds.items():
        report.add(
            statement=f"`{statement}`",
            after=f"`{STATEMENTS[statement]}`" if STATEMENTS[statement] else "nothing",
            CPU_ms=1000 * median(values),
            range=[1000 * min(values), 1000 * max(values)],
            target=TARGET if statement == "import gym_ilrl" else "",
        )
    return report


if __name__ == "__main__":
    main(benchmark)
