"""What only operators need: their choices and PIN, what they look through, logs on a stick, the machine's switch."""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import ifaddr
import msgspec
import structlog
from msgspec.structs import replace

from station.adapters import chain, clock, pin_hash
from station.adapters.choices import ChoicesFile
from station.adapters.listing import all_below, entries_of
from station.adapters.order_report import report_of
from station.adapters.orders import OrderShelf
from station.adapters.records import chain_files
from station.adapters.signing import key_type
from station.adapters.upkeep import Notes
from station.core.actions import CheckPin, KeepChoices, MakePin, SwitchMachine
from station.core.events import ChoicesFound, ChoicesKept, Event, OperatorTold, Papers, PinChecked, PinMade
from station.core.operator import SWITCHED
from station.core.situation import Health
from station.daemon.chosen import ChosenFirmware
from station.errors import Refused, StationError, StorageError
from station.model.operator import RECORDS_SHOWN, FirmwareLine, MachineView, Power, RecordLine
from station.model.order import OrderNote, OrderReport
from station.model.record import SealedRecord
from station.model.upkeep import TROUBLE

MAX_FIRMWARE = 24
"""Images that are shown, the newest."""
MAX_ADDRESSES = 6
LOG_SECONDS = 120.0
"""How long writing the logs may take: a stick that was pulled may never answer."""
END_SECONDS = 3.0

BOOT_PROBLEM = "first-boot-problem"
"""In the runtime directory: what is wrong with station.toml on the boot partition, in words."""

log = structlog.get_logger(__name__)


