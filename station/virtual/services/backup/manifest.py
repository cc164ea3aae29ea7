"""The list of what is in a backup: Manifest.db, a SQLite database, and Manifest.plist, which tells how to read it.

Shapes: what public readers of backups take from real ones (iOS 10 and later).
"""

import datetime as dt
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from station.virtual.phones.installed import System
from station.virtual.phones.phone import VirtualPhone
from station.virtual.services.apps import App, installed
from station.virtual.services.backup.keybag import (
    MANIFEST_CLASS,
    BadPasswordError,
    KeyBag,
    decrypt,
    encrypt,
)
from station.virtual.services.backup.records import BadRecordError, Record
from station.virtual.system import values

PROPERTIES, DATABASE = "Manifest.plist", "Manifest.db"
VERSION = "10.0"
SYSTEM_DOMAINS_VERSION = "24.0"
_SCHEMA = """
CREATE TABLE Files (fileID TEXT PRIMARY KEY, domain TEXT, relativePath TEXT, flags INTEGER, file BLOB);
CREATE INDEX FilesDomainIdx ON Files(domain);
CREATE INDEX FilesRelativePathIdx ON Files(relativePath);
CREATE INDEX FilesFlagsIdx ON Files(flags);
CREATE TABLE Properties (key TEXT PRIMARY KEY, value BLOB);
"""
_LOCKDOWN = ("BuildVersion", "DeviceName", "ProductType", "ProductVersion", "SerialNumber", "UniqueDeviceID")


class BadManifestError(ValueError):
    """This is no Manifest.db, or not one that these keys open."""


def now() -> dt.datetime:
    """As plists have it: UTC, without saying so, in whole seconds."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0)


def properties(phone: VirtualPhone, system: System, keybag: KeyBag) -> dict[str, Any]:
    """Manifest.plist of a new backup."""
    root = values.root(phone, system)
    encrypted = system.backup_password is not None
    return {
        "Version": VERSION,
        "SystemDomainsVersion": SYSTEM_DOMAINS_VERSION,
        "Date": now(),
        "IsEncrypted": encrypted,
        "WasPasscodeSet": system.passcode,
        "Lockdown": {name: root[name] for name in _LOCKDOWN},
        "Applications": {app.bundle_id: _application(app) for app in installed(system.files) if app.user},
        "BackupKeyBag": keybag.data,
    }


def _application(app: App) -> dict[str, Any]:
    """One of the owner's apps, as a restore gets it again."""
    return {
        "CFBundleIdentifier": app.bundle_id,
        "CFBundleVersion": app.version,
        "ContainerContentClass": "Data/Application",
        "Path": app.path,
    }


def write_database(records: Iterable[Record]) -> bytes:
    """Manifest.db. Not for the event loop."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(_SCHEMA)
        database.executemany(
            "INSERT INTO Files VALUES (?, ?, ?, ?, ?)",
            ((each.file_id, each.domain, each.relative, each.flags, each.archive()) for each in records),
        )
        database.commit()
        return database.serialize()


def read_database(data: bytes) -> dict[str, Record]:
    """The records in a Manifest.db, by file id. Not for the event loop. Raises BadManifestError."""
    with closing(sqlite3.connect(":memory:")) as database:
        try:
            database.deserialize(data)
            rows = database.execute("SELECT domain, relativePath, file FROM Files").fetchall()
            records = [Record.unarchive(str(domain), str(relative), file) for domain, relative, file in rows]
        except (sqlite3.Error, BadRecordError) as error:
            raise BadManifestError(str(error)) from error
    return {record.file_id: record for record in records}


def seal(database: bytes, key: bytes) -> bytes:
    """Manifest.db of an encrypted backup: its pages are whole blocks."""
    return encrypt(key, database)


def unseal(data: bytes, wrapped: Any, keybag: KeyBag) -> bytes:
    """The reverse. `wrapped`: ManifestKey. Raises BadManifestError."""
    try:
        return decrypt(keybag.unwrap(wrapped), data)
    except (BadPasswordError, TypeError, ValueError) as error:
        raise BadManifestError(str(error)) from error


def wrap_key(key: bytes, keybag: KeyBag) -> bytes:
    """ManifestKey."""
    return keybag.wrap(key, MANIFEST_CLASS)
