from itertools import product

import pytest
import torch
from zoo_graph.decoder import AdjacencyDecoder
from zoo_graph.likelihood import IndependentGraph
from zoo_graph.modality import GraphModality
from zoo_graph.reading import GraphValue

from zoo import SpecError
from zoo.testing import DecoderContract, LikelihoodContract, number_inputs

FORMIC = GraphValue(("O", "C", "O"), ((0, 1), (1, 2)), ("2", "1"))
RING = GraphValue(("C",) * 5, ((0, 1), (0, 4), (1, 2), (2, 3), (3, 4)), ("1",) * 5)
ALONE = GraphValue(("N",), (), ())
VALUES = [FORMIC, RING, ALONE, GraphValue(("C", "O"), ((0, 1),), ("2",))]
GRAPHS = GraphModality(max_nodes=8, max_edges=12).fit(VALUES)


def tensors_of(*graphs, modality=GRAPHS):
    return {name: torch.from_numpy(array) for name, array in modality.to_arrays(graphs).items()}


def a_decoder(latent_dim=4, modality=GRAPHS, **options):
    torch.manual_seed(0)
    return AdjacencyDecoder(modality, latent_dim, **{"width": 24, "node_width": 8, **options})


def a_likelihood(rows=4, places=8):
    generator = torch.Generator().manual_seed(0)
    nodes = torch.randn(rows, places, GRAPHS.node_count, generator=generator)
    edges = torch.randn(rows, places, places, GRAPHS.edge_count, generator=generator)
    return IndependentGraph(nodes, edges + edges.transpose(1, 2))


class TestAdjacencyDecoder(DecoderContract):
    @pytest.fixture
    def modality(self):
        return GRAPHS

    @pytest.fixture
    def decoder(self):
        return a_decoder()


class TestIndependentGraph(LikelihoodContract):
    @pytest.fixture
    def likelihood(self):
        return a_likelihood()

    @pytest.fixture
    def targets(self):
        return tensors_of(*VALUES)


def graphs_of(tensors):
    return GRAPHS.from_arrays({name: tensor.detach().numpy() for name, tensor in tensors.items()})


def test_the_target_of_a_graph_is_the_graph():
    assert graphs_of(a_likelihood().target(tensors_of(*VALUES))) == VALUES


def test_the_probabilities_of_all_graphs_sum_to_one():
    small = GraphModality(max_nodes=3, max_edges=3).fit([GraphValue(("C", "C"), ((0, 1),), ("1",))])
    likelihood = a_decoder(modality=small)(torch.randn(1, 4))
    pairs = torch.tensor([[0, 1], [0, 2], [1, 2]])
    total = 0.0
    for nodes in product(range(small.node_count), repeat=3):
        present = [pair for pair in pairs.tolist() if nodes[pair[0]] and nodes[pair[1]]]
        for edges in product(range(small.edge_count), repeat=len(present)):
            labels = dict(zip(map(tuple, present), edges, strict=True))
            ids = torch.tensor([[labels.get(tuple(pair), 0) for pair in pairs.tolist()]])
            tensors = {"node_ids": torch.tensor([nodes]), "edge_ends": pairs[None], "edge_ids": ids}
            masks = {"node_mask": tensors["node_ids"] > 0, "edge_mask": ids > 0}
            total += likelihood.log_prob({**tensors, **masks}).double().exp().item()
    assert total == pytest.approx(1, abs=1e-5)


def test_an_edge_counts_once_whichever_end_comes_first():
    turned = GraphValue(FORMIC.nodes, ((1, 0), (2, 1)), FORMIC.edge_labels)
    likelihood = a_likelihood()
    torch.testing.assert_close(
        likelihood.log_prob(tensors_of(FORMIC, *VALUES[1:])), likelihood.log_prob(tensors_of(turned, *VALUES[1:]))
    )


def test_the_order_of_nodes_is_scored():
    turned = GraphValue(("C", "O", "O"), ((0, 1), (0, 2)), ("2", "1"))
    first, second = (a_likelihood().log_prob(tensors_of(graph, *VALUES[1:]))[0] for graph in (FORMIC, turned))
    assert abs(first - second) > 1e-3


def test_the_mode_is_the_same_from_either_side_and_sums_to_one():
    mode = a_decoder()(torch.randn(3, 4)).mode()
    edges = mode["edge_probability"]
    torch.testing.assert_close(edges, edges.transpose(1, 2))
    for probability in mode.values():
        torch.testing.assert_close(probability.sum(dim=-1), torch.ones(probability.shape[:-1]))
    assert (edges.diagonal(dim1=1, dim2=2)[:, 0] == 1).all()


def test_samples_come_as_often_as_the_mode_says():
    torch.manual_seed(0)
    likelihood = a_decoder()(torch.randn(1, 4).expand(4000, 4))
    drawn, mode = likelihood.sample(torch.Generator().manual_seed(0)), likelihood.mode()
    for name, probability in mode.items():
        torch.testing.assert_close(drawn[name].mean(dim=0), probability[0], atol=0.04, rtol=0)
    torch.testing.assert_close(drawn["edge_probability"], drawn["edge_probability"].transpose(1, 2))


def test_graphs_come_back_from_a_trained_decoder():
    decoder = a_decoder(width=64, node_width=16)
    optimiser = torch.optim.Adam(decoder.parameters(), lr=0.02)
    for _ in range(80):
        loss = -decoder(torch.eye(4)).log_prob(tensors_of(*VALUES)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert graphs_of(decoder(torch.eye(4)).mode()) == VALUES


def test_latents_far_out_have_logits_that_float32_has_digits_for():
    likelihood = a_decoder()(1e4 * torch.randn(3, 4, generator=torch.Generator().manual_seed(0)))
    assert likelihood.edge_logits.abs().max() < 100
    assert likelihood.node_logits.abs().max() < 100


def test_a_graph_of_the_largest_size_fits():
    largest = GraphModality(max_nodes=5, max_edges=5).fit([RING])
    scores = a_decoder(modality=largest)(torch.zeros(1, 4)).log_prob(tensors_of(RING, modality=largest))
    assert torch.isfinite(scores).all()


OTHER_KIND = number_inputs("row")["row"].modality


def test_another_modality_is_refused():
    with pytest.raises(SpecError, match="the decoder 'adjacency' works on the modality 'graph', got Numbers"):
        AdjacencyDecoder(OTHER_KIND, 4)


def test_logits_of_pairs_without_nodes_are_in_no_score_however_large_they_are():
    likelihood = a_likelihood(rows=1)
    score = likelihood.log_prob(tensors_of(ALONE))
    likelihood.edge_logits = torch.full_like(likelihood.edge_logits, 3e38)
    likelihood.edge_logits[..., 0] = -3e38
    torch.testing.assert_close(likelihood.log_prob(tensors_of(ALONE)), score)
