"""The map of RoadNetwork against plain geometry and graph search."""

from itertools import combinations

import numpy as np
import pytest

from gym_ilrl.envs.road_network_classes import SPEEDS
from gym_ilrl.envs.road_network_roads import generate_road_network

MAPS = [(4, 0), (5, 3), (12, 1), (60, 2), (150, 0)]


def roads_of(network):
    """Each pair of joined junctions once."""
    return {(a, b) for a, b in zip(network.tail.tolist(), network.head.tolist(), strict=True) if a < b}


def reached(pairs, start):
    neighbours = {}
    for a, b in pairs:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    found, stack = {start}, [start]
    while stack:
        for to in neighbours[stack.pop()] - found:
            found.add(to)
            stack.append(to)
    return found


def minimum_spanning_tree(points):
    """Kruskal's algorithm on all pairs."""
    group = list(range(len(points)))
    tree = set()
    for a, b in sorted(
        combinations(range(len(points)), 2), key=lambda pair: np.hypot(*(points[pair[0]] - points[pair[1]]))
    ):
        if group[a] != group[b]:
            tree.add((a, b))
            group = [group[a] if g == group[b] else g for g in group]
    return tree


def side(a, b, c):
    """Positive if c lies on one side of the line through a and b, negative on the other."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


@pytest.mark.parametrize(("size", "seed"), MAPS)
def test_no_two_roads_cross(size, seed):
    network = generate_road_network(size, seed)
    places = network.junctions.tolist()
    for (a, b), (c, d) in combinations(roads_of(network), 2):
        if len({a, b, c, d}) == 4:
            a, b, c, d = places[a], places[b], places[c], places[d]
            assert side(a, b, c) * side(a, b, d) > 0 or side(c, d, a) * side(c, d, b) > 0


@pytest.mark.parametrize(("size", "seed"), MAPS)
def test_every_junction_can_be_reached_and_has_at_most_five_roads(size, seed):
    network = generate_road_network(size, seed)
    pairs = roads_of(network)
    assert len(network.junctions) == size
    assert len(reached(pairs, 0)) == size
    assert 1 <= np.bincount(network.tail).min() <= np.bincount(network.tail).max() <= 5
    assert {(b, a) for a, b in pairs} | pairs == set(
        zip(network.tail.tolist(), network.head.tolist(), strict=True)
    )  # two-way
    assert network.n_roads == 2 * len(pairs)


def test_no_junction_is_crowded_on_large_maps():
    network = generate_road_network(5000, 1)
    degree = np.bincount(network.tail)
    assert degree.max() == 5
    assert 3.2 < degree.mean() < 4.0
    assert len(reached(roads_of(network), 0)) == 5000


@pytest.mark.parametrize(("size", "seed"), [(12, 1), (60, 2), (100, 7)])
def test_roads_are_the_spanning_tree_and_short_ones_with_nothing_in_between(size, seed):
    network = generate_road_network(size, seed)
    points, pairs = network.junctions, roads_of(network)
    tree = minimum_spanning_tree(points)
    assert tree <= pairs
    assert size < 60 or len(pairs) > 1.2 * len(tree)
    for a, b in pairs:
        middle, radius = 0.5 * (points[a] + points[b]), 0.5 * np.hypot(*(points[a] - points[b]))
        others = np.delete(points, [a, b], axis=0)
        assert (np.hypot(*(others - middle).T) > radius).all()
        assert 2 * radius <= 1.8 or (a, b) in tree


def test_junctions_lie_in_squares_of_their_own():
    for size, side_length in ((100, 10), (90, 10), (101, 11)):
        points = generate_road_network(size, 3).junctions
        squares = {tuple(square) for square in np.floor(points).astype(int).tolist()}
        assert len(squares) == size
        assert all(0 <= x < side_length and 0 <= y < side_length for x, y in squares)


def test_a_map_is_a_function_of_its_seed():
    first, again, other = (generate_road_network(80, seed) for seed in (5, 5, 6))
    for name in ("junctions", "tail", "head", "road_class", "length", "minutes", "continuations", "turn"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))


@pytest.mark.parametrize(("size", "seed"), MAPS)
def test_continuations_are_the_roads_at_the_end_from_left_to_right(size, seed):
    network = generate_road_network(size, seed)
    across = network.junctions[network.head] - network.junctions[network.tail]
    for road in range(network.n_roads):
        turns = {}
        for other in np.flatnonzero(network.tail == network.head[road]).tolist():
            (x, y), (u, v) = across[road], across[other]
            turns[other] = np.degrees(np.arctan2(x * v - y * u, x * u + y * v))  # y down: positive is to the right
            if network.head[other] == network.tail[road]:
                turns[other] = 180.0
        expected = sorted(turns, key=turns.get)
        found = network.continuations[:, road]
        assert found[found >= 0].tolist() == expected
        assert (found[: len(expected)] >= 0).all()
        np.testing.assert_allclose(network.turn[: len(expected), road], [turns[k] for k in expected], atol=1e-4)
        assert np.isnan(network.turn[len(expected) :, road]).all()


@pytest.mark.parametrize(("size", "seed"), MAPS)
def test_lengths_and_minutes(size, seed):
    network = generate_road_network(size, seed)
    across = network.junctions[network.head] - network.junctions[network.tail]
    np.testing.assert_allclose(network.length, np.hypot(*across.T), rtol=1e-12)
    delay = network.minutes / (60.0 * network.length / SPEEDS[network.road_class])
    assert delay.min() >= 1.0
    assert delay.max() < 1.5
    assert size < 60 or delay.max() - delay.min() > 0.4


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [100, 350, 1500])
def test_highways_are_one_net_of_long_lines(size, seed):
    network = generate_road_network(size, seed)
    class_of = {
        pair: road_class
        for *pair_list, road_class in zip(
            network.tail.tolist(), network.head.tolist(), network.road_class.tolist(), strict=True
        )
        for pair in [tuple(pair_list)]
    }
    assert all(class_of[b, a] == road_class for (a, b), road_class in class_of.items())
    highways = {pair for pair, road_class in class_of.items() if road_class == 0}
    junctions = {junction for pair in highways for junction in pair}
    assert reached(highways, min(junctions)) == junctions
    # from one side of the region to the other, but for half the distance of two highways at either end
    extent = np.ptp(network.junctions[sorted(junctions)], axis=0)
    assert (extent > np.ptp(network.junctions, axis=0) - 12.0).all()
    shares = np.bincount(network.road_class) / network.n_roads
    assert (shares[:2] > 0.05).all()
    assert 0.45 < shares[2] < 0.85


@pytest.mark.parametrize("seed", [70, 72, 134, 135])
def test_main_roads_are_one_net_where_regions_that_should_touch_do_not(seed):
    network = generate_road_network(20, seed)  # too small for highways
    main_roads = network.road_class == 1
    pairs = set(zip(network.tail[main_roads].tolist(), network.head[main_roads].tolist(), strict=True))
    assert set(network.road_class.tolist()) == {1, 2}
    assert reached(pairs, min(pairs)[0]) == {junction for pair in pairs for junction in pair}
