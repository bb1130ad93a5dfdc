"""A small plugin for the tests of the core: every kind of component, trained in milliseconds."""

from collections.abc import Mapping

from zoo import hookimpl

ZOO_API = 1


@hookimpl
def zoo_modalities() -> Mapping[str, str]:
    """Register the modality."""
    return {"vectors": "zoo_toy.modality:VectorsModality"}


@hookimpl
def zoo_encoders() -> Mapping[str, str]:
    """Register the encoder."""
    return {"vectors/linear": "zoo_toy.parts:LinearEncoder"}


@hookimpl
def zoo_decoders() -> Mapping[str, str]:
    """Register the decoder."""
    return {"vectors/gaussian": "zoo_toy.parts:GaussianDecoder"}


@hookimpl
def zoo_objectives() -> Mapping[str, str]:
    """Register the objectives."""
    return {
        "toy-autoencoder": "zoo_toy.objectives:ToyAutoencoder",
        "toy-alignment": "zoo_toy.objectives:ToyAlignment",
        "toy-by-term": "zoo_toy.objectives:ToyByTerm",
    }


@hookimpl
def zoo_datasets() -> Mapping[str, str]:
    """Register the data set."""
    return {"toy": "zoo_toy.dataset:ToyDataset"}


@hookimpl
def zoo_exporters() -> Mapping[str, str]:
    """Register an exporter that is right, and one that is wrong by a thousandth."""
    return {"toy": "zoo_toy.exporter:ToyExporter", "toy-wrong": "zoo_toy.exporter:WrongExporter"}
