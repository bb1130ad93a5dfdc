"""Recipes and specs: strict TOML, read, written and compared."""
