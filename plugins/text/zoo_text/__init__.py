"""Text for modalzoo: what this plugin registers.

The names that other plugins may use are below, under ``TYPE_CHECKING``, and are loaded on first use.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zoo import hookimpl, on_first_use

if TYPE_CHECKING:
    from zoo_text.modality import TextModality as TextModality
else:
    __getattr__ = on_first_use(__name__)

ZOO_API = 1


@hookimpl
def zoo_modalities() -> Mapping[str, str]:
    """Register the modality."""
    return {"text": "zoo_text.modality:TextModality"}


@hookimpl
def zoo_encoders() -> Mapping[str, str]:
    """Register the encoders of text."""
    return {
        "text/bag-of-embeddings": "zoo_text.encoders:BagOfEmbeddings",
        "text/lstm": "zoo_text.lstm:LSTMEncoder",
        "text/transformer": "zoo_text.encoders:TransformerEncoder",
    }


@hookimpl
def zoo_decoders() -> Mapping[str, str]:
    """Register the decoders of text."""
    return {
        "text/bag-of-words": "zoo_text.decoders:BagOfWordsDecoder",
        "text/recurrent": "zoo_text.sequence_decoder:RecurrentDecoder",
    }


@hookimpl
def zoo_fronts() -> Mapping[str, str]:
    """Register the front, which reads UTF-8 inside a graph."""
    return {"text": "zoo_text.front:TextFront"}


@hookimpl
def zoo_translations() -> Mapping[str, str]:
    """Register the translation of the packed LSTM."""
    return {"onnx/zoo_text::packed_lstm": "zoo_text.packed_lstm:in_onnx"}
