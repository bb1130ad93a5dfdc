"""Each type of model that reads sounds computes what transformers computes, one sound at a time."""

import json

import numpy as np
import pytest
import torch

import zoo
from zoo import DataError, SpecError

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
SIZES |= {"conv_dim": (16, 16), "conv_stride": (5, 2), "conv_kernel": (10, 3), "num_feat_extract_layers": 2}
SIZES |= {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
KINDS = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert"}


def folder_with(name, folder_of, *, norm="layer", stable=True, **processor):
    import transformers

    config = getattr(transformers, f"{KINDS[name]}Config")(**SIZES, feat_extract_norm=norm, do_stable_layer_norm=stable)
    torch.manual_seed(0)
    model = getattr(transformers, f"{KINDS[name]}Model")(config)
    processor = {"sampling_rate": 16000, "do_normalize": True, **processor}
    return model.eval(), folder_of(model, {"preprocessor_config.json": processor}, tokenizer=None)


def sounds():
    generator = np.random.default_rng(0)
    return [generator.normal(0.1, 0.2, length).astype(np.float32) for length in (400, 1000, 731, 20)]


@pytest.mark.parametrize("stable", [True, False])
@pytest.mark.parametrize("name", KINDS)
def test_a_type_computes_what_transformers_computes(name, stable, folder_of, tmp_path):
    model, folder = folder_with(name, folder_of, stable=stable)
    loaded = zoo.load(zoo.import_model(folder, tmp_path / "run").weights).model
    (graph,) = loaded.graphs(raw=False)
    arrays = loaded.modalities["audio"].to_arrays(sounds())
    with torch.no_grad():
        given = {f"audio.{key}": torch.from_numpy(array) for key, array in arrays.items()}
        found = graph.module(given)["encode_audio.embedding"]
        for row, sound in enumerate(sounds()):
            scaled = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
            hidden = model(torch.from_numpy(scaled)[None]).last_hidden_state
            expected = torch.nn.functional.normalize(hidden.mean(1), dim=-1)
            torch.testing.assert_close(found[row : row + 1], expected, atol=1e-6, rtol=0)


@pytest.mark.verify
@pytest.mark.parametrize("name", KINDS)
def test_a_type_exports_with_parity(name, folder_of, tmp_path):
    _, folder = folder_with(name, folder_of)
    run = zoo.import_model(folder, tmp_path / "run", options={"spec.inputs.audio.modality.seconds": 0.1})
    bundle = zoo.export(run, tmp_path / "bundle")
    assert bundle.run("encode_audio", {"audio": sounds()})["encode_audio.embedding"].shape == (4, 32)


def test_a_model_whose_features_depend_on_padding_is_refused(folder_of, tmp_path):
    _, folder = folder_with("wav2vec2", folder_of, norm="group")
    with pytest.raises(SpecError, match="feat_extract_norm 'group', by which padding changes the features"):
        zoo.import_model(folder, tmp_path / "run")


def test_a_processor_without_a_rate_is_refused(folder_of, tmp_path):
    _, folder = folder_with("wav2vec2", folder_of)
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True}))
    with pytest.raises(DataError, match="has the sampling_rate None, expected a whole number of samples per second"):
        zoo.import_model(folder, tmp_path / "run")
