"""Tables are read strictly: each key once, of the right type, and errors say where."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from zoo.errors import DataError, IntegrityError, NotFoundError, SpecError, UsageError
from zoo.recipes import tables
from zoo.recipes.tables import Table, check_values, checked_slug, json_text, parse_json, parse_toml, read_toml, shown

VALUES = {int: 3, float: 1.5, str: "a", bool: True, list: [1], dict: {"a": 1}}


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_of_the_right_type_is_taken_and_any_other_refused(kind):
    assert Table({"key": VALUES[kind]}, "here").take("key", kind) == VALUES[kind]
    for other, value in VALUES.items():
        if other is not kind and (kind, other) != (float, int):
            with pytest.raises(SpecError, match=r"^here: 'key' takes .*, got "):
                Table({"key": value}, "here").take("key", kind)


def test_a_whole_number_is_taken_as_a_number():
    taken = Table({"key": 3}, "here").take("key", float)
    assert (taken, type(taken)) == (3.0, float)


def test_a_missing_key_says_what_to_add():
    with pytest.raises(SpecError, match=r"^here: the key 'steps' is missing; add it as a whole number$"):
        Table({}, "here").take("steps", int)
    assert Table({}, "here").take("steps", int, 5) == 5


def test_an_unknown_key_names_the_nearest_and_what_is_taken():
    table = Table({"latent_dmi": 3}, "here: [spec]")
    table.take("latent_dim", int, 1)
    table.anything("objective")
    expected = (
        r"^here: \[spec\]: unknown key 'latent_dmi'; it takes latent_dim, objective. Did you mean 'latent_dim'\?$"
    )
    with pytest.raises(SpecError, match=expected):
        table.done()


@pytest.mark.parametrize("value", [3, "text", [1], None, True])
def test_what_is_no_table_is_refused(value):
    with pytest.raises(SpecError, match=r"^here: expected a table, got"):
        Table(value, "here")


def test_a_newer_schema_is_refused_and_an_older_one_read():
    with pytest.raises(SpecError, match=r"schema 2 is newer than this modalzoo reads \(up to 1\); upgrade modalzoo"):
        Table({"schema": 2}, "here").schema()
    Table({"schema": 1}, "here").schema()
    Table({}, "here").schema()


@pytest.mark.parametrize("name", ["a", "fashion-vae", "v1.2_x", "0", "x" * 64])
def test_a_slug_is_a_name(name):
    assert checked_slug(name, "here") == name


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/b", "A", "-a", "a-", "ä", "a\n", "x" * 65, "a b", "a\0"])
def test_a_name_that_could_leave_its_folder_is_none(name):
    with pytest.raises(SpecError, match=r"^here: .* is not a valid name; use up to 64 lower-case letters, digits"):
        checked_slug(name, "here")


def test_broken_toml_names_file_and_line(tmp_path):
    (tmp_path / "broken.toml").write_text("a = 1\nb = = 2\n")
    with pytest.raises(SpecError, match=r"broken.toml is not valid TOML: Invalid value \(at line 2, column 5\); corr"):
        read_toml(tmp_path / "broken.toml")


def test_a_file_that_is_none_is_told(tmp_path):
    with pytest.raises(NotFoundError, match=r"no file .*absent.toml; check the path"):
        read_toml(tmp_path / "absent.toml")
    with pytest.raises(UsageError, match="is a folder; name the TOML file in it"):
        read_toml(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe9'")
    with pytest.raises(DataError, match=r"latin.toml is not UTF-8 at byte 5; save it as UTF-8"):
        read_toml(tmp_path / "latin.toml")


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_LARGEST_BYTES", 10)
    (tmp_path / "large.toml").write_text("a = 1 # much too long")
    with pytest.raises(SpecError, match="has 21 bytes; a TOML file of the zoo has at most 10"):
        read_toml(tmp_path / "large.toml")


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "{b=" * 5000, "[" + "a." * 5000 + "b]"])
def test_deeply_nested_toml_is_an_error_or_a_table_and_no_crash(text):
    with suppress(SpecError):
        assert isinstance(parse_toml(text, "here"), dict)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(st.sampled_from("[]{}=.\"'#\n ab1-:T\\\0"), max_size=40))
def test_any_text_is_a_table_or_an_error_of_the_zoo(text):
    with suppress(SpecError):
        assert isinstance(parse_toml(text, "here"), dict)


def nested(depth, inner=1):
    for _ in range(depth):
        inner = {"a": [inner]}
    return inner


def test_a_number_of_thousands_of_digits_names_the_file_and_the_line(tmp_path):
    (tmp_path / "long.toml").write_text(f"a = 1\nb = {'9' * 5000}\n")
    with pytest.raises(SpecError, match=r"long.toml: a whole number has at most 64 bits, got one .* digits in line 2$"):
        read_toml(tmp_path / "long.toml")


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 16**5000], ids=["large", "small", "hexadecimal"])
def test_a_whole_number_beyond_64_bits_is_refused_wherever_it_stands(number):
    with pytest.raises(SpecError, match=r"^here: 'steps' takes a whole number of at most 64 bits, got "):
        Table({"steps": number}, "here").take("steps", int)
    with pytest.raises(SpecError, match=r"^here: a whole number has at most 64 bits, got "):
        check_values({"a": [{"b": [1, number]}]}, "here")
    with pytest.raises(SpecError, match=r"^here: 'name' takes a text, got "):
        Table({"name": number}, "here").take("name", str)


def test_values_that_are_nested_too_deeply_are_refused_and_others_taken():
    check_values({"a": nested(20), "b": [True, 1.5, None, 2**63 - 1]}, "here")
    with pytest.raises(SpecError, match=r"^here: tables and lists are nested at most 63 deep; write it flatter$"):
        check_values(nested(5000), "here")


@pytest.mark.parametrize("value", [nested(5000), [16**5000], "a" * 10**6, list(range(10**5)), {"a": 16**5000}], ids=len)
def test_any_value_is_shown_in_few_characters(value):
    assert len(shown(value)) < 300


def test_a_short_value_is_shown_as_it_is():
    for value in (3, 1.5, "a" * 80, [1, "b"], {"a": 1, "b": [2]}, None, True):
        assert shown(value) == repr(value)


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 100_000, '{"a":' * 100_000, "{", b"\xff"])
def test_json_that_cannot_be_read_says_where_and_what_to_do(text):
    with pytest.raises(IntegrityError, match=r"^here is damaged \(.{1,200}\); remove it$"):
        parse_json(text, "here", cure="remove it")


def test_half_a_surrogate_pair_becomes_an_escape_in_json_and_comes_back():
    value = {"name": "a\udcff ü", "half": ["\ud83d"]}
    text = json_text(value)
    assert text == '{"name": "a\\udcff ü", "half": ["\\ud83d"]}'
    assert json.loads(text.encode()) == value


def test_a_text_of_a_recipe_is_utf_8():
    with pytest.raises(SpecError, match=r"^here: a text is UTF-8, got 'a\\udcff'; rename what it names$"):
        check_values({"path": ["a\udcff"]}, "here")
