import numpy as np
import pytest
import torch
from zoo_graph.gat import GATEncoder
from zoo_graph.gcn import GCNEncoder
from zoo_graph.gin import GINEncoder
from zoo_graph.modality import GraphModality
from zoo_graph.reading import GraphValue

from zoo import SpecError
from zoo.testing import EncoderContract, number_inputs

PROPYNE = GraphValue(("C", "C", "C"), ((0, 1), (1, 2)), ("3", "1"))
FURAN = GraphValue(("C", "O", "C", "C", "C"), ((0, 1), (1, 2), (2, 3), (3, 4), (4, 0)), ("1", "1", "2", "1", "2"))
APART = GraphValue(("N", "C", "O"), ((0, 1),), ("1",))
ALONE = GraphValue(("O",))
GRAPHS = GraphModality(max_nodes=14, max_edges=20).fit([PROPYNE, FURAN, APART, ALONE])
ENCODERS = [GCNEncoder, GATEncoder, GINEncoder]
POOLS = ["mean", "sum", "max"]
by_encoder = pytest.mark.parametrize("encoder", ENCODERS)


def tensors_of(*graphs):
    return {name: torch.from_numpy(array) for name, array in GRAPHS.to_arrays(graphs).items()}


def built(encoder, **options):
    torch.manual_seed(0)
    return encoder(GRAPHS, **{"width": 16, "depth": 2, **options}).eval()


class OfGraphs(EncoderContract):
    @pytest.fixture
    def modality(self):
        return GRAPHS


class TestGCNEncoder(OfGraphs):
    @pytest.fixture
    def encoder(self):
        return built(GCNEncoder, dropout=0.1)


class TestGATEncoder(OfGraphs):
    @pytest.fixture
    def encoder(self):
        return built(GATEncoder, heads=2, pool="max")


class TestGINEncoder(OfGraphs):
    @pytest.fixture
    def encoder(self):
        return built(GINEncoder)


@by_encoder
@pytest.mark.parametrize("pool", POOLS)
def test_the_order_of_nodes_and_of_edges_changes_nothing(encoder, pool):
    generator = np.random.default_rng(0)
    nodes, edges = generator.permutation(5), generator.permutation(5)
    place = np.argsort(nodes).tolist()  # where each old node went
    shuffled = GraphValue(
        tuple(FURAN.nodes[node] for node in nodes),
        tuple((place[FURAN.edges[edge][1]], place[FURAN.edges[edge][0]]) for edge in edges),
        tuple(FURAN.edge_labels[edge] for edge in edges),
    )
    features = built(encoder, pool=pool)(tensors_of(FURAN, shuffled))
    torch.testing.assert_close(features[0], features[1], atol=1e-6, rtol=1e-5)


@by_encoder
def test_two_graphs_that_differ_in_a_bond_or_an_atom_have_other_features(encoder):
    other_bond = GraphValue(PROPYNE.nodes, PROPYNE.edges, ("2", "1"))
    other_atom = GraphValue(("C", "C", "N"), PROPYNE.edges, PROPYNE.edge_labels)
    fewer = GraphValue(PROPYNE.nodes, ((0, 1),), ("3",))
    features = built(encoder)(tensors_of(PROPYNE, other_bond, other_atom, fewer))
    assert (features[1:] - features[0]).abs().amax(dim=1).min() > 1e-3


@by_encoder
def test_without_edge_labels_all_edges_are_alike(encoder):
    other_bond = GraphValue(PROPYNE.nodes, PROPYNE.edges, ("2", "1"))
    features = built(encoder, edge_labels=False)(tensors_of(PROPYNE, other_bond))
    torch.testing.assert_close(features[0], features[1])


@by_encoder
@pytest.mark.parametrize("pool", POOLS)
def test_a_graph_of_one_node_or_without_edges_or_of_none_has_finite_features(encoder, pool):
    tensors = tensors_of(ALONE, GraphValue(("C", "C")), FURAN)
    tensors = {name: torch.cat([tensor, torch.zeros_like(tensor[:1])]) for name, tensor in tensors.items()}
    features = built(encoder, pool=pool)(tensors)
    assert torch.isfinite(features).all()
    assert features[:3].abs().amax(dim=1).min() > 0
    assert not features[3].any()


@by_encoder
def test_an_edge_that_points_to_no_node_is_none(encoder):
    tensors = tensors_of(FURAN, PROPYNE)
    astray = {**tensors, "edge_ends": tensors["edge_ends"].clone()}
    astray["edge_ends"][0, 2] = torch.tensor([0, 13])  # beyond the tensor
    astray["edge_ends"][1, 1] = torch.tensor([1, 4])  # at padding
    without = {**tensors, "edge_mask": tensors["edge_mask"].clone()}
    without["edge_mask"][0, 2] = without["edge_mask"][1, 1] = False
    torch.testing.assert_close(built(encoder)(astray), built(encoder)(without), atol=0, rtol=0)


