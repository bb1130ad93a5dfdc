"""Tables of text, as people and spreadsheets write them."""

import re

import pytest

from zoo import BadTableRow, DataError, TableRow, open_table

ROWS = [{"picture": "0.png", "caption": "a red, dark; dot"}, {"picture": "1.png", "caption": "红点"}]
UNDER_COMMA = 'picture,caption\n0.png,"a red, dark; dot"\n1.png,红点\n'
UNDER_SEMICOLON = UNDER_COMMA.replace(",", ";").replace("a red; dark", "a red, dark")
UNDER_TAB = "picture\tcaption\n0.png\ta red, dark; dot\n1.png\t红点\n"


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a table and opens it."""

    def write(content, name="table.csv"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return open_table(tmp_path / name)

    return write


def values(table):
    return [dict(row.values) for row in table.whole()]


@pytest.mark.parametrize("text", [UNDER_COMMA, UNDER_SEMICOLON, UNDER_TAB])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_spreadsheet_export_is_read_as_it_comes(text, ends, encoding, written):
    assert values(written(text.replace("\n", ends).encode(encoding))) == ROWS


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
def test_a_first_line_states_the_separator_against_all_appearance(first, written):
    table = written(f"{first}\r\npicture,caption;class\r\n0,1;x\r\n")
    assert table.columns == ("picture,caption", "class")
    assert table.whole() == [TableRow(3, {"picture,caption": "0,1", "class": "x"})]


def test_a_separator_of_the_captions_is_not_taken_for_that_of_the_table(written):
    assert values(written("picture,caption\n0.png,a; b; c\n1.png,d;e\n"))[0]["caption"] == "a; b; c"
    assert values(written("picture;caption, in English\n0.png;a, b, c\n1.png;d\n"))[0]["picture"] == "0.png"


def test_a_single_column_needs_no_separator(written):
    assert values(written("caption\na red dot\n红点\n")) == [{"caption": "a red dot"}, {"caption": "红点"}]


def test_an_empty_cell_is_none_and_rows_without_content_are_skipped(written):
    assert written("a,b\n\n x ,\n,\n").whole() == [TableRow(3, {"a": "x", "b": None})]


def test_a_row_over_several_lines_is_named_by_its_first(written):
    rows = written('a,b\n"x\ny",z\nlast,row\n').whole()
    assert rows == [TableRow(2, {"a": "x\ny", "b": "z"}), TableRow(4, {"a": "last", "b": "row"})]


def test_a_quote_behind_a_space_opens_a_cell(written):
    assert values(written('picture,caption\n0.png, "a, b"\n')) == [{"picture": "0.png", "caption": "a, b"}]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_row_of_another_length_names_the_separator_and_the_cure(separator, written):
    shown = {"\t": "a tab"}.get(separator, repr(separator))
    table = written(f"a{separator}b\n0{separator}1{separator}2\nx{separator}y\nz{separator}w\n")
    bad, good, _ = table.rows()
    assert bad == BadTableRow(
        2, f"expected 2 cells (a, b) separated by {shown}, got 3; put a cell that holds {shown} into double quotes"
    )
    assert good == TableRow(3, {"a": "x", "b": "y"})


def test_a_row_under_another_separator_than_the_first_line_is_told_so(written):
    _, bad = written("a,b\nx,y\n0;1\n").rows()
    assert bad.reason.endswith("got 1; separate this line as the first one, it is separated by ';'")


@pytest.mark.parametrize("lines", [0, 3, 20_000])
def test_a_quote_that_is_never_closed_is_named_by_the_line_where_it_opens(lines, written):
    table = written('a,b\nx,y\n"two\nlines",z\n0,"open\n' + "more,rows\n" * lines)
    within = r" within 131,072 characters" if lines > 1000 else ""
    with pytest.raises(
        DataError,
        match=rf"table.csv, line 5: a double quote opens here and is never closed{within}; close it, or write a quote "
        r'that belongs to the text twice, in a cell between quotes, as in "a 5"" disk"',
    ):
        list(table.rows())


def test_a_quote_that_closes_in_a_later_cell_is_named_by_the_line_where_it_opens(written):
    with pytest.raises(
        DataError,
        match=r"table.csv, line 2: a double quote opens here and closes on line 4, then 'blue\"' follows; expected ',' "
        "or the end of the line; write a quote that belongs to the text twice",
    ):
        list(written('a,b\n0,"red\n1,green\n2,"blue"\n').rows())
    with pytest.raises(DataError, match="line 2: a double quote opens here and closes here, then 'b' follows"):
        list(written('a,b\n0,"a" b\n').rows())


def test_rows_before_a_broken_quote_are_read(written):
    rows = written('a,b\nx,y\n0,"open\n').rows()
    assert next(rows).values == {"a": "x", "b": "y"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a,b\n0,x\0y\n1,z\n", "holds a NUL character; delete it, or save the whole file as UTF-8 again"),
        (b"a,b\n0,\xe9t\xe9\n1,z\n", "not UTF-8; save the file as UTF-8 (in Excel: CSV UTF-8)"),
        (b"\xef\xbb\xbfa,b\n0,\xe9t\xe9\n1,z\n", "not UTF-8; save the file as UTF-8 (in Excel: CSV UTF-8)"),
    ],
)
def test_bytes_that_are_no_text_spoil_their_own_row_alone(content, reason, written):
    table = written(content)
    assert list(table.rows()) == [BadTableRow(2, reason), TableRow(3, {"a": "1", "b": "z"})]
    with pytest.raises(DataError, match=f"table.csv, line 2: {re.escape(reason)}"):
        table.whole()


def test_a_header_that_is_no_text_is_refused(written):
    with pytest.raises(DataError, match=r"table\.csv, line 1: holds a NUL character"):
        written("a,b\n0,1\n".encode("utf-16-le"))
    with pytest.raises(
        DataError, match="line 1: expected a different name for each column, separated by ';', got a, a"
    ):
        written("a;a\n0;1\n")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"sep=;\n"])
def test_a_table_without_a_first_line_is_refused(content, written):
    with pytest.raises(
        DataError, match=r"table\.csv is empty; its first line names the columns, as in: picture,caption"
    ):
        written(content)


def test_a_workbook_or_half_a_character_of_sixteen_bits_is_refused(written):
    with pytest.raises(DataError, match=r"is a workbook or an archive, expected text; save the sheet as CSV UTF-8"):
        written(b"PK\x03\x04" + bytes(100))
    with pytest.raises(DataError, match=r"not UTF-16, though it begins as such; save the file as UTF-8"):
        written("a,b\n0,1".encode("utf-16") + b"x").whole()


def test_a_table_can_be_read_again(written):
    table = written(UNDER_COMMA)
    assert list(table.rows()) == list(table.rows())


def test_json_lines_keep_the_kinds_of_their_values(written):
    table = written('{"caption": "a dot", "graph": {"nodes": [1]}}\r\n{"caption": null}\n', "rows.jsonl")
    assert table.columns == ()
    assert values(table) == [{"caption": "a dot", "graph": {"nodes": [1]}}, {"caption": None}]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "the line is empty, expected an object of JSON; remove the line"),
        ("[1]", 'expected an object of JSON, as in {"caption": "a red bike"}, got [1]'),
        ("{", "expected an object of JSON in one line, got {: Expecting property name"),
        ('{"a": 1, "a": 2}', 'expected an object of JSON in one line, got {"a": 1, "a": 2}: the key \'a\' comes twice'),
        ("\0", "holds a NUL character"),
    ],
)
def test_a_bad_line_among_json_lines_is_told_with_its_cure(line, reason, written):
    bad, good = written(f'{line}\n{{"a": 1}}\n', "rows.jsonl").rows()
    assert isinstance(bad, BadTableRow)
    assert bad.line == 1
    assert bad.reason.startswith(reason)
    assert good == TableRow(2, {"a": 1})
