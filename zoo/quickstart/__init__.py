"""The whole workflow in two minutes: list, train, fetch, export, judge, search and reconstruct without torch."""
