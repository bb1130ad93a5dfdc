"""CLIP and SigLIP: two encoders in one space, with the loss that they were trained by."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import zoo

TEXT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 32}
VISION = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
VISION |= {"image_size": 32, "patch_size": 8}
PROCESSOR = {"size": {"height": 32, "width": 32}, "resample": 3, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
TOKENS = {"max_position_embeddings": 16, "bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}


def random_pair(name):
    import transformers

    torch.manual_seed(0)
    if name == "clip":
        config = transformers.CLIPConfig(text_config={**TEXT, **TOKENS}, vision_config=VISION, projection_dim=24)
        model = transformers.CLIPModel(config)
    else:
        config = transformers.SiglipConfig(text_config={**TEXT, **TOKENS}, vision_config=VISION)
        model = transformers.SiglipModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        model.logit_scale.fill_(np.log(14.0))
    return model.eval()


@pytest.fixture(params=["clip", "siglip"])
def name(request):
    return request.param


@pytest.fixture
def pair(name, folder_of, tmp_path):
    model = random_pair(name)
    folder = folder_of(model, {"preprocessor_config.json": PROCESSOR})
    return model, zoo.import_model(folder, tmp_path / "run")


def test_both_encoders_and_the_scale_are_those_of_transformers(pair, name, texts):
    model, run = pair
    loaded = zoo.load(run.weights).model
    arrays = loaded.modalities["text"].to_arrays(texts)
    pixels = np.random.default_rng(0).integers(0, 256, (len(texts), 32, 32, 3), np.uint8)
    ids = torch.from_numpy(arrays["ids"])
    if name == "siglip":
        ids = torch.nn.functional.pad(ids, (0, 16 - ids.shape[1]))
        mask = None
    else:
        mask = torch.from_numpy(arrays["mask"]).long()
    seen = torch.from_numpy(np.moveaxis(pixels, -1, 1) / 255 * 2 - 1).float()
    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=mask, pixel_values=seen)
        graphs = {graph.name: graph.module for graph in loaded.graphs(raw=False)}
        tokens = {f"text.{key}": torch.from_numpy(array) for key, array in arrays.items()}
        text = graphs["encode_text"](tokens)["encode_text.embedding"]
        values = loaded.modalities["image"].to_arrays([Image.fromarray(one) for one in pixels])["pixels"]
        image = graphs["encode_image"]({"image.pixels": torch.from_numpy(values)})["encode_image.embedding"]
    torch.testing.assert_close(text, expected.text_embeds, atol=1e-6, rtol=0)
    torch.testing.assert_close(image, expected.image_embeds, atol=1e-6, rtol=0)
    objective = loaded.objective
    logits = objective.log_scale.exp() * text @ image.T + getattr(objective, "bias", 0)
    torch.testing.assert_close(logits, expected.logits_per_text, atol=1e-4, rtol=1e-5)


def test_a_pair_has_the_objective_that_it_was_trained_by(pair, name):
    recipe = zoo.Recipe.load(pair[1].folder / "recipe.toml")
    assert recipe.spec.objective.name == {"clip": "infonce", "siglip": "sigmoid"}[name]
    assert json.loads((pair[1].weights.parent / "state.json").read_text())["step"] == 0


@pytest.mark.verify
def test_a_pair_exports_with_parity(pair, tmp_path, texts):
    bundle = zoo.export(pair[1], tmp_path / "bundle")
    assert {"encode_text", "encode_image", "embed"} <= {*bundle.graphs}


def test_a_pair_trains_further_on_pictures_and_texts_of_its_user(pair, tmp_path, texts):
    photos = tmp_path / "photos"
    photos.mkdir()
    rows = ["image,text,split"]
    for number in range(12):
        levels = np.random.default_rng(number).integers(0, 256, (40, 36, 3), np.uint8)
        Image.fromarray(levels).save(photos / f"{number}.png")
        rows.append(f"{number}.png,a small cat {'red ' * number},{'test' if number > 8 else 'train'}")
    (photos / "captions.csv").write_text("\n".join(rows))
    run = pair[1]
    data = {"name": "folder", "path": str(photos)}
    options = {"data": data, "training.steps": 2, "training.batch_size": 4}
    trained = zoo.train(run.folder / "recipe.toml", run.folder, options=options, resume=True, accept_changes=True)
    before, after = (zoo.load(path).model.objective for path in (run.weights, trained.weights))
    moved = [name for name, weight in before.named_parameters() if not torch.equal(weight, after.get_parameter(name))]
    assert len(moved) > 0.9 * len(list(before.named_parameters()))
    assert zoo.evaluate(trained.folder)
