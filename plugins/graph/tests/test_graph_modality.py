import json

import numpy as np
import pytest
from zoo_graph.modality import UNREADABLE, GraphModality
from zoo_graph.reading import GraphValue

from zoo import DataError, UsageError
from zoo.discovery.plugins import installed
from zoo.testing import ModalityContract
from zoo.testing.building import raw_values

ETHANOL = GraphValue(("C", "C", "O"), ((0, 1), (1, 2)), ("1", "1"))
BENZENE = {
    "nodes": ["C"] * 6,
    "edges": [[place, (place + 1) % 6] for place in range(6)],
    "edge_labels": ["1", "2"] * 3,
    "positions": [[np.cos(turn), np.sin(turn)] for turn in np.arange(6) * np.pi / 3],
}
METHANE = {"nodes": ["C"]}
PEOPLE = GraphValue(("ann", "bob"), ((1, 0),))
VALUES = [ETHANOL, BENZENE, METHANE, PEOPLE]
FITTED = GraphModality(max_nodes=12, max_edges=16).fit(VALUES)


class TestGraphModality(ModalityContract):
    @pytest.fixture
    def modality(self):
        return FITTED

    @pytest.fixture
    def values(self, tmp_path):
        (tmp_path / "benzene.json").write_text(json.dumps(BENZENE))
        return [*VALUES, str(tmp_path / "benzene.json"), tmp_path / "benzene.json", json.dumps(BENZENE)]


class TestGraphsWithoutEdges(ModalityContract):
    @pytest.fixture
    def modality(self):
        return GraphModality(max_nodes=1, max_edges=1).fit([METHANE])

    @pytest.fixture
    def values(self):
        return [METHANE, {"nodes": ["C"], "edges": []}, GraphValue(("N",))]


def row_of(value):
    return {name: array[0].tolist() for name, array in FITTED.to_arrays([value]).items()}


def test_a_graph_becomes_ids_ends_and_masks():
    assert FITTED.from_arrays(FITTED.to_arrays([ETHANOL, METHANE])) == [ETHANOL, GraphValue(("C",), (), ())]
    found = row_of(ETHANOL)
    assert found["edge_ends"] == [[0, 1], [1, 2]]
    assert found["node_ids"][0] == found["node_ids"][1] != found["node_ids"][2]
    assert all(found["node_mask"])
    assert all(found["edge_mask"])


def test_a_graph_without_edges_has_room_for_one_that_is_not_there():
    found = row_of(METHANE)
    assert found["edge_ends"] == [[0, 0]]
    assert found["edge_mask"] == [False]


def test_arrays_serve_as_well_as_lists():
    given = {
        "nodes": np.array(["C", "C", "O"]).tolist(),
        "edges": np.array([[0, 1], [1, 2]]),
        "edge_labels": ["1", "1"],
    }
    assert row_of(given) == row_of(ETHANOL)


def test_edges_without_labels_bear_the_empty_one():
    (back,) = FITTED.from_arrays(FITTED.to_arrays([PEOPLE]))
    assert back.edge_labels == ("",)
    assert row_of(PEOPLE)["edge_ids"] != [1]


def test_a_label_that_fit_did_not_meet_is_the_unknown_one():
    (back,) = FITTED.from_arrays(FITTED.to_arrays([GraphValue(("C", "Xe"), ((0, 1),), ("7",))]))
    assert back == GraphValue(("C", UNREADABLE), ((0, 1),), (UNREADABLE,))


def test_the_most_frequent_label_has_the_first_id():
    assert row_of(METHANE)["node_ids"] == [2]


def test_labels_of_any_kind_survive_the_state():
    odd = GraphValue(("line\nbreak", '"', "炭"), ((0, 1),), ("\t",))
    modality = FITTED.fit([odd])
    again = GraphModality().with_state(modality.state())
    assert again.from_arrays(again.to_arrays([odd])) == [odd]


