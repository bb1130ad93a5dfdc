"""The registry: entries found, measured, recorded and shown."""
