"""One module for each service: `give` does it, and returns only when it is done; whatever goes wrong, it raises.

The station looks for itself at what came of it: see `station.core.verification`.
"""
