"""From a checkpoint to a bundle: each graph is written, judged against float64, described and committed."""
