"""Demonstrations in words."""

from typing import TYPE_CHECKING

from gym_ilrl.data.checks import in_words

if TYPE_CHECKING:
    from gym_ilrl.data.demonstrations import Demonstrations


def one_line(demos: "Demonstrations") -> str:
    """Return the ``repr``."""
    of = f" of {demos.spec.id}" if demos.spec else ""
    episodes = "1 episode" if demos.n_episodes == 1 else f"{demos.n_episodes} episodes"
    return f"<Demonstrations{of}: {episodes}, {demos.n_transitions} transitions>"


def summary(demos: "Demonstrations") -> str:
    """Return a few readable lines: sizes, lengths, returns, spaces."""
    lengths = demos.episode_lengths
    terminated = int(demos.terminations[demos.offsets[1:] - 1].sum())
    lines = [
        f"demonstrations   {demos.spec.id if demos.spec else 'of an unregistered environment'}",
        f"episodes         {demos.n_episodes} ({terminated} terminated, {demos.n_episodes - terminated} truncated)",
        f"transitions      {demos.n_transitions}",
        f"episode lengths  {lengths.mean():.1f} ± {lengths.std():.1f} (from {lengths.min()} to {lengths.max()})",
        f"returns          {_returns(demos)}",
        f"observations     {in_words(demos.observation_space)}",
        f"actions          {in_words(demos.action_space)}",
    ]
    if demos.infos:
        lines.append(f"infos            {', '.join(sorted(demos.infos))}")
    return "\n".join(lines)


def _returns(demos: "Demonstrations") -> str:
    if demos.rewards is None:
        return "unknown: no rewards"
    returns = demos.returns()
    return f"{returns.mean():.2f} ± {returns.std():.2f} (from {returns.min():.2f} to {returns.max():.2f})"
