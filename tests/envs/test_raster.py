"""Shapes against their areas and places."""

import numpy as np
import pytest

from gym_ilrl.envs.raster import blank, disc, path, rectangle, segment

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def ink(picture):
    """Area covered by black, in pixels."""
    return (255.0 - picture[..., 0]).sum() / 255.0


def test_blank_is_one_colour():
    picture = blank(7, 5, (1, 2, 3))
    assert picture.shape == (5, 7, 3)
    assert picture.dtype == np.uint8
    assert (picture == (1, 2, 3)).all()


@pytest.mark.parametrize("radius", [5.0, 10.5, 20.0])
def test_disc_has_its_area_and_centre(radius):
    picture = blank(60, 50, WHITE)
    disc(picture, (30.3, 24.7), radius, BLACK)
    assert ink(picture) == pytest.approx(np.pi * radius**2, rel=0.01)
    rows, columns = np.nonzero(picture[..., 0] < 128)
    assert columns.mean() + 0.5 == pytest.approx(30.3, abs=0.3)
    assert rows.mean() + 0.5 == pytest.approx(24.7, abs=0.3)


def test_segment_has_its_area_whichever_way_it_runs():
    start, end, radius = (20.0, 15.0), (70.0, 55.0), 3.0
    area = 2 * radius * np.hypot(50.0, 40.0) + np.pi * radius**2
    pictures = [blank(100, 80, WHITE) for _ in range(2)]
    segment(pictures[0], start, end, radius, BLACK)
    segment(pictures[1], end, start, radius, BLACK)
    assert ink(pictures[0]) == pytest.approx(area, rel=0.01)
    assert np.abs(pictures[0].astype(int) - pictures[1]).max() <= 1


def test_path_joins_its_points():
    joined, by_hand = blank(40, 40, WHITE), blank(40, 40, WHITE)
    path(joined, [(5, 5), (30, 5), (30, 30)], 2.0, BLACK)
    segment(by_hand, (5, 5), (30, 5), 2.0, BLACK)
    segment(by_hand, (30, 5), (30, 30), 2.0, BLACK)
    assert (joined == by_hand).all()


def test_rectangle_fills_between_its_corners_and_is_cut_at_the_border():
    picture = blank(20, 10, WHITE)
    rectangle(picture, (-3.0, 2.0), (4.0, 5.0), BLACK)
    assert np.argwhere(picture[..., 0] == 0).tolist() == [[y, x] for y in range(2, 5) for x in range(4)]


@pytest.mark.parametrize("centre", [(-30.0, 5.0), (5.0, -30.0), (90.0, 5.0), (5.0, 90.0)])
def test_what_is_outside_the_picture_is_not_drawn(centre):
    picture = blank(20, 20, WHITE)
    disc(picture, centre, 4.0, BLACK)
    rectangle(picture, centre, (centre[0] + 3, centre[1] + 3), BLACK)
    assert (picture == 255).all()


def test_what_crosses_the_border_is_cut():
    whole, part = blank(40, 40, WHITE), blank(20, 40, WHITE)
    disc(whole, (20.0, 20.0), 8.0, BLACK)
    disc(part, (20.0, 20.0), 8.0, BLACK)
    assert (whole[:, :20] == part).all()