@by_encoder
def test_what_stands_under_a_mask_is_not_read(encoder):
    tensors = tensors_of(PROPYNE, FURAN)
    hidden = {name: tensor.clone() for name, tensor in tensors.items()}
    hidden["node_ids"][0, 3:] = 2
    hidden["edge_ids"][0, 2:] = 2
    hidden["edge_ends"][0, 2:] = torch.tensor([0, 2])
    torch.testing.assert_close(built(encoder)(hidden), built(encoder)(tensors))


@by_encoder
def test_sum_pooling_sees_how_often_and_mean_pooling_how_much(encoder):
    twice = GraphValue(PROPYNE.nodes * 2, ((0, 1), (1, 2), (3, 4), (4, 5)), PROPYNE.edge_labels * 2)
    tensors = tensors_of(PROPYNE, twice)
    for pool, factor in (("sum", 2), ("mean", 1), ("max", 1)):
        once, double = built(encoder, pool=pool)(tensors)
        torch.testing.assert_close(double, factor * once)


def dense(graph):
    """Return the adjacency matrix in NumPy."""
    matrix = np.zeros((len(graph.nodes), len(graph.nodes)))
    for first, second in graph.edges:
        matrix[first, second] = matrix[second, first] = 1
    return matrix


def numbers(tensor):
    return tensor.detach().double().numpy()


def start_of(encoder, graph):
    """Return what nodes start from, added up label by label."""
    found = {name: array[0] for name, array in GRAPHS.to_arrays([graph]).items()}
    nodes, edges = numbers(encoder.read.nodes.weight), numbers(encoder.read.edges.weight)
    hidden = nodes[found["node_ids"]]
    for label, (first, second) in zip(found["edge_ids"], graph.edges, strict=False):
        hidden[first] += edges[label]
        hidden[second] += edges[label]
    return hidden


@pytest.mark.parametrize("graph", [PROPYNE, FURAN, APART, ALONE])
def test_a_gcn_is_equation_2_of_the_paper(graph):
    encoder = built(GCNEncoder)
    joined = dense(graph) + np.eye(len(graph.nodes))
    root = np.diag(joined.sum(axis=1) ** -0.5)
    hidden = start_of(encoder, graph)
    for layer in encoder.layers:
        hidden = np.maximum(root @ joined @ root @ hidden @ numbers(layer.weight).T + numbers(layer.bias), 0)
    np.testing.assert_allclose(numbers(encoder(tensors_of(graph)))[0], hidden.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("graph", [PROPYNE, FURAN, APART, ALONE])
def test_a_gat_is_equation_3_of_the_paper(graph):
    encoder = built(GATEncoder, heads=2)
    joined = dense(graph) + np.eye(len(graph.nodes))
    hidden = start_of(encoder, graph)
    for layer in encoder.layers:
        values = (hidden @ numbers(layer.projection.weight).T).reshape(-1, 2, 8)
        gathered = np.zeros_like(values)
        for head in range(2):
            looking, looked_at = (numbers(half)[head, :, 0] for half in (layer.looking, layer.looked_at))
            for node, row in enumerate(joined):
                near = np.flatnonzero(row)
                score = values[node, head] @ looking + values[near, head] @ looked_at
                weight = np.exp(np.where(score > 0, score, 0.2 * score))
                gathered[node, head] = weight / weight.sum() @ values[near, head]
        flat = gathered.reshape(len(hidden), 16) + numbers(layer.bias)
        hidden = np.where(flat > 0, flat, np.expm1(flat))
    np.testing.assert_allclose(numbers(encoder(tensors_of(graph)))[0], hidden.mean(axis=0), atol=1e-6)


def test_a_gin_adds_up_the_neighbours_and_tells_all_layers():
    encoder = built(GINEncoder, depth=1, pool="sum")
    with torch.no_grad():
        encoder.epsilon.fill_(0.5)
    start = start_of(encoder, FURAN)
    mixed = torch.from_numpy(1.5 * start + dense(FURAN) @ start).float()
    expected = np.concatenate([start.sum(axis=0), numbers(encoder.layers[0](mixed)).sum(axis=0)])
    np.testing.assert_allclose(numbers(encoder(tensors_of(FURAN)))[0], expected, atol=1e-5)
    assert encoder.feature_dim == 32


OTHER_KIND = number_inputs("row")["row"].modality


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GATEncoder(GRAPHS, width=6), "'width' is a multiple of 'heads', got width 6 and heads 4"),
        (lambda: GCNEncoder(OTHER_KIND), "the encoder 'gcn' works on the modality 'graph', got Numbers"),
        (lambda: GATEncoder(OTHER_KIND), "the encoder 'gat' works on the modality 'graph', got Numbers"),
        (lambda: GINEncoder(OTHER_KIND), "the encoder 'gin' works on the modality 'graph', got Numbers"),
    ],
)
def test_what_cannot_be_built_is_refused(make, message):
    with pytest.raises(SpecError, match=message):
        make()
