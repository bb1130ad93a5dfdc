"""From a folder to a bundle that runs without torch: the numbers are those of transformers."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import zoo
from zoo import DataError, SpecError, TrainingError, UsageError


@pytest.fixture(scope="module")
def run(tiny_bert, tmp_path_factory):
    return zoo.import_model(tiny_bert, tmp_path_factory.mktemp("imported") / "run")


@pytest.fixture(scope="module")
def bundle(run):
    return zoo.export(run.folder, run.folder.parent / "bundle")


def unit_means(found, weight):
    mean = (found.last_hidden_state * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
    return torch.nn.functional.normalize(mean, dim=-1).numpy()


def test_a_bundle_embeds_sentences_as_transformers_does(bundle, tiny_bert, texts, by_transformers):
    embedded = bundle.run("encode_text", {"text": texts})["encode_text.embedding"]
    expected = unit_means(*by_transformers(tiny_bert, texts, 16))
    np.testing.assert_allclose(embedded, expected, atol=1e-6)


def test_a_graph_that_reads_bytes_embeds_as_the_tokenizer_does(bundle, texts):
    of_bytes, of_tokens = (
        bundle.run(graph, {"text": texts})["encode_text.embedding"] for graph in ("encode_text.raw", "encode_text")
    )
    np.testing.assert_allclose(of_bytes, of_tokens, atol=1e-6)


def test_a_bundle_of_a_pretrained_model_runs_without_torch_and_transformers(bundle):
    code = (
        "import sys, zoo; zoo.open_bundle(sys.argv[1]).run('encode_text', {'text': ['a cat']}); "
        "sys.exit(bool({'torch', 'transformers', 'zoo_transformers.text'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code, bundle.folder], check=False).returncode == 0


def test_the_checkpoint_alone_rebuilds_the_model(run, tmp_path, texts):
    alone = shutil.copy(run.weights, tmp_path / "alone.safetensors")
    (first,), (second,) = (zoo.load(path).model.graphs(raw=False) for path in (run.weights, alone))
    ids = {"text.ids": torch.tensor([[2, 5, 3]]), "text.mask": torch.ones(1, 3, dtype=torch.bool)}
    assert torch.equal(*(graph.module(ids)["encode_text.embedding"] for graph in (first, second)))
    assert first.outputs["encode_text.embedding"].axes == ("batch", 32)


def test_the_recipe_says_what_differs_from_the_defaults(run):
    table = zoo.Recipe.load(run.folder / "recipe.toml").spec.written()["inputs"]["text"]
    assert table["modality"] == {"name": "text", "tokenizer": "pretrained", "max_length": 16}
    assert table["encoder"] == {
        "name": "pretrained",
        "model": "bert",
        "pooling": "mean",
        "config": {
            "hidden_size": 32,
            "intermediate_size": 64,
            "max_position_embeddings": 24,
            "num_attention_heads": 4,
            "num_hidden_layers": 2,
            "vocab_size": 32,
        },
    }


def test_fewer_numbers_of_an_embedding_have_length_one_again(tiny_bert, tmp_path, texts, by_transformers):
    run = zoo.import_model(tiny_bert, tmp_path / "run", options={"spec.latent_dim": 8})
    (graph,) = zoo.load(run.weights).model.graphs(raw=False)
    modality = zoo.load(run.weights).model.modalities["text"]
    arrays = {f"text.{name}": torch.from_numpy(array) for name, array in modality.to_arrays(texts).items()}
    with torch.no_grad():
        found = graph.module(arrays)["encode_text.embedding"].numpy()
    expected = unit_means(*by_transformers(tiny_bert, texts, 16))[:, :8]
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)


def test_an_imported_model_says_that_it_has_no_data_to_train_on(run):
    with pytest.raises(DataError, match=r"names no data; name them, as in `options=\['data\.name=folder"):
        zoo.train(zoo.Recipe.load(run.folder / "recipe.toml"), run.folder, resume=True)
    with pytest.raises(DataError, match="names no data"):
        zoo.evaluate(run.folder)


def test_a_step_of_features_is_refused(run):
    model = zoo.load(run.weights).model
    ids = {"ids": torch.tensor([[2, 5, 3]]), "mask": torch.ones(1, 3, dtype=torch.bool)}
    batch = zoo.Batch({"text": ids}, {"text": torch.ones(1, dtype=torch.bool)})
    with pytest.raises(
        TrainingError, match="'features' deploys encoders as they are, and cannot be trained; choose one"
    ):
        model.losses(batch, {})
    with pytest.raises(SpecError, match="cannot be measured"):
        model.objective.metrics([batch], generator=torch.Generator())


def test_a_folder_that_holds_anything_is_not_written_to(tiny_bert, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds 'notes.txt'"):
        zoo.import_model(tiny_bert, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_fewer_features_than_the_embedding_takes_are_refused(tiny_bert, tmp_path):
    with pytest.raises(SpecError, match="that of 'text' has 32, got latent_dim 64"):
        zoo.import_model(tiny_bert, tmp_path / "run", options={"spec.latent_dim": 64})


@pytest.mark.verify
def test_the_page_on_pretrained_models_runs(tiny_bert, tmp_path, monkeypatch):
    page = Path(__file__).parents[3] / "docs/pretrained.md"
    (program,) = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("all-MiniLM-L6-v2").symlink_to(tiny_bert)
    known = {"zoo": zoo}
    exec(program, known)
    assert known["vectors"].shape == (2, 32)


def copied(folder, tmp_path, **changes):
    """Return a copy of a folder in which keys of its config.json are changed."""
    other = shutil.copytree(folder, tmp_path / "copy")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, **changes}))
    return other


def refused(folder, tmp_path):
    with pytest.raises(DataError) as told:
        zoo.import_model(folder, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    return str(told.value)


def test_an_unknown_type_is_named_with_the_way_to_add_it(tiny_bert, tmp_path):
    told = refused(copied(tiny_bert, tmp_path, model_type="mamba9"), tmp_path)
    assert "has the model_type 'mamba9', which cannot be imported; known are albert, bert," in told
    assert "zoo_transformers/families.py, or as your own importer by the hook zoo_importers" in told


def test_a_pickle_is_refused_and_not_opened(tiny_bert, tmp_path):
    folder = copied(tiny_bert, tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    told = refused(folder, tmp_path)
    assert "as pytorch_model.bin, a pickle, which can run code when it is read; expected model.safetensors" in told


def test_code_in_a_folder_is_never_run(tiny_bert, tmp_path):
    mark = tmp_path / "ran"
    folder = copied(tiny_bert, tmp_path, auto_map={"AutoModel": "evil.Model"}, attn_implementation="evil/kernel")
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w')")
    run = zoo.import_model(folder, tmp_path / "run")
    assert not mark.exists()
    assert "evil" not in (run.folder / "recipe.toml").read_text()


def test_half_a_folder_is_refused(tiny_bert, tmp_path):
    folder = copied(tiny_bert, tmp_path)
    (folder / "model.safetensors").unlink()
    assert "holds no model.safetensors; the folder is incomplete" in refused(folder, tmp_path)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "model-1-of-2.safetensors"}}))
    assert "model-1-of-2.safetensors is missing" in refused(folder, tmp_path)


def test_a_folder_without_a_tokenizer_is_refused(tiny_bert, tmp_path):
    folder = copied(tiny_bert, tmp_path)
    (folder / "tokenizer.json").unlink()
    assert "tokenizer.json is missing; write it where you trust the folder" in refused(folder, tmp_path)


def test_weights_that_lack_a_layer_are_refused(tiny_bert, tmp_path):
    told = refused(copied(tiny_bert, tmp_path, num_hidden_layers=3), tmp_path)
    assert "the weights lack the tensor 'encoder.layer.2." in told


def test_weights_with_a_layer_too_many_are_refused(tiny_bert, tmp_path):
    told = refused(copied(tiny_bert, tmp_path, num_hidden_layers=1), tmp_path)
    assert "hold the tensor 'encoder.layer.1." in told
    assert "for which the model has no place" in told


def test_weights_of_another_shape_are_refused(tiny_bert, tmp_path):
    told = refused(copied(tiny_bert, tmp_path, intermediate_size=48), tmp_path)
    assert "has the shape (64,), its config.json demands (48,)" in told


def test_a_damaged_file_of_weights_is_refused(tiny_bert, tmp_path):
    folder = copied(tiny_bert, tmp_path)
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:999])
    assert "cannot be read" in refused(folder, tmp_path)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(tiny_bert, tmp_path):
    folder = copied(tiny_bert, tmp_path)
    table = json.loads((folder / "tokenizer.json").read_text())
    table["model"]["vocab"] |= {f"more{n}": 20 + n for n in range(20)}
    (folder / "tokenizer.json").write_text(json.dumps(table))
    with pytest.raises(SpecError, match="has 40 tokens, the model only 32: they do not belong together"):
        zoo.import_model(folder, tmp_path / "run")


def test_a_tokenizer_of_an_unknown_kind_is_refused(tiny_bert, tmp_path):
    folder = copied(tiny_bert, tmp_path)
    table = json.loads((folder / "tokenizer.json").read_text())
    table["model"]["type"] = "Syllables"
    (folder / "tokenizer.json").write_text(json.dumps(table))
    assert "of the type WordPiece, BPE, Unigram, WordLevel, got 'Syllables'" in refused(folder, tmp_path)


def test_an_adapter_alone_is_refused(tiny_bert, tmp_path):
    folder = copied(tiny_bert, tmp_path)
    (folder / "adapter_config.json").write_text("{}")
    assert "holds an adapter, which is half a model" in refused(folder, tmp_path)


def test_quantised_weights_are_refused(tiny_bert, tmp_path):
    told = refused(copied(tiny_bert, tmp_path, quantization_config={"bits": 4}), tmp_path)
    assert "says that the weights are quantised" in told


def test_weights_of_sixteen_bits_are_read_as_float32(tiny_bert, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = copied(tiny_bert, tmp_path)
    half = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(half, folder / "model.safetensors", {"format": "pt"})
    objective = zoo.load(zoo.import_model(folder, tmp_path / "run").weights).model.objective
    found = objective.get_parameter("encoders.text.model.embeddings.word_embeddings.weight")
    assert found.dtype == torch.float32
    assert torch.equal(found, half["embeddings.word_embeddings.weight"].float())
