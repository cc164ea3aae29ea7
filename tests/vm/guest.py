"""A virtual machine with a kernel of its own, in which the real udev, usbmuxd and libusb run: `Guest`.

Booted from what `tests/vm/build_image` makes; nothing it writes is kept. It has the project on a second disk
(`tests.vm.program`). What is shared with it (`shares`, `out`) has the same path on both sides. The host's 127.0.0.1 is
10.0.2.2 in the guest, and there is no way from it to any other address.

Processors are emulated (QEMU's TCG), since where tests run there is rarely an accelerator: everything takes about ten
times as long as on the host.
"""

import asyncio
import itertools
import json
import platform
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.vm.program import PROGRAM, ROOT

IMAGE = ROOT / ".vm"
PROGRAM_DISK = "/dev/vdb"
HOST = "10.0.2.2"
"""The host's 127.0.0.1, as seen from the guest."""

DISPLAY = (800, 480)
"""Pixels of its display, which nothing shows until somebody asks for a picture of it (`Guest.picture`)."""

BOOT_SECONDS = 300.0
"""It takes 18 s on two idle cores, and 75 s on two that are very busy."""
GRACE = 20.0
"""Seconds that the agent may need beyond a command's deadline, to end the command and to say so."""
MAX_LINE = 16 << 20
"""Bytes of an answer: 1 MiB of output, however much it grows as JSON."""
TAIL = 40
"""Lines of the console, and of what a program said, that an error shows: the last ones tell most."""


class GuestError(RuntimeError):
    """The machine did not boot, or has died, or its agent does not answer."""


class Outcome(NamedTuple):
    """What became of a command."""

    code: int | None
    """Exit status, negative for a signal; None if it was killed because it took too long."""
    output: str
    """stdout and stderr, as they were mixed; the first MiB of it."""


@dataclass(frozen=True)
class _Machine:
    qemu: str
    options: tuple[str, ...]
    console: str


_MACHINES = {
    # The newest processors that QEMU knows are emulated incompletely: llvmpipe crashes on "max".
    "x86_64": _Machine("qemu-system-x86_64", ("-machine", "q35,sata=off", "-cpu", "Nehalem"), "ttyS0"),
    "aarch64": _Machine("qemu-system-aarch64", ("-machine", "virt", "-cpu", "cortex-a72"), "ttyAMA0"),
}


