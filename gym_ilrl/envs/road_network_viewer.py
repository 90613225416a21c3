"""Pictures of ``ilrl/RoadNetwork-v0``."""

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.envs.grid_viewer import draw_flag
from gym_ilrl.envs.raster import Point, blank, disc, segment
from gym_ilrl.envs.road_network_classes import CLASSES
from gym_ilrl.envs.road_network_costs import turn_kinds
from gym_ilrl.envs.road_network_roads import RoadNetwork

_TARGET, _MARGIN = 600, 24  # pixels: the longer side of the map, and the border around it
_FINER = 3  # the map is drawn so many times larger, and then averaged
_LAND, _CASING, _ROUTE, _CAR, _WINDOW = (238, 240, 232), (168, 166, 158), (28, 96, 168), (18, 58, 110), (240, 246, 252)
_COLORS = ((226, 118, 84), (250, 206, 110), (255, 255, 255))  # highway, main road, street
_HALF_WIDTHS = (0.075, 0.06, 0.04)  # km, wherever that is more than half a pixel
_TURNS = ("left", "right", "sharply", "back", "straight on")  # by turn_kinds, whose -1 is the last one


def draw_map(network: RoadNetwork) -> NDArray[np.uint8]:
    """Return a picture of the roads, coloured by their class.

    :param network: the roads
    """
    pixels = _pixels(network)
    width, height = (np.ceil(pixels.max(axis=0)).astype(int) + _MARGIN).tolist()
    canvas = blank(width * _FINER, height * _FINER, _LAND)
    once = network.tail < network.head
    for road_class in reversed(range(len(CLASSES))):
        drawn = once & (network.road_class == road_class)
        start, end = (_FINER * pixels[ends[drawn]] for ends in (network.tail, network.head))
        half = max(_HALF_WIDTHS[road_class] * _scale(network), (0.9, 0.6, 0.3)[road_class]) * _FINER
        if half > 2.0 * _FINER:
            _stamp(canvas, start, end, half + 0.8 * _FINER, _CASING)
        _stamp(canvas, start, end, half, _COLORS[road_class])
    blocks = canvas.reshape(height, _FINER, width, _FINER, 3)
    picture: NDArray[np.uint8] = np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)
    return picture


def draw_trip(
    drawn_map: NDArray[np.uint8], network: RoadNetwork, route: NDArray[np.int64], destination: int
) -> NDArray[np.uint8]:
    """Return the map with a route, the car at its end and a flag at the destination.

    :param drawn_map: as :func:`draw_map` returns it
    :param network: the roads
    :param route: the roads driven so far, of shape ``(n,)``, the last one being where the car is
    :param destination: junction with the flag
    """
    picture: NDArray[np.uint8] = drawn_map.copy()
    pixels = _pixels(network)
    size = min(max(0.16 * _scale(network), 6.0), 9.0)
    x, y = pixels[destination].tolist()
    disc(picture, (x, y), 0.8 * size, (38, 128, 64))
    draw_flag(picture, round(x - 1.8 * size), round(y - 4.0 * size), round(5 * size))
    ends = np.sort(np.stack([network.tail[route[:-1]], network.head[route[:-1]]], axis=1), axis=1)
    for junction, other in np.unique(ends, axis=0).tolist():
        segment(picture, _point(pixels[junction]), _point(pixels[other]), 0.22 * size, _ROUTE)
    start, end = pixels[network.tail[route[-1]]], pixels[network.head[route[-1]]]
    ahead = (end - start) / max(float(np.linalg.norm(end - start)), 1e-9)
    front = end - 0.9 * size * ahead
    segment(picture, _point(start), _point(front), 0.22 * size, _ROUTE)
    disc(picture, _point(pixels[network.tail[route[0]]]), 0.45 * size, _ROUTE)
    segment(picture, _point(front - 0.9 * size * ahead), _point(front), 0.55 * size, _CAR)
    window, across = front - 0.15 * size * ahead, 0.22 * size * np.array([-ahead[1], ahead[0]])
    segment(picture, _point(window - across), _point(window + across), 0.16 * size, _WINDOW)
    return picture


def write(network: RoadNetwork, road: int, destination: int) -> str:
    """Return where the car is and where each action leads, in words.

    :param network: the roads
    :param road: the one that the car has just driven
    :param destination: junction to which the trip goes
    """
    head, roads = network.head[road], network.continuations[:, road]
    away = np.linalg.norm(network.junctions[destination] - network.junctions[head])
    name = CLASSES[network.road_class[road]]
    lines = [f"road {road} ({name}) at junction {head}; junction {destination}, the destination, is {away:.1f} km away"]
    for action, (following, kind) in enumerate(zip(roads.tolist(), turn_kinds(network)[:, road].tolist(), strict=True)):
        if following >= 0:
            about = f"{CLASSES[network.road_class[following]]}, {network.length[following]:.1f} km"
            lines.append(f"{action}: {_TURNS[kind]} into road {following} ({about})")
    return "\n".join(lines) + "\n"


def _scale(network: RoadNetwork) -> float:
    """Pixels a kilometre."""
    return float(_TARGET / np.ptp(network.junctions, axis=0).max())


def _pixels(network: RoadNetwork) -> NDArray[np.float64]:
    """Where the junctions are in the picture."""
    return np.asarray((network.junctions - network.junctions.min(axis=0)) * _scale(network) + _MARGIN)


def _point(place: NDArray[np.float64]) -> Point:
    return float(place[0]), float(place[1])


def _stamp(
    canvas: NDArray[np.uint8],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    radius: float,
    color: tuple[int, int, int],
) -> None:
    """Draw many thick lines at once: a disc at each of many points along them."""
    n_points = np.ceil(np.linalg.norm(end - start, axis=1) / max(0.4 * radius, 1.0)).astype(np.int64) + 2
    line = np.repeat(np.arange(len(start)), n_points)
    place = np.arange(len(line)) - np.repeat(np.cumsum(n_points) - n_points, n_points)
    share = (place / (n_points[line] - 1))[:, None]
    column, row = (start[line] + share * (end - start)[line]).astype(np.int64).T
    reach = np.arange(-int(radius), int(radius) + 1)
    for down in reach.tolist():
        for right in reach[reach**2 + down**2 <= radius**2].tolist():
            canvas[row + down, column + right] = color
