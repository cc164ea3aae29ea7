"""com.apple.afc, used by the unmodified library."""

import asyncio
import struct
from contextlib import contextmanager

import pytest
from pymobiledevice3.exceptions import AfcException, AfcFileNotFoundError, PasswordRequiredError
from pymobiledevice3.services.afc import (
    AFC_LOCK_EX,
    AFC_LOCK_SH,
    AFC_LOCK_UN,
    AfcError,
    AfcLinkType,
    AfcOpcode,
    AfcService,
)

from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.system.files import CANARY, MEDIA
from tests.virtual_services.helpers import started, trusted

REMOVE_PATH_AND_CONTENTS = 0x22
SYNC_LOCK = "/com.apple.itunes.lock_sync"


@contextmanager
def fails(status):
    """What is done within fails with a status."""
    with pytest.raises(AfcException) as raised:
        yield
    assert raised.value.status == status


async def do(afc, operation, data=b""):
    """An operation that the library has no method for."""
    status, answer = await afc._send_and_wait(AfcOpcode(operation), data)
    if status != AfcError.SUCCESS:
        raise AfcException(f"{operation}", status)
    return answer


async def test_says_what_device_this_is_and_how_full(plug):
    phone = plug()
    async with started(phone, AfcService) as afc:
        info = await afc.get_device_info()
    assert info == {
        "Model": "iPhone13,2",
        "FSTotalBytes": str(phone.system.files.capacity),
        "FSFreeBytes": str(phone.system.files.free),
        "FSBlockSize": "4096",
    }


async def test_the_owners_files_can_be_read(plug):
    phone = plug()
    async with started(phone, AfcService) as afc:
        assert await afc.listdir("/") == ["DCIM"]
        name = CANARY.removeprefix(MEDIA)
        assert await afc.get_file_contents(name) == phone.system.canary
        stat = await afc.stat(name)
        assert stat["st_ifmt"] == "S_IFREG"
        assert stat["st_size"] == len(phone.system.canary)
        assert stat["st_nlink"] == 1
        assert stat["st_blocks"] * 512 >= stat["st_size"]
        assert (await afc.stat("DCIM"))["st_ifmt"] == "S_IFDIR"
        walked = [found async for found in afc.dirlist("/")]
        assert walked == ["/", "/DCIM", "/DCIM/100APPLE"] + [f"/DCIM/100APPLE/IMG_000{n}.JPG" for n in (1, 2)]


async def test_pulls_and_pushes_a_tree_byte_for_byte(plug, tmp_path):
    phone = plug()
    source, back = tmp_path / "source", tmp_path / "back"
    large = bytes(range(256)) * 20_000  # more than the library reads at once
    (source / "deep" / "deeper").mkdir(parents=True)
    (source / "deep" / "deeper" / "large").write_bytes(large)
    (source / "empty").write_bytes(b"")
    back.mkdir()
    async with started(phone, AfcService) as afc:
        await afc.push(str(source), "/", progress_bar=False)
        await afc.pull("/source", str(back), progress_bar=False)
    assert (back / "source" / "deep" / "deeper" / "large").read_bytes() == large
    assert (back / "source" / "empty").read_bytes() == b""
    assert phone.system.files.read(f"{MEDIA}/source/deep/deeper/large") == large


