"""The USB sockets of a guest, and the virtual phones in them, as the guest's own programs see them."""

import asyncio
import plistlib
import uuid

from pymobiledevice3.ca import generate_pairing_cert_chain

from station.model.phone import PhoneMode
from station.virtual.hosting.control import Installed, Plug
from station.virtual.hosting.host import VirtualHost
from station.virtual.phones.phone import PRODUCT_IDS, VirtualPhone
from tests.vm.guest import Guest

SECONDS = 120.0
"""For what takes a second or, with a key to be made for pairing, six on an idle machine."""
RESTART = 2.0
"""Seconds of a restart. No phone is back sooner; usbmuxd, which udev ends with the last phone, misses one that is."""
APPLE = "05ac"
RECORDS = "/var/lib/lockdown"
DROP_IN = "/run/systemd/system/usbmuxd.service.d/stay.conf"
STAYS = """\
[Unit]
StartLimitIntervalSec=0
[Service]
ExecStart=
ExecStart=/usr/sbin/usbmuxd --user usbmux --foreground
Restart=always
RestartSec=100ms
"""
_IDS = ("HostID", "SystemBUID")


class Sockets:
    """Plugs phones in and out, and looks with the guest's eyes."""

    def __init__(self, guest: Guest, host: VirtualHost) -> None:
        self._guest = guest
        self._host = host

    async def plug(
        self,
        model: str = "iPhone 12",
        version: str = "17.5",
        build: str = "21F79",
        *,
        mode: PhoneMode = PhoneMode.NORMAL,
    ) -> VirtualPhone:
        """Plug in a phone that somebody used, in this mode; the kernel has it then."""
        phone = self._plug(model, version, build, auto_boot=mode is PhoneMode.NORMAL)
        await self.enumerated(phone.mode)
        if phone.mode is not mode:
            phone.restart_into(mode)
            await self.enumerated(mode)
        return phone

    async def plug_trusting(self, model: str, version: str, build: str) -> VirtualPhone:
        """Plug in a phone, and have usbmuxd pair with it, for which it needs many seconds; it can be asked then."""
        phone = await self.plug(model, version, build)
        await self.listed(phone)
        return phone

    async def plug_known(self, model: str, version: str, build: str) -> VirtualPhone:
        """Plug in a phone that usbmuxd has paired with some other day; it can be asked by programs then."""
        phone = self._plug(model, version, build)
        await self._pair(phone)  # usbmuxd has to be started first; if that ever were sooner, it would pair by itself
        await self.listed(phone)
        return phone

    def _plug(self, model: str, version: str, build: str, *, auto_boot: bool = True) -> VirtualPhone:
        installed = Installed(version=version, build=build)
        phone = self._host.hands.plug(Plug(model=model, installed=installed, auto_boot=auto_boot))
        phone.pace.least_restart = RESTART
        return phone

    async def _pair(self, phone: VirtualPhone) -> None:
        assert phone.system is not None
        pairings = phone.system.pairings
        chain = await asyncio.to_thread(generate_pairing_cert_chain, await pairings.public_key())
        names = ("HostCertificate", "HostPrivateKey", "DeviceCertificate", "RootCertificate", "RootPrivateKey")
        record = dict(zip(names, chain, strict=True)) | {name: str(uuid.uuid4()).upper() for name in _IDS}
        host_id, host = await pairings.read(record)
        pairings.trust(host_id, host)
        record["EscrowBag"] = host.escrow_bag
        file = self._guest.out / f"{phone.identity.udid}.plist"
        file.write_bytes(plistlib.dumps(record))
        await self._guest.check("install", "-D", f"--target-directory={RECORDS}", "--mode=644", str(file))

    async def enumerated(self, mode: PhoneMode) -> dict[str, str]:
        """Wait until there is a phone in this mode; what udev knows of it."""
        product = f"{PRODUCT_IDS[mode]:04x}"
        find = ["udevadm", "trigger", "--dry-run", "--verbose", "--subsystem-match=usb"]
        find += [f"--attr-match=idVendor={APPLE}", f"--attr-match=idProduct={product}"]
        path = (await self.until(*find, says="/usb")).strip()
        await self._guest.check("udevadm", "settle")
        properties = await self._guest.check("udevadm", "info", "--query=property", path)
        return dict(line.split("=", 1) for line in properties.splitlines())

    async def listed(self, phone: VirtualPhone) -> None:
        """Wait until usbmuxd tells of a phone."""
        for mend in (True, False):
            try:
                await self.until("idevice_id", "--list", says=phone.identity.udid)
            except AssertionError as error:
                if not mend:
                    journal = await self._guest.run("sh", "-c", "systemctl status --no-pager --lines=40 usbmuxd")
                    error.add_note(journal.output)
                    raise
            else:
                return
            await self.mend_usbmuxd()

    async def until(self, *command: str, says: str) -> str:
        """Run a command again and again, until it says something; all that it said then."""
        output = ""
        try:
            async with asyncio.timeout(SECONDS):
                while says not in output:
                    output = (await self._guest.run(*command)).output
        except TimeoutError:
            raise AssertionError(f"{' '.join(command)} never said {says!r}, but: {output}") from None
        return output

    async def clear(self) -> None:
        """Pull every cable; the kernel has noticed then."""
        for phone in self._host.bus.phones:
            assert phone.socket is not None
            await self._host.bus.unplug(phone.socket)
        left = f"lsusb -d {APPLE}: || echo none"
        await self.until("sh", "-c", left, says="none")

    async def keep_usbmuxd(self) -> None:
        """Have usbmuxd stay without a phone, and come back when it crashes, until `end_usbmuxd`.

        As Debian has it, udev starts it for a phone, and it ends with the last one. While it is about to, it misses a
        phone that comes back from a restart, and nobody starts it for that one any more.
        """
        write = f'mkdir -p "$(dirname {DROP_IN})" && cat > {DROP_IN} <<end\n{STAYS}end'
        await self._guest.check("sh", "-c", f"{write}\nsystemctl daemon-reload")

    async def mend_usbmuxd(self) -> None:
        """Start usbmuxd anew: 1.1.1 hangs now and then when a phone leaves while it is being paired with."""
        await self._guest.run("sh", "-c", "systemctl kill --signal=KILL usbmuxd; systemctl restart usbmuxd")

    async def end_usbmuxd(self) -> None:
        """Have usbmuxd end, which udev starts again: it hangs when a phone leaves while it is being paired with."""
        end = f"test -e {DROP_IN} && rm {DROP_IN} && systemctl daemon-reload; systemctl kill --signal=KILL usbmuxd"
        end += "; systemctl stop usbmuxd; systemctl reset-failed usbmuxd"
        await self._guest.run("sh", "-c", end)  # says that it cannot be done when it has ended by itself
