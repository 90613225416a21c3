"""How often a policy takes each action in each state."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_ilrl.arguments import is_number, require
from gym_ilrl.planning.bellman import Bellman
from gym_ilrl.planning.policies import probabilities
from gym_ilrl.planning.policy_system import PolicySystem
from gym_ilrl.planning.tabular_mdp import TabularMDP
from gym_ilrl.planning.time_dependent import Workspace, policies

_SWEEPS_FIRST = 400  # before a factor is computed: where states mix fast, they are all it takes
_PRECISION = 1e-12  # of the flow through all states
_LOST = 1e-9  # mass that may be lost, relative to all of it


def occupancy(mdp: TabularMDP, policy: ArrayLike, *, system: PolicySystem | None = None) -> NDArray[np.float64]:
    """Return the expected discounted number of times that each action is taken in each state.

    ``d(a, s) = sum_t gamma^t P(s_t = s, a_t = a)``, over ``t < horizon``: its sum with the rewards is the expected
    return from the start. It sums to the expected discounted length of an episode: to ``horizon`` without discount and
    endings, and times ``1 - gamma`` to 1 without horizon and endings.

    :param mdp: the problem
    :param policy: as in :func:`~gym_ilrl.planning.evaluation.policy_evaluation`
    :param system: keeps the factor of the linear equations from one similar problem to the next; without a factor,
        up to 400 sweeps are tried first
    :raises ValueError: if it is no policy of the problem, or without discount and horizon never ends
    :raises ArithmeticError: if probability is lost on the way
    :return: of shape ``(n_actions, n_states)``
    """
    table = probabilities(mdp, policy)
    if mdp.horizon is not None:
        discounts = mdp.gamma ** np.arange(mdp.horizon)
        total: NDArray[np.float64] = np.tensordot(discounts, visitation(mdp, table), 1)
        return total
    return table * flow(Bellman.of(mdp, 0.0), table, mdp.initial, PolicySystem() if system is None else system)


def flow(
    bellman: Bellman,
    policy: NDArray[np.float64],
    source: NDArray[np.float64],
    system: PolicySystem,
    reduction: float = 0.0,
) -> NDArray[np.float64]:
    """Return how much passes each state, discounted, where ``source`` enters: ``d = source + gamma P_pi^T d``.

    :param bellman: of a problem without horizon
    :param policy: probabilities, of shape ``(n_actions, n_states)``
    :param source: of shape ``(n_states,)``; may be negative in some states
    :param system: solves the linear equations; without a factor and with a discount, sweeps are tried first
    :param reduction: share of the source by which the equations may be missed; 0: as small as rounding allows
    :raises ArithmeticError: if a part of it is lost on the way
    :return: of shape ``(n_states,)``
    """
    visits = None if bellman.gamma == 1.0 or system.is_factored else _swept_signed(bellman, policy, source)
    if visits is None:
        visits = system.solve(bellman, policy, source, transposed=True, reduction=reduction)
    lost = np.abs(visits - source - bellman.propagate_back(policy, visits)).sum()
    lost = max(0.0, lost - reduction * len(source) * np.abs(source).max())  # what may be missed
    if (source >= 0.0).all():
        lost -= min(0.0, visits.min())
    _require_conserved(lost / max(np.abs(visits).sum(), np.finfo(np.float64).tiny))
    return visits


def visitation(mdp: TabularMDP, policy: ArrayLike) -> NDArray[np.float64]:
    """Return the probability of taking each action in each state at each time.

    :param mdp: a problem with a horizon
    :param policy: as in :func:`~gym_ilrl.planning.evaluation.policy_evaluation`
    :raises ValueError: if it is no policy of the problem, or the problem has no horizon
    :raises ArithmeticError: if probability is lost on the way
    :return: of shape ``(horizon, n_actions, n_states)``; less than 1 in sum where the episode may be over
    """
    require(mdp.horizon is not None, "horizon", mdp.horizon, "given for probabilities at each time")
    forward = _Forward(mdp)
    return np.stack([forward.step(table) for table in probabilities(mdp, policy)])


class SoftOccupancy(NamedTuple):
    """The soft value of the start, and the occupancy of the soft policy, of shape ``(n_actions, n_states)``."""

    value: float
    occupancy: NDArray[np.float64]


def soft_occupancy(mdp: TabularMDP, temperature: float, memory_limit: float = 1e9) -> SoftOccupancy:
    """Solve a problem with a horizon and return the occupancy of its policy, without keeping the policy.

    The occupancy is the gradient of the value with respect to the rewards. Where the policy of all times does not fit
    into ``memory_limit``, values are kept at the square root of the horizon many times, and the policy between them is
    computed once more (Griewank, "Achieving logarithmic growth of temporal and spatial complexity", 1992).

    :param mdp: a problem with a horizon
    :param temperature: at least 0
    :param memory_limit: for the policy, in bytes
    :raises ValueError: if the problem has no horizon
    :raises ArithmeticError: if probability is lost on the way
    """
    require(mdp.horizon is not None, "horizon", mdp.horizon, "given for soft_occupancy; see solve and occupancy")
    require(is_number(memory_limit) and memory_limit > 0, "memory_limit", memory_limit, "a positive number of bytes")
    bellman, first = Bellman.of(mdp, temperature), []

    def read(t: int, q: NDArray[np.float64], values: NDArray[np.float64]) -> None:
        if t == 0:
            first.append(values)

    total, forward = np.zeros(mdp.rewards.shape), _Forward(mdp)
    for t, (weights, sums) in enumerate(policies(bellman, int(mdp.horizon or 0), read, Workspace(), memory_limit)):
        weights /= sums
        total += mdp.gamma**t * forward.step(weights)
    return SoftOccupancy(float(mdp.initial @ first[0]) * bellman.unit, total)


def _swept_signed(
    bellman: Bellman, policy: NDArray[np.float64], source: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    visits = np.zeros_like(source)
    for sign in (1.0, -1.0):
        part = np.maximum(sign * source, 0.0)
        total = part.sum()
        if total > 0.0:
            swept = _swept(bellman, policy, part / total)
            if swept is None:
                return None
            visits += sign * total * swept
    return visits


def _swept(bellman: Bellman, policy: NDArray[np.float64], initial: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return ``sum_k r_k`` with ``r_k+1 = gamma P_pi^T r_k`` and ``r_0 = initial``; None if 400 terms are not enough.

    Once the shape of ``r_k`` stays the same, ``r_k+1 = q r_k``, the rest of the sum is that of a geometric series.
    """
    visits, term = np.zeros_like(initial), initial
    change_at_50 = np.inf
    for k in range(_SWEEPS_FIRST):
        following = bellman.propagate_back(policy, term)
        ratio = following.sum() / term.sum()
        change = np.abs(following - ratio * term).sum()
        enough = _PRECISION * (1.0 - ratio)  # the first term has the sum 1
        if change <= enough:
            rest: NDArray[np.float64] = term / (1.0 - ratio)
            return visits + rest
        if k == 50:
            change_at_50 = change
        if k == 100 and change * (change / change_at_50) ** 6 > enough:  # 300 more terms shrink it six times as much
            return None
        visits, term = visits + term, following
    return None


class _Forward:
    """The distribution of the state, from step to step, undiscounted; no probability may be lost."""

    def __init__(self, mdp: TabularMDP) -> None:
        self._mdp = mdp
        self._state = mdp.initial
        self._back = mdp.transitions.T
        self._ends, self._ended = bool(mdp.ending.any()), 0.0

    def step(self, policy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distribution over states and actions now, and go on."""
        now = policy * self._state
        if self._ends:
            self._ended += float(np.vdot(now, self._mdp.ending))
        self._state = self._back @ now.ravel()
        _require_conserved(abs(float(self._state.sum()) + self._ended - 1.0))
        return now


def _require_conserved(lost: float) -> None:
    if not lost <= _LOST:
        raise ArithmeticError(
            f"a share of {lost:.1g} of the probability was lost on the way: the equations are singular"
        )
