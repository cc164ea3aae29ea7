"""com.apple.preboardservice_v2, spoken to by the library's client, and on with what idevicerestore then reads."""

import pytest
from pymobiledevice3.exceptions import PasswordRequiredError
from pymobiledevice3.services.preboard import PreboardService

from station.virtual.services.preboard import COMMITTED, STASHED
from tests.virtual_services.helpers import started, trusted


async def test_nothing_to_stash_without_a_passcode(plug):
    async with started(plug(), PreboardService) as preboard:
        assert await preboard.create_stashbag(b"manifest") == {"Skip": True}
        assert (await preboard.commit(b"ticket"))["ErrorString"] == "no stash bag"


async def test_the_passcode_is_typed_and_the_bag_committed(plug):
    phone = plug(passcode=True)
    async with started(phone, PreboardService) as preboard:
        assert await preboard.create_stashbag(b"manifest") == {"ShowDialog": True}
        assert await preboard.service.recv_plist() == {"HideDialog": True}
        assert phone.system.files.exists(STASHED)
        assert await preboard.commit(b"ticket") == {"StashbagCommitComplete": True}
    assert phone.system.files.exists(COMMITTED)
    assert not phone.system.files.exists(STASHED)


@pytest.mark.parametrize(
    ("types", "answer"),
    [(None, {"Timeout": True}), (False, {"Error": 1, "ErrorString": "the passcode was not entered"})],
)
async def test_nobody_types_it(plug, types, answer):
    phone = plug(passcode=True, types_passcode=types)
    async with started(phone, PreboardService) as preboard:
        assert await preboard.create_stashbag(b"manifest") == {"ShowDialog": True}
        assert await preboard.service.recv_plist() == answer
        assert await preboard.service.recv_plist() == {"HideDialog": True}
    assert not phone.system.files.exists(STASHED)


async def test_nonsense_is_an_error(plug):
    async with started(plug(passcode=True), PreboardService) as preboard:
        assert "Error" in await preboard.create_stashbag(b"")
        assert "Error" in await preboard.service.send_recv_plist({"Command": "Dance"})


async def test_a_locked_phone_must_be_unlocked_first(plug):
    phone = plug(passcode=True)
    async with trusted(phone) as client:
        phone.system.locked = True
        with pytest.raises(PasswordRequiredError):
            async with PreboardService(client):
                pass