async def test_modes_of_opening(plug):
    async with started(plug(), AfcService) as afc:
        with pytest.raises(AfcFileNotFoundError):
            await afc.fopen("/new")
        writing = await afc.fopen("/new", "w")
        await afc.fwrite(writing, b"0123456789")
        with fails(AfcError.INVALID_ARG):
            await afc.fread(writing, 1)
        await afc.fclose(writing)
        with fails(AfcError.INVALID_ARG):
            await afc.fclose(writing)

        both = await afc.fopen("/new", "r+")
        assert await afc.fread(both, 4) == b"0123"
        await afc.fwrite(both, b"ABC")
        assert await afc.fread(both, 100) == b"789"
        assert await afc.fread(both, 100) == b""
        await afc.fseek(both, -2, 2)
        assert await afc.fread(both, 100) == b"89"
        with fails(AfcError.INVALID_ARG):
            await afc.fseek(both, -1)
        await afc.fseek(both, 3)
        await afc.fseek(both, 1, 1)
        assert struct.unpack("<Q", await do(afc, AfcOpcode.FILE_TELL, struct.pack("<Q", both))) == (4,)
        await do(afc, AfcOpcode.FILE_SET_SIZE, struct.pack("<QQ", both, 5))

        appending = await afc.fopen("/new", "a")
        await afc.fwrite(appending, b"Z")
        assert await afc.get_file_contents("/new") == b"0123AZ"
        reading = await afc.fopen("/new", "r")
        with fails(AfcError.INVALID_ARG):
            await afc.fwrite(reading, b"?")
        await afc.fclose(await afc.fopen("/new", "w+"))
        assert (await afc.stat("/new"))["st_size"] == 0
        with fails(AfcError.OBJECT_IS_DIR):
            await afc.fopen("/DCIM")


async def test_makes_moves_and_removes(plug):
    async with started(plug(), AfcService) as afc:
        await afc.makedirs("/a/b/c")
        await afc.makedirs("/a/b")  # as mkdir -p
        await afc.set_file_contents("/a/file", b"1")
        with fails(AfcError.OBJECT_EXISTS):
            await afc.makedirs("/a/file")
        with fails(AfcError.READ_ERROR):
            await afc.listdir("/a/file")
        with fails(AfcError.DIR_NOT_EMPTY):
            await afc.rm_single("/a")
        await afc.set_file_contents("/a/other", b"2")
        await afc.rename("/a/other", "/a/file")
        assert await afc.get_file_contents("/a/file") == b"2"
        with pytest.raises(AfcFileNotFoundError):
            await afc.rename("/a/other", "/a/file")
        with fails(AfcError.DIR_NOT_EMPTY):
            await afc.rename("/a/b/c", "/a")
        await do(afc, AfcOpcode.TRUNCATE, struct.pack("<Q", 3) + b"/a/file\0")
        assert await afc.get_file_contents("/a/file") == b"2\0\0"
        await do(afc, AfcOpcode.SET_FILE_TIME, struct.pack("<Q", 10**18) + b"/a/file\0")
        assert (await afc.stat("/a/file"))["st_mtime"].timestamp() == 10**9
        await do(afc, REMOVE_PATH_AND_CONTENTS, b"/a\0")
        assert await afc.listdir("/") == ["DCIM"]


async def test_links(plug):
    async with started(plug(), AfcService) as afc:
        await afc.makedirs("/a/b")
        await afc.set_file_contents("/a/b/file", b"contents")
        await afc.link("b/file", "/a/soft")
        await afc.link("/a/b/file", "/hard", AfcLinkType.HARDLINK)
        stat = await afc.stat("/a/soft")
        assert (stat["st_ifmt"], stat["LinkTarget"]) == ("S_IFLNK", "b/file")
        assert await afc.get_file_contents("/a/soft") == b"contents"
        await afc.rm_single("/a/soft")
        await afc.rm_single("/a/b/file")
        assert await afc.get_file_contents("/hard") == b"contents"
        await afc.link("x", "/y")
        await afc.link("y", "/x")
        with fails(AfcError.UNKNOWN_ERROR):
            await afc.fopen("/x")
        with pytest.raises(AfcFileNotFoundError):
            await afc.link("/nothing", "/second", AfcLinkType.HARDLINK)


@pytest.mark.parametrize("path", ["..", "/..", "/DCIM/../../Library/SMS/sms.db", "a/../../Library"])
async def test_nobody_gets_out(plug, path):
    phone = plug()
    async with started(phone, AfcService) as afc:
        for attempt in (afc.stat, afc.listdir, afc.fopen, afc.rm_single, afc.makedirs):
            with fails(AfcError.PERM_DENIED):
                await attempt(path)
        for source, target in ((path, "/stolen"), ("/DCIM", path)):
            with fails(AfcError.PERM_DENIED):
                await afc.rename(source, target)
        with fails(AfcError.PERM_DENIED):
            await afc.link(path, "/stolen")
        assert await afc.listdir("/") == ["DCIM"]
    assert phone.system.files.exists("/var/mobile/Library/SMS/sms.db")


