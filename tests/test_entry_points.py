"""Entry points are those that ``importlib.metadata`` gives, whatever lies on the path; a broken file harms no other."""

import importlib.metadata
import sys
import zipfile
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from zoo.discovery.entry_points import EntryPoint, entry_points
from zoo.errors import PluginError

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: of the description\n"


def installed(group):
    points = importlib.metadata.entry_points(group=group)
    return [EntryPoint(point.name, point.value, point.dist.name, point.dist.version) for point in points]


@pytest.mark.parametrize("group", ["modalzoo", "console_scripts", "pytest11", "a.group.of.nobody"])
def test_those_of_this_environment_are_the_same(group):
    assert entry_points(group) == installed(group)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A path for imports that holds only two folders."""
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    monkeypatch.setattr(sys, "path", list(map(str, folders)))
    return folders


def add(folder, directory, points="birds = zoo_birds", *, name="zoo-birds", version="1.0", metadata="METADATA"):
    """Put a distribution into a folder as an installer does."""
    (folder / directory).mkdir(parents=True)
    (folder / directory / metadata).write_text(METADATA.format(name=name, version=version))
    (folder / directory / "entry_points.txt").write_text(f"[console_scripts]\nbirds = x:y\n\n[modalzoo]\n{points}\n")


def in_dist_info(first, second):
    add(second, "zoo_birds-1.0.dist-info")
    add(first, "zoo_cranes-2.0.dist-info", "cranes = zoo_cranes\nducks = zoo_cranes.ducks", name="zoo-cranes")


def in_egg_info(first, second):
    add(first, "zoo_birds.egg-info", metadata="PKG-INFO")
    add(second, "zoo_cranes-2.0-py3.11.egg-info", name="zoo-cranes", version="2.0", metadata="PKG-INFO")


def in_an_egg(first, second):
    egg = first / "zoo_birds-1.0-py3.11.egg"
    add(egg, "EGG-INFO", metadata="PKG-INFO")
    sys.path.append(str(egg))


def in_a_zip_file(first, second):
    add(first, "zoo_birds-1.0.dist-info")
    with zipfile.ZipFile(second / "birds.whl", "w") as archive:
        for file in first.rglob("*"):
            if file.is_file():
                archive.write(file, file.relative_to(first))
    add(second, "zoo_cranes-1.0.dist-info", name="zoo-cranes")
    sys.path[:] = [str(second / "birds.whl"), str(second)]


def twice_on_the_path(first, second):
    add(second, "zoo_birds-1.0.dist-info")
    add(first, "Zoo.Birds-2.0.dist-info", "wings = zoo_birds.wings", name="Zoo.Birds", version="2.0")


def before_one_of_the_same_name_without_any(first, second):
    add(first, "zoo_birds-1.0.dist-info")
    add(second, "zoo__birds-2.0.dist-info")
    (first / "zoo_birds-1.0.dist-info/entry_points.txt").unlink()


def with_a_name_that_the_folder_writes_otherwise(first, second):
    add(first, "zoo_birds_of_prey-1.0.dist-info", name="Zoo.Birds-of_Prey")


def left_by_an_installer(first, second):
    add(first, "zoo_birds-1.0.dist-info")
    add(first, "~oo_birds-0.9.dist-info", version="0.9")
    add(first, "-oo_cranes-0.9.dist-info", name="zoo-cranes", version="0.9")


def written_by_hand(first, second):
    text = (
        " [modalzoo] \n  a=zoo_birds : Owl.sing [wings]\n# a = b\n\n;b = c\n[other]\nc = d\n[modalzoo]\r\ne = f = g\n"
    )
    add(first, "zoo_birds-1.0.dist-info", text)


def with_metadata_of_signs_that_split_lines(first, second):
    add(first, "zoo_birds-1.0.dist-info")
    text = "Summary: a\u2028Name: owls\x0b\x0c\x1c\u2028\u2028b\r\nName: zoo-birds\rVersion: 1.0\n\nName: cranes\n"
    (first / "zoo_birds-1.0.dist-info/METADATA").write_bytes(text.encode())


def without_any_folder(first, second):
    (first / "zoo_birds.egg-info").write_text(METADATA.format(name="zoo-birds", version="1.0"))
    sys.path += [str(first / "nowhere"), str(first / "zoo_birds.egg-info"), ""]


@pytest.mark.parametrize(
    "distributions",
    [
        in_dist_info,
        in_egg_info,
        in_an_egg,
        in_a_zip_file,
        twice_on_the_path,
        before_one_of_the_same_name_without_any,
        with_a_name_that_the_folder_writes_otherwise,
        left_by_an_installer,
        written_by_hand,
        with_metadata_of_signs_that_split_lines,
        without_any_folder,
    ],
)
def test_those_of_distributions_are_the_same(distributions, path, monkeypatch):
    monkeypatch.chdir(path[1])
    distributions(*path)
    expected = installed("modalzoo")
    assert expected or "without" in distributions.__name__
    assert entry_points("modalzoo") == expected


def test_those_that_a_finder_of_its_own_knows_are_the_same(path, monkeypatch):
    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            return None

        @staticmethod
        def find_distributions(context):
            return [importlib.metadata.Distribution.at(path[0] / "hidden/zoo_birds-1.0.dist-info")]

    add(path[0], "hidden/zoo_birds-1.0.dist-info")
    add(path[1], "zoo_birds-2.0.dist-info", version="2.0")
    for place in (0, len(sys.meta_path)):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "meta_path", [*sys.meta_path[:place], Finder, *sys.meta_path[place:]])
            assert entry_points("modalzoo") == installed("modalzoo") != []


def test_none_are_found_where_python_looks_for_none(path, monkeypatch):
    add(path[0], "zoo_birds-1.0.dist-info")
    monkeypatch.setattr(sys, "meta_path", [finder for finder in sys.meta_path if finder is not PathFinder])
    assert entry_points("modalzoo") == installed("modalzoo") == []


@pytest.mark.parametrize("value", ["json", "json:loads", "os : path.join [a, b]", "json.decoder:JSONDecoder"])
def test_one_loads_what_importlib_loads(value):
    expected = importlib.metadata.EntryPoint("a", value, "modalzoo")
    point = EntryPoint("a", value, "zoo-birds", "1.0")
    assert (point.module, point.load()) == (expected.module, expected.load())


@pytest.mark.parametrize("value", ["", "zoo birds", "zoo-birds", "zoo_birds:", "zoo_birds:sing()", "[birds]"])
def test_one_that_names_no_module_says_so(value):
    with pytest.raises(PluginError, match=r"entry_points.txt gives 'a' as .*, expected a dotted name of a module"):
        EntryPoint("a", value, "zoo-birds", "1.0").load()


def test_a_distribution_without_metadata_is_named_by_its_folder(path):
    add(path[0], "zoo_birds-1.0.dist-info")
    (path[0] / "zoo_birds-1.0.dist-info/METADATA").unlink()
    assert entry_points("modalzoo") == [EntryPoint("birds", "zoo_birds", "zoo_birds", "1.0")]


@pytest.mark.parametrize("place", [b"/nowhere", None, 0])
def test_a_place_on_the_path_that_imports_skip_is_skipped(place, path):
    add(path[0], "zoo_birds-1.0.dist-info")
    sys.path.insert(0, place)
    assert entry_points("modalzoo") == [EntryPoint("birds", "zoo_birds", "zoo-birds", "1.0")]


@pytest.mark.parametrize("file", ["METADATA", "entry_points.txt"])
@pytest.mark.parametrize("damage", ["content", "compression", "password"])
def test_a_damaged_zip_file_on_the_path_harms_no_other(damage, file, path):
    add(path[0], "zoo_birds-1.0.dist-info")
    add(path[1], "zoo_owls-1.0.dist-info", "owls = zoo_owls", name="zoo-owls")
    archive = path[1] / "owls.whl"
    with zipfile.ZipFile(archive, "w") as made:
        for one in ("METADATA", "entry_points.txt"):
            made.write(path[1] / "zoo_owls-1.0.dist-info" / one, f"zoo_owls-1.0.dist-info/{one}")
        entry = made.getinfo(f"zoo_owls-1.0.dist-info/{file}")
        entry.CRC ^= damage == "content"
        entry.compress_type = 99 if damage == "compression" else entry.compress_type
        entry.flag_bits |= damage == "password"
    sys.path[:] = [str(archive), str(path[0])]
    found = {point.name: point for point in entry_points("modalzoo")}
    assert found["birds"] == EntryPoint("birds", "zoo_birds", "zoo-birds", "1.0")
    assert found["owls" if file == "METADATA" else "zoo-owls"].fault.startswith(
        "" if file == "METADATA" else "entry_points.txt cannot be read: "
    )


def test_metadata_that_are_no_utf8_harm_nobody(path):
    add(path[0], "zoo_birds-1.0.dist-info")
    (path[0] / "zoo_birds-1.0.dist-info/METADATA").write_bytes(b"Name: zoo-birds\nVersion: 1.0\nAuthor: \xff\n")
    assert entry_points("modalzoo") == [EntryPoint("birds", "zoo_birds", "zoo-birds", "1.0")]


BROKEN = {
    "no UTF-8": (b"[modalzoo]\nowls = zoo_owls # \xff\n", "entry_points.txt is not UTF-8 at byte 29"),
    "no pair": (b"[modalzoo]\nzoo_owls\n", "entry_points.txt has the line 'zoo_owls', expected 'name = module'"),
    "no module": (b"[modalzoo]\nowls = zoo owls\n", "entry_points.txt gives 'owls' as 'zoo owls', expected a dotted"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_file_names_its_distribution_and_everything_else_stays(fault, site, zoo):
    content, reason = BROKEN[fault]
    site.add("owls", "")
    (site.folder / "modalzoo_owls-1.0.dist-info/entry_points.txt").write_bytes(content)
    assert zoo("list").exit_code == 0
    told = zoo("plugins")
    assert (told.exit_code, "toy-alignment" in told.stdout) == (0, True)
    assert f"modalzoo-owls 1.0 is left out: PluginError: {reason}" in told.stderr


def in_a_loop(file):
    file.symlink_to(file.name)


def leading_nowhere(file):
    file.symlink_to("lost.txt")


@pytest.mark.parametrize(
    ("put", "reason"),
    [
        (in_a_loop, "Too many levels of symbolic links"),
        (leading_nowhere, "No such file or directory"),
        (Path.mkdir, "Is a directory"),
    ],
)
def test_a_file_that_cannot_be_read_names_its_distribution(put, reason, site, zoo):
    site.add("owls", "")
    file = site.folder / "modalzoo_owls-1.0.dist-info/entry_points.txt"
    file.unlink()
    put(file)
    told = f"PluginError: entry_points.txt cannot be read: {reason}; reinstall or remove modalzoo-owls"
    assert zoo("plugins").stderr == f"modalzoo-owls 1.0 is left out: {told}\n"
    diagnosis = zoo("doctor")
    assert diagnosis.exit_code == 1
    assert f"modalzoo-owls 1.0: {told}" in diagnosis.stderr


@pytest.mark.parametrize("content", [b"[console_scripts]\nno pair\n", b"\xff\xfe", b"[modalzoo"])
def test_a_broken_file_of_a_stranger_without_plugins_is_none_of_our_business(content, site, zoo):
    site.add("owls", "")
    (site.folder / "modalzoo_owls-1.0.dist-info/entry_points.txt").write_bytes(content)
    told = zoo("plugins")
    assert (told.exit_code, told.stderr) == (0, "")
