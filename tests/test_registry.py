"""Registry files are layered, searched and refused with the place of what is wrong in them."""

import logging
import os

import pytest
import tomlkit

from zoo.catalogue.registry import SORT_KEYS, entries, filtered, find, missing_plugins, own_registry, read_registry
from zoo.discovery.plugins import Plugins, installed
from zoo.errors import NotFoundError, SpecError, UnknownNameError, UsageError
from zoo.verbs.entries import parse_size

NONE = Plugins(())


@pytest.fixture
def write(tmp_path):
    def written(entries, name="registry.toml", **keys):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(tomlkit.dumps({"schema": 1, **keys, "entries": entries}))
        return path

    return written


def test_the_registry_of_the_zoo_can_be_read():
    assert isinstance(read_registry(own_registry()), dict)


def test_a_thousand_entries_are_read_and_searched(table, write, monkeypatch):
    path = write({"toy-0000": table})
    body = path.read_text().split("[entries.toy-0000]")[1]
    many = [f"[entries.toy-{n:04}]{body.replace('toy-0000', f'toy-{n:04}')}" for n in range(1000)]
    path.write_text("".join(many))
    monkeypatch.setenv("ZOO_REGISTRY", str(path))
    assert len([name for name in entries(NONE) if name.startswith("toy-")]) == 1000
    with pytest.raises(UnknownNameError, match=r"no entry 'toy-10000'; .* and \d+ more. Did you mean 'toy-\d+'"):
        find("toy-10000", NONE)


def test_a_file_of_ones_own_replaces_an_entry_and_the_log_says_so(table, write, monkeypatch, caplog):
    first = write({"toy": table, "only-first": table}, "first.toml")
    second = write({"toy": {**table, "summary": "newer"}}, "second.toml")
    monkeypatch.setenv("ZOO_REGISTRY", os.pathsep.join(map(str, (first, second))))
    found = entries(NONE)
    assert (found["toy"].summary, found["toy"].origin) == ("newer", second)
    assert caplog.messages == [f"{second}, which ZOO_REGISTRY names, replaces entries: toy of {first}"]
    assert found["only-first"].summary == "a toy"


def test_a_registry_that_was_named_must_be_there(monkeypatch, tmp_path):
    monkeypatch.setenv("ZOO_REGISTRY", str(tmp_path / "absent.toml"))
    with pytest.raises(NotFoundError, match=r"no file .*absent\.toml; check the path"):
        entries(NONE)


@pytest.mark.parametrize("place", ["https://ada:secret@example.org/registry.toml", "toys.toml:file:///toys.toml"])
def test_an_address_in_place_of_a_registry_file_is_refused(place, monkeypatch, zoo):
    monkeypatch.setenv("ZOO_REGISTRY", place)
    told = zoo("list")
    assert told.exit_code == 2
    assert "ZOO_REGISTRY takes paths of files, got " in told.error
    assert "; download that file, and name its path" in told.error
    assert "secret" not in told.error
    assert "ZOO_REGISTRY takes paths of files" in zoo("doctor").stderr


HOOK = "from zoo import hookimpl\nZOO_API = 1\n@hookimpl\ndef zoo_registries():\n    return ['zoo_birds/registry.toml']"


def test_a_plugin_brings_a_registry(site, table, write):
    site.add("birds", HOOK, files={"registry.toml": write({"sparrow": table}).read_text()})
    assert find("sparrow", installed()).origin == site.folder / "zoo_birds/registry.toml"


def test_a_registry_of_a_package_replaces_no_entry_of_the_zoo(site, table, write, zoo, caplog):
    taken = min(read_registry(own_registry()))
    site.add("birds", HOOK, files={"registry.toml": write({taken: table, "sparrow": table}).read_text()})
    told = zoo("info", taken, "--json")
    assert told.json["summary"] != table["summary"]
    assert (
        f"modalzoo-birds 1.0 brings a registry that is left out: it has the entry {taken!r}, which modalzoo has; "
        "give its entries other names, or leave it out by ZOO_PLUGINS=-modalzoo-birds"
    ) in caplog.messages
    assert "no entry 'sparrow'" in zoo("info", "sparrow").stderr


def test_a_registry_of_a_package_replaces_no_entry_of_another(site, table, write, zoo):
    for name in ("ducks", "cranes"):
        hook = HOOK.replace("birds", name)
        site.add(name, hook, files={"registry.toml": write({"sky": {**table, "summary": name}}).read_text()})
    assert zoo("info", "sky", "--json").json["summary"] == "cranes"
    told = zoo("doctor")
    assert told.exit_code == 1
    assert (
        "modalzoo-ducks 1.0: its registry is left out: it has the entry 'sky', which modalzoo-cranes 1.0 has"
        in told.stderr
    )


