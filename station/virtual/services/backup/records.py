"""One file of a backup: an MBFile, archived by NSKeyedArchiver, as Manifest.db keeps it.

Names and shapes: what public readers of backups (pyiosbackup among them) take from real ones.
"""

import hashlib
import plistlib
import stat
from dataclasses import dataclass
from plistlib import UID
from typing import Any, Self

from station.virtual.system.files import Node

FILE, DIRECTORY, LINK = 1, 2, 4
"""Column `flags`."""
OWNER = 501
"""mobile, whose all files of an owner are."""
_SECOND = 1_000_000_000


class BadRecordError(ValueError):
    """This is no MBFile."""


@dataclass(frozen=True)
class Record:
    """A file, directory or link in a backup."""

    domain: str
    relative: str
    mode: int
    size: int
    """Bytes on the phone."""
    modified: int
    """Seconds since 1970, as the next."""
    created: int
    inode: int
    protection_class: int
    digest: bytes | None = None
    """SHA-1 of the bytes in the backup."""
    key: bytes | None = None
    """What those are encrypted with, wrapped by the keybag."""
    target: str | None = None
    """What a link points to."""

    @classmethod
    def of(cls, domain: str, relative: str, node: Node, protection_class: int) -> Self:
        """Something on the phone."""
        return cls(
            domain,
            relative,
            node.mode,
            0 if node.is_directory else node.size,
            node.modified // _SECOND,
            node.created // _SECOND,
            node.inode,
            protection_class,
            target=node.data.decode() if node.is_link else None,
        )

    @property
    def file_id(self) -> str:
        """Its name in the backup: SHA-1 of domain and path."""
        return hashlib.sha1(f"{self.domain}-{self.relative}".encode(), usedforsecurity=False).hexdigest()

    @property
    def stored(self) -> str:
        """Where its bytes are, below the directory of the backup."""
        return f"{self.file_id[:2]}/{self.file_id}"

    @property
    def flags(self) -> int:
        """What it is."""
        kind = stat.S_IFMT(self.mode)
        return DIRECTORY if kind == stat.S_IFDIR else LINK if kind == stat.S_IFLNK else FILE

    def archive(self) -> bytes:
        """Column `file`."""
        objects: list[Any] = ["$null", {}]

        def put(value: Any) -> UID:
            objects.append(value)
            return UID(len(objects) - 1)

        mb_file: dict[str, Any] = {
            "LastModified": self.modified,
            "LastStatusChange": self.modified,
            "Birth": self.created,
            "Size": self.size,
            "Mode": self.mode,
            "GroupID": OWNER,
            "UserID": OWNER,
            "InodeNumber": self.inode,
            "Flags": 0,
            "ProtectionClass": self.protection_class,
            "RelativePath": put(self.relative),
        }
        if self.target is not None:
            mb_file["Target"] = put(self.target)
        if self.digest is not None:
            mb_file["Digest"] = put(self.digest)
        if self.key is not None:
            classes = ["NSMutableData", "NSData", "NSObject"]
            data_class = put({"$classname": classes[0], "$classes": classes})
            mb_file["EncryptionKey"] = put({"NS.data": self.key, "$class": data_class})
        mb_file["$class"] = put({"$classname": "MBFile", "$classes": ["MBFile", "NSObject"]})
        objects[1] = mb_file
        return plistlib.dumps(
            {"$version": 100000, "$archiver": "NSKeyedArchiver", "$top": {"root": UID(1)}, "$objects": objects},
            fmt=plistlib.FMT_BINARY,
        )

    @classmethod
    def unarchive(cls, domain: str, relative: str, data: bytes) -> Self:
        """Read a row of Manifest.db. Raises BadRecordError."""
        try:
            archive = plistlib.loads(data)
            objects = archive["$objects"]
            mb_file = objects[archive["$top"]["root"].data]

            def follow(name: str) -> Any:
                value = mb_file.get(name)
                value = objects[value.data] if isinstance(value, UID) else value
                return value.get("NS.data") if isinstance(value, dict) else value

            record = cls(
                domain,
                relative,
                mode=mb_file["Mode"],
                size=mb_file["Size"],
                modified=mb_file["LastModified"],
                created=mb_file["Birth"],
                inode=mb_file["InodeNumber"],
                protection_class=mb_file["ProtectionClass"],
                digest=follow("Digest"),
                key=follow("EncryptionKey"),
                target=follow("Target"),
            )
        except Exception as error:  # plistlib lets a dozen kinds escape, and anything may be in there
            raise BadRecordError(f"{domain}-{relative}: {type(error).__name__}") from error
        record.check()
        return record

    def check(self) -> None:
        """Raises BadRecordError when something in it is not of its type."""
        numbers = (self.mode, self.size, self.modified, self.created, self.inode, self.protection_class)
        data = (value for value in (self.digest, self.key) if value is not None)
        if (
            not all(isinstance(number, int) for number in numbers)
            or self.size < 0
            or not all(isinstance(value, bytes) for value in data)
            or not isinstance(self.target, str | None)
        ):
            raise BadRecordError(f"{self.domain}-{self.relative}: bad values")
