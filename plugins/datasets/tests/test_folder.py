from __future__ import annotations

import json
import os
import re

import pytest
from PIL import Image
from zoo_datasets.folder import Folder
from zoo_image.modality import ImageModality

from zoo import DataError, NotFoundError, Recipe, SpecError
from zoo.models.batches import load_rows
from zoo.testing import DatasetContract
from zoo.training.train import train

SPLITS = ("train", "validation", "test")


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a table beside the pictures 0.png to 39.png."""
    for number in range(40):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number}.png")

    def write(table, name="captions.csv"):
        (tmp_path / name).write_bytes(table if isinstance(table, bytes) else table.encode())
        return Folder(str(tmp_path), captions=name)

    return write


class TestFolderContract(DatasetContract):
    @pytest.fixture
    def dataset(self, written):
        return written("picture,caption\n" + "".join(f"{number}.png,number {number}\n" for number in range(40)))


def every(dataset):
    return [sample for split in SPLITS for sample in dataset.split(split)]


def splits_of(dataset):
    return {sample.inputs["picture"]: split for split in SPLITS for sample in dataset.split(split)}


def test_decoding_become_inputs_and_labels(written, tmp_path):
    dataset = written('picture,caption,caption zh,class,label:colour\n0.png,"a red, dark dot",红点,dot,red\n')
    assert dataset.inputs == {"picture": "image", "caption": "text", "caption zh": "text"}
    (sample,) = dataset.split("train")
    assert sample.key == "captions.csv:2"
    assert sample.inputs == {"picture": tmp_path / "0.png", "caption": "a red, dark dot", "caption zh": "红点"}
    assert sample.labels == {"class": "dot", "colour": "red"}


def test_an_empty_cell_is_a_missing_value(written, tmp_path):
    dataset = written("picture,caption,class\n0.png,,\n,only text,x\n")
    by_key = {sample.key: sample for sample in every(dataset)}
    assert by_key["captions.csv:2"].inputs == {"picture": tmp_path / "0.png", "caption": None}
    assert by_key["captions.csv:2"].labels == {}
    assert by_key["captions.csv:3"].inputs == {"picture": None, "caption": "only text"}


def test_sounds_stand_beside_pictures_or_alone(written, tmp_path):
    dataset = written("picture,sound,caption\n0.png,1.png,a dot\n,2.png,\n")
    assert dataset.inputs == {"picture": "image", "sound": "audio", "caption": "text"}
    assert [sample.inputs["sound"] for sample in every(dataset)] == [tmp_path / f"{n}.png" for n in (1, 2)]
    alone = written("sound,class\n" + "".join(f"{n}.png,{n % 2}\n" for n in range(40)))
    assert alone.inputs == {"sound": "audio"}
    assert all(len(alone.split(split)) for split in SPLITS)


def test_a_byte_order_mark_empty_rows_and_windows_lines_do_not_matter(written):
    dataset = written("\ufeffpicture,caption\r\n\r\n0.png, a dot \r\n,\r\n".encode())
    (sample,) = every(dataset)
    assert sample.key == "captions.csv:3"
    assert sample.inputs["caption"] == "a dot"


def test_a_column_split_decides(written):
    dataset = written("picture,split\n0.png,test\n1.png,train\n2.png,test\n3.png,validation\n")
    assert [[sample.key[-1] for sample in dataset.split(split)] for split in SPLITS] == [["3"], ["5"], ["2", "4"]]


def test_without_it_most_pictures_train_and_every_split_has_some(written):
    counts = [len(written("picture\n" + "".join(f"{n}.png\n" for n in range(40))).split(split)) for split in SPLITS]
    assert sum(counts) == 40
    assert 24 <= counts[0] <= 37
    assert min(counts) >= 1


def test_a_picture_stays_in_its_split_as_others_come(written):
    few = splits_of(written("picture\n" + "".join(f"{n}.png\n" for n in range(30))))
    many = splits_of(written("picture\n" + "".join(f"{n}.png\n" for n in range(40))))
    moved = [picture for picture, split in few.items() if many[picture] != split]
    assert len(moved) <= 2


def test_rows_of_one_picture_share_a_split(written):
    dataset = written("picture,caption\n" + "".join(f"{n % 20}.png,caption {n}\n" for n in range(60)))
    counts = [len(dataset.split(split)) for split in SPLITS]
    assert all(count % 3 == 0 for count in counts)


def test_two_pictures_are_enough_to_train_and_test(written):
    for number in range(0, 40, 2):
        dataset = written(f"picture\n{number}.png\n{number + 1}.png\n")
        assert [len(dataset.split(split)) for split in SPLITS] == [1, 0, 1]


@pytest.mark.parametrize(
    ("table", "line", "message"),
    [
        ("picture,caption\n0.png,x\n../outside.png,x\n", 3, "'../outside.png' leads out of "),
        ("picture,caption\n/etc/hostname,x\n", 2, "'/etc/hostname' leads out of "),
        ("picture,picture\n0.png,x\n", 1, "expected a different name for each column, separated by ',', got picture"),
        ("picture,\n0.png,x\n", 1, "expected a different name for each column"),
        (
            "picture,caption\n0.png,x\n1.png\n",
            3,
            r"expected 2 cells (picture, caption) separated by ',', got 1; put a cell",
        ),
        (
            "picture,caption\n0.png,a, b\n",
            2,
            r"expected 2 cells (picture, caption) separated by ',', got 3; put a cell",
        ),
        ('picture,caption\n0.png,"a" b\n', 2, "a double quote opens here and closes here, then 'b' follows"),
        ("picture,split\n0.png,dev\n", 2, "the column 'split' holds train, validation, test, got 'dev'"),
        (b"picture,caption\n0.png,x\n1.png,\xe9t\xe9\n", 3, "not UTF-8; save the file as UTF-8"),
    ],
)
def test_an_error_names_the_file_and_the_line(table, line, message, written):
    with pytest.raises(DataError, match=f"captions.csv, line {line}: {re.escape(message)}"):
        every(written(table))


def test_a_link_that_leads_out_of_the_folder_is_refused(written, tmp_path, tmp_path_factory):
    outside = tmp_path_factory.mktemp("elsewhere") / "secret.png"
    outside.write_bytes((tmp_path / "0.png").read_bytes())
    (tmp_path / "link.png").symlink_to(outside)
    dataset = written("picture\nlink.png\n")
    way_on = rf"copy what lies outside of {tmp_path} into it, or set data\.outside=true to read it from there"
    with pytest.raises(DataError, match=rf"line 2: 'link.png' is a symbolic link to {outside}; {way_on}"):
        every(dataset)


def test_what_lies_outside_is_named_whole_and_read_if_that_is_said(written, tmp_path, tmp_path_factory):
    outside = tmp_path_factory.mktemp("elsewhere") / "other.png"
    table = "picture\n" + f"{outside}\n" * 12
    with pytest.raises(DataError, match=rf"line 11: '{outside}' leads out of {tmp_path}; and 2 more; copy"):
        every(written(table))
    assert {s.inputs["picture"] for s in every(Folder(str(tmp_path), outside=True))} == {outside}


def test_a_link_inside_the_folder_is_followed(written, tmp_path):
    (tmp_path / "link.png").symlink_to(tmp_path / "0.png")
    assert every(written("picture\nlink.png\n"))[0].inputs == {"picture": tmp_path / "0.png"}


def test_a_missing_file_is_a_sample_for_training_to_judge(written, tmp_path):
    dataset = written("picture,split\n0.png,train\n" + "".join(f"none-{n}.png,train\n" for n in range(30)))
    samples = dataset.split("train")
    assert [sample.inputs["picture"] for sample in samples[:2]] == [tmp_path / "0.png", tmp_path / "none-0.png"]
    with pytest.raises(
        DataError,
        match=r"^here: 30 of 31 samples name files that are not there: 'captions.csv:3' picture /.*/none-0.png, .* "
        r"'captions.csv:12' picture /.*/none-9.png and 20 more; correct the paths, put the files there, or leave "
        r"such samples out by `skip_bad_samples=True`$",
    ):
        load_rows(samples, {"picture": ImageModality()}, where="here")
    skipped = {}
    rows = load_rows(samples, {"picture": ImageModality()}, where="here", skip=lambda s, e: skipped.update({s.key: e}))
    assert len(rows) == 1
    assert len(skipped) == 30
    assert re.fullmatch(
        r"sample 'captions.csv:3', input 'picture': there is no file /.*/none-0.png; correct the path",
        str(skipped["captions.csv:3"]),
    )


def test_skipping_trains_and_validates_without_missing_and_broken_files(written, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    splits = {"train": ("0", "none", "1", "broken"), "validation": ("2", "missing", "broken"), "test": ("3",)}
    written("picture,split\n" + "".join(f"{name}.png,{split}\n" for split in splits for name in splits[split]))
    picture = {"modality": {"name": "image", "size": 8}, "encoder": {"name": "mlp"}, "decoder": {"name": "mlp"}}
    tables = {
        "spec": {"latent_dim": 2, "objective": {"name": "autoencoder"}, "inputs": {"picture": picture}},
        "data": {"name": "folder", "path": str(tmp_path)},
        "training": {"steps": 2, "batch_size": 2, "validate_every": 1},
    }
    recipe = Recipe.read(tables, "here")
    with pytest.raises(
        DataError, match=r"split 'train': 1 of 4 samples name files that are not there: 'captions.csv:3'"
    ):
        train(recipe, tmp_path / "stopped")
    train(recipe, tmp_path / "run", skip_bad_samples=True)
    listed = [json.loads(line) for line in (tmp_path / "run/skipped.jsonl").read_text().splitlines()]
    assert [line["sample"].partition(":")[2] for line in listed] == ["3", "5", "7", "8"]


def test_texts_alone_are_data(written):
    dataset = written("question,answer\n" + "".join(f"what is {n}?,it is {n % 20}\n" for n in range(40)))
    assert dataset.inputs == {"question": "text", "answer": "text"}
    assert sum(len(dataset.split(split)) for split in SPLITS) == 40
    assert min(len(dataset.split(split)) for split in SPLITS) >= 1


def test_decoding_of_pictures_and_sounds_are_told_by_their_cells(written, tmp_path):
    dataset = written("front,back,voice,answer,caption\n0.png,1.PNG,a.wav,b.flac,see 2.png\n2.png,,c.mp3,,x\n")
    assert list(dataset.inputs.values()) == ["image", "image", "audio", "audio", "text"]
    first = min(every(dataset), key=lambda sample: sample.key)
    assert first.inputs == {
        "front": tmp_path / "0.png",
        "back": tmp_path / "1.PNG",
        "voice": tmp_path / "a.wav",
        "answer": tmp_path / "b.flac",
        "caption": "see 2.png",
    }


def test_one_wrong_cell_does_not_make_paths_into_texts(written, tmp_path):
    dataset = written("front,back\n0.png,1.png\n2.png,3\n4.png,5.png\n")
    assert dataset.inputs == {"front": "image", "back": "image"}
    assert {sample.inputs["back"].name for sample in every(dataset)} == {"1.png", "3", "5.png"}


def test_options_say_what_a_column_holds_against_its_cells(written, tmp_path):
    written("scan,file name,tune\nA1,0.png,B1\n")
    dataset = Folder(str(tmp_path), pictures=("scan",), sounds=("tune",), texts=("file name",))
    assert dataset.inputs == {"scan": "image", "file name": "text", "tune": "audio"}
    assert every(dataset)[0].inputs == {"scan": tmp_path / "A1", "file name": "0.png", "tune": tmp_path / "B1"}
    for wrong in ({"pictures": ("scam",)}, {"pictures": ("tune",), "sounds": ("tune",)}):
        with pytest.raises(
            SpecError, match=r"'folder': (pictures|sounds) names columns, each once; available: scan, file"
        ):
            _ = Folder(str(tmp_path), **wrong).inputs


def test_pictures_need_no_table(tmp_path):
    (tmp_path / "cats").mkdir()
    for name in ("b.png", "a.jpg", "cats/a.jpg", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    dataset = Folder(str(tmp_path))
    assert dataset.inputs == {"picture": "image"}
    samples = {sample.key: sample.inputs for sample in every(dataset)}
    assert samples == {name: {"picture": tmp_path / name} for name in ("a.jpg", "b.png", "cats/a.jpg")}


def test_names_that_are_no_utf_8_have_a_split(tmp_path):
    name = os.fsdecode(b"\xff.png")
    (tmp_path / name).write_bytes(b"")
    assert [sample.key for sample in every(Folder(str(tmp_path)))] == [name]


def test_a_picture_and_a_sound_of_one_name_belong_together(tmp_path):
    for name in ("dog.png", "dog.wav", "cat.png", "cat.webp", "owl.ogg"):
        (tmp_path / name).write_bytes(b"")
    dataset = Folder(str(tmp_path))
    assert dataset.inputs == {"picture": "image", "sound": "audio"}
    samples = {s.key: {name: value.name for name, value in s.inputs.items() if value} for s in every(dataset)}
    assert samples == {
        "dog.png": {"picture": "dog.png", "sound": "dog.wav"},
        "cat.png": {"picture": "cat.png"},
        "cat.webp": {"picture": "cat.webp"},
        "owl.ogg": {"sound": "owl.ogg"},
    }


def test_a_table_of_another_name_is_not_passed_over(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "meta.tsv").write_text("picture\tcaption\na.png\tred\n")
    with pytest.raises(
        DataError, match=r"holds no captions.csv, but meta.tsv; name the table, as in data.captions='meta.tsv', or move"
    ):
        Folder(str(tmp_path)).split("train")
    assert every(Folder(str(tmp_path), captions="meta.tsv"))[0].key == "meta.tsv:2"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("export.csv", "sep=;\r\npicture;caption;class\r\n0.png;a red, dark dot;dot\r\n1.png;;\r\n".encode("utf-16")),
        ("export.tsv", b"\xef\xbb\xbfpicture\tcaption\tclass\r\n\r\n0.png\ta red, dark dot\tdot\r\n1.png\t\t\r\n"),
        (
            "export.jsonl",
            b'{"picture": "1.png", "caption": null}\n'
            b'{"picture": "0.png", "caption": "a red, dark dot", "class": "dot"}\n',
        ),
    ],
)
def test_tables_of_all_kinds_are_the_same_data(name, content, written, tmp_path):
    dataset = written(content, name)
    assert dataset.inputs == {"picture": "image", "caption": "text"}
    found = {sample.inputs["picture"].name: (sample.inputs["caption"], sample.labels) for sample in every(dataset)}
    assert found == {"0.png": ("a red, dark dot", {"class": "dot"}), "1.png": (None, {})}


def test_an_object_that_holds_no_text_is_named(written):
    with pytest.raises(DataError, match=r"rows.jsonl, line 2: expected a text or null as 'class', got 3; put it into"):
        every(written('{"caption": "a"}\n{"caption": "b", "class": 3}\n', "rows.jsonl"))


def test_a_folder_that_is_not_there_or_holds_nothing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"there is no folder .*/none; name the one that holds your files by data.path"):
        Folder(str(tmp_path / "none")).split("train")
    with pytest.raises(DataError, match=r"holds no table captions.csv, no picture and no sound; put some there"):
        Folder(str(tmp_path)).split("train")


def test_a_missing_or_empty_table_is_an_error(written, tmp_path):
    with pytest.raises(DataError, match=r"none.csv cannot be read: No such file or directory; put the table"):
        Folder(str(tmp_path), captions="none.csv").split("train")
    with pytest.raises(DataError, match=r"captions.csv is empty; its first line names the columns"):
        written("").split("train")


def test_an_unknown_split_names_the_splits(written):
    with pytest.raises(NotFoundError, match="'folder' has no split 'dev'; it has train, validation, test"):
        written("picture\n0.png\n").split("dev")
