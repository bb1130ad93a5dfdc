"""From a checkpoint to a bundle: each graph written, judged against float64, described and committed."""
