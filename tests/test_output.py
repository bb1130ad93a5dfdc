"""What strangers wrote is printed as text: it moves no cursor, starts no line, and tells no password or token."""

import json
import logging

import pytest
import tomlkit

from zoo.cli.logs import Plain
from zoo.cli.output import note, print_json, print_lines, print_table
from zoo.errors import UnknownNameError, ZooError, safe_address, without_secrets
from zoo.verbs.texts import plain

HOSTILE = "a\x1b[2Jb\nc\r\x07\x9b31m\u202ed\u2028e\udc80"
SHOWN = r"a\x1b[2Jb\nc\r\x07\x9b31m\u202ed\u2028e\udc80"


def test_control_characters_are_shown_as_escapes_and_scripts_and_emoji_as_they_are():
    assert plain(HOSTILE) == SHOWN
    assert plain("汽车 ❤️ 👩‍🚀 שלום é") == "汽车 ❤️ 👩‍🚀 שלום é"


def test_a_table_lines_and_notes_show_hostile_text_in_one_line_each(capsys):
    print_table(("NAME", "SIZE"), [(HOSTILE, 3), ("b", 12)])
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["NAME", "SIZE"],
        [SHOWN, "3"],
        ["b", "12"],
    ]
    print_lines([HOSTILE, "next"])
    assert capsys.readouterr().out == f"{SHOWN}\nnext\n"
    note("first\nsecond \x1b[0m")
    assert capsys.readouterr().err == "first second \\x1b[0m\n"


def test_json_keeps_the_exact_text_and_holds_no_raw_control_character(capsys):
    print_json({"name": HOSTILE, "next": ["汽车", 1]})
    written = capsys.readouterr().out
    assert json.loads(written) == {"name": HOSTILE, "next": ["汽车", 1]}
    assert "汽车" in written
    assert not any(plain(line) != line for line in written.splitlines())


@pytest.fixture
def hostile(site, table, tmp_path, monkeypatch):
    """A registry in which all that a stranger may choose freely is hostile."""
    sources = ["https://ada:love/lace@example.org/w?token=3f2a", "https://example.org/w?X-Amz-Signature=9c1d&part=1"]
    change = {
        "summary": HOSTILE[:-1],
        "license": "MIT\n\x1b[31m",
        "data_license": "CC0\x1b[0m",
        "revision": "\x1b]0;title\x07",
        "sources": sources,
        "metrics": {"recall\x1b[1m": {"value": 1, "tolerance": 0}},
        "metrics_command": "zoo\x1bevaluate",
        "plugins": ["modalzoo-\x1b[2K"],
    }
    path = tmp_path / "registry.toml"
    path.write_text(tomlkit.dumps({"entries": {"bad": {**table, **change}}}))
    monkeypatch.setenv("ZOO_REGISTRY", str(path))
    return path


@pytest.mark.parametrize(
    "command", [["list"], ["info", "bad"], ["info", "bad", "--json"], ["fetch", "bad"], ["train", "bad"]]
)
def test_a_hostile_registry_reaches_the_terminal_as_plain_text(command, hostile, zoo):
    result = zoo(*command)
    for line in [*result.stdout.split("\n"), *result.stderr.split("\n")]:
        assert plain(line) == line
    for secret in ("love", "lace", "3f2a", "9c1d"):
        assert secret not in result.stdout + result.stderr
    assert result.exit_code == {"fetch": 5, "train": 1}.get(command[0], 0)


def test_an_entry_as_json_keeps_what_a_person_wrote_and_hides_what_opens_its_sources(hostile, zoo):
    told_of = zoo("info", "bad", "--json").json
    assert told_of["summary"] == HOSTILE[:-1]
    assert told_of["sources"] == ["https://…@example.org/w?token=…", "https://example.org/w?X-Amz-Signature=…&part=…"]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://ada:lovelace@host/w", "https://…@host/w"),
        ("https://token@host/w", "https://…@host/w"),
        ("https://ada:love/lace@host:8443/w", "https://…@host:8443/w"),
        ("https://ada:love?lace#@host/w", "https://…@host/w"),
        ("https:ada:lovelace@host", "https:…@host"),
        ("http:/ada:lovelace@host", "http:/…@host"),
        ("//ada:lovelace@host/w", "//…@host/w"),
        ("https://host/w?token=3f2a&part=1", "https://host/w?token=…&part=…"),
        ("https://host/w?3f2a 9c1d", "https://host/w?…"),
        ("https://host/w#access_token=3f2a", "https://host/w#…"),
        ("https://host/package@1.0/w", "https://host/package@1.0/w"),
        ("hf:owner/repository@main/w", "hf:owner/repository@main/w"),
        ("package:zoo_birds/sparrow@2.png", "package:zoo_birds/sparrow@2.png"),
        ("file:///home/what?.bin", "file:///home/what?.bin"),
    ],
)
def test_an_address_is_told_without_its_login_and_the_values_of_its_query(address, shown):
    assert safe_address(address) == shown
    assert safe_address(shown) == shown


def test_addresses_are_found_in_any_text():
    text = "x https://a:b@host/w?t=1, then 'https://c@host/v?u=2'; see http://host/z."
    assert without_secrets(text) == "x https://…@host/w?t=…, then 'https://…@host/v?u=…'; see http://host/z."


def test_every_error_is_told_without_secrets():
    assert str(ZooError("https://a:b@host/w?t=1")) == "https://…@host/w?t=…"
    assert str(ZooError(OSError("https://a:b@host"))) == "https://…@host"
    assert "https://…@host" in str(UnknownNameError("entry", "https://a:b@host", [], hint="Look."))


def test_a_logged_warning_is_one_plain_line():
    record = logging.LogRecord("zoo", logging.WARNING, "", 0, "%s\nhttps://a:b@host", ("\x1b[2J",), None)
    assert Plain().format(record) == r"\x1b[2J https://…@host"


def test_a_warning_of_a_command_is_one_plain_line(hostile, run_process, site):
    hook = "from zoo import hookimpl\nZOO_API = 1\n@hookimpl\ndef zoo_registries():\n    return ['zoo_birds/r.toml']"
    site.add("birds", hook, files={"r.toml": '[entries."\\u001b[2J"]'})
    result = run_process("list", ZOO_REGISTRY="")
    assert result.exit_code == 0
    assert "modalzoo-birds 1.0 brings a registry that is left out: " in result.stderr
    assert "\x1b" not in result.stderr
