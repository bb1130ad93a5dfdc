"""The device, precision and processes of a training, depending on how its process was launched."""

from __future__ import annotations

from pathlib import Path

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.tracking import get_available_trackers
from accelerate.utils import DistributedDataParallelKwargs

from zoo.discovery.extras import bringing
from zoo.errors import MissingExtraError, UsageError
from zoo.recipes.training import Training

_PACKAGES = {"tensorboard": "tensorboardX"}
_MIXED_PRECISION = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


def accelerator_for(settings: Training, folder: Path) -> Accelerator:
    """Return the device, precision and processes that training runs on, depending on how this process was launched.

    Raises UsageError if they do not support these settings, MissingExtraError if a tracker is not installed.
    """
    available = [str(tracker) for tracker in get_available_trackers()]
    for tracker in settings.trackers:
        if tracker not in available:
            if brings := bringing(_PACKAGES.get(tracker, tracker)):
                raise MissingExtraError(f"the tracker {tracker!r}", brings)
            raise UsageError(
                f"training.trackers: {tracker!r} cannot be used here, available are {', '.join(available) or 'none'}; "
                "install the tracker's package, such as tensorboardX"
            )
    AcceleratorState._reset_state()  # it keeps one precision per process, but a process may train several times
    try:
        accelerator = Accelerator(
            cpu=_only_cpus(),
            mixed_precision=_MIXED_PRECISION[settings.precision],
            log_with=list(settings.trackers) or None,
            project_dir=folder,
            # A parameter has no gradient from another player's loss, nor if its input is missing from the batch.
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
    except ValueError as error:
        raise UsageError(f"training.precision {settings.precision!r} cannot be used here: {error}") from error
    if settings.precision == "fp16" and accelerator.scaler is None:
        raise UsageError(
            f"training.precision 'fp16' needs a GPU, training runs on {accelerator.device.type!r}; "
            "take 'bf16' or 'fp32'"
        )
    if settings.batch_size < accelerator.num_processes * settings.accumulate:
        raise UsageError(
            f"training.batch_size is {settings.batch_size}, too few rows for {accelerator.num_processes} processes "
            f"with accumulate {settings.accumulate}; raise it, or use fewer of them"
        )
    return accelerator


def is_first_process() -> bool:
    """Return whether this process is the first, which writes and prints."""
    return bool(PartialState(cpu=_only_cpus()).is_main_process)


def _only_cpus() -> bool:
    """Return whether this machine has no other device; Accelerate joins processes there only with this setting."""
    return not torch.accelerator.is_available()
