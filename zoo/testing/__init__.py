"""The contracts that every plugin passes. Subclass one in a test file and give its fixtures; it needs pytest.

Examples:
    >>> from zoo.testing import ModalityContract
    >>> ModalityContract.__name__
    'ModalityContract'
"""

from zoo.testing.dataset import DatasetContract
from zoo.testing.decoder import DecoderContract, LikelihoodContract
from zoo.testing.encoder import EncoderContract
from zoo.testing.exporter import ExporterContract
from zoo.testing.front import FrontContract
from zoo.testing.modality import ModalityContract
from zoo.testing.numbers import number_batch, number_inputs
from zoo.testing.objective import ObjectiveContract
from zoo.testing.plugin import PluginContract
from zoo.testing.suite import contracts_of

__all__ = [
    "DatasetContract",
    "DecoderContract",
    "EncoderContract",
    "ExporterContract",
    "FrontContract",
    "LikelihoodContract",
    "ModalityContract",
    "ObjectiveContract",
    "PluginContract",
    "contracts_of",
    "number_batch",
    "number_inputs",
]