def test_a_file_of_ones_own_that_is_the_registry_of_the_zoo_replaces_nothing(monkeypatch, caplog):
    monkeypatch.setenv("ZOO_REGISTRY", os.path.relpath(own_registry()))
    assert entries(NONE).keys() == read_registry(own_registry()).keys()
    assert caplog.messages == []


@pytest.mark.parametrize("content", [None, "entries = 3", "[entries", "schema = 2"])
def test_a_broken_registry_of_a_plugin_is_left_out_and_named(content, site, zoo, caplog):
    site.add("birds", HOOK, files={} if content is None else {"registry.toml": content})
    with caplog.at_level(logging.WARNING):
        assert zoo("list", "--json").exit_code == 0
    assert "modalzoo-birds 1.0 brings a registry that is left out: " in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "0123"}, r"'sha256' takes 64 hexadecimal digits, got '0123'"),
        ({"sha256": "G" * 64}, r"'sha256' takes 64 hexadecimal digits"),
        ({"sources": []}, r"'sources' takes at least one place to fetch the weights from"),
        ({"sources": [3]}, r"'sources' takes a list of texts, got \[3\]"),
        ({"size": "big"}, r"'size' takes a whole number, got 'big'"),
        ({"size": True}, r"'size' takes a whole number, got True"),
        ({"licence": "MIT"}, r"unknown key 'licence'; it takes .* Did you mean 'license'\?"),
        ({"metrics": {"recall": 3}}, r"metrics.recall: expected a table, got 3"),
        ({"metrics": {"recall": {"value": 1}}}, r"metrics.recall: the key 'tolerance' is missing; add it as a number"),
        ({"recipe": {}}, r"recipe: the table \[spec\] is missing; `zoo info NAME --recipe` prints a recipe"),
    ],
)
def test_a_wrong_entry_says_where_and_what(change, message, table, write):
    with pytest.raises(SpecError, match=rf"registry.toml: entries.toy.*{message}"):
        read_registry(write({"toy": {**table, **change}}))


@pytest.mark.parametrize("name", ["../toy", "Toy", "a/b", "", "x" * 65])
def test_a_name_that_is_no_slug_is_refused(name, table, write):
    with pytest.raises(
        SpecError, match=r"is not a valid name; use up to 64 lower-case letters, digits, '.', '_' and '-'"
    ):
        read_registry(write({name: table}))


@pytest.mark.parametrize("number", ["9" * 5000, "0x" + "f" * 5000])
def test_a_number_of_thousands_of_digits_names_the_registry(number, table, write, monkeypatch, zoo):
    path = write({"toy": table})
    path.write_text(path.read_text().replace("size = 1000", f"size = {number}"))
    monkeypatch.setenv("ZOO_REGISTRY", str(path))
    result = zoo("list")
    assert result.exit_code == 2
    assert f"{path}: " in result.error
    assert "at most 64 bits" in result.error


def test_a_newer_registry_says_what_to_upgrade(write):
    with pytest.raises(SpecError, match=r"schema 2 is newer than this modalzoo reads \(up to 1\); upgrade modalzoo"):
        read_registry(write({}, schema=2))


def test_entries_are_filtered(table, write):
    small, large = {**table, "size": 10}, {**table, "license": "Apache-2.0"}
    found = read_registry(write({"small": small, "large": large})).values()
    assert [entry.name for entry in filtered(found, max_size_bytes=10)] == ["small"]
    assert [entry.name for entry in filtered(found, license="apache-2.0")] == ["large"]
    assert [entry.name for entry in filtered(found, modality="vectors")] == ["large", "small"]
    assert filtered(found, modality="sound") == []
    assert filtered(found, objective="infonce") == []


@pytest.mark.parametrize("key", SORT_KEYS)
def test_entries_are_sorted_by_a_key_and_then_by_name(key, table, write):
    changes = {"c": {"size": 1, "parameters": 2}, "a": {"size": 3, "parameters": 1}, "b": {"size": 1, "license": "A"}}
    found = read_registry(write({name: {**table, **change} for name, change in changes.items()})).values()
    rows = [entry.listed() for entry in filtered(found, sort=key)]
    assert rows == sorted(rows, key=lambda row: (row[key], row["name"]))


def test_missing_plugins_are_told(table, write, plugins):
    entry = read_registry(write({"toy": {**table, "plugins": ["modalzoo-toy", "modalzoo-lost"]}}))["toy"]
    assert missing_plugins(entry, plugins) == ["modalzoo-lost"]


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("20MB", 20_000_000), ("1.5 kB", 1500), ("3g", 3_000_000_000), ("12", 12), ("7 B", 7), ("2K", 2000)],
)
def test_a_size_is_read_with_its_unit(text, size_bytes):
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "MB", "9" * 5000, "-1", "20 TB", "1e3", "20MBB"])
def test_a_size_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="`max_size` takes a number with B, kB, MB or GB, as in 20MB; got"):
        parse_size(text)
