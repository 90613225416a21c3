"""How likely the expert is to act, round by round of DAgger: the beta_i of Ross, Gordon and Bagnell (2011)."""

from collections.abc import Callable
from dataclasses import dataclass

BetaSchedule = Callable[[int], float]  # round (0, 1, ...) -> probability that the expert acts, in [0, 1]


@dataclass(frozen=True)
class IndicatorBetaSchedule:
    """``beta_i = 1[i = 0]``: the expert acts in the first round, the learner ever after.

    The parameter-free choice of the paper (section 3), and usually its best.
    """

    def __call__(self, round_number: int) -> float:
        """Return beta of a round."""
        return 1.0 if round_number == 0 else 0.0


@dataclass(frozen=True)
class LinearBetaSchedule:
    """``beta_i = 1 - i / n_rounds``, then 0.

    :param n_rounds: the first round without the expert, at least 1
    """

    n_rounds: int = 15

    def __post_init__(self) -> None:
        if self.n_rounds < 1:
            raise ValueError(f"n_rounds must be at least 1, not {self.n_rounds}")

    def __call__(self, round_number: int) -> float:
        """Return beta of a round."""
        return max(0.0, 1.0 - round_number / self.n_rounds)


@dataclass(frozen=True)
class ExponentialBetaSchedule:
    """``beta_i = decay ** i``.

    :param decay: in [0, 1)
    """

    decay: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must be at least 0 and below 1, not {self.decay}")

    def __call__(self, round_number: int) -> float:
        """Return beta of a round."""
        return float(self.decay**round_number)


_BY_NAME: dict[str, Callable[[], BetaSchedule]] = {
    "indicator": IndicatorBetaSchedule,
    "linear": LinearBetaSchedule,
    "exponential": ExponentialBetaSchedule,
}


def resolve_beta_schedule(schedule: str | BetaSchedule) -> BetaSchedule:
    """Return the schedule of a name, or the callable that was given.

    :raises ValueError: for another name
    """
    if callable(schedule):
        return schedule
    if not isinstance(schedule, str) or schedule not in _BY_NAME:
        raise ValueError(
            f"beta_schedule must be a function of the round number, or one of {', '.join(map(repr, _BY_NAME))}, "
            f"not {schedule!r}"
        )
    return _BY_NAME[schedule]()
