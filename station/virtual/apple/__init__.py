"""Apple's servers."""
