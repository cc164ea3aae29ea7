"""Whether something secret lies where it may not: everything that a station wrote is searched for all that it held.

Secret are, as they are and in every form in which they could have been written down (`Secrets`):

- pair records, with which a phone can be read: both private keys, the escrow bag and the address that unlocks it over
  WiFi; and the names of these in any pair record at all, and the beginning of any private key
- the passwords of backups, and the one secret that they are derived from
- what owners have on their phones, and the plain list of it that is in a backup

A passcode and the stash bag that it opens never leave the phone: a host only says what will be installed.

Where a station keeps what, and what of that may lie there:

    STATE/keys/          the station's own signing keys, and the secret of the vault: nothing of anybody else's
    STATE/vault/         backups, encrypted by the phone; in plain, what the format leaves so: whose phone it is, its
                         numbers and the names of its apps, which are not looked for
    STATE/jobs/, closed/ specs, events and logs: nothing. A living worker's home/ and cwd/ neither: they are on a disk
    STATE/proof/, …      records in SQLite with its log, certificates, orders, …: nothing. (What is in a PDF is
                         compressed, and is in the JSON beside it.)
    STATE/pairings/      empty files: that a phone may be paired. The record itself is usbmuxd's to keep, while the
                         phone is there; the virtual one keeps it in this process, and on no disk
    RUNTIME/secrets/given/   in memory: passwords for a worker that lives, and the manifest that it reads
    HOME, TMPDIR, log    of the daemon, and of whatever it starts: nothing
"""

import os
import plistlib
import subprocess
from base64 import b16encode, b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from station.virtual.system.files import owners_files
from station.virtual.usb.usbmuxd import Usbmuxd

PAIR_RECORD = ("HostPrivateKey", "RootPrivateKey", "EscrowBag", "WiFiMACAddress")
"""The names of what is secret in a pair record."""
PRIVATE_KEY = {
    "PEM": b"PRIVATE KEY-----",
    # A sequence of version 0 and, for PKCS #1, a modulus of 2048 bits, or, for PKCS #8, the identifier of RSA.
    "PKCS #1": bytes.fromhex("020100 02820101 00"),
    "PKCS #8": bytes.fromhex("020100 300d 06092a864886f70d010101"),
}
OF_A_KEY = "a private key"
"""What is told of these."""
OWNERS = (
    "/var/mobile/Media/DCIM/100APPLE/IMG_0001.JPG",
    "/var/mobile/Media/DCIM/100APPLE/IMG_0002.JPG",
    "/var/mobile/Library/SMS/sms.db",
    "/var/mobile/Library/AddressBook/AddressBook.sqlitedb",
)
"""On every phone that is somebody's: the canaries."""
MANIFEST = b"CameraRollDomain"
"""Is in the list of files of every backup, and nowhere else."""

WIDTH = 14
"""Bytes that are looked for. Two such windows of a text follow each other so closely that no line break is in both."""
GAP = 3


@dataclass(frozen=True, order=True)
class Leak:
    """Something secret where it may not be."""

    path: str
    what: str


