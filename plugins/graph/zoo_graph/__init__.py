"""Graphs for modalzoo: what this plugin registers."""

from collections.abc import Mapping

from zoo import hookimpl

ZOO_API = 1


@hookimpl
def zoo_modalities() -> Mapping[str, str]:
    """Register the modality."""
    return {"graph": "zoo_graph.modality:GraphModality"}


@hookimpl
def zoo_encoders() -> Mapping[str, str]:
    """Register the encoders of graphs."""
    return {
        "graph/gat": "zoo_graph.gat:GATEncoder",
        "graph/gcn": "zoo_graph.gcn:GCNEncoder",
        "graph/gin": "zoo_graph.gin:GINEncoder",
    }


@hookimpl
def zoo_decoders() -> Mapping[str, str]:
    """Register the decoder of graphs."""
    return {"graph/adjacency": "zoo_graph.decoder:AdjacencyDecoder"}