class Guest:
    """A running guest. An async context manager: boots on entering, and is gone afterwards.

    Args:
        directory: where its sockets, its console and `out` are. Must be short (sockets: 107 bytes).
        program: the disk with the project.
        shares: directories of the host that the guest can read.
        disk: a copy of the image (`Disk`), which keeps what the guest has brought to it; None: nothing is kept.
        clock: what its clock shows when it is switched on, as QEMU takes it.
    """

    def __init__(
        self,
        directory: Path,
        *,
        program: Path,
        shares: Sequence[Path] = (),
        disk: Path | None = None,
        clock: str = "utc",
    ) -> None:
        self.out = directory / "out"
        """A folder that both sides can write to."""
        self.console = directory / "console"
        """What the guest's kernel and systemd say while it boots, then kernel messages."""
        self._directory = directory
        self._program = program
        self._shares = shares
        self._disk = f"{IMAGE}/root.img,snapshot=on" if disk is None else str(disk)
        self._clock = clock
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Outcome]] = {}
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writer: asyncio.StreamWriter | None = None
        self._qemu: asyncio.subprocess.Process | None = None
        self._stack = AsyncExitStack()

    async def run(self, *command: str, seconds: float = 30.0) -> Outcome:
        """Run a program in the guest, as root, to its end.

        Args:
            command: the program, sought in PATH, and its arguments; no shell comes in between.
            seconds: after which it is killed, with all of its process group.

        Raises:
            GuestError: there is no answer.
        """
        if self._writer is None:
            raise self.error("the guest is not running")
        number = next(self._ids)
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        try:
            self._writer.write(json.dumps({"id": number, "command": command, "timeout": seconds}).encode() + b"\n")
            async with asyncio.timeout(seconds + GRACE):
                await self._writer.drain()
                return await answer
        except (TimeoutError, OSError) as error:
            raise self.error(f"the guest does not answer to {command}; {await self._where()}") from error
        finally:
            del self._pending[number]

    async def check(self, *command: str, seconds: float = 30.0) -> str:
        """Run a program that must succeed; its output."""
        outcome = await self.run(*command, seconds=seconds)
        if outcome.code != 0:
            raise AssertionError(f"{' '.join(command)}: exit status {outcome.code}\n{end_of(outcome.output)}")
        return outcome.output

    async def monitor(self, command: str, **arguments: object) -> Any:
        """Have QEMU carry out a command of its machine protocol; what it returns."""
        async with asyncio.timeout(GRACE):
            reader, writer = await asyncio.open_unix_connection(self._directory / "monitor")
            try:
                for name, values in (("qmp_capabilities", {}), (command, arguments)):
                    writer.write(json.dumps({"execute": name, "arguments": values}).encode())
                    answer: dict[str, Any] = {}
                    while not answer.keys() & {"return", "error"}:  # the greeting and events come in between
                        answer = json.loads(await reader.readline())
            finally:
                writer.close()
        if "error" in answer:
            raise self.error(f"{command}: {answer['error']['desc']}")
        return answer["return"]

    async def picture(self) -> bytes:
        """What its display shows now: a file, in the format PPM."""
        file = self._directory / "display.ppm"
        await self.monitor("screendump", filename=str(file))
        return await asyncio.to_thread(file.read_bytes)

    async def forward(self, port: int) -> int:
        """Have a TCP port of 127.0.0.1 here lead to one of the guest's; which."""
        said = await self.monitor(
            "human-monitor-command", **{"command-line": f"hostfwd_add network tcp:127.0.0.1:0-:{port}"}
        )
        if said:
            raise self.error(said)
        table: str = await self.monitor("human-monitor-command", **{"command-line": "info usernet"})
        rows = [line.split() for line in table.splitlines() if "HOST_FORWARD" in line]
        return next(int(row[3]) for row in rows if row[5] == str(port))

    async def _where(self) -> str:
        """Where its processors are: /proc/kallsyms of the same kernel has names for the addresses."""
        try:
            said = await self.monitor("human-monitor-command", **{"command-line": "info registers -a"})
        except (OSError, TimeoutError, GuestError) as error:
            return f"nor does QEMU: {error}"
        return "; ".join(re.findall(r"CPU#\d+|[ER]IP=\w+|PC=\w+|HLT=\d", said))

    def waited(self) -> float:
        """Seconds that it could not go on since it was switched on, because others had this machine's processors."""
        if self._qemu is None:
            return 0.0
        threads = Path(f"/proc/{self._qemu.pid}/task").glob("*/schedstat")  # of Linux: ran for, waited for, how often
        return max((int(thread.read_text().split()[1]) for thread in threads), default=0) / 1e9

    def error(self, what: str) -> GuestError:
        """An error that shows what QEMU and the guest said last."""
        return GuestError("\n".join([what, *self.last_words()]))

    def last_words(self) -> list[str]:
        """What QEMU said, and the end of what the guest said on its console."""
        files = [self._directory / "qemu.log", self.console]
        return [
            line for file in files if file.exists() for line in file.read_text(errors="replace").splitlines()[-TAIL:]
        ]

    async def __aenter__(self) -> Self:
        """Boot."""
        for needed in ("root.img", "vmlinuz", "initrd", "key"):
            if not (IMAGE / needed).exists():
                raise GuestError("there is no image to boot: deploy/test --system builds it")
        self.out.mkdir()
        async with AsyncExitStack() as stack:
            # QEMU is the one that connects: then its end is ours to see, and nobody has to wait for a socket to appear.
            server = await asyncio.start_unix_server(self._serve, self._directory / "agent", limit=MAX_LINE)
            stack.callback(server.close)
            self._qemu = qemu = await self._start()
            stack.push_async_callback(_end, qemu)
            await self._booted(qemu)
            await self._mount()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Pull the plug: nothing the guest wrote is to be kept."""
        await self._stack.aclose()

    async def _start(self) -> asyncio.subprocess.Process:
        with (self._directory / "qemu.log").open("wb") as log:
            # The kernel ends it with us, even if we are killed.
            return await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "KILL", *self._command_line()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _command_line(self) -> list[str]:
        machine = _MACHINES[platform.machine()]
        line = [machine.qemu, "-accel", "tcg,thread=multi", *machine.options, "-smp", "2", "-m", "1G"]
        line += ["-nodefaults", "-display", "none", "-no-reboot"]
        line += ["-kernel", f"{IMAGE}/vmlinuz", "-initrd", f"{IMAGE}/initrd"]
        line += ["-append", f"console={machine.console} mitigations=off panic=-1 nokaslr norandmaps"]
        line += ["-drive", f"format=raw,if=none,id=disk,file={self._disk}", "-rtc", f"base={self._clock}"]
        line += ["-device", "virtio-blk-pci,drive=disk"]
        line += ["-drive", f"format=raw,if=none,id=program,readonly=on,file={self._program}"]
        line += ["-device", "virtio-blk-pci,drive=program"]
        line += ["-netdev", "user,id=network,ipv6=off", "-device", "virtio-net-pci,netdev=network,romfile="]
        line += ["-serial", f"file:{self.console}"]
        line += ["-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={self._directory}/agent"]
        line += ["-device", "virtserialport,chardev=agent,name=agent"]
        line += ["-qmp", f"unix:{self._directory}/monitor,server=on,wait=off"]
        line += ["-device", f"virtio-gpu-pci,xres={DISPLAY[0]},yres={DISPLAY[1]}"]
        for number, (path, readonly) in enumerate(self._mounts()):
            mode = "on" if readonly else "off"
            line += ["-fsdev", f"local,id=share{number},path={path},security_model=none,readonly={mode}"]
            line += ["-device", f"virtio-9p-pci,fsdev=share{number},mount_tag=share{number}"]
        return line

    def _mounts(self) -> list[tuple[Path, bool]]:
        """Each shared directory, and whether the guest can only read it."""
        return [*((path, True) for path in self._shares), (self.out, False)]

    async def _booted(self, qemu: asyncio.subprocess.Process) -> None:
        died = asyncio.ensure_future(qemu.wait())
        either: set[asyncio.Future[Any]] = {died, self._ready}
        try:
            await asyncio.wait(either, timeout=BOOT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            died.cancel()
        if not self._ready.done():
            raise self.error("QEMU ended" if died.done() else f"not booted within {BOOT_SECONDS:.0f} s")

    async def _mount(self) -> None:
        await self.check(
            "sh",
            "-c",
            f'mkdir --parents "$0"; mountpoint --quiet "$0" || mount --read-only {PROGRAM_DISK} "$0"',
            str(PROGRAM),
        )
        for number, (path, readonly) in enumerate(self._mounts()):
            # Nobody changes what is read while tests run: the guest need not ask again and again.
            use = "ro,cache=loose" if readonly else "rw,cache=none"
            options = f"trans=virtio,version=9p2000.L,msize=512000,{use}"
            await self.check("mkdir", "--parents", str(path))
            mount = f'mountpoint --quiet "$0" || mount --types 9p --options {options} share{number} "$0"'
            await self.check("sh", "-c", mount, str(path))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take what the agent says until QEMU hangs up."""
        self._writer = writer
        try:
            while line := await reader.readline():
                self._take(json.loads(line))
        finally:
            self._writer = None
            writer.close()
            self._fail("QEMU ended")

    def _take(self, message: dict[str, Any]) -> None:
        if "ready" not in message:
            answer = self._pending.get(message["id"])
            if answer is not None and not answer.done():  # None: it came too late
                answer.set_result(Outcome(message["code"], message["output"]))
        elif self._ready.done():
            self._fail("the guest's agent had to be started again")
        else:
            self._ready.set_result(None)

    def _fail(self, why: str) -> None:
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(self.error(why))


def end_of(said: str) -> str:
    """The last lines of what a program said."""
    lines = said.splitlines()
    left_out = [f"[{len(lines) - TAIL} lines before these]"] if len(lines) > TAIL else []
    return "\n".join([*left_out, *lines[-TAIL:]])


async def _end(qemu: asyncio.subprocess.Process) -> None:
    if qemu.returncode is None:
        qemu.kill()
    await qemu.wait()