def test_a_graph_comes_back_from_probabilities():
    nodes, edges = np.zeros((1, 4, FITTED.node_count)), np.zeros((1, 4, 4, FITTED.edge_count))
    known = row_of(ETHANOL)
    carbon, oxygen, single = known["node_ids"][0], known["node_ids"][2], known["edge_ids"][0]
    nodes[0, [0, 2, 3], [carbon, oxygen, carbon]] = 1
    nodes[0, 1] = [0.4, 0.5, *[0.0] * (FITTED.node_count - 3), 0.1]  # the unknown label is never shown
    edges[..., 0] = 0.4
    for first, second in ((0, 2), (2, 3), (0, 1)):
        edges[0, first, second, single] = edges[0, second, first, single] = 0.6
    (graph,) = FITTED.from_arrays({"node_probability": nodes, "edge_probability": edges})
    assert graph == GraphValue(("C", "O", "C"), ((0, 1), (1, 2)), ("1", "1"))


def test_where_no_node_is_probable_the_graph_is_empty_and_can_be_drawn():
    nodes, edges = np.zeros((1, 3, FITTED.node_count)), np.zeros((1, 3, 3, FITTED.edge_count))
    nodes[..., 0] = edges[..., 0] = 1
    (graph,) = FITTED.from_arrays({"node_probability": nodes, "edge_probability": edges})
    assert graph == GraphValue((), (), ())
    assert FITTED.draw(graph).getextrema() == ((255, 255),) * 3


def test_drawn_graphs_hold_no_edge_twice_and_none_of_a_node_with_itself():
    arrays = FITTED.example(20, {"nodes": 6, "edges": 16}, generator=np.random.default_rng(1))
    for ends, there, nodes in zip(arrays["edge_ends"], arrays["edge_mask"], arrays["node_mask"], strict=True):
        pairs = [tuple(sorted(pair)) for pair in ends[there].tolist()]
        assert len(set(pairs)) == len(pairs)
        assert all(first < second < nodes.sum() for first, second in pairs)
    assert arrays["edge_mask"][0].sum() == 15


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"nodes": ["C", "C"], "edges": [[0, 1], [1, 2]]},
            "edge 1 joins the nodes 1 and 2; expected .* 0 to 1, as .* 2",
        ),
        ({"nodes": ["C", "C"], "edges": [[-1, 0]]}, "edge 0 joins the nodes -1 and 0; expected numbers from 0 to 1"),
        ({"nodes": ["C"], "edges": [[0, 0]]}, "edge 0 joins the nodes 0 and 0, which are one; leave it out"),
        (
            {"nodes": ["C", "C"], "edges": [[0, 1], [1, 0]]},
            "edge 1 joins the nodes 1 and 0 again; edges have no direction, give each once",
        ),
        ({"nodes": ["C", "C"], "edges": [[0, 1.0]]}, r"edge 0 is \[0, 1.0\]; expected the numbers of the two nodes"),
        ({"nodes": ["C", "C"], "edges": [[0, True]]}, "expected the numbers of the two nodes that it joins"),
        ({"nodes": ["C", "C"], "edges": [0, 1]}, "edge 0 is 0; expected the numbers of the two nodes"),
        ({"nodes": ["C", "C"], "edges": ["01"]}, "edge 0 is '01'; expected the numbers of the two nodes"),
        ({"nodes": ["C", "C"], "edges": 3}, "edges are 3; expected a list"),
        ({"nodes": []}, "has no nodes, expected at least one; leave it out"),
        ({}, "has no nodes, expected at least one"),
        ({"nodes": "CC"}, "nodes are 'CC'; expected a list"),
        ({"nodes": ["C", 6]}, r"node 1 is 6; expected a label \(a str\)"),
        ({"nodes": ["C"], "atoms": []}, "has 'atoms'; expected nodes, edges, edge_labels, positions and nothing else"),
        (
            {"nodes": ["C", "C"], "edges": [[0, 1]], "edge_labels": ["1", "2"]},
            "has 1 edges and 2 edge labels; give one per edge, or none at all",
        ),
        ({"nodes": ["C", "C"], "edges": [[0, 1]], "edge_labels": [2]}, r"edge label 0 is 2; expected a label"),
        ({"nodes": ["C"], "positions": [[0, 0], [1, 1]]}, "has 1 nodes and 2 positions; give one per node"),
        ({"nodes": ["C"], "positions": [[0, float("nan")]]}, r"position 0 is \[0, nan\]; expected two finite numbers"),
        ({"nodes": ["C"] * 13}, "has 13 nodes, expected at most 12; leave it out, or .* option 'max_nodes'"),
        (
            {"nodes": ["C"] * 7, "edges": [[a, b] for a in range(7) for b in range(a)]},
            "has 21 edges, expected at most 16; leave it out, or .* option 'max_edges'",
        ),
        (7, "expected a GraphValue, a mapping with nodes, edges, .* or the path of such a file; got int"),
        ("gone.json", r"\(gone.json\): there is no file /.*/gone.json; correct the path"),
        (".", r"\(\.\): cannot be read: .*; name a JSON file"),
        ("{", "cannot be read as JSON: .*; write an object with nodes, edges"),
    ],
)
def test_what_is_no_graph_is_refused_by_its_position(value, message):
    with pytest.raises(DataError, match=f"^graph 1( .*)?: .*{message}|^graph 1 {message}"):
        FITTED.to_arrays([METHANE, value])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no JSON", "cannot be read as JSON: "),
        (b"\xff\xfe\xfa", "cannot be read as JSON: "),
        (b"[" * 200_000, "cannot be read as JSON: "),
        (b"[1, 2]", "expected a JSON object with nodes, edges, edge_labels, positions; got one of type list"),
        (b'{"nodes": ["C"], "edges": [[0, 5]]}', "edge 0 joins the nodes 0 and 5; expected numbers from 0 to 0"),
        (b"[" + b" " * 2**26, "expected at most 67108864 bytes; write one graph per file"),
    ],
    ids=["text", "bytes", "deep", "list", "edge", "large"],
)
def test_a_wrong_file_is_refused_by_its_name(content, message, tmp_path):
    (tmp_path / "bad.json").write_bytes(content)
    with pytest.raises(DataError, match=rf"graph 0 \(.*bad.json\): {message}"):
        FITTED.to_arrays([tmp_path / "bad.json"])


