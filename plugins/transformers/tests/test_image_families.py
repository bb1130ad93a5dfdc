"""Each type of model that reads pictures computes what transformers computes from its own processor."""

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from zoo import DataError, SpecError

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 32, "patch_size": 8}
WIDE = {**SIZES, "intermediate_size": 64}
SQUARE = {"size": {"height": 32, "width": 32}, "resample": 2}
CUT = {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True, "resample": 3}
FAMILIES = {
    "vit": ("ViTModel", "ViTConfig", WIDE, SQUARE),
    "deit": ("DeiTModel", "DeiTConfig", WIDE, CUT),
    "dinov2": ("Dinov2Model", "Dinov2Config", SIZES, CUT),
    "clip_vision_model": ("CLIPVisionModel", "CLIPVisionConfig", WIDE, CUT),
    "siglip_vision_model": ("SiglipVisionModel", "SiglipVisionConfig", WIDE, {**SQUARE, "resample": 3}),
}
COLOURS = {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28], "do_normalize": True}


def pictures():
    generator = np.random.default_rng(0)
    sizes = [(32, 32), (50, 41), (33, 90)]
    return [Image.fromarray(generator.integers(0, 256, (height, width, 3), np.uint8)) for width, height in sizes]


def read_by_pillow(picture, processor):
    """Return the numbers of a picture as the processors of transformers define them."""
    how = Image.Resampling(processor["resample"])
    if processor.get("do_center_crop"):
        shorter = processor["size"]["shortest_edge"]
        width, height = (int(shorter * side / min(picture.size)) for side in picture.size)
        left, top = (width - 32) // 2, (height - 32) // 2
        picture = picture.resize((width, height), how).crop((left, top, left + 32, top + 32))
    else:
        picture = picture.resize((32, 32), how)
    levels = np.asarray(picture).astype(np.float64) / 255
    return np.moveaxis((levels - processor["image_mean"]) / processor["image_std"], -1, 0).astype(np.float32)


def folder_with(name, folder_of, **changes):
    import transformers

    kind, config, sizes, processor = FAMILIES[name]
    torch.manual_seed(0)
    model = getattr(transformers, kind)(getattr(transformers, config)(**sizes))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    processor = {**processor, **COLOURS, **changes}
    return model.eval(), processor, folder_of(model, {"preprocessor_config.json": processor}, tokenizer=None)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_type_computes_what_transformers_computes(name, folder_of, tmp_path):
    model, processor, folder = folder_with(name, folder_of)
    loaded = zoo.load(zoo.import_model(folder, tmp_path / "run").weights).model
    values = np.stack([read_by_pillow(picture, processor) for picture in pictures()])
    with torch.no_grad():
        expected = model(pixel_values=torch.from_numpy(values))
        (graph,) = loaded.graphs(raw=False)
        pixels = loaded.modalities["image"].to_arrays(pictures())["pixels"]
        found = graph.module({"image.pixels": torch.from_numpy(pixels)})["encode_image.embedding"]
    joined = expected.pooler_output if "vision" in name else expected.last_hidden_state[:, 0]
    torch.testing.assert_close(found, torch.nn.functional.normalize(joined, dim=-1), atol=1e-6, rtol=0)


@pytest.mark.verify
@pytest.mark.parametrize("name", FAMILIES)
def test_a_type_exports_with_parity(name, folder_of, tmp_path):
    _, _, folder = folder_with(name, folder_of)
    bundle = zoo.export(zoo.import_model(folder, tmp_path / "run"), tmp_path / "bundle")
    assert bundle.run("encode_image", {"image": pictures()})["encode_image.embedding"].shape == (3, 32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": {"height": 48, "width": 48}}, r"makes pictures of 48 pixels, .*config\.json reads 32"),
        ({"size": {"height": 48, "width": 32}}, "a square, or a square cut out of a picture"),
        ({"resample": 0}, r"has the resample 0; 2 \(bilinear\) and 3 \(bicubic\) can be imported"),
        ({"image_mean": 0.5}, "has the image_mean 0.5, expected three numbers, one per colour"),
        ({"rescale_factor": 1 / 127.5}, "does not divide levels by 255"),
        ({"do_resize": False}, "says do_resize = false"),
    ],
)
def test_a_processor_that_disagrees_is_refused(changes, message, folder_of, tmp_path):
    _, _, folder = folder_with("vit", folder_of, **changes)
    with pytest.raises(DataError, match=message):
        zoo.import_model(folder, tmp_path / "run")


def test_pictures_in_grey_are_refused(folder_of, tmp_path):
    _, _, folder = folder_with("vit", folder_of)
    with pytest.raises(SpecError, match="reads pictures in colour, got channels 1"):
        zoo.import_model(folder, tmp_path / "run", options={"spec.inputs.image.modality.channels": 1})
