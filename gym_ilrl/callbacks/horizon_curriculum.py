"""How far a guide takes an episode, stage by stage."""

from collections import deque


class HorizonCurriculum:
    """Shortens the guide's part of an episode as long as the returns hold (Uchendu et al. 2023, algorithm 1).

    The first stage measures what the guide earns. A stage ends when the mean return of its last ``window`` episodes is
    at least the best mean of the stages before, less a tolerance.

    :param max_horizon: steps that the guide takes in the first stage
    :param n_stages: stages until it takes none, in equal decrements
    :param tolerance: fraction of the best mean's magnitude by which a mean may be less
    :param window: episodes in the moving average
    """

    def __init__(self, max_horizon: int, n_stages: int, tolerance: float, window: int) -> None:
        self._max_horizon, self._n_stages, self._tolerance = max_horizon, n_stages, tolerance
        self._returns: deque[float] = deque(maxlen=window)
        self._best: float | None = None
        self._stage = 0

    @property
    def horizon(self) -> int:
        """Steps that the guide takes in an episode that begins now."""
        return round(self._max_horizon * (1 - self._stage / self._n_stages))

    def episode_ended(self, horizon: int, episode_return: float) -> None:
        """Count an episode, unless it began in an earlier stage.

        :param horizon: of that episode
        :param episode_return: sum of its rewards
        """
        if horizon != self.horizon or self._stage == self._n_stages:
            return
        self._returns.append(episode_return)
        if len(self._returns) < (self._returns.maxlen or 1):
            return
        mean = sum(self._returns) / len(self._returns)
        if self._best is None or mean >= self._best - self._tolerance * abs(self._best):
            self._best = mean if self._best is None else max(self._best, mean)
            self._stage += 1
            self._returns.clear()
