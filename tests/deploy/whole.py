"""A whole disk, booted by its own boot loader. All it is told is what its owner could write on its first partition.

For tests the kernel is told to keep a shell on a second line, by the words in grub/words.cfg.

With a QEMU before 8.1 one boot of many may hang when the first worker starts (tests/vm/image/init says why); on a real
machine there is no such fault.
"""

import asyncio
import itertools
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

BOOT = "@@2M"
"""Where the first partition for files begins in an image, as mtools has it."""
WORDS = "console=tty0 console={0.console} systemd.debug_shell={0.shell} systemd.show_status=yes mitigations=off"
BOOT_SECONDS = 400.0
"""It takes 40 s on two idle cores, and a multiple of that on two that are very busy."""
TAIL = 40


@dataclass(frozen=True)
class Kind:
    """A kind of machine."""

    qemu: tuple[str, ...]
    efi: Path
    console: str
    """The kernel's name for the line that it talks on."""
    shell: str
    """The one that the shell is on, and how QEMU has it."""
    line: tuple[str, ...]


PC = Kind(
    qemu=("qemu-system-x86_64", "-machine", "q35", "-cpu", "Nehalem"),
    efi=Path("/usr/share/OVMF/OVMF_CODE.fd"),
    console="ttyS0",
    shell="ttyS1",
    line=("-serial", "chardev:shell"),
)
ARM = Kind(
    qemu=("qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a72"),
    efi=Path("/usr/share/AAVMF/AAVMF_CODE.fd"),
    console="ttyAMA0",
    shell="ttyS0",  # known from the kernel's start on: by the time that a module is there, the shell has been given up
    line=("-device", "pci-serial,chardev=shell"),
)


class DiskError(RuntimeError):
    """It does not boot, or does not answer."""


class Disk:
    """A disk and the machine that it is in. What is written on it stays written."""

    def __init__(
        self, image: Path, directory: Path, *, kind: Kind = PC, efi: bool = False, more: Sequence[Path] = ()
    ) -> None:
        """A machine with this disk.

        Args:
            image: the disk; it is changed.
            directory: where its console and its socket are; short (sockets: 107 bytes).
            kind: which machine.
            efi: start it by EFI, not by a BIOS.
            more: further disks, as /dev/vdb and so on.
        """
        self.image = image
        self._directory = directory
        self._kind = kind
        self._efi = efi
        self._more = more
        self._starts = itertools.count(1)
        self._numbers = itertools.count(1)
        self._stack = AsyncExitStack()
        self._qemu: asyncio.subprocess.Process | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.console = directory / "console"

    def write(self, name: str, text: str) -> None:
        """Write a file on the first partition, as its owner does on any computer."""
        source = self._directory / "file"
        source.write_bytes(text.encode())
        subprocess.run(["mcopy", "-o", "-i", f"{self.image}{BOOT}", source, f"::{name}"], check=True)

    def read(self, name: str) -> str | None:
        """A file on the first partition; None: there is none."""
        command = ["mtype", "-i", f"{self.image}{BOOT}", f"::{name}"]
        done = subprocess.run(command, capture_output=True, check=False)
        return done.stdout.decode() if done.returncode == 0 else None

    def keep_a_shell(self) -> None:
        """Have what it starts keep a shell on the second line."""
        words = self.read("grub/words.cfg")
        assert words is not None
        self.write("grub/words.cfg", re.sub(r'quiet loglevel=3 (.*)"', rf'\1 {WORDS.format(self._kind)}"', words))

    async def start(self) -> None:
        """Switch the machine on."""
        listening = asyncio.get_running_loop().create_future()
        path = self._directory / f"shell{next(self._starts)}"

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._reader, self._writer = reader, writer
            listening.set_result(None)

        server = await asyncio.start_unix_server(connected, path, limit=16 << 20)
        self._stack.callback(server.close)
        log = self._stack.enter_context((self._directory / "qemu.log").open("ab"))
        line = [*self._kind.qemu, "-accel", "tcg,thread=multi", "-smp", "2", "-m", "1G", "-nodefaults"]
        line += ["-display", "none"]
        line += ["-drive", f"file={self.image},format=raw,if=virtio,cache=writeback"]
        for more in self._more:
            line += ["-drive", f"file={more},format=raw,if=virtio,readonly=on"]
        line += ["-netdev", "user,id=network,restrict=on", "-device", "virtio-net-pci,netdev=network,romfile="]
        line += ["-device", "virtio-gpu-pci,xres=800,yres=480"]
        line += ["-chardev", f"file,id=console,path={self.console},append=on", "-serial", "chardev:console"]
        line += ["-chardev", f"socket,id=shell,path={path}", *self._kind.line]
        if self._efi:
            line += ["-drive", f"if=pflash,format=raw,readonly=on,file={self._kind.efi}"]
        self._qemu = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "KILL", *line), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
        async with asyncio.timeout(60):
            await listening

    async def shell(self, *, seconds: float = BOOT_SECONDS) -> float:
        """Wait until the shell answers; after how many seconds it did."""
        begin = time.monotonic()
        assert self._reader is not None
        try:
            async with asyncio.timeout(seconds):
                await self._reader.readuntil(b"#")  # its prompt: before that, what is typed is lost
                await self._ask("bind 'set enable-bracketed-paste off'; stty -echo; PS1=; true", seconds)
        except (TimeoutError, asyncio.IncompleteReadError) as error:
            raise self.error("no shell answers") from error
        return time.monotonic() - begin

    async def run(self, command: str, *, seconds: float = 120.0) -> tuple[int, str]:
        """Run a line of shell as root; its exit status and what it says."""
        try:
            return await self._ask(command, seconds)
        except (TimeoutError, asyncio.IncompleteReadError) as error:
            raise self.error(f"no answer to {command}") from error

    async def check(self, command: str, *, seconds: float = 120.0) -> str:
        """Run a line of shell that must succeed; what it says."""
        code, said = await self.run(command, seconds=seconds)
        if code:
            raise self.error(f"{command}: exit status {code}\n{said}")
        return said

    async def _ask(self, command: str, seconds: float) -> tuple[int, str]:
        assert self._reader is not None
        assert self._writer is not None
        number = next(self._numbers)
        # The mark is put together by the shell, so that what is typed is not taken for it.
        self._writer.write(f"{command}\nprintf '\\n<%s-%s:%s>\\n' done {number} $?\n".encode())
        async with asyncio.timeout(seconds):
            await self._writer.drain()
            said = b""
            while (found := re.search(rb"\n<done-%d:(\d+)>\r?\n" % number, said)) is None:
                line = await self._reader.readuntil(b"\n")
                said += line
        return int(found[1]), said[: found.start()].decode(errors="replace").replace("\r\n", "\n").strip()

    async def off(self) -> None:
        """Pull the plug."""
        if self._qemu is not None and self._qemu.returncode is None:
            self._qemu.kill()
            await self._qemu.wait()
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    def error(self, what: str) -> DiskError:
        """An error that shows what was on its console last."""
        files = (self._directory / "qemu.log", self.console)
        said = [
            line for file in files if file.exists() for line in file.read_text(errors="replace").splitlines()[-TAIL:]
        ]
        return DiskError("\n".join([what, *said]))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.off()
        await self._stack.aclose()


def copy(image: Path, to: Path, *, size: int) -> Path:
    """A disk of `size` bytes that the image was written to."""
    subprocess.run(["cp", "--sparse=always", image, to], check=True)
    with to.open("r+b") as disk:
        disk.truncate(size)
    return to


MTOOLS = shutil.which("mcopy") is not None
