"""What the delivered units must not do, tried inside each one's sandbox; and that what they must do works there.

In place of each unit's program runs another one (probe.py), with everything else that the unit says. That nothing fails
for another reason is seen by root's trying the same outside of any unit.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
import pytest_asyncio

from tests.gateways import reach
from tests.vm.guest import HOST, Guest
from tests.vm.kiosk import (
    AWAY,
    CPUINFO,
    DAEMONS_USER,
    LISTENING,
    RUNTIME,
    STATE,
    UNITS,
    WORKERS_USER,
    install_units,
    prepare,
    write,
)
from tests.vm.program import PROGRAM, PYTHON

pytestmark = [pytest.mark.vm, pytest.mark.long, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

PROBE = PROGRAM / "tests/vm/probe.py"
WORKERS, REAPER, GATEWAY, FETCHER = (
    Path(f"/run/restore-station-{name}.sock") for name in ("worker", "reaper", "gateway", "fetcher")
)
KEYS, JOBS = STATE / "keys", STATE / "jobs"
DONE, NO, NONE = "done", ("EPERM", "EACCES", "EROFS"), ("ENOENT",)
HANGS = 90.0
"""Seconds for what takes ten on a busy machine."""
MADE = f"""
set -e
made() {{ mode=$1; shift; install -d -m $mode -o {DAEMONS_USER} -g {DAEMONS_USER} "$@"; }}
made 700 {STATE} {KEYS} {RUNTIME}/secrets
made 710 {JOBS}
made 750 {RUNTIME} {STATE}/firmware {STATE}/vault {JOBS}/one
made 770 {JOBS}/one/work {STATE}/vault/one {RUNTIME}/secrets/given
touch {KEYS}/one {CPUINFO} {JOBS}/one/spec.json {JOBS}/one/revoked
chown {DAEMONS_USER} {KEYS}/one {JOBS}/one/*
"""
"""What a daemon makes."""
END = """
import os, pathlib, sys
from station.adapters.workers import UnitStarter
UnitStarter(pathlib.Path("/nobody"), pathlib.Path(sys.argv[1]))._have_ended(os.pidfd_open(int(sys.argv[2])))
"""
Tried = tuple[object, ...]


class Outside(NamedTuple):
    """Somebody who is not Apple, on the host; what he hears he says back."""

    port: int


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def outside() -> AsyncIterator[Outside]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(100):
            writer.write(said)
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        yield Outside(server.sockets[0].getsockname()[1])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def units(guest: Guest) -> AsyncIterator[Guest]:
    """The units, and what a daemon has made. The screen, and what is done for it, is not needed here."""
    try:
        await prepare(guest)
        await install_units(guest)
        await guest.check("sh", "-c", MADE)
        yield guest
    finally:
        await guest.run("sh", "-c", AWAY, seconds=HANGS)


async def probe(guest: Guest, unit: str, *attempts: Tried, start: str = "") -> list[str]:
    """Try something as a unit's program would; what came of each."""
    words = json.dumps(json.dumps(attempts)).replace("%", "%%")
    how = "Type=oneshot\nRestart=no\nStandardOutput=journal"
    more = f"[Service]\n{how}\nExecStart=\nExecStart=/usr/bin/python3 {PROBE} {words}\n"
    place = UNITS / f"{unit}.d/probe.conf"
    await write(guest, place, more.replace("$", "$$"))
    cursor = (await guest.check("sh", "-c", "journalctl --lines=1 --show-cursor | tail -n 1")).removeprefix(
        "-- cursor: "
    )
    begin = start or f"systemctl start --no-block {unit}"
    await guest.check("sh", "-c", f"systemctl daemon-reload; {begin}", seconds=HANGS)
    names = unit.replace("@.", "@*.")
    listen = f"journalctl --unit='{names}' --after-cursor='{cursor.strip()}' --output=cat"
    try:
        async with asyncio.timeout(HANGS):
            while not (said := [line for line in await _lines(guest, listen) if line.startswith("PROBED ")]):
                await guest.check("sleep", "0.5")
    except TimeoutError:
        told = f"{listen.replace('=cat', '=short')}; systemctl status --no-pager '{names}'"
        raise AssertionError((await guest.run("sh", "-c", told)).output) from None
    finally:
        await guest.run(
            "sh", "-c", f"systemctl kill '{names}'; rm {place}; systemctl daemon-reload; systemctl reset-failed"
        )
    found: list[str] = json.loads(said[-1].removeprefix("PROBED "))
    return found


async def _lines(guest: Guest, command: str) -> list[str]:
    return (await guest.check("sh", "-c", command)).splitlines()


def ask(path: Path) -> str:
    """Have systemd start one, as the daemon does."""
    return f"runuser -u {DAEMONS_USER} -- socat -u OPEN:/dev/null UNIX-CONNECT:{path}"


def refused(attempts: dict[Tried, tuple[str, ...]], found: list[str]) -> dict[Tried, str]:
    """What did not fail as it should."""
    return {tried: came for (tried, may), came in zip(attempts.items(), found, strict=True) if came not in may}


def forbidden() -> dict[Tried, tuple[str, ...]]:
    """What no unit of the station may do, and how it fails."""
    return {
        ("mount",): NO,
        ("unshare",): NO,
        ("load_module",): NO,
        ("trace", 1): (*NO, "ESRCH"),
        ("end", 1): (*NO, "ESRCH"),
        ("memory_of", 1): (*NO, *NONE),
        ("change_code",): NO,
        ("raw_packet",): (*NO, "EAFNOSUPPORT"),
        ("become", 0): (*NO, "EINVAL"),
        ("write", "/sys/kernel/mm/ksm/run"): NO,
        ("write", "/proc/sys/kernel/panic"): (*NO, *NONE),
        ("create", "/etc/systemd/system/mine.service"): NO,
        ("create", "/usr/local/bin/mine"): NO,
        ("read", "/dev/vda"): (*NO, *NONE),
        ("read", "/dev/mem"): (*NO, *NONE),
        ("read", "/etc/shadow"): NO,
        ("read", "/root"): (*NO, *NONE),
    }


async def test_root_may_do_all_that_is_tried(units: Guest, outside: Outside):
    """Otherwise what fails in a unit would say nothing of the unit."""
    tries: list[Tried] = [("mount",), ("unshare",), ("change_code",), ("raw_packet",), ("read", "/dev/vda")]
    tries += [("connect", HOST, outside.port), ("read", str(KEYS / "one")), ("read", "/etc/shadow"), ("read", "/root")]
    said = await units.check("unshare", "--mount", "/usr/bin/python3", str(PROBE), json.dumps(tries))
    assert json.loads(said.removeprefix("PROBED ")) == [DONE] * len(tries)


async def test_a_worker_has_its_job_a_phone_and_the_gateway(units: Guest, outside: Outside):
    listed = reach(asset_hosts=(f"{HOST}:{outside.port}",))
    await write(units, Path("/run/reach.json"), msgspec.json.encode(listed).decode())
    drop_in = UNITS / "station-gateway.service.d/z-reach.conf"
    program = (await units.check("sh", "-c", f"grep ExecStart=/ {UNITS}/station-gateway.service.d/guest.conf")).strip()
    await write(units, drop_in, f"[Service]\nExecStart=\n{program} --reach /run/reach.json\n")
    await units.check("sh", "-c", f"systemctl daemon-reload; systemctl start {' '.join(LISTENING)}")
    cannot: dict[Tried, tuple[str, ...]] = forbidden() | {
        ("connect", HOST, outside.port): (*NO, "EAFNOSUPPORT"),
        ("connect", "127.0.0.1", outside.port): (*NO, "EAFNOSUPPORT"),
        ("read", str(KEYS)): (*NO, *NONE),
        ("read", str(KEYS / "one")): (*NO, *NONE),
        ("read", str(STATE / "proof")): (*NO, *NONE),
        ("read", str(JOBS)): NO,
        ("create", str(JOBS / "mine")): NO,
        ("create", str(JOBS / "one/result.json")): NO,
        ("write", str(JOBS / "one/spec.json")): NO,
        ("remove", str(JOBS / "one/revoked")): NO,
        ("remove", str(JOBS / "one/work")): NO,
        ("create", str(STATE / "vault/mine")): NO,
        ("end", await somebody(units, DAEMONS_USER)): (*NO, "ESRCH"),
        ("create", str(STATE / "firmware/mine")): NO,
        ("speak", str(WORKERS)): (*NO, "ECONNREFUSED"),
        ("speak", str(REAPER)): (*NO, "ECONNREFUSED"),
        ("speak", "/run/dbus/system_bus_socket"): (*NO, *NONE),
        ("speak", str(RUNTIME / "station.sock")): (*NO, *NONE),
        ("read", "/dev/gpiochip0"): (*NO, *NONE),
        ("read", "/dev/input/event0"): (*NO, *NONE),
        ("tunnel", str(GATEWAY), HOST, 22): ("HTTP/1.1 403 Forbidden",),
        ("tunnel", str(GATEWAY), "gs.apple.com", 443): ("HTTP/1.1 403 Forbidden",),
    }
    can: dict[Tried, tuple[str, ...]] = {
        ("read", str(JOBS / "one")): (DONE,),
        ("read", str(JOBS / "one/spec.json")): (DONE,),
        ("create", str(JOBS / "one/work/mine")): (DONE,),
        ("create", str(STATE / "vault/one/mine")): (DONE,),
        ("create", str(RUNTIME / "secrets/given/mine")): (DONE,),
        ("read", str(STATE / "firmware")): (DONE,),
        ("read", "/dev/bus/usb"): (DONE,),
        ("speak", "/run/usbmuxd"): (DONE,),
        ("tunnel", str(GATEWAY), HOST, outside.port): ("hello",),
    }
    found = await probe(units, "station-worker@.service", *cannot, *can, start=ask(WORKERS))
    assert refused(cannot | can, found) == {}
    await units.check("sh", "-c", f"rm {drop_in}; systemctl stop station-gateway; systemctl daemon-reload")


async def somebody(guest: Guest, user: str) -> int:
    """A process of this user's."""
    unit = f"somebody-{user}"
    sleeps = ("systemd-run", "--quiet", "--collect", f"--unit={unit}", f"--uid={user}", "sleep", "1000")
    await guest.run("systemctl", "stop", unit)
    await guest.check(*sleeps)
    return int(await guest.check("systemctl", "show", "--property=MainPID", "--value", unit))


async def test_the_daemon_has_workers_ended_and_nobody_else(units: Guest):
    await units.check("systemctl", "start", *LISTENING)
    end = ("runuser", "-u", DAEMONS_USER, "--", "env", f"PYTHONPATH={PROGRAM}", str(PYTHON), "-c", END, str(REAPER))
    for user, ends in ((DAEMONS_USER, False), (WORKERS_USER, True)):
        process = await somebody(units, user)
        await units.check(*end, str(process), seconds=HANGS)
        over = f"while systemctl is-active 'station-reaper@*' somebody-{WORKERS_USER}; do sleep 0.2; done"
        await units.check("sh", "-c", over, seconds=HANGS)
        assert (await units.run("kill", "-0", str(process))).code == int(ends)
    said = await units.check("journalctl", "--unit=station-reaper@*", "--no-pager", "--output=cat")
    assert "no process of restore-station-worker" in said


async def test_what_ends_workers_can_do_nothing_else(units: Guest, outside: Outside):
    await units.check("systemctl", "start", *LISTENING)
    cannot: dict[Tried, tuple[str, ...]] = forbidden() | {
        ("connect", HOST, outside.port): (*NO, "EAFNOSUPPORT", "ENETUNREACH"),
        ("read", str(STATE)): (*NO, *NONE),
        ("read", str(RUNTIME)): (*NO, *NONE),
        ("read", "/dev/bus/usb"): (*NO, *NONE),
        ("speak", "/run/dbus/system_bus_socket"): (*NO, *NONE),
        ("speak", "/run/usbmuxd"): (*NO, *NONE),
        ("speak", str(WORKERS)): (*NO, "ECONNREFUSED"),
    }
    del cannot["end", 1]  # of the kernel's it may end others; whose, it looks itself (the test before)
    can: dict[Tried, tuple[str, ...]] = {("end", await somebody(units, WORKERS_USER)): (DONE,)}
    found = await probe(units, "station-reaper@.service", *cannot, *can, start=ask(REAPER))
    assert refused(cannot | can, found) == {}


async def test_nobody_else_gets_a_worker_its_end_or_a_way_out(units: Guest):
    await units.check("systemctl", "start", *LISTENING)
    for path in (WORKERS, REAPER, GATEWAY, FETCHER):
        said = await units.run("runuser", "-u", "nobody", "--", "socat", "-u", "OPEN:/dev/null", f"UNIX-CONNECT:{path}")
        assert said.code != 0
        assert "Permission denied" in said.output


async def test_the_gateway_has_the_network_and_nothing_else(units: Guest, outside: Outside):
    cannot: dict[Tried, tuple[str, ...]] = forbidden() | {
        ("read", str(STATE)): (*NO, *NONE),
        ("read", str(RUNTIME)): (*NO, *NONE),
        ("read", "/dev/bus/usb"): (*NO, *NONE),
        ("speak", str(WORKERS)): (*NO, *NONE),
        ("speak", "/run/dbus/system_bus_socket"): (*NO, *NONE),
        ("speak", "/run/usbmuxd"): (*NO, *NONE),
        ("create", "/var/lib/mine"): NO,
    }
    can: dict[Tried, tuple[str, ...]] = {("connect", HOST, outside.port): (DONE,)}
    found = await probe(units, "station-gateway.service", *cannot, *can)
    assert refused(cannot | can, found) == {}


async def test_the_daemon_has_neither_phones_nor_a_network(units: Guest, outside: Outside):
    cannot: dict[Tried, tuple[str, ...]] = forbidden() | {
        ("connect", HOST, outside.port): (*NO, "EAFNOSUPPORT"),
        ("read", "/dev/bus/usb/001/001"): (*NO, *NONE),
        ("read", "/dev/input/event0"): (*NO, *NONE),
    }
    can: dict[Tried, tuple[str, ...]] = {
        ("create", str(KEYS / "mine")): (DONE,),
        ("create", str(RUNTIME / "mine")): (DONE,),
        ("speak", str(WORKERS)): (DONE,),
        ("speak", str(REAPER)): (DONE,),
        ("speak", str(GATEWAY)): NO,
        ("speak", str(FETCHER)): (DONE,),
        ("speak", "/run/usbmuxd"): (DONE,),
    }
    found = await probe(units, "station.service", *cannot, *can)
    assert refused(cannot | can, found) == {}


async def test_what_fetches_has_the_network_and_the_store(units: Guest, outside: Outside):
    await units.check("systemctl", "start", *LISTENING)
    cannot: dict[Tried, tuple[str, ...]] = forbidden() | {
        ("read", str(KEYS)): (*NO, *NONE),
        ("read", str(JOBS)): (*NO, *NONE),
        ("read", str(STATE / "vault")): (*NO, *NONE),
        ("read", str(RUNTIME / "secrets")): (*NO, *NONE),
        ("read", "/dev/bus/usb"): (*NO, *NONE),
        ("speak", "/run/usbmuxd"): (*NO, *NONE),
        ("speak", str(WORKERS)): (*NO, "ECONNREFUSED"),
        ("speak", str(GATEWAY)): (*NO, "ECONNREFUSED"),
        ("speak", "/run/dbus/system_bus_socket"): (*NO, *NONE),
    }
    can: dict[Tried, tuple[str, ...]] = {
        ("connect", HOST, outside.port): (DONE,),
        ("create", str(STATE / "firmware/mine")): (DONE,),
    }
    found = await probe(units, "station-fetcher@.service", *cannot, *can, start=ask(FETCHER))
    assert refused(cannot | can, found) == {}


async def test_the_screen_has_no_network_and_sees_nothing_of_the_daemons(units: Guest, outside: Outside):
    cannot: dict[Tried, tuple[str, ...]] = forbidden() | {
        ("connect", HOST, outside.port): (*NO, "EAFNOSUPPORT", "ENETUNREACH"),
        ("read", str(STATE)): (*NO, *NONE),
        ("speak", str(WORKERS)): NO,
        ("speak", str(GATEWAY)): NO,
        ("speak", "/run/usbmuxd"): (*NO, *NONE),
        ("read", "/dev/bus/usb/001/001"): (*NO, *NONE),
    }
    del cannot["change_code",]  # what draws the picture makes code
    start = "systemctl start --no-block --job-mode=ignore-dependencies station-screen"
    found = await probe(units, "station-screen.service", *cannot, start=start)
    assert refused(cannot, found) == {}