class Office:
    """Owns the file of choices. What blocks says so."""

    def __init__(
        self,
        state: Path,
        *,
        software: str,
        firmware: ChosenFirmware,
        health: Callable[[], Health],
        sticks: Callable[[], Mapping[str, Path]],
        switch: Callable[[Power], None],
        environment: Mapping[str, str],
        problem: Path = Path("/nonexistent"),
    ) -> None:
        """Look at nothing yet.

        Args:
            state: the station's state directory.
            software: this program's version and the library's.
            firmware: the store.
            health: looks at the machine.
            sticks: the USB sticks that there are, by what they are called. Blocks.
            switch: shuts the machine down or restarts it. Blocks; raises Refused.
            environment: in which `station logs` sees the same station.
            problem: has words if what is set on the boot partition could not be taken (`station configure`).
        """
        self._state = state
        self._software = software
        self._firmware = firmware
        self._health = health
        self._sticks = sticks
        self._switch = switch
        self._environment = dict(environment)
        self._problem = problem
        self._choices = ChoicesFile(state)
        self._orders = OrderShelf(state)
        self._notes = Notes(state)
        self._sizes: dict[str, int] = {}
        self._reported: tuple[OrderNote, OrderReport] | None = None

    async def found(self) -> ChoicesFound:
        """What was chosen before."""
        found = await asyncio.to_thread(self._choices.read)
        if found.wrong:
            log.error("choices cannot be read", wrong=found.wrong)
        trouble = " ".join(filter(None, (found.trouble, await asyncio.to_thread(self._of_boot))))
        return ChoicesFound(choices=found.choices, trouble=trouble)

    async def do(self, action: MakePin | CheckPin | KeepChoices | SwitchMachine) -> list[Event]:
        """Do it; what became of it. Raises Refused."""
        match action:
            case MakePin():
                return [PinMade(pin=await asyncio.to_thread(pin_hash.make, action.pin), opens=action.opens)]
            case CheckPin():
                right = await asyncio.to_thread(pin_hash.is_right, action.pin, action.against)
                log.info("the operator's pages were opened" if right else "a wrong PIN was entered")
                return [PinChecked(right=right)]
            case KeepChoices():
                return await self._keep(action)
            case SwitchMachine():
                log.warning("the machine is switched", how=action.how.value)
                await asyncio.to_thread(self._switch, action.how)
                return [OperatorTold(says=SWITCHED[action.how])]

    def look(self) -> Papers:
        """What an operator looks through. Blocks for as long as the disk takes."""
        count, records = self._records()
        return Papers(
            firmware=self._firmware_lines(),
            records=records,
            record_count=count,
            machine=self._machine(),
            report=self._report(),
        )

    async def write_logs(self, stick: str) -> OperatorTold:
        """Write the logs to a stick; in a process of its own, because nothing but killing it ends a stuck write."""
        directory = (await asyncio.to_thread(self._sticks)).get(stick)
        if directory is None:
            return OperatorTold(says="That stick is not there any more. Plug it in again.", wrote=True)
        try:
            says = await self._written(directory)
        except OSError as error:
            says = f"The logs could not be written: {error.strerror}."
        log.info("logs to a stick", says=says)
        return OperatorTold(says=says, wrote=True)

    def _of_boot(self) -> str:
        try:
            words = self._problem.read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return ""
        return f"station.toml on the boot partition was not taken. {words}"

    async def _keep(self, action: KeepChoices) -> list[Event]:
        try:
            await asyncio.to_thread(self._choices.write, action.choices)
        except StorageError as error:
            log.critical("choices not written", error=str(error))
            if action.must:
                raise Refused("That could not be kept.", remedy=error.remedy) from error
            return [OperatorTold(says=f"That holds only until the station starts again. {error.remedy}")]
        return [ChoicesKept(choices=action.choices, opens=action.opens)] if action.must else []

    async def _written(self, directory: Path) -> str:
        """What `station logs` says, in a line."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "station", "logs", "--to", str(directory)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | self._environment,
        )
        try:
            async with asyncio.timeout(LOG_SECONDS):
                _, errors = await process.communicate()
        except TimeoutError:
            return "The stick does not answer. Take another one."
        finally:
            if process.returncode is None:
                process.kill()
                with suppress(TimeoutError):  # stuck in the kernel: it ends when it can
                    async with asyncio.timeout(END_SECONDS):
                        await process.wait()
        if process.returncode == 0:
            return "The logs are on the stick. You can unplug it."
        said = errors.decode(errors="replace").strip().splitlines()
        return said[-1][:300] if said else "The logs could not be written."

    def _firmware_lines(self) -> tuple[FirmwareLine, ...]:
        try:
            images = self._firmware.every()[-MAX_FIRMWARE:]
        except (StationError, OSError):
            return ()
        self._sizes = {each.directory: self._sizes.get(each.directory) or _size(each.directory) for each in images}
        return tuple(
            FirmwareLine(
                version=each.version,
                build=each.build,
                size=self._sizes[each.directory],
                models=len(each.product_types),
                name=Path(each.directory).parent.name,
                pinned=self._firmware.pinned(each),
            )
            for each in reversed(images)
        )

    def _records(self) -> tuple[int, tuple[RecordLine, ...]]:
        """How many there are, and the newest, from their files: the database is the record store's."""
        count = 0
        lines: list[RecordLine] = []
        for emulated in (False, True):
            files = chain_files(self._state, key_type(emulated=emulated))
            there = (path for path in entries_of(files.records, missing_ok=True) if path.suffix == ".json")
            last = max((int(path.stem) for path in there if path.stem.isdecimal()), default=0)
            count += last
            for number in range(last, max(0, last - RECORDS_SHOWN), -1):
                with suppress(StationError, ValueError):  # `station records verify` tells of it
                    lines.append(_record(files, number))
        lines.sort(key=lambda line: line.ended, reverse=True)
        return count, tuple(lines[:RECORDS_SHOWN])

    def _machine(self) -> MachineView:
        health = self._health()
        return MachineView(
            software=self._software,
            addresses=_addresses(),
            clock=clock.utc_now(),
            clock_trusted=health.clock_trusted,
            disk_free=health.free,
            temperature=None if health.temperature is None else float(health.temperature),
            under_voltage=health.under_voltage,
            upkeep=tuple(TROUBLE[chore] for chore in self._notes.bad()),
            sticks=tuple(self._sticks()),
        )

    def _report(self) -> OrderReport | None:
        note = self._orders.newest()
        if note is None:
            return None
        if self._reported is None or self._reported[0] != note:
            report = report_of(note, self._orders.records(note))
            needy_first = sorted(report.phones, key=lambda line: line.certified)
            cut = replace(report, phones=tuple(needy_first[:RECORDS_SHOWN]), passed=report.passed[-RECORDS_SHOWN:])
            self._reported = note, cut
        return self._reported[1]


def _record(files: chain.ChainFiles, number: int) -> RecordLine:
    record = chain.record_of(msgspec.json.decode(chain.read_file(files.record(number)), type=SealedRecord))
    seen = record.before or record.observed.facts
    return RecordLine(
        number=number,
        ended=record.ended,
        bay=record.bay,
        ecid=record.ecid,
        model_name="" if seen is None else seen.model_name,
        service=record.service,
        outcome=record.outcome,
        title=record.title,
        certificate=files.pdf(number).exists(),
    )


def _size(directory: str) -> int:
    with suppress(OSError):
        return sum(path.stat().st_size for path in all_below(Path(directory)) if path.is_file())  # links to contents
    return 0


def _addresses() -> tuple[str, ...]:
    """Where this machine is reached over a network, IPv4 first."""
    with suppress(OSError):
        found = [address for adapter in ifaddr.get_adapters() for address in adapter.ips]
        four = [str(address.ip) for address in found if address.is_IPv4]
        six = [str(address.ip[0]) for address in found if not address.is_IPv4]
        there = (each for each in (*four, *six) if not each.startswith(("127.", "169.254.", "::1", "fe80:")))
        return tuple(dict.fromkeys(there))[:MAX_ADDRESSES]
    return ()
