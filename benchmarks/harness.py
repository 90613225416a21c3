"""Sides measured in turns, in CPU seconds of one thread, and the report of it as Markdown and JSON."""

import argparse
import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("gym-ilrl", "imitation", "stable-baselines3", "gymnasium", "torch", "numpy", "datasets", "mujoco")

Run = Callable[[], float]
"""Does the work that is timed, and returns how much it was, in units (samples, steps, ...)."""

Prepare = Callable[[int], Run]
"""Prepares, untimed, the work of one turn; gets the number of the turn."""


def alternate(sides: dict[str, Prepare], turns: int) -> dict[str, list[float]]:
    """Let the sides take turns, the first one to warm up; return each one's units per CPU second, turn by turn."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(turns + 1):
        for name, prepare in sides.items():
            run = prepare(turn)
            start = time.process_time()
            units = run()
            if turn > 0:
                rates[name].append(units / (time.process_time() - start))
    return rates


def compare(ours: list[float], peers: list[float]) -> dict[str, Any]:
    """Return the ratio of the medians, and the lowest and highest ratio of one turn."""
    each = [mine / theirs for mine, theirs in zip(ours, peers, strict=True)]
    return {"ratio": statistics.median(ours) / statistics.median(peers), "range": [min(each), max(each)]}


@dataclass
class Report:
    """A table of measurements, and all that is needed to make it again.

    :param name: of the benchmark, as ``python -m benchmarks`` knows it
    :param title: heading
    :param text: what is measured, and how it is made fair
    :param settings: sizes and options
    """

    name: str
    title: str
    text: str
    settings: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    load_at_start: float = field(default_factory=lambda: os.getloadavg()[0])

    def add(self, **row: Any) -> None:
        """Append a row, and print it."""
        self.rows.append(row)
        print(f"{self.name}: " + ", ".join(f"{name} {shown(value)}" for name, value in row.items()), flush=True)

    def markdown(self) -> str:
        """Return the report as a page."""
        columns = [name.replace("_", " ") for name in self.rows[0]]
        lines = [f"# {self.title}", "", self.text, "", f"Command: `python -m benchmarks {self.name}`", ""]
        lines += [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
        lines += [f"| {' | '.join(shown(value) for value in row.values())} |" for row in self.rows]
        lines += ["", *(f"- {name.replace('_', ' ')}: {value}" for name, value in self.settings.items())]
        lines += [f"- {name}: {value}" for name, value in self.circumstances().items()]
        return "\n".join(lines) + "\n"

    def circumstances(self) -> dict[str, str]:
        """Return the machine and the versions."""
        load = f"load average {self.load_at_start:.1f} at the start, {os.getloadavg()[0]:.1f} at the end"
        return {
            "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()}; one thread; {load}",
            "versions": f"Python {platform.python_version()}, {', '.join(filter(None, map(installed, PACKAGES)))}",
        }

    def write(self) -> None:
        """Write ``results/<name>.md`` and ``.json``."""
        RESULTS.mkdir(exist_ok=True)
        content = {
            "benchmark": self.title,
            "command": f"python -m benchmarks {self.name}",
            "settings": self.settings,
            **self.circumstances(),
            "rows": self.rows,
        }
        (RESULTS / f"{self.name}.json").write_text(json.dumps(content, indent=2) + "\n")
        (RESULTS / f"{self.name}.md").write_text(self.markdown())


def shown(value: Any) -> str:
    """Write a number with three digits, a range of numbers, or a text."""
    if isinstance(value, list):
        return " - ".join(map(shown, value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}" if isinstance(value, float) else f"{value:,}"


def processor() -> str:
    """Return the processor's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def installed(package: str) -> str | None:
    """Return ``"<package> <version>"``, or None if it is not installed."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return None


def main(benchmark: Callable[[bool], Report]) -> None:
    """Run one benchmark from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="small sizes; prints, but writes no results")
    quick = parser.parse_args().quick
    warnings.simplefilter("ignore")
    report = benchmark(quick)
    print(report.markdown())
    if not quick:
        report.write()
