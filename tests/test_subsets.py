"""Metrics of subsets are named by what they are of, and averaged by size where there would be too many."""

from zoo.evaluation.subsets import by_subset, every_subset


def test_subsets_begin_with_the_single_inputs_and_end_with_all():
    assert every_subset(["a", "b", "c"]) == [
        ("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c"),
    ]  # fmt: skip


def test_up_to_three_inputs_each_subset_is_named():
    measured = {("a",): {"nll": 1.0}, ("a", "b"): {"nll": 2.0, "probe": 0.5}}
    assert by_subset(["a", "b"], measured) == {"a.nll": 1.0, "a+b.nll": 2.0, "a+b.probe": 0.5}


def test_of_more_inputs_the_single_ones_are_named_and_sizes_are_averaged():
    names = ["a", "b", "c", "d"]
    measured = {subset: {"size": len(subset) + ("a" in subset)} for subset in every_subset(names)}
    found = by_subset(names, measured)
    assert found == {
        "a.size": 2, "b.size": 1, "c.size": 1, "d.size": 1,
        "1-of-4.size": 1.25, "2-of-4.size": 2.5, "3-of-4.size": 3.75, "4-of-4.size": 5,
    }  # fmt: skip
