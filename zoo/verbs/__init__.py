"""The verbs of the zoo, the same in Python and in the shell: one file per verb, with its result."""
