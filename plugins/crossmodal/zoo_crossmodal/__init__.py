"""Cross-modal alignment for modalzoo: what this plugin registers."""

from collections.abc import Mapping

from zoo import hookimpl

ZOO_API = 1


@hookimpl
def zoo_objectives() -> Mapping[str, str]:
    """Register the objectives."""
    return {
        "alignment": "zoo_crossmodal.alignment:Alignment",
        "contrastive": "zoo_crossmodal.contrastive:Contrastive",
        "infonce": "zoo_crossmodal.infonce:InfoNCE",
        "sigmoid": "zoo_crossmodal.sigmoid:Sigmoid",
        "triplet": "zoo_crossmodal.triplet:Triplet",
    }
