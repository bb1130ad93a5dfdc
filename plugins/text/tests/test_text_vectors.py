import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import zoo_text
from click.testing import CliRunner
from zoo_text.encoders import BagOfEmbeddings, TransformerEncoder, token_embedding
from zoo_text.modality import TextModality
from zoo_text.pretrained import file_at
from zoo_text.trained_vectors import command, trained_vectors
from zoo_text.word2vec import WordVectors, read_word2vec, write_word2vec

from zoo import DataError, Recipe, SpecError, UsageError, build, load
from zoo.testing import EncoderContract, ModalityContract
from zoo.training.train import train

TEXTS = ["red heart", "a red fire engine", "消防车", ""]
VECTORS = {"red": [1, 2, 3, 4], "消": [5, 6, 7, 8], "dog": [9, 9, 9, 9], "Heart": [2, 2, 2, 2]}
OURS = "package:zoo_text/vectors/emoji-names.bin"


@pytest.fixture
def path(tmp_path):
    place = tmp_path / "vectors.bin"
    write_word2vec(WordVectors(tuple(VECTORS), np.array(list(VECTORS.values()), dtype=np.float32)), place)
    return place


@pytest.fixture
def fitted(path):
    return TextModality(max_length=9, vectors=str(path)).fit(TEXTS)


class TestTextWithVectors(ModalityContract):
    @pytest.fixture
    def modality(self, fitted):
        return fitted

    @pytest.fixture
    def values(self):
        return TEXTS


class TestAnEncoderWithItsVectorsKept(EncoderContract):
    @pytest.fixture
    def modality(self, fitted):
        return fitted

    @pytest.fixture
    def encoder(self, modality):
        torch.manual_seed(0)
        return TransformerEncoder(modality, width=4, heads=2, depth=1, train_embedding=False)


def ids_of(modality, text):
    return modality.to_arrays([text])["ids"][0].tolist()


def test_the_vocabulary_is_the_same_as_without_vectors(fitted):
    np.testing.assert_array_equal(
        fitted.state()["vocabulary"], TextModality(max_length=9).fit(TEXTS).state()["vocabulary"]
    )


def test_words_of_the_file_start_from_its_vectors(fitted):
    table = token_embedding(fitted, 4).weight
    for word in ("red", "消"):
        assert table[ids_of(fitted, word)[0]].tolist() == VECTORS[word]


def test_words_of_no_vector_start_small_as_without_a_file(fitted):
    torch.manual_seed(0)
    table = token_embedding(fitted, 4).weight
    torch.manual_seed(0)
    without = token_embedding(TextModality(max_length=9).fit(TEXTS), 4).weight
    others = [token for token in range(fitted.token_count) if token not in ids_of(fitted, "red 消")]
    torch.testing.assert_close(table[others], without[others])
    assert table[ids_of(fitted, "heart")].abs().max() < 0.2
    assert not table[:2].any()


def test_the_embedding_starts_from_vectors_in_float64_too(fitted):
    torch.set_default_dtype(torch.float64)
    try:
        table = token_embedding(fitted, 4).weight
    finally:
        torch.set_default_dtype(torch.float32)
    assert table.dtype == torch.float64
    assert table[ids_of(fitted, "red")[0]].tolist() == VECTORS["red"]


def test_the_state_has_no_vectors_and_what_it_rebuilds_needs_no_file(fitted, path):
    state = fitted.state()
    path.unlink()
    again = TextModality(max_length=9, vectors=str(path)).with_state(state)
    assert set(state) == {"vocabulary"}
    assert again.pretrained is None
    assert again == fitted
    assert fitted.with_state(state).pretrained is None
    assert token_embedding(again, 17, train_embedding=False).weight.shape == (again.token_count, 17)


def test_the_vectors_of_this_plugin_are_found_by_their_package():
    modality = TextModality(vectors=OURS).fit(["red cat", "猫"])
    assert len(modality.pretrained.ids) == 3
    assert modality.pretrained.vectors.shape == (3, 64)


@pytest.mark.parametrize("encoder", [BagOfEmbeddings, TransformerEncoder])
def test_kept_vectors_do_not_move_and_stand_in_the_weights(fitted, encoder):
    torch.manual_seed(0)
    options = {"heads": 2} if encoder is TransformerEncoder else {}
    module = encoder(fitted, width=4, train_embedding=False, **options)
    before = module.embedding.weight.clone()
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimiser = torch.optim.SGD(trained, lr=1.0)
    tensors = {name: torch.from_numpy(array) for name, array in fitted.to_arrays(TEXTS).items()}
    (module(tensors) * torch.randn(4, 4, generator=torch.Generator().manual_seed(0))).sum().backward()
    optimiser.step()
    torch.testing.assert_close(module.embedding.weight, before, rtol=0, atol=0)
    assert "embedding.weight" in module.state_dict()
    assert encoder(fitted, width=4, **options).embedding.weight.requires_grad


def test_another_width_than_that_of_the_vectors_is_refused(fitted):
    message = (
        "an embedding of width 8 cannot start from .*vectors.bin, whose vectors have 4 numbers; set the width to 4"
    )
    with pytest.raises(SpecError, match=message):
        BagOfEmbeddings(fitted, width=8)


def test_an_embedding_without_vectors_must_be_trained():
    modality = TextModality().fit(TEXTS)
    with pytest.raises(
        SpecError, match="'train_embedding' can be false only if the modality starts from vectors, got "
    ):
        BagOfEmbeddings(modality, train_embedding=False)


