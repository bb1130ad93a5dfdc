"""An imported encoder is trained further: its weights and its tokenizer are those of the folder."""

import json

import pytest
from PIL import Image
from safetensors.torch import load_file

import zoo

PICTURE = {"modality": {"name": "image", "size": 8}, "encoder": {"name": "mlp", "hidden": [8]}}


@pytest.fixture
def captioned(tmp_path):
    """A folder of four pictures with captions."""
    folder = tmp_path / "photos"
    folder.mkdir()
    lines = ["picture,text"]
    for number, text in enumerate(("a small cat", "two dog", "the red cat", "and a word")):
        Image.new("RGB", (8, 8), (60 * number, 0, 0)).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{text}")
    (folder / "captions.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_an_imported_encoder_is_trained_further_or_frozen(tiny_bert, captioned, tmp_path):
    imported = zoo.import_model(tiny_bert, tmp_path / "imported")
    recipe = zoo.Recipe.load(tmp_path / "imported/recipe.toml").written()
    recipe["spec"] |= {"objective": "infonce", "inputs": {**recipe["spec"]["inputs"], "picture": PICTURE}}
    recipe |= {"data": {"name": "folder", "path": str(captioned)}, "evaluation": {}}
    recipe["training"] = {"steps": 2, "batch_size": 2}
    source = load_file(next((tmp_path / "imported").glob("**/model.safetensors")))
    for frozen in ([], ["text.encoder"]):
        read = zoo.Recipe.read(recipe, "tuned").with_options({"training.freeze": frozen})
        folder = tmp_path / f"tuned-{len(frozen)}"
        run = zoo.train(read, folder, start_from=imported, keep_fitted=True)
        told = json.loads((folder / "from.json").read_text())
        assert not [name for name in told["fresh"] if name.startswith("text.")]
        assert len([name for name in told["taken"] if name.startswith("text.encoder.")]) > 20
        tuned = load_file(run.weights)
        assert (tuned["modality:text:tokenizer"] == source["modality:text:tokenizer"]).all()
        same = [bool((tensor == source[name]).all()) for name, tensor in tuned.items() if name in source]
        assert all(same) == bool(frozen)
