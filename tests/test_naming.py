"""Names are joined and taken apart in one place, whatever an input is called."""

import pytest

from zoo.errors import SpecError
from zoo.recipes.naming import (
    GraphFacts,
    average_name,
    by_leaf,
    check_distinct,
    facts_of,
    graph_name,
    input_of,
    inputs_of,
    is_average,
    is_of_inputs,
    is_text,
    known_graphs,
    leaf_of,
    of_owner,
    presences,
    raw_name,
    tensor_name,
    translation_name,
    vector_output,
    with_owner,
)

ODD = ["speech_to_text", "a_to_b", "encode_x", "embed", "raw", "latent", "present", "x-1"]


@pytest.mark.parametrize("name", ODD)
def test_a_tensor_of_an_input_tells_the_input_and_the_leaf(name):
    assert with_owner(name, {"ids": 1}) == {f"{name}.ids": 1}
    assert of_owner(name, {f"{name}.ids": 1, f"{name}s.ids": 2, "latent": 3}) == {"ids": 1}
    assert input_of(tensor_name(name, "ids")) == name
    assert leaf_of(tensor_name(name, "ids")) == "ids"


def test_what_a_decoder_makes_is_told_as_its_modality_knows_it():
    assert by_leaf({"translate_a_to_b_to_raw.ids": 1, "latent": 2}) == {"ids": 1, "latent": 2}


def test_inputs_are_told_once_and_a_tensor_of_none_is_itself():
    assert inputs_of(["caption.ids", "caption.present", "latent"]) == ("caption", "latent")


def test_only_the_presence_of_an_input_says_which_rows_have_it():
    assert presences(["present.ids", "present.present", "caption.ids"]) == {"present": "present.present"}


def test_only_the_bytes_of_a_text_are_a_text():
    assert is_text("caption.utf8")
    assert not is_text("utf8.ids")
    assert not is_text("utf8")


def test_the_embedding_of_a_graph_is_its_vector_before_the_latent():
    assert vector_output(["encode_x.latent", "encode_x.embedding"]) == "encode_x.embedding"
    assert vector_output(["embed.log_var", "embed.latent"]) == "embed.latent"
    assert vector_output(["encode_latent.ids"]) == ""


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        (GraphFacts("encode", "a_to_b"), "encode_a_to_b"),
        (GraphFacts("decode", "", "a_to_b"), "decode_a_to_b"),
        (GraphFacts("reconstruct", "x", "x"), "reconstruct_x"),
        (GraphFacts("translate", "speech_to_text", "a_to_b"), "translate_speech_to_text_to_a_to_b"),
        (GraphFacts("embed"), "embed"),
        (GraphFacts("encode", "raw", raw=True), "encode_raw.raw"),
    ],
)
def test_a_graph_is_called_after_what_it_does_and_its_inputs(facts, name):
    assert graph_name(facts.kind, facts.source, facts.target, raw=facts.raw) == name


@pytest.mark.parametrize("raw", [False, True])
def test_an_old_manifest_tells_each_graph_by_its_name_and_the_inputs_of_its_model(raw):
    for facts in known_graphs(ODD):
        known = GraphFacts(facts.kind, facts.source, facts.target, raw)
        assert facts_of(graph_name(*(known.kind, known.source, known.target), raw=raw), ODD) == known


def test_of_a_graph_that_a_stranger_named_an_old_manifest_tells_only_whether_it_reads_raw_values():
    assert facts_of("pool", ["caption"]) == GraphFacts()
    assert facts_of(raw_name("pool"), ["caption"]) == GraphFacts(raw=True)
    assert facts_of("encode_text", ["speech_to_text"]) == GraphFacts()


def test_inputs_whose_joined_names_differ_may_be_called_anything():
    check_distinct(ODD)


@pytest.mark.parametrize(
    ("inputs", "one", "other", "joined"),
    [
        (["a", "b_to_c", "a_to_b", "c"], "the way from 'a' to 'b_to_c'", "the way from 'a_to_b' to 'c'", "a_to_b_to_c"),
        (["a", "b", "a_to_b"], "the input 'a_to_b'", "the way from 'a' to 'b'", "a_to_b"),
    ],
)
def test_inputs_whose_joined_names_are_the_same_are_refused(inputs, one, other, joined):
    message = f"spec.inputs: {one} and {other} would both be called '{joined}' in graphs and metrics; give one of these"
    with pytest.raises(SpecError, match=message):
        check_distinct(inputs)


@pytest.mark.parametrize("name", ["prior", average_name(2, 5)])
def test_an_input_that_is_called_as_a_row_of_metrics_is_refused(name):
    assert is_average(name)
    with pytest.raises(SpecError, match=f"spec.inputs.{name}: metrics use the name '{name}' for something else"):
        check_distinct(["caption", name])


@pytest.mark.parametrize("name", ["class", "from", "lambda"])
def test_a_keyword_of_python_is_refused(name):
    message = (
        f"spec.inputs.{name}: '{name}' is a keyword of Python, and the model could not be exported; choose another"
    )
    with pytest.raises(SpecError, match=message):
        check_distinct(["caption", name])
    check_distinct(["caption", "none", "match", "type"])


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("a_to_b", True),
        ("a_to_b+raw", True),
        (translation_name("a_to_b", "raw"), True),
        (translation_name("raw+embed", "a_to_b"), True),
        (translation_name("raw", "b"), False),
        ("b", False),
        ("_to_raw", False),
    ],
)
def test_a_part_of_a_metric_is_of_inputs_if_it_is_a_subset_or_a_way_to_an_input(name, known):
    assert is_of_inputs(name, ["a_to_b", "raw", "embed"]) == known