async def test_a_link_that_leads_out_is_not_followed(plug):
    phone = plug()
    phone.system.files.link(f"{MEDIA}/relative", "../Library/SMS")
    phone.system.files.link(f"{MEDIA}/absolute", "/var/mobile/Library/SMS")
    phone.system.files.link(f"{MEDIA}/inside", f"{MEDIA}/DCIM")
    async with started(phone, AfcService) as afc:
        for link in ("relative", "absolute"):
            with fails(AfcError.PERM_DENIED):
                await afc.fopen(f"/{link}/sms.db")
        assert await afc.listdir("/inside") == ["100APPLE"]
        with fails(AfcError.PERM_DENIED):
            await afc.link("/var/mobile/Library", "/more")
        with fails(AfcError.PERM_DENIED):
            await do(afc, REMOVE_PATH_AND_CONTENTS, b"/\0")


async def test_a_full_phone_takes_no_more(plug):
    phone = plug()
    files = phone.system.files
    files.taken += files.free - 100_000
    async with started(phone, AfcService) as afc:
        handle = await afc.fopen("/large", "w")
        await afc.fwrite(handle, bytes(90_000))
        with fails(AfcError.NO_SPACE_LEFT):
            await afc.fwrite(handle, bytes(10_001))
        assert (await afc.get_device_info())["FSFreeBytes"] == "10000"
        await afc.rm_single("/large")
        await afc.fwrite(handle, bytes(1000))
        assert (await afc.get_device_info())["FSFreeBytes"] == "9000"  # it is still open
        await afc.fclose(handle)
        assert (await afc.get_device_info())["FSFreeBytes"] == "100000"


async def test_a_file_that_is_left_open_is_let_go_of(plug):
    phone = plug()
    files, before = phone.system.files, phone.system.files.free
    async with started(phone, AfcService) as afc:
        handle = await afc.fopen("/large", "w")
        await afc.fwrite(handle, bytes(1000))
        await afc.rm_single("/large")
        assert files.free == before - 1000
    async with started(phone, AfcService) as afc, asyncio.timeout(10):
        while (await afc.get_device_info())["FSFreeBytes"] != str(before):
            pass


async def test_a_file_that_does_not_fit_into_memory_is_refused(plug):
    async with started(plug(), AfcService) as afc:
        handle = await afc.fopen("/large", "w")
        with fails(AfcError.UNKNOWN_ERROR):
            await do(afc, AfcOpcode.FILE_SET_SIZE, struct.pack("<QQ", handle, 1 << 36))
        await afc.fseek(handle, 1 << 36)
        with fails(AfcError.UNKNOWN_ERROR):
            await afc.fwrite(handle, b"?")


async def test_nothing_is_made_that_could_not_be_named(plug):
    async with started(plug(), AfcService) as afc:
        for path in ("/" + "a" * 256, "/a" * 510, "/a" * 5000):
            with fails(AfcError.UNKNOWN_ERROR):
                await do(afc, AfcOpcode.MAKE_DIR, path.encode() + b"\0")
            with fails(AfcError.UNKNOWN_ERROR):
                await do(afc, AfcOpcode.FILE_OPEN, struct.pack("<Q", 3) + path.encode() + b"\0")
        await afc.makedirs("/a" * 400)
        await afc.makedirs("/b" * 200)
        with fails(AfcError.UNKNOWN_ERROR):
            await afc.rename("/a", "/b" * 200 + "/a")
        await afc.rename("/b", "/a/b")
        await do(afc, REMOVE_PATH_AND_CONTENTS, b"/a\0")
        assert not await afc.exists("/a")


async def test_a_phone_has_only_so_many_files(plug, monkeypatch):
    files = plug().system.files
    monkeypatch.setattr("station.virtual.system.files.MAX_NODES", files._nodes + 2)
    monkeypatch.setattr("station.virtual.system.files.MAX_FILES", files._used + 10)
    async with started(plug(2), AfcService) as afc:
        await afc.set_file_contents("/one", bytes(10))
        await afc.set_file_contents("/two", b"")
        with fails(AfcError.NO_SPACE_LEFT):
            await afc.set_file_contents("/three", b"")
        with fails(AfcError.UNKNOWN_ERROR):
            await afc.set_file_contents("/two", b"?")
        await afc.rm_single("/one")
        await afc.set_file_contents("/three", b"?")


