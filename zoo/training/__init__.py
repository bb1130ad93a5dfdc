"""What ``zoo train`` does, from the checks before the first step to the folder of a run."""
