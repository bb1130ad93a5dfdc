import numpy as np
import pytest
from zoo_graph.drawing import picture_of
from zoo_graph.layout import positions_of
from zoo_graph.reading import GraphValue

RED, DARK = (224, 58, 47), (75, 85, 99)


def colours(graph):
    return {colour for _, colour in picture_of(graph).getcolors(2**16)}


def ink(graph):
    return int((np.asarray(picture_of(graph)) < 250).any(axis=-1).sum())


def test_atoms_bear_their_colours():
    found = colours(GraphValue(("C", "O"), ((0, 1),), ("2",)))
    assert {RED, DARK} <= found
    assert RED not in colours(GraphValue(("C", "N"), ((0, 1),), ("2",)))
    assert RED in colours(GraphValue(("C", "O-")))


def test_labels_that_are_no_elements_have_colours_of_their_own():
    first, second = (colours(GraphValue((name,))) for name in ("ann", "bob"))
    assert not {RED, DARK} & (first | second)
    assert first != second


def test_a_double_bond_has_more_ink_than_a_single_one_and_a_triple_one_more_yet():
    places = ((0.0, 0.0), (1.0, 0.0))
    inks = [ink(GraphValue(("C", "C"), ((0, 1),), (label,), places)) for label in "123"]
    assert inks == sorted(inks)
    assert len(set(inks)) == 3


def test_positions_stand_in_the_picture_with_y_upwards():
    graph = GraphValue(("O", "C"), ((0, 1),), None, ((0.0, 1.0), (0.0, 0.0)))
    pixels = np.asarray(picture_of(graph)).astype(int)
    red_rows = np.argwhere((np.abs(pixels - RED) < 3).all(axis=-1))[:, 0]
    dark_rows = np.argwhere((np.abs(pixels - DARK) < 3).all(axis=-1))[:, 0]
    assert red_rows.mean() < dark_rows.mean()


@pytest.mark.parametrize(
    "graph",
    [
        GraphValue(("C",)),
        GraphValue(("C", "C"), ((0, 1),), ("1",), ((2.0, 2.0), (2.0, 2.0))),
        GraphValue(("a" * 300, "\ud800"), ((0, 1),), ("a label of an edge",)),
        GraphValue(tuple(map(str, range(64))), tuple((place, place + 1) for place in range(63))),
    ],
    ids=["one node", "two at one place", "long labels", "many nodes"],
)
def test_odd_graphs_can_be_drawn(graph):
    assert picture_of(graph).size == (256, 256)
    assert ink(graph)


def test_edges_are_laid_out_about_as_long_as_one():
    ring = [(place, (place + 1) % 6) for place in range(6)]
    positions = positions_of(7, [*ring, (0, 6)])
    lengths = [np.linalg.norm(positions[first] - positions[second]) for first, second in [*ring, (0, 6)]]
    assert 0.8 < min(lengths) <= max(lengths) < 1.3


def test_parts_that_nothing_joins_lie_apart():
    positions = positions_of(4, [(0, 1), (2, 3)])
    between = np.linalg.norm(positions[:2].mean(axis=0) - positions[2:].mean(axis=0))
    assert between > 1


def test_the_same_graph_always_lies_the_same():
    edges = [(0, 1), (1, 2), (2, 3), (1, 4)]
    np.testing.assert_array_equal(positions_of(5, edges), positions_of(5, edges))
