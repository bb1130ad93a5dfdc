"""Plugins: found, isolated from the rest of the process, and their components built with checked options."""
