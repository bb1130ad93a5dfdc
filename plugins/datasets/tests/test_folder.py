from __future__ import annotations

import re

import pytest
from PIL import Image
from zoo_datasets.folder import Folder

from zoo import DataError, NotFoundError
from zoo.testing import DatasetContract

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


def test_columns_become_inputs_and_labels(written, tmp_path):
    dataset = written('picture,caption,caption zh,class,label:colour\n0.png,"a red, dark dot",红点,dot,red\n')
    assert dataset.inputs == {"picture": "image", "caption": "text", "caption zh": "text"}
    (sample,) = dataset.split("train")
    assert sample.key == "captions.csv:2"
    assert sample.inputs == {"picture": str(tmp_path / "0.png"), "caption": "a red, dark dot", "caption zh": "红点"}
    assert sample.labels == {"class": "dot", "colour": "red"}


def test_an_empty_cell_is_a_missing_value(written, tmp_path):
    dataset = written("picture,caption,class\n0.png,,\n,only text,x\n")
    by_key = {sample.key: sample for sample in every(dataset)}
    assert by_key["captions.csv:2"].inputs == {"picture": str(tmp_path / "0.png"), "caption": None}
    assert by_key["captions.csv:2"].labels == {}
    assert by_key["captions.csv:3"].inputs == {"picture": None, "caption": "only text"}


def test_sounds_stand_beside_pictures_or_alone(written, tmp_path):
    dataset = written("picture,sound,caption\n0.png,1.png,a dot\n,2.png,\n")
    assert dataset.inputs == {"picture": "image", "sound": "audio", "caption": "text"}
    assert [sample.inputs["sound"] for sample in every(dataset)] == [str(tmp_path / f"{n}.png") for n in (1, 2)]
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
        ("picture,caption\nnone.png,x\n", 2, "there is no file "),
        ("image,caption\n0.png,x\n", 1, "there is no column 'picture' or 'sound', only image, caption; add one"),
        ("picture,picture\n0.png,x\n", 1, "expected a different name for each column, got picture, picture"),
        ("picture,\n0.png,x\n", 1, "expected a different name for each column"),
        ("picture,caption\n0.png,x\n1.png\n", 3, r"expected 2 cells (picture, caption), got 1; put a cell"),
        ("picture,caption\n0.png,a, b\n", 2, r"expected 2 cells (picture, caption), got 3; put a cell"),
        ('picture,caption\n0.png,"a" b\n', 2, "no CSV: "),
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
    with pytest.raises(DataError, match=r"line 2: 'link.png' leads out of .*; copy the file into it"):
        every(written("picture\nlink.png\n"))


def test_a_missing_or_empty_table_is_an_error(written, tmp_path):
    with pytest.raises(DataError, match=r"none.csv cannot be read: No such file or directory; put the table"):
        Folder(str(tmp_path), captions="none.csv").split("train")
    with pytest.raises(DataError, match=r"captions.csv is empty; its first line names the columns"):
        written("").split("train")


def test_an_unknown_split_names_the_splits(written):
    with pytest.raises(NotFoundError, match="'folder' has no split 'dev'; it has train, validation, test"):
        written("picture\n0.png\n").split("dev")