async def test_two_clients_cannot_hold_the_lock_of_a_sync(plug):
    phone = plug()
    async with started(phone, AfcService) as one, started(phone, AfcService) as other:
        first, second = [await client.fopen(SYNC_LOCK, "r+") for client in (one, other)]
        await one.lock(first, AFC_LOCK_EX)
        await one.lock(first, AFC_LOCK_EX)
        for kind in (AFC_LOCK_EX, AFC_LOCK_SH):
            with fails(AfcError.OP_WOULD_BLOCK):
                await other.lock(second, kind)
        await one.lock(first, AFC_LOCK_UN)
        await other.lock(second, AFC_LOCK_SH)
        await one.lock(first, AFC_LOCK_SH)
        with fails(AfcError.OP_WOULD_BLOCK):
            await one.lock(first, AFC_LOCK_EX)
        await other.fclose(second)
        await one.lock(first, AFC_LOCK_EX)


async def test_who_hangs_up_holds_no_lock(plug):
    phone = plug()
    async with started(phone, AfcService) as other:
        async with started(phone, AfcService) as one:
            await one.lock(await one.fopen(SYNC_LOCK, "r+"), AFC_LOCK_EX)
        handle = await other.fopen(SYNC_LOCK, "r+")
        async with asyncio.timeout(5):
            while phone.system.files.find(MEDIA + SYNC_LOCK).locks:
                await other.stat("/")
        await other.lock(handle, AFC_LOCK_EX)


async def test_nonsense_is_answered_or_hung_up_on(plug):
    phone = plug()
    async with started(phone, AfcService) as afc:
        for operation, data in [
            (AfcOpcode.FILE_OPEN, struct.pack("<Q", 9) + b"/x\0"),  # a mode that does not exist
            (AfcOpcode.FILE_OPEN, b"short"),
            (AfcOpcode.READ, struct.pack("<QQ", 77, 1)),
            (AfcOpcode.READ_DIR, b"a\0b\0"),
            (AfcOpcode.READ_DIR, b"\xff\0"),
            (AfcOpcode.READ_DIR, b"x" * 20_000),
            (AfcOpcode.MAKE_LINK, struct.pack("<Q", 3) + b"a\0b\0"),
        ]:
            with fails(AfcError.INVALID_ARG):
                await do(afc, operation, data)
        with fails(AfcError.UNKNOWN_PACKET_TYPE):
            await do(afc, 0x77, bytes(100_000))
        assert await afc.listdir("/") == ["DCIM"]
        await afc.service.sendall(bytes(40))
        async with asyncio.timeout(5):
            await afc.wait_terminated()


async def test_a_host_may_open_only_so_many(plug, monkeypatch):
    monkeypatch.setattr("station.virtual.services.afc.MAX_OPEN", 2)
    async with started(plug(), AfcService) as afc:
        handles = [await afc.fopen("/x", "r+") for _ in range(2)]
        with fails(AfcError.UNKNOWN_ERROR):
            await afc.fopen("/x")
        await afc.fclose(handles[0])
        await afc.fopen("/x")


async def test_faults_strike_at_operations(plug):
    phone = plug(1, Fault(at="afc:GET_DEVICE_INFO", kind=FaultKind.STATUS, status=23))
    phone.faults.add(Fault(at="afc:READ_DIR", kind=FaultKind.REFUSE))
    async with started(phone, AfcService) as afc:
        with fails(AfcError.INTERNAL_ERROR):
            await afc.get_device_info()
        with fails(AfcError.PERM_DENIED):
            await afc.listdir("/")
        assert await afc.listdir("/") == ["DCIM"]


async def test_a_locked_phone_shows_nothing(plug):
    phone = plug(passcode=True)
    async with trusted(phone) as client:
        phone.system.locked = True
        with pytest.raises(PasswordRequiredError):
            async with AfcService(client):
                pass
