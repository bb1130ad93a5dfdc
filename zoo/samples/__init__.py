"""The samples of a data set: their splits, their missing values, and their values as decoded arrays."""
