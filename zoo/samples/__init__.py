"""The samples of a data set: their splits, what they lack, and their values as decoded arrays."""
