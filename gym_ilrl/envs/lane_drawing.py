"""Drawing ``ilrl/LaneKeeping-v0``: the road from above, and below it what the three cameras see."""

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.envs.lane_road import Road

WIDTH, HEIGHT, PANEL = 640, 480, 116  # pixels; the panel of the cameras is at the bottom
SCALE = 112.0  # pixels a metre
CAR_COLUMN, CAR_ROW, CAR_REACH = 168, (HEIGHT - PANEL) // 2, 40  # where the car is drawn, and how far around it
SHOULDER = 0.06  # m of asphalt beyond the lane's border
CAR_LENGTH, CAR_WIDTH = 0.40, 0.20  # m

GRASS = np.array([104, 151, 92])
ASPHALT = np.array([72, 76, 84])
PAINT = np.array([240, 240, 235])
DASHES = np.array([236, 196, 72])
BODY = np.array([205, 58, 52])
GLASS = np.array([38, 46, 60])
LAMP = np.array([255, 236, 170])
BACKGROUND = np.array([28, 31, 38])
FRAME = np.array([92, 98, 110])

Image = NDArray[np.float64]


def draw(
    road: Road, arc_length: float, lateral_error: float, heading_error: float, cameras: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Return a picture that follows the car.

    :param road: the lane
    :param arc_length: the car's position along the centre line in m
    :param lateral_error: how far to the left of the centre line the car is, in m
    :param heading_error: by how much the car points to the left of the lane's direction, in rad
    :param cameras: the images of the left, centre and right camera, of shape ``(3, scan lines, pixels)``
    :return: uint8 of shape ``(480, 640, 3)``
    """
    position = np.array([arc_length])
    car = road.points(position, np.array([lateral_error]))[0]
    heading = float(road.heading(position)[0]) + heading_error
    x, y = _grid(car)
    image = _ground(x, y)
    _paint_road(image, x, y, road, arc_length)
    around = (slice(CAR_ROW - CAR_REACH, CAR_ROW + CAR_REACH), slice(CAR_COLUMN - CAR_REACH, CAR_COLUMN + CAR_REACH))
    _paint_car(image[around], x[around] - car[0], y[around] - car[1], heading)
    return np.asarray(np.concatenate([image, _camera_panel(cameras)]).round(), dtype=np.uint8)


def _grid(car: NDArray[np.float64]) -> tuple[Image, Image]:
    """Return the world coordinates of every pixel."""
    columns = np.arange(WIDTH) + 0.5
    rows = np.arange(HEIGHT - PANEL) + 0.5
    x = car[0] + (columns - CAR_COLUMN) / SCALE
    y = car[1] + (CAR_ROW - rows) / SCALE
    return np.broadcast_to(x, (len(rows), WIDTH)), np.broadcast_to(y[:, None], (len(rows), WIDTH))


def _ground(x: Image, y: Image) -> Image:
    """Return grass, in squares of half a metre so that motion shows."""
    shade = np.where((np.floor(2 * x) + np.floor(2 * y)) % 2 == 0, 1.0, 0.965)
    return np.asarray(shade[..., None] * GRASS)


def _paint_road(image: Image, x: Image, y: Image, road: Road, arc_length: float) -> None:
    distance, along = _distance_to_road(x, y, road, arc_length)
    _blend(image, ASPHALT, _inside(distance - road.half_width - SHOULDER))
    _blend(image, PAINT, _inside(np.abs(distance - road.half_width) - 0.016))
    _blend(image, DASHES, _inside(distance - 0.01) * (along % 0.5 < 0.25))


def _distance_to_road(x: Image, y: Image, road: Road, arc_length: float) -> tuple[Image, Image]:
    """Return every pixel's distance to the centre line, and where along it; infinite outside the road.

    The centre line is a polyline, and a segment is compared only with the pixels that it is wide enough to reach.
    """
    step = 0.0625
    nodes = arc_length + step * np.arange(-64.0, 160.0)
    points = road.points(nodes)
    distance, along = np.full(x.shape, np.inf), np.zeros(x.shape)
    reach = road.half_width + SHOULDER + 2.0 / SCALE
    for start, end, node in zip(points[:-1], points[1:], nodes[:-1], strict=True):
        low, high = np.minimum(start, end) - reach, np.maximum(start, end) + reach
        columns = slice(*np.searchsorted(x[0], [low[0], high[0]]).tolist())
        rows = slice(*np.searchsorted(-y[:, 0], [-high[1], -low[1]]).tolist())
        from_x, from_y = x[rows, columns] - start[0], y[rows, columns] - start[1]
        direction = (end - start) / np.hypot(*(end - start))
        travelled = np.clip(from_x * direction[0] + from_y * direction[1], 0.0, step)
        here = np.hypot(from_x - travelled * direction[0], from_y - travelled * direction[1])
        nearer = here < distance[rows, columns]
        distance[rows, columns][nearer] = here[nearer]
        along[rows, columns][nearer] = node + travelled[nearer]
    return distance, along


def _paint_car(image: Image, x: Image, y: Image, heading: float) -> None:
    forward = x * np.cos(heading) + y * np.sin(heading)
    left = np.abs(y * np.cos(heading) - x * np.sin(heading))
    shadow = _inside(_box(forward + 0.015, left, CAR_LENGTH + 0.05, CAR_WIDTH + 0.05, 0.06))
    _blend(image, np.zeros(3), 0.35 * shadow)
    for along, length, side, width, corner, colour in (
        (0.0, CAR_LENGTH, 0.0, CAR_WIDTH, 0.05, BODY),
        (0.05, 0.065, 0.0, CAR_WIDTH - 0.05, 0.015, GLASS),
        (-0.125, 0.04, 0.0, CAR_WIDTH - 0.06, 0.01, GLASS),
        (-0.045, 0.10, 0.0, CAR_WIDTH - 0.07, 0.015, BODY * 1.12),
        (0.185, 0.025, 0.065, 0.04, 0.01, LAMP),
    ):
        _blend(image, colour, _inside(_box(forward - along, left - side, length, width, corner)))


def _camera_panel(cameras: NDArray[np.float32]) -> Image:
    """Return the images side by side, the farthest scan line on top and the learner's camera framed."""
    panel = np.full((PANEL, WIDTH, 3), BACKGROUND, dtype=np.float64)
    n_lines, n_pixels = cameras.shape[1:]
    width, height = 12 * n_pixels, 26 * n_lines
    gap, top = (WIDTH - 3 * width) // 4, (PANEL - height) // 2
    for number, camera in enumerate(cameras):
        left = gap + number * (width + gap)
        border, colour = (4, LAMP) if number == 1 else (1, FRAME)
        panel[top - border : top + height + border, left - border : left + width + border] = colour
        brightness: Image = np.clip(0.12 + 0.88 * camera[::-1], 0.0, 1.0)
        panel[top : top + height, left : left + width] = (
            (brightness[..., None] * PAINT).repeat(26, axis=0).repeat(12, axis=1)
        )
        panel[top + 26 : top + height : 26, left : left + width] = BACKGROUND
    return panel


def _box(x: Image, y: Image, length: float, width: float, corner: float) -> Image:
    """Return the signed distance to a rounded rectangle around the origin."""
    outside_x, outside_y = np.abs(x) - length / 2.0 + corner, np.abs(y) - width / 2.0 + corner
    outside = np.hypot(np.maximum(outside_x, 0.0), np.maximum(outside_y, 0.0))
    return np.asarray(outside + np.minimum(np.maximum(outside_x, outside_y), 0.0) - corner)


def _inside(signed_distance: Image) -> Image:
    """Return which share of each pixel lies inside, from the signed distance in m of its centre to the outline."""
    return np.clip(0.5 - signed_distance * SCALE, 0.0, 1.0)


def _blend(image: Image, colour: NDArray[np.float64] | NDArray[np.int64], share: Image) -> None:
    image += share[..., None] * (colour - image)