@pytest.mark.parametrize("tokenizer", ["bytes", "bpe"])
def test_vectors_are_for_whole_words(tokenizer):
    message = f"'vectors' works only with the 'tokenizer' words, got vectors .* and tokenizer '{tokenizer}'; drop one"
    with pytest.raises(SpecError, match=message):
        TextModality(tokenizer=tokenizer, vectors=OURS)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "nowhere/vectors.bin",
            "option 'vectors': nowhere/vectors.bin: expected a file of word vectors, found nothing",
        ),
        ("package:zoo_text/none.bin", "none.bin: expected a file of word vectors, found nothing; give the path of one"),
        ("package:zoo_text", "package:zoo_text is not a source: expected a path that stays inside its folder, came ''"),
        ("package:zoo_text/../x", "expected a path that stays inside its folder, came '../x'; correct it"),
        ("package:zoo_text//etc/x", "expected a path that stays inside its folder, came '/etc/x'; correct it"),
        ("package:a.b/x.bin", "package:a.b/x.bin is not a source: expected the import name of a package, came 'a.b'"),
        ("package:not_there/x.bin", "leads into the package 'not_there', which is not installed; correct it, or insta"),
    ],
)
def test_an_address_that_leads_to_no_file_is_an_option_that_is_wrong(address, message):
    with pytest.raises(SpecError, match=message):
        TextModality(vectors=address).fit(["red"])


def test_vectors_for_none_of_the_words_are_refused(path):
    message = "the option 'vectors': .*expected some of the words that were asked for, spelt alike, but none is among i"
    with pytest.raises(SpecError, match=message):
        TextModality(vectors=str(path)).fit(["Heart"])


def test_an_address_of_a_package_imports_nothing():
    code = (
        "import sys; from zoo_text.pretrained import file_at;"
        "assert file_at('package:torch/__init__.py').is_file(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_plain_address_is_a_path():
    assert file_at("vectors.bin") == Path("vectors.bin")
    with pytest.raises(DataError, match="which is not installed"):
        file_at("package:not_there/x")


def test_our_vectors_put_words_of_one_kind_together():
    vectors = read_word2vec(file_at(OURS))
    unit = vectors.vectors / np.linalg.norm(vectors.vectors, axis=1, keepdims=True)
    place = {word: row for row, word in enumerate(vectors.words)}
    alike = unit @ unit.T
    assert alike[place["fire"], place["engine"]] > 0.5
    assert alike[place["cat"], place["pouting"]] > 0.3
    assert alike[place["脸"], place["丑"]] > 0.3
    assert abs(np.median(alike)) < 0.1


RECIPE = Path(zoo_text.__file__).with_name("vectors") / "emoji-names.toml"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    short = Recipe.load(RECIPE).with_options(("training.steps=2", "training.warmup_steps=0", "data.languages=['zh']"))
    return train(short, tmp_path_factory.mktemp("run"))


def test_the_recipe_of_our_vectors_trains_the_words_that_they_have():
    recipe = Recipe.load(RECIPE)
    assert recipe.spec.inputs[0].encoder.options["width"] == read_word2vec(file_at(OURS)).size


@pytest.mark.parametrize("options", [[], ["--text"]])
def test_the_embedding_of_a_checkpoint_is_written_as_vectors(checkpoint, tmp_path, options):
    out = tmp_path / "out"
    result = CliRunner().invoke(command, [str(checkpoint), str(out), *options])
    model = load(checkpoint).model
    (modality,) = model.modalities.values()
    assert result.output == f"{out}: {modality.token_count - 2} words of 64 numbers\n"
    read = read_word2vec(out)
    table = model.objective.encoder.embedding.weight.detach().numpy()
    assert read.words[5] == modality.from_arrays({"ids": np.array([[7]]), "mask": np.array([[True]])})[0]
    np.testing.assert_array_equal(read.vectors, table[2:])


def test_a_written_embedding_is_what_the_next_model_starts_from(checkpoint, tmp_path):
    vectors = trained_vectors(load(checkpoint).model)
    write_word2vec(vectors, tmp_path / "out")
    modality = TextModality(vectors=str(tmp_path / "out")).fit(vectors.words)
    table = BagOfEmbeddings(modality, width=64).embedding.weight.detach().numpy()
    np.testing.assert_array_equal(table[[ids_of(modality, word)[0] for word in vectors.words]], vectors.vectors)


def test_a_missing_checkpoint_is_told_without_a_traceback(tmp_path):
    result = CliRunner().invoke(command, [str(tmp_path / "none"), str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "Error: no checkpoint" in result.output


def test_a_model_that_reads_no_words_has_no_vectors():
    recipe = Recipe.load(RECIPE).with_options(("spec.inputs.caption.modality.tokenizer=bytes",))
    model = build(recipe.spec, {"caption": TextModality(tokenizer="bytes", max_length=16)})
    with pytest.raises(UsageError, match="expected a model with one text input of whole words, it has 0; take another"):
        trained_vectors(model)


def test_a_model_without_an_embedding_of_its_words_has_no_vectors():
    recipe = Recipe.load(RECIPE)
    model = build(recipe.spec, {"caption": TextModality(max_length=16).fit(TEXTS)})
    model.objective.encoder.embedding = torch.nn.Embedding(3, 4)
    with pytest.raises(UsageError, match="expected a model with one embedding of its words, it has 0; take another"):
        trained_vectors(model)
