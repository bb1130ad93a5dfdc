"""Joint models of several inputs, any of which may be missing: what this plugin registers."""

from collections.abc import Mapping

from zoo import hookimpl

ZOO_API = 1


@hookimpl
def zoo_objectives() -> Mapping[str, str]:
    """Register the objectives, under their names in the literature."""
    return {
        "fusion": "zoo_joint.fusion:Fusion",
        "mvae": "zoo_joint.mvae:MVAE",
        "mmvae": "zoo_joint.mmvae:MMVAE",
        "mopoe": "zoo_joint.mopoe:MoPoE",
        "mvtcae": "zoo_joint.mvtcae:MVTCAE",
        "jmvae": "zoo_joint.jmvae:JMVAE",
        "dmvae": "zoo_joint.dmvae:DMVAE",
        "cvae": "zoo_joint.cvae:CVAE",
    }
