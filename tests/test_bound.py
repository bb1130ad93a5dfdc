"""What a manifest binds is used as the very bytes that it promised, and nothing beside it is opened."""

import os

import pytest

from zoo.errors import IntegrityError, SpecError
from zoo.files.bound import bound_files, read_bounded
from zoo.files.store import digests


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a").write_text("one")
    return tmp_path / "folder"


@pytest.fixture
def files(folder):
    return bound_files(folder, digests(folder))


def test_a_folder_is_compared_with_what_was_promised(folder, files):
    files.verify()
    (folder / "surplus").touch()
    files.verify()
    (folder / "a").write_text("two")
    with pytest.raises(IntegrityError, match=r"a is not what its manifest promised: expected 3 bytes with sha256 76"):
        files.verify()
    (folder / "a").unlink()
    with pytest.raises(IntegrityError, match=r"lacks the file 'a' that its manifest lists; copy or export it again"):
        files.verify()


def test_what_is_read_or_copied_is_compared_again(folder, files, tmp_path):
    assert files.read("a") == b"one"
    assert files.copy("a", tmp_path).read_bytes() == b"one"
    (folder / "a").write_text("two")
    for use in (files.read, lambda name: files.copy(name, tmp_path)):
        with pytest.raises(
            IntegrityError, match=r"found 3 bytes with 3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d"
        ):
            use("a")


def test_a_file_of_another_size_is_refused_unread(folder, files):
    os.truncate(folder / "a", 1 << 40)  # it takes no room, but an hour to read
    with pytest.raises(IntegrityError, match=r"expected 3 bytes with sha256 \w+, found 1099511627776 bytes; copy or"):
        files.verify()


def test_a_file_that_is_not_listed_is_not_read(folder, files):
    (folder / "surplus").touch()
    with pytest.raises(IntegrityError, match=r"lists no file 'surplus'; export the model again"):
        files.read("surplus")


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "", ".", "..", "a/b", "a\\b", "a\0", "a\n", "\ud800"])
def test_a_name_that_leads_elsewhere_is_refused(name, folder):
    with pytest.raises(IntegrityError, match=r"lists '.*', which does not name a file in it; do not use this folder"):
        bound_files(folder, {name: {"size_bytes": 3, "sha256": ""}})


@pytest.mark.parametrize("entry", [None, 3, {}, {"size_bytes": "3", "sha256": ""}, {"size_bytes": 3, "sha256": None}])
def test_a_list_that_is_none_says_what_it_takes(entry, folder):
    with pytest.raises(SpecError, match=r"files\.a: "):
        bound_files(folder, {"a": entry})


def test_a_link_that_leads_out_is_refused_whatever_it_leads_to(folder, files, tmp_path):
    (folder / "a").rename(tmp_path / "outside")
    (folder / "a").symlink_to(tmp_path / "outside")
    with pytest.raises(IntegrityError, match=r"a is a symbolic link that leads out of .*; copy the folder with its"):
        files.verify()


def test_a_link_within_the_folder_is_followed(folder, files):
    (folder / "a").rename(folder / "b")
    (folder / "a").symlink_to("b")
    assert files.read("a") == b"one"


def test_a_pipe_or_a_folder_in_the_place_of_a_file_is_refused_at_once(folder, files):
    (folder / "a").unlink()
    os.mkfifo(folder / "a")
    with pytest.raises(IntegrityError, match=r"a is not a regular file; copy or export it again"):
        files.verify()
    (folder / "a").unlink()
    (folder / "a").mkdir()
    with pytest.raises(IntegrityError, match=r"lacks the file 'a'"):
        files.verify()


def test_a_name_that_the_system_does_not_take_is_refused(folder):
    files = bound_files(folder, {"a" * 300: {"size_bytes": 3, "sha256": ""}})
    with pytest.raises(IntegrityError, match=r"cannot be read: File name too long; copy or export it again"):
        files.verify()


def test_a_file_without_a_digest_is_read_up_to_its_bound(folder):
    assert read_bounded(folder / "a", most_bytes=3) == b"one"
    with pytest.raises(IntegrityError, match=r"a has more than 2 bytes; export or train the model again"):
        read_bounded(folder / "a", most_bytes=2)
