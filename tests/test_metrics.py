"""Metrics find their place in a table of inputs, and the chance level is below."""

import pytest

from zoo.evaluation.metrics import by_label, chance_beside, metric_name, metric_parts, row_and_column, tabulated

INPUTS = ("caption", "picture", "sound")


@pytest.mark.parametrize(
    ("metric", "beside"),
    [
        ("en.recall@10", "en.chance@10"),
        ("en.recall@1", ""),
        ("en.map", "en.chance_map"),
        ("class.probe", "class.chance"),
        ("en.chance@10", ""),
        ("class.chance", ""),
    ],
)
def test_chance_is_found_beside_its_metric(metric, beside):
    assert chance_beside(metric, ["en.chance@10", "en.chance_map", "class.chance"]) == beside


@pytest.mark.parametrize(
    ("metric", "place"),
    [
        ("caption.nll", ("caption", "nll")),
        ("caption+sound.latent.class.knn@20", ("caption+sound", "latent.class.knn@20")),
        ("2-of-5.class.coherence", ("2-of-5", "class.coherence")),
        ("zh.caption+sound_to_picture.map", ("zh.caption+sound_to_picture", "map")),
        ("prior.class.coherence", ("prior", "class.coherence")),
        ("elbo", ("", "elbo")),
        ("other.nll", ("", "other.nll")),
    ],
)
def test_a_metric_stands_in_the_row_of_its_inputs(metric, place):
    assert row_and_column(metric, INPUTS) == place


def test_inputs_by_metrics_make_one_table_with_holes_where_nothing_was_measured():
    metrics = {
        "caption.nll": 12.3456,
        "caption.class.probe": 0.5,
        "caption.class.chance": 0.1,
        "sound.nll": 7.0,
        "rows": 9.0,
    }
    table, others = tabulated(metrics, INPUTS)
    assert table == [
        ("inputs", "nll", "class.probe"),
        ("caption", "12.35", "0.5"),
        ("sound", "7", ""),
        ("by chance", "", "0.1"),
    ]
    assert others == ["rows"]


def test_chance_that_differs_is_told_as_a_range():
    metrics = {f"{name}.{what}": v for name, v in (("caption", 0.1), ("sound", 0.2)) for what in ("probe", "chance")}
    assert tabulated(metrics, INPUTS)[0][-1] == ("by chance", "0.1 to 0.2")


def test_one_row_is_no_table():
    metrics = {"caption.probe": 0.5, "caption.chance": 0.1}
    assert tabulated(metrics, INPUTS) == ([], ["caption.probe"])


def test_averages_stand_below_what_they_are_of():
    metrics = dict.fromkeys(["caption.nll", "1-of-4.nll", "prior.coherence", "sound.nll", "2-of-4.nll"], 1.0)
    rows = [row for row, *_ in tabulated(metrics, INPUTS)[0]]
    assert rows == ["inputs", "caption", "sound", "1-of-4", "prior", "2-of-4"]


@pytest.mark.parametrize(
    ("parts", "metric"),
    [(("zh", "a_to_b", "nll"), "zh.a_to_b.nll"), (("", "nll"), "nll"), (("nll",), "nll")],
)
def test_a_metric_is_called_after_its_parts_as_far_as_there_are_any(parts, metric):
    assert metric_name(*parts) == metric


@pytest.mark.parametrize(
    ("metric", "parts"),
    [
        ("zh.a_to_b.recall@10", ("zh.a_to_b", "recall", "10")),
        ("nll", ("", "nll", "")),
        ("a_to_b.nll", ("a_to_b", "nll", "")),
    ],
)
def test_a_metric_tells_what_it_is_of_its_own_name_and_its_place(metric, parts):
    assert metric_parts(metric) == parts


def test_a_metric_is_told_by_the_labels_that_rows_were_taken_apart_by():
    measured = {"zh.a_to_b.recall@10": 0.5, "en.a_to_b.recall@10": 0.25, "en.raw_to_b.recall@10": 1.0, "nll": 2.0}
    assert by_label(measured, "a_to_b.recall@10") == {"zh": 0.5, "en": 0.25}


@pytest.mark.parametrize(
    ("metric", "row", "column"),
    [
        ("zh.speech_to_text_to_a_to_b.recall@10", "zh.speech_to_text_to_a_to_b", "recall@10"),
        ("a_to_b+speech_to_text.nll", "a_to_b+speech_to_text", "nll"),
        ("a_to_b.nll", "a_to_b", "nll"),
        ("a_to_c.nll", "", "a_to_c.nll"),
        ("speech_to_text+raw_to_a_to_b.map", "speech_to_text+raw_to_a_to_b", "map"),
    ],
)
def test_a_metric_of_inputs_of_any_name_stands_in_their_row(metric, row, column):
    assert row_and_column(metric, ["a_to_b", "speech_to_text", "raw"]) == (row, column)