def test_fitting_names_the_graph_that_cannot_be_read():
    with pytest.raises(DataError, match="graph 1: has no nodes"):
        GraphModality().fit([METHANE, {}])


def test_before_it_is_fitted_it_draws_and_nothing_else():
    assert GraphModality().draw(BENZENE).size == (256, 256)
    with pytest.raises(UsageError, match="has not learnt its labels yet; use what fit"):
        GraphModality().to_arrays([METHANE])


def test_the_state_of_something_else_is_refused():
    with pytest.raises(DataError, match="holds 'node_labels' as JSON; this one holds vocabulary; fetch or train"):
        GraphModality().with_state({"vocabulary": np.zeros(3, np.uint8)})


def test_the_contracts_find_graphs_past_a_data_set_that_only_a_user_can_open():
    values = raw_values(installed().find("encoder", "graph/gcn"))
    assert len(GraphModality().fit(values).to_arrays(values)["node_ids"]) == len(values) > 3


@pytest.mark.parametrize("lone", [{"nodes": ["C"]}, '{"nodes": ["C"]}', GraphValue(("C",))])
def test_a_lone_graph_is_no_list_of_graphs(lone):
    for call in (GraphModality().fit([{"nodes": ["C"]}]).to_arrays, GraphModality().fit):
        with pytest.raises(UsageError, match="graphs: expected a list of values, got one "):
            call(lone)


@pytest.mark.parametrize("label", ["e\u0301", "\ud83d"])
def test_a_label_is_the_same_in_whichever_form_it_is_written(label):
    modality = GraphModality().fit([{"nodes": [label]}])
    again = GraphModality().with_state(modality.state())
    for one in (modality, again):
        ids = one.to_arrays([{"nodes": [label, "é" if label == "e\u0301" else "\ufffd"]}])["node_ids"]
        assert ids.tolist() == [[2, 2]]


@pytest.mark.parametrize("held", [np.array(10**12), np.ones(3), np.frombuffer(b"{}", np.uint8)])
def test_a_state_that_is_no_list_of_labels_is_refused_and_takes_no_memory(held):
    with pytest.raises(DataError, match="holds 'node_labels' as JSON; this one holds edge_labels, node_labels"):
        GraphModality().with_state({"node_labels": held, "edge_labels": held})
