"""The registry: its entries are found, measured, recorded and shown."""
