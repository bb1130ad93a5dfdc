"""`zoo plugin check`: the contracts of whatever is installed, and what a component must say to be excepted."""

import pytest

from zoo.testing import EncoderContract

ENTRY = """
from zoo import hookimpl
ZOO_API = 1
@hookimpl
def zoo_encoders():
    return {f"vectors/{name}": f"zoo_birds.encoders:{name.title()}" for name in %r}
"""
ENCODERS = """
from torch import nn
from zoo import Encoder

class Sound(Encoder):
    def __init__(self, modality, *, features: int = 4):
        super().__init__()
        self.feature_dim = features
        self.linear = nn.Linear(3, features)

    def forward(self, tensors):
        values = tensors["values"].to(self.linear.weight.dtype)
        return self.linear((values * tensors["mask"].unsqueeze(-1)).sum(1))

class Mixing(Sound):
    def forward(self, tensors):
        features = super().forward(tensors)
        return features - features.mean(0)

class Excepted(Mixing):
    contract_exceptions = {"test_rows_do_not_see_each_other": "the flock is what counts"}

class Silent(Mixing):
    contract_exceptions = {"test_rows_do_not_see_each_other": ""}

class Mistaken(Sound):
    contract_exceptions = {"test_rows_do_not_se": "a slip of the pen"}

class Loose(Sound):
    parity_ulps = 64

class Stating(Sound):
    parity_ulps = 64
    parity_reason = "a long sum of numbers of either sign"

class Needy(Sound):
    contract_options = {"features": 5}
    def __init__(self, modality, *, features: int):
        super().__init__(modality, features=features)

class Served(Sound):
    contract_exceptions = {"check": "only a user knows how many features"}
    def __init__(self, modality, *, features: int):
        super().__init__(modality, features=features)

class Raising(Sound):
    def __init__(self, modality):
        raise KeyError("feathers")
"""


@pytest.fixture
def checked(site, run_process):
    """Install birds with some of the encoders above, and check them."""

    def run(*names):
        site.add("birds", ENTRY % (names,), files={"encoders.py": ENCODERS})
        result = run_process(
            "plugin", "check", "modalzoo-birds", "--json", ZOO_PLUGINS="modalzoo-birds,modalzoo-toy,modalzoo-onnx"
        )
        return result, {found["name"]: found for found in result.json}

    return run


def test_what_keeps_its_contracts_passes(checked):
    result, found = checked("sound", "needy")
    assert result.exit_code == 0, result.stderr
    assert list(found) == ["plugin birds", "encoder vectors/sound", "encoder vectors/needy"]
    assert {name: (len(one["failed"]), len(one["excepted"])) for name, one in found.items()} == dict.fromkeys(
        found, (0, 0)
    )
    assert found["encoder vectors/sound"]["passed"] == sum(name.startswith("test_") for name in dir(EncoderContract))


def test_what_breaks_a_contract_fails_by_name_and_reason(checked):
    result, found = checked("mixing")
    assert result.exit_code == 1
    (failure, *_) = found["encoder vectors/mixing"]["failed"]
    assert failure[0] == "test_rows_do_not_see_each_other"
    assert "Tensor-likes are not close" in failure[1]
    assert "error: modalzoo-birds fails" in result.stderr
    assert "encoder vectors/mixing: test_rows_do_not_see_each_other" in result.stderr


def test_an_exception_needs_a_reason_that_is_shown(checked):
    result, found = checked("excepted", "silent", "mistaken", "loose", "stating", "served")
    exceptions = {name.partition("/")[2]: one["excepted"] for name, one in found.items()}
    reasons = {name.partition("/")[2]: {reason for _, reason in one["failed"]} for name, one in found.items()}
    assert exceptions["excepted"] == [["test_rows_do_not_see_each_other", "the flock is what counts"]]
    assert any(
        "the exception from test_rows_do_not_see_each_other needs its reason" in line for line in reasons["silent"]
    )
    assert any("'test_rows_do_not_se', which is not a test of this contract" in line for line in reasons["mistaken"])
    assert any("parity_ulps = 64 needs its reason in parity_reason" in line for line in reasons["loose"])
    assert found["encoder vectors/stating"]["stated"] == ["parity_ulps = 64: a long sum of numbers of either sign"]
    assert found["encoder vectors/served"]["passed"] == 0
    assert {reason for _, reason in exceptions["served"]} == {"only a user knows how many features"}
    assert "encoder vectors/stating states parity_ulps = 64: a long sum of numbers of either sign" in result.stderr


def test_a_constructor_that_raises_names_its_distribution(checked):
    result, found = checked("raising")
    assert result.exit_code == 1
    (reason,) = {reason for _, reason in found["encoder vectors/raising"]["failed"]}
    assert "the encoder 'vectors/raising' of modalzoo-birds cannot be built: KeyError: 'feathers'" in reason


def test_a_distribution_without_a_plugin_and_one_that_is_out_are_refused(site, zoo):
    site.add("birds", "raise RuntimeError('no feathers')")
    assert "modalzoo-birds 1.0 is left out: RuntimeError: no feathers" in zoo("plugin", "check", "modalzoo-birds").error
    missing = zoo("plugin", "check", "modalzoo-bird")
    assert missing.exit_code == 3
    assert "no distribution with a plugin 'modalzoo-bird'" in missing.error
    assert "Did you mean 'modalzoo-birds'?" in missing.error


def test_a_subclass_cannot_change_a_test_of_its_contract():
    with pytest.raises(TypeError, match="Weak changes test_it_works_in_float64 of its contract; give it another name"):
        type("Weak", (EncoderContract,), {"test_it_works_in_float64": lambda self: None})
