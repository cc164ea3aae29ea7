"""The process that fetches firmware: `python -m station.fetcher`. What it does is `station.adapters.fetch`'s."""
