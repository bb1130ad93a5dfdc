"""Files and addresses: fetched, verified, and put in place by one atomic commit."""
