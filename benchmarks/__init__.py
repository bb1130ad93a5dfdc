"""How fast the zoo is, against plain code that does the same. ``python -m benchmarks`` runs all of it."""
