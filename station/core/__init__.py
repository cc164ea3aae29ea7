"""Decisions. No I/O and no clock of its own: time comes in, actions go out."""
