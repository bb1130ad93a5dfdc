"""What one does with the zoo, from Python as from the shell: a file for each verb, and what it returns."""
