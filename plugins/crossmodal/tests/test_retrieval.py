import math

import pytest
import torch
from zoo_crossmodal import retrieval
from zoo_crossmodal.retrieval import effective_rank, partner_ranks, retrieval_metrics, spread


def test_a_partner_that_is_nearest_has_rank_one():
    assert partner_ranks(torch.eye(4), torch.eye(4)).tolist() == [1, 1, 1, 1]


def test_a_rank_counts_what_is_nearer():
    queries = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    gallery = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert partner_ranks(queries, gallery).tolist() == [1, 2]


@pytest.mark.parametrize("rounding", [0.0, 1e-8])
def test_equal_embeddings_all_rank_last(rounding):
    generator = torch.Generator().manual_seed(0)
    queries, gallery = (torch.full((50, 8), 8**-0.5) for _ in range(2))
    gallery = gallery + rounding * torch.randn(gallery.shape, generator=generator)
    assert partner_ranks(queries, gallery).tolist() == [50] * 50


def test_embeddings_that_are_not_numbers_rank_last():
    broken = torch.full((3, 2), math.nan)
    assert partner_ranks(broken, broken).tolist() == [3, 3, 3]


def test_ranks_do_not_depend_on_how_many_queries_are_taken_at_once(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    queries, gallery = (torch.randn(23, 4, generator=generator) for _ in range(2))
    expected = partner_ranks(queries, gallery)
    monkeypatch.setattr(retrieval, "_QUERIES_AT_ONCE", 5)
    assert torch.equal(partner_ranks(queries, gallery), expected)


def test_recalls_precision_and_the_median_follow_from_the_ranks(monkeypatch):
    ranks = torch.tensor([1, 1, 2, 4] * 5)
    monkeypatch.setattr(retrieval, "partner_ranks", lambda queries, gallery, by: ranks)
    assert retrieval_metrics(torch.zeros(20, 2), torch.zeros(20, 2)) == {
        "recall@1": 0.5,
        "recall@5": 1,
        "recall@10": 1,
        "map": pytest.approx((1 + 1 + 1 / 2 + 1 / 4) / 4),
        "median_rank": 1.5,
        "chance@1": 0.05,
        "chance@5": 0.25,
        "chance@10": 0.5,
        "chance_map": pytest.approx(sum(1 / rank for rank in range(1, 21)) / 20),
        "chance_median_rank": 10.5,
        "gallery": 20,
    }


def test_chance_is_certain_in_a_small_gallery():
    assert retrieval_metrics(torch.eye(3), torch.eye(3))["chance@10"] == 1


def test_without_rows_only_the_size_of_the_gallery_is_known():
    assert retrieval_metrics(torch.zeros(0, 2), torch.zeros(0, 2)) == {"gallery": 0}


def test_ranks_by_distance_take_the_nearest():
    generator = torch.Generator().manual_seed(0)
    queries, gallery = (torch.randn(23, 4, generator=generator) * 7 + 3 for _ in range(2))
    distances = torch.cdist(queries, gallery)
    expected = (distances <= distances.diagonal().unsqueeze(1)).sum(dim=1)
    assert torch.equal(partner_ranks(queries, gallery, by="distance"), expected)


def test_ranks_by_distance_are_the_same_however_far_from_zero():
    generator = torch.Generator().manual_seed(0)
    gallery = torch.randint(-50, 50, (40, 16), generator=generator) / 8
    queries = gallery + torch.randint(-200, 200, (40, 16), generator=generator) / 8
    expected = partner_ranks(queries, gallery, by="distance")
    assert expected.unique().numel() > 5
    assert torch.equal(partner_ranks(queries + 1000, gallery + 1000, by="distance"), expected)


def test_points_that_differ_by_rounding_alone_rank_last():
    generator = torch.Generator().manual_seed(0)
    gallery = 3 + torch.randint(-1, 2, (9, 16), generator=generator) * 2.0**-22
    assert partner_ranks(gallery, gallery, by="distance").tolist() == [9] * 9


def test_points_that_are_one_have_no_spread_and_no_rank():
    assert spread(torch.ones(9, 4)) == 0
    assert effective_rank(torch.ones(9, 4)) == 0


def test_the_effective_rank_is_the_number_of_equal_directions():
    points = torch.cat([torch.eye(4)[:3], -torch.eye(4)[:3]])
    assert effective_rank(points) == pytest.approx(3)


def test_the_spread_is_the_mean_standard_deviation():
    assert spread(torch.tensor([[0.0, 5.0], [2.0, 5.0]])) == pytest.approx(0.5)
