"""What a sentence-transformers folder says beside its model: pooling, dense layers, prompts, sizes."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from zoo_transformers.pooling import Pooling

import zoo
from zoo import DataError


@pytest.fixture
def folder(tiny_bert, tmp_path):
    return shutil.copytree(tiny_bert, tmp_path / "folder")


def write(folder, name, content):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(content))


def modules(folder, *kinds):
    entries = [
        {"idx": n, "path": path, "type": f"sentence_transformers.models.{kind}"} for n, (path, kind) in enumerate(kinds)
    ]
    write(folder, "modules.json", entries)


def embedded(folder, tmp_path, texts, **options):
    """Return the embeddings of an imported folder, computed by torch."""
    loaded = zoo.load(zoo.import_model(folder, tmp_path / "run", options=options).weights).model
    (graph,) = loaded.graphs(raw=False)
    arrays = loaded.modalities["text"].to_arrays(texts)
    with torch.no_grad():
        given = {f"text.{name}": torch.from_numpy(array) for name, array in arrays.items()}
        return graph.module(given)["encode_text.embedding"].numpy()


@pytest.mark.parametrize("how", ["cls", "max", "last"])
def test_tokens_are_joined_as_the_folder_says(how, folder, tmp_path, texts, by_transformers):
    modules(folder, ("", "Transformer"), ("1_Pooling", "Pooling"))
    write(folder, "1_Pooling/config.json", {"pooling_mode": "lasttoken" if how == "last" else how})
    found, weight = by_transformers(folder, texts, 16)
    hidden, mask = found.last_hidden_state, weight[..., 0].bool()
    last = mask.sum(1) - 1
    expected = {
        "cls": hidden[:, 0],
        "max": torch.where(weight.bool(), hidden, torch.tensor(-1e9)).amax(1),
        "last": hidden[torch.arange(len(hidden)), last],
    }
    np.testing.assert_allclose(embedded(folder, tmp_path, texts), expected[how].numpy(), atol=1e-6)


def test_dense_layers_are_read_with_their_weights(folder, tmp_path, texts, by_transformers):
    modules(folder, ("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense"))
    layer = torch.nn.Linear(32, 12)
    told = {"in_features": 32, "out_features": 12, "bias": True}
    write(folder, "2_Dense/config.json", {**told, "activation_function": "torch.nn.modules.activation.Tanh"})
    save_file(
        {"linear.weight": layer.weight.detach(), "linear.bias": layer.bias.detach()},
        folder / "2_Dense/model.safetensors",
    )
    found, weight = by_transformers(folder, texts, 16)
    with torch.no_grad():
        expected = torch.tanh(layer((found.last_hidden_state * weight).sum(1) / weight.sum(1)))
    np.testing.assert_allclose(embedded(folder, tmp_path, texts), expected.numpy(), atol=1e-6)


def test_the_default_prompt_is_put_before_each_text(folder, tmp_path, texts):
    plain = embedded(folder, tmp_path / "plain", [f"red cat {text}" for text in texts])
    write(
        folder,
        "config_sentence_transformers.json",
        {"prompts": {"query": "red cat ", "document": "dog: "}, "default_prompt_name": "query"},
    )
    np.testing.assert_array_equal(embedded(folder, tmp_path, texts), plain)
    notes = zoo.import_model(folder, tmp_path / "again").notes
    assert notes == (
        "the model has prompts that are put before no text: document: 'dog: '; set one by "
        "`options=['spec.inputs.text.modality.prompt=…']`",
    )


def test_a_folder_that_keeps_fewer_numbers_is_imported_at_that_size(folder, tmp_path, texts):
    write(folder, "config_sentence_transformers.json", {"truncate_dim": 8})
    assert embedded(folder, tmp_path, texts).shape == (len(texts), 8)


def test_a_folder_without_modules_takes_the_mean_and_says_so(folder, tmp_path, texts):
    whole = embedded(folder, tmp_path / "whole", texts[:5])
    for name in ("modules.json", "sentence_bert_config.json"):
        (folder / name).unlink()
    run = zoo.import_model(folder, tmp_path / "again")
    assert "their mean is taken, of length one; change it by `options=['spec.inputs.text.encoder" in run.notes[0]
    np.testing.assert_array_equal(embedded(folder, tmp_path, texts[:5]), whole)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("modules.json", {}, "expected a list of modules"),
        (
            "modules.json",
            [{"type": "Transformer", "path": "../outside"}],
            "expected a 'type' and a 'path' inside the folder",
        ),
        ("modules.json", [{"type": "x.Transformer", "path": ""}], "has no Pooling, so it makes no embedding"),
        ("modules.json", [{"type": "x.CLIPModel", "path": ""}], "begins with CLIPModel, expected a Transformer"),
        (
            "1_Pooling/config.json",
            {"pooling_mode_weightedmean_tokens": True},
            "joins tokens by pooling_mode_weightedmean",
        ),
        (
            "1_Pooling/config.json",
            {"pooling_mode": "mean", "include_prompt": False},
            "leaves the prompt out of the pooling",
        ),
    ],
)
def test_a_folder_that_cannot_be_imported_exactly_is_refused(name, content, message, folder, tmp_path):
    write(folder, name, content)
    with pytest.raises(DataError, match=message):
        zoo.import_model(folder, tmp_path / "run")


def test_an_unknown_module_is_named(folder, tmp_path):
    modules(folder, ("", "Transformer"), ("1_Pooling", "Pooling"), ("2_LayerNorm", "LayerNorm"))
    with pytest.raises(DataError, match="has the module 'LayerNorm'; known are a Transformer, a Pooling, Dense layers"):
        zoo.import_model(folder, tmp_path / "run")


def test_small_letters_that_the_tokenizer_does_not_make_are_refused(folder, tmp_path):
    write(folder, "sentence_bert_config.json", {"do_lower_case": True})
    zoo.import_model(folder, tmp_path / "first")
    table = json.loads((folder / "tokenizer.json").read_text())
    table["normalizer"]["lowercase"] = False
    write(folder, "tokenizer.json", table)
    with pytest.raises(DataError, match="puts texts into small letters before the tokenizer"):
        zoo.import_model(folder, tmp_path / "run")


def test_attention_over_tokens_starts_as_their_mean_and_ignores_padding():
    hidden = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    learnt = Pooling("attention", 8)
    torch.testing.assert_close(learnt(hidden, mask), Pooling("mean", 8)(hidden, mask))
    torch.nn.init.normal_(learnt.query, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(learnt(hidden, mask)[1:], learnt(hidden[1:, :2], mask[1:, :2]))


@pytest.mark.parametrize("how", ["mean", "cls", "max", "last", "attention"])
def test_a_row_without_tokens_has_finite_features(how):
    found = Pooling(how, 4)(torch.ones(1, 3, 4), torch.zeros(1, 3, dtype=torch.bool))
    assert torch.isfinite(found).all()
