"""The steps of ``zoo train``, from the checks before the first step to the folder of a run."""
