"""Real data for modalzoo: what this plugin registers."""

from collections.abc import Mapping

from zoo import hookimpl

ZOO_API = 1


@hookimpl
def zoo_datasets() -> Mapping[str, str]:
    """Register the data sets."""
    return {
        "fashion-mnist": "zoo_datasets.fashion_mnist:FashionMNIST",
        "five-digits": "zoo_datasets.five_digits:FiveDigits",
        "folder": "zoo_datasets.folder:Folder",
        "molecules": "zoo_datasets.molecules:Molecules",
        "openmoji": "zoo_datasets.openmoji:OpenMoji",
        "spoken-emoji": "zoo_datasets.spoken_emoji:SpokenEmoji",
        "stamps": "zoo_datasets.stamps:Stamps",
    }
