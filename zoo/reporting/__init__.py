"""What a training and a model look like: a page at the end of a run, a picture on an entry's card."""
