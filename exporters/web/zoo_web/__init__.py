"""Static pages for modalzoo's bundles: what this plugin registers."""

from collections.abc import Mapping

from zoo import hookimpl

ZOO_API = 1


@hookimpl
def zoo_layouts() -> Mapping[str, str]:
    """Register the layout."""
    return {"web": "zoo_web.layout:WebLayout"}
