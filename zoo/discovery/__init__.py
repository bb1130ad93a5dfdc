"""Plugins: found, kept from harming a process, and their components made with checked options."""
