"""Files and addresses: fetched, verified, put in their place by one atomic commit."""
