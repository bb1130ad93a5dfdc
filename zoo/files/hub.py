"""Repositories of pretrained models on the hub, by its own client, so that its cache and its settings count."""

from __future__ import annotations

import os
import re
from pathlib import Path

from zoo.errors import NotFoundError, OfflineError, UsageError

HUB = "hf:"
_ADDRESS = re.compile(r"hf:(\w[\w.-]*/\w[\w.-]*)@(\w[\w.-]*)", re.ASCII)
# Nothing else is downloaded: no pickles and no code.
_READ = ("*.json", "*.safetensors", "*.txt", "*.model")


def snapshot(address: str) -> Path:
    """Return the folder with the files of ``hf:OWNER/REPOSITORY@REVISION`` that hold a model; no pickles and no code.

    The client of the hub keeps them in its own cache, where HF_HOME says. Without a network, as ZOO_OFFLINE and
    HF_HUB_OFFLINE demand, only that cache is read.

    Raises UsageError for another form, NotFoundError if there is no such repository, or it is gated; OfflineError if
    it is not in the cache and cannot be downloaded.
    """
    matched = _ADDRESS.fullmatch(address)
    if matched is None:
        raise UsageError(
            f"{address} is not a repository: expected hf:OWNER/REPOSITORY@REVISION, where the revision is a commit, a "
            "tag or a branch, such as main"
        )
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repository, revision = matched.groups()
    offline = os.environ.get("ZOO_OFFLINE", "") not in ("", "0") or constants.HF_HUB_OFFLINE
    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=[*_READ], local_files_only=offline))
    except LocalEntryNotFoundError as error:
        why = "ZOO_OFFLINE or HF_HUB_OFFLINE forbids the network" if offline else "the hub cannot be reached"
        raise OfflineError(
            f"{address} is not in the cache of the hub's client, {constants.HF_HUB_CACHE}, and {why}; run the command "
            "again with a network, or name a folder with the files"
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:  # a gated repository is one of the former
        raise NotFoundError(
            f"{address} cannot be downloaded: {str(error).strip().splitlines()[-1]:.200}; check the name and the "
            "revision; if it is gated or private, log in by `hf auth login`"
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise OfflineError(
            f"{address} cannot be downloaded: {error!s:.200}; run the command again, it continues from the files that "
            "have arrived"
        ) from error