@dataclass
class Secrets:
    """All that is looked for: some bytes of each secret in each form, and what they are of."""

    patterns: dict[bytes, str] = field(default_factory=dict)

    def add(self, what: str, secret: bytes) -> None:
        """A secret of at least 16 bytes: as it is, in hexadecimal, in base64 wherever it begins, all that in UTF-16."""
        forms = {"": secret, "hexadecimal ": b16encode(secret), "small hexadecimal ": b16encode(secret).lower()}
        for name, encode in (("base64", b64encode), ("URL base64", urlsafe_b64encode)):
            for before in range(3):  # what stands before it in the same encoding shifts it
                shifted = encode(bytes(before) + secret)
                forms[f"{name} at {before} "] = shifted[4:] if before else shifted
        texts = {name: form for name, form in forms.items() if form.isascii()}
        forms |= {f"UTF-16 {name}": form.decode().encode("utf-16-le") for name, form in texts.items()}
        for name, form in forms.items():
            for window in _windows(form.removesuffix(b"=").removesuffix(b"=")):
                self.patterns.setdefault(window, f"{name}{what}")

    def add_pair_record(self, data: bytes) -> None:
        """What is secret in a pair record. A key is known by a line of its text, and by a prime, whatever it is in."""
        record: dict[str, Any] = plistlib.loads(data)
        for name in PAIR_RECORD:
            secret = record.get(name)
            if isinstance(secret, str):
                self.add(name, secret.encode())
            elif isinstance(secret, bytes) and not name.endswith("Key"):
                self.add(name, secret)
            elif isinstance(secret, bytes):
                self.add(f"{name}, its text", secret.split(b"\n")[8])  # of the part that the public key has not
                key = load_pem_private_key(secret, password=None, unsafe_skip_rsa_key_validation=True)  # it is not used
                assert isinstance(key, RSAPrivateKey)
                self.add(f"{name}, a prime", key.private_numbers().p.to_bytes(key.key_size // 16))

    def search(self, places: Iterable[Path]) -> list[Leak]:
        """Everything in these places, down to the last file. What goes away meanwhile is not there."""
        wanted = b"\n".join(self.patterns)
        # grep knows how to look for thousands of strings at once, in files of any size, and is not ours.
        command = ("grep", "-r", "-F", "-a", "-o", "-Z", "-f", "-", "--", *map(str, places))
        done = subprocess.run(
            command, input=wanted, capture_output=True, check=False, env=os.environ | {"LC_ALL": "C"}, timeout=60
        )
        trouble = [line for line in done.stderr.splitlines() if not line.endswith(b"No such file or directory")]
        assert not trouble, trouble
        leaks = set()
        for line in done.stdout.split(b"\n")[:-1]:  # not splitlines: what was found may have a carriage return in it
            path, _, match = line.partition(b"\0")
            leaks.add(Leak(os.fsdecode(path), self.patterns[match]))
        return sorted(leaks)


def anybodys() -> Secrets:
    """What is secret whoever's it is: no phone need be known for it."""
    secrets = Secrets()
    for name in PAIR_RECORD:
        secrets.add(f"the name {name}", f"{name}</key>\n".encode())
        secrets.patterns |= {name.encode(): f"the name {name}", name.encode("utf-16-le"): f"UTF-16 the name {name}"}
    for kind, beginning in PRIVATE_KEY.items():
        secrets.patterns[beginning] = f"{OF_A_KEY}, {kind}"
    for kind in ("RSA PRIVATE KEY", "PRIVATE KEY"):
        secrets.patterns[b64encode(f"-----BEGIN {kind}".encode())[:-4]] = f"base64 {OF_A_KEY}, PEM"
    secrets.patterns[MANIFEST] = "the plain list of what is in a backup"
    files = owners_files()
    for path in OWNERS:
        secrets.add(f"the owner's {Path(path).name}", files.read(path)[4:36])
    return secrets


@contextmanager
def noting_pair_records() -> Iterator[list[bytes]]:
    """Every pair record that a usbmuxd of this process is given while the context is open, deleted ones too."""
    noted: list[bytes] = []
    save = Usbmuxd._save

    def note(mux: Usbmuxd, request: dict[str, Any]) -> int:
        if isinstance(data := request.get("PairRecordData"), bytes):
            noted.append(data)
        return save(mux, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Usbmuxd, "_save", note)
        yield noted


def _windows(form: bytes) -> Iterator[bytes]:
    """Two windows near the beginning, free of what ends a line. A form that has none is too short to look for."""
    found = 0
    at = 0
    while found < 2 and at + WIDTH <= len(form):
        window = form[at : at + WIDTH]
        if b"\n" in window:
            at += window.rindex(b"\n") + 1
            continue
        yield window
        found += 1
        at += WIDTH + GAP
