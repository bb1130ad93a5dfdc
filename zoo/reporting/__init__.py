"""Reports on a training and a model: a page at the end of a run, a picture on an entry's card."""
