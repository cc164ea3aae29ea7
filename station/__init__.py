"""Restore Station: a phone restore appliance. The folders are the architecture; see README.md."""

__version__ = "0.1.0"
