"""The process: its sockets, the hands at the phones, the feed that tells who is plugged in."""
