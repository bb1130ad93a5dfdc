"""A joint model is measured on the inputs that the rows have, if no row has one of them."""

import math

import pytest
import torch
from zoo_joint.cvae import CVAE
from zoo_joint.dmvae import DMVAE
from zoo_joint.fusion import Fusion
from zoo_joint.jmvae import JMVAE
from zoo_joint.mmvae import MMVAE
from zoo_joint.mopoe import MoPoE
from zoo_joint.mvae import MVAE
from zoo_joint.mvtcae import MVTCAE

from zoo import Batch
from zoo.testing import number_batch, number_inputs

NAMES = ("caption", "picture", "sound")


@pytest.mark.parametrize("kind", [Fusion, MVAE, MoPoE, MMVAE, MVTCAE, JMVAE, DMVAE, CVAE])
def test_what_needs_no_absent_input_is_measured(kind):
    torch.manual_seed(0)
    model = kind(number_inputs(*NAMES), 5)
    batch = number_batch(*NAMES, rows=6, seed=0)
    present = {name: torch.full_like(there, name != "sound") for name, there in batch.present.items()}
    seeded = torch.Generator().manual_seed(0)
    found = model.metrics([Batch(batch.inputs, present).with_clean_gaps()], generator=seeded)
    assert found
    assert all(math.isfinite(value) for value in found.values())
    assert not [name for name in found if "sound" in name.split(".")[0].split("+")]
