"""What backups are made of: domains, keybags, the wire; with hosts that no honest program is."""

import asyncio
import plistlib
import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymobiledevice3.exceptions import ConnectionTerminatedError

from station.virtual.services.backup import keybag
from station.virtual.services.backup.device_link import BLOCK, MAX_MESSAGE, MAX_NAME
from station.virtual.services.backup.domains import APPLICATIONS, METADATA, SAFE_HARBOR, Layout
from station.virtual.services.backup.keybag import BadKeyBagError, BadPasswordError, KeyBag
from station.virtual.services.backup.records import BadRecordError, Record
from station.virtual.system.files import FileSystem
from tests.virtual_services.backups import SECRET, back_up, contents, erased, put_back, restarting
from tests.virtual_services.helpers import trusted

APP = "com.example.notes"
DATA = "Documents/notes.txt"


def install(files: FileSystem, container: str) -> str:
    """Give a phone an app's directory; returns where its data is."""
    files.make_directories(f"{APPLICATIONS}/{container}/Documents")
    files.write(f"{APPLICATIONS}/{container}/{METADATA}", plistlib.dumps({"MCMMetadataIdentifier": APP}))
    return f"{APPLICATIONS}/{container}/{DATA}"


@pytest.mark.system
async def test_an_apps_data_moves_to_where_the_app_is(plug, bus, tmp_path):
    old = plug(1)
    old.system.files.write(install(old.system.files, "AAAA"), b"note")
    await back_up(old, tmp_path)
    assert contents(tmp_path, old)[f"AppDomain-{APP}", DATA] == b"note"

    installed, missing = plug(2, **erased()), plug(3, **erased())
    place = install(installed.system.files, "BBBB")
    for new, path in ((installed, place), (missing, f"{SAFE_HARBOR}/{APP}/Container/{DATA}")):
        async with restarting(bus):
            await put_back(new, tmp_path, old)
        assert new.system.files.read(path) == b"note"


@pytest.mark.parametrize("path", ["../x", "/x", "Media/DCIM/../../x", "Library/../../x"])
@pytest.mark.parametrize("domain", ["HomeDomain", "CameraRollDomain", f"AppDomain-{APP}", "AppDomain-..", "Nowhere"])
def test_no_path_leaves_its_domain(domain, path):
    assert Layout(FileSystem()).path(domain, path) is None


@pytest.mark.parametrize("password", [pytest.param(None, marks=pytest.mark.long), SECRET])
async def test_files_of_every_length_survive(plug, tmp_path, password):
    phone = plug(backup_password=password)
    sizes = [0, 1, 15, 16, 17, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK]
    for size in sizes:
        phone.system.files.write(f"/var/mobile/Library/SMS/{size}", bytes(range(256)) * (size // 256 + 1))
        phone.system.files.truncate(f"/var/mobile/Library/SMS/{size}", size)
    await back_up(phone, tmp_path)
    found = contents(tmp_path, phone, password or "")
    for size in sizes:
        assert found["HomeDomain", f"Library/SMS/{size}"] == phone.system.files.read(f"/var/mobile/Library/SMS/{size}")


@given(st.data())
@settings(max_examples=50)
def test_a_keybag_that_was_touched_opens_or_is_refused(data):
    bag = KEYBAG.data
    start = data.draw(st.integers(0, len(bag)))
    end = data.draw(st.integers(start, min(len(bag), start + 8)))
    touched = bag[:start] + data.draw(st.binary(max_size=8)) + bag[end:]
    with pytest.MonkeyPatch.context() as patch, suppress(BadKeyBagError, BadPasswordError):
        patch.setattr(keybag, "MAX_ITERATIONS", 20_000)
        assert set(KeyBag.unlock(touched, SECRET).keys.values()) <= set(KEYBAG.keys.values())


KEYBAG = KeyBag.new(SECRET)


def test_a_keybag_opens_with_its_password_only():
    assert KeyBag.unlock(KEYBAG.data, SECRET).keys == KEYBAG.keys
    with pytest.raises(BadPasswordError):
        KeyBag.unlock(KEYBAG.data, "wrong")
    with pytest.raises(BadKeyBagError):
        KeyBag.unlock(KEYBAG.data.replace(struct.pack(">L", 10_000), b"\xff" * 4), SECRET)
    with pytest.raises(BadKeyBagError):
        KeyBag.unlock(KEYBAG.data[:-1], SECRET)


@given(st.binary(max_size=200))
def test_what_is_no_record_is_refused(data):
    with pytest.raises(BadRecordError):
        Record.unarchive("HomeDomain", "Library/x", data)


def test_a_record_of_wrong_types_is_refused():
    record = Record("HomeDomain", "Library/x", 0o100644, 1, 1, 1, 1, 3, digest=b"x")
    archive = plistlib.loads(record.archive())
    for name, value in (
        ("Size", -1),
        ("Size", "1"),
        ("Mode", b""),
        ("Digest", "x"),
        ("EncryptionKey", 1),
        ("Target", 1),
    ):
        touched = {**archive, "$objects": [archive["$objects"][0], archive["$objects"][1] | {name: value}]}
        touched["$objects"] += archive["$objects"][2:]
        with pytest.raises(BadRecordError):
            Record.unarchive("HomeDomain", "Library/x", plistlib.dumps(touched, fmt=plistlib.FMT_BINARY))


def _plist(message):
    body = plistlib.dumps(message)
    return struct.pack(">L", len(body)) + body


def _file(name, *blocks):
    return struct.pack(">L", len(name)) + name + b"".join(blocks)


UDID = b"UDID/Status.plist"
NONSENSE = [
    struct.pack(">L", MAX_NAME + 1),
    _file(b"/etc/passwd", struct.pack(">LB", 1, 0)),
    _file(UDID, struct.pack(">LB", 0, 0)),
    _file(UDID, struct.pack(">LB", 0xFFFFFFFF, 0x0C)),
    _file(UDID, struct.pack(">LB", 5, 0x77)),
    _file(UDID, struct.pack(">LB", 1, 0)) + struct.pack(">L", 0) + _plist(["DLMessagePing", 1, ""]),
    struct.pack(">L", 0) + struct.pack(">L", MAX_MESSAGE + 1),
    struct.pack(">L", 0) + _plist({"DLMessageStatusResponse": 0}),
    struct.pack(">L", 0) + _plist([]),
    struct.pack(">L", 0) + struct.pack(">L", 4) + b"none",
    struct.pack(">L", 0) + _plist(["DLMessageDisconnect", "enough"]),
]
"""What a host answers to the request for a file, UDID/Status.plist."""


async def test_a_host_that_answers_nonsense_is_hung_up_on(plug):
    phone = plug()
    udid = phone.identity.udid
    path = f"{udid}/Status.plist"
    async with trusted(phone) as client:
        for answer in NONSENSE:
            async with await client.start_lockdown_service("com.apple.mobilebackup2") as service:
                await service.recv_plist()
                await service.send_plist(["DLMessageVersionExchange", "DLVersionsOk", 300])
                await service.recv_plist()
                request = {"MessageName": "Backup", "TargetIdentifier": udid}
                await service.send_plist(["DLMessageProcessMessage", request])
                asked: Any = await service.recv_plist()
                assert asked[:2] == ["DLMessageDownloadFiles", [path]]
                await service.sendall(answer.replace(_file(UDID), _file(path.encode())))
                async with asyncio.timeout(5):
                    with pytest.raises((ConnectionTerminatedError, OSError)):
                        await service.recv_plist()
