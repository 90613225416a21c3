"""What drivers of ``ilrl/RoadNetwork-v0`` care about: the features of each turn and road, and their cost."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_ilrl.arguments import require
from gym_ilrl.envs.road_network_roads import RoadNetwork

FEATURE_NAMES = (
    "highway_km",
    "main_road_km",
    "street_km",
    "minutes",
    "left_turn",
    "right_turn",
    "sharp_turn",
    "u_turn",
)
N_ROAD_FEATURES = 4  # the first ones are of the road, the others of the turn into it
DEFAULT_PREFERENCES = {"minutes": 1.0, "left_turn": 0.5, "right_turn": 0.2, "sharp_turn": 1.0, "u_turn": 3.0}
_STRAIGHT, _SHARP = 30.0, 120.0  # degrees: less is no turn, more is a sharp one

Preferences = Mapping[str, float] | ArrayLike


def as_weights(preferences: Preferences | None) -> NDArray[np.float64]:
    """Return the cost of one unit of each feature, of shape ``(8,)``, read-only.

    :param preferences: by the names of :data:`FEATURE_NAMES` (those left out cost nothing), or an array in their
        order; None: :data:`DEFAULT_PREFERENCES`
    :raises ValueError: if they are neither
    """
    given = DEFAULT_PREFERENCES if preferences is None else preferences
    expected = f"a dictionary of numbers by the names {', '.join(FEATURE_NAMES)}, or an array of 8 in this order"
    values: Any = given
    if isinstance(given, Mapping):
        require(set(given) <= set(FEATURE_NAMES), "preferences", given, expected)
        values = [given.get(name, 0.0) for name in FEATURE_NAMES]
    weights = np.asarray(values)
    is_right = weights.shape == (len(FEATURE_NAMES),) and weights.dtype.kind in "fiu"
    require(is_right and bool(np.isfinite(weights).all()), "preferences", preferences, expected)
    weights = weights.astype(np.float64)
    weights.setflags(write=False)
    return weights


def route_costs(network: RoadNetwork, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``weights . features`` of every continuation, of shape ``(n_actions, n_roads)``; 0 where there is none.

    :param network: the roads
    :param weights: of shape ``(8,)``
    """
    of_road = weights[network.road_class] * network.length + weights[N_ROAD_FEATURES - 1] * network.minutes
    of_turn = np.append(weights[N_ROAD_FEATURES:], 0.0)[turn_kinds(network)]
    exists = network.continuations >= 0
    costs: NDArray[np.float64] = np.where(exists, of_road[network.continuations] + of_turn, 0.0)
    return costs


def route_features(network: RoadNetwork) -> NDArray[np.float64]:
    """Return the features of every continuation, of shape ``(n_roads, n_actions, 8)``; 0 where there is none.

    :param network: the roads
    """
    n_actions, n_roads = network.continuations.shape
    features = np.zeros((n_roads, n_actions, len(FEATURE_NAMES)))
    kinds = turn_kinds(network)
    for action, following in enumerate(network.continuations):
        road = np.flatnonzero(following >= 0)
        entered = following[road]
        features[road, action, network.road_class[entered]] = network.length[entered]
        features[road, action, N_ROAD_FEATURES - 1] = network.minutes[entered]
        turns = np.flatnonzero(kinds[action] >= 0)
        features[turns, action, N_ROAD_FEATURES + kinds[action, turns]] = 1.0
    return features


def turn_kinds(network: RoadNetwork) -> NDArray[np.int8]:
    """Return 0 for a left turn, 1 right, 2 sharp (either way), 3 back, and -1 for straight on or where there is none.

    :param network: the roads
    :return: of shape ``(n_actions, n_roads)``
    """
    turn = network.turn
    angle = np.abs(turn)
    kinds = np.full(turn.shape, -1, dtype=np.int8)
    kinds[angle >= _STRAIGHT] = 1
    kinds[turn <= -_STRAIGHT] = 0
    kinds[angle > _SHARP] = 2
    kinds[turn == 180.0] = 3
    return kinds
