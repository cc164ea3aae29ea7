"""Damage that both who opens a chain and who verifies it must find."""

import sqlite3
from contextlib import closing

from station.adapters.chain import ChainFiles


def zero_an_index(files: ChainFiles) -> None:
    """Damage that reading the last record does not meet."""
    with closing(sqlite3.connect(files.database)) as database:
        ((page,),) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_record_1'")
    data = bytearray(files.database.read_bytes())
    data[(page - 1) * 4096 : page * 4096] = bytes(4096)
    files.database.write_bytes(data)
