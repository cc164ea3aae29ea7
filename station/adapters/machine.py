"""The machine that a station is: its name in the network, its time zone, its Wi-Fi, who may log in.

What is set is also kept (`keep`), because a system that starts as new each time, or that an update has brought,
does not know it any more: `restore` sets it again.

Wi-Fi is NetworkManager's: a keyfile (nm-settings-keyfile(5)), which it reads when it starts. Logins are OpenSSH's, as
an image has it: its server runs where there are keys (authorized_keys(5)), which are on the data partition.
"""

import json
import re
import socket
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from station.adapters import durable
from station.errors import ConfigError, StorageError

CONNECTION = "restore-station"
"""NetworkManager's name of the network that was set here."""
LONGEST_NAME = 63
_SPACE = uuid.UUID("6f5b6f2e-6d0c-4d52-8f6a-1d1f4c3b9a10")


class Wifi(Struct, frozen=True, kw_only=True):
    """A network to join."""

    ssid: str
    password: str | None = None
    """None: as it was; empty: it needs none."""
    hidden: bool = False
    country: str = ""
    """Two letters (ISO 3166-1): which channels are allowed there."""


def host_name(name: str) -> str:
    """What a station of this name is called in the network, as deploy/install has it; empty: nothing is left of it."""
    return (
        re.sub(r"[^a-z0-9]+", "-", name.lower().encode("ascii", "replace").decode())
        .strip("-")[:LONGEST_NAME]
        .rstrip("-")
    )


class Machine:
    """The machine. Every call blocks, and needs root where `root` is /."""

    def __init__(self, root: Path = Path("/"), *, keep: Path) -> None:
        """The machine whose files are below `root`; `keep` is a file that outlives its system."""
        self._root = root
        self._keep = keep
        self._networks = root / "etc/NetworkManager/system-connections"

    def call(self, name: str) -> None:
        """Give it this name. Raises StorageError."""
        if name:
            self._remember("name", name)
            self._name(name)

    def set_timezone(self, name: str) -> None:
        """Have its clock show the time of this zone, as in `Europe/Berlin`. Raises StorageError."""
        self._remember("timezone", name)
        self._zone(name)

    def knows(self, wifi: Wifi) -> bool:
        """Whether it was told this network's password before."""
        file = self._file
        return file.is_file() and f"ssid={_bytes(wifi.ssid)}\n" in file.read_text()

    def require_networks(self) -> None:
        """Raise ConfigError where there is nobody who could join a network."""
        if not self._networks.parent.is_dir():
            raise ConfigError(
                "“wifi” cannot be set: this system has no NetworkManager.",
                remedy="Set the network up as this system does it, and take “wifi” out of the file.",
            )

    def join(self, wifi: Wifi) -> None:
        """Have it join this network (see `require_networks`). Raises StorageError."""
        if wifi.password is not None:
            self._networks.mkdir(mode=0o700, exist_ok=True)
            durable.write(self._file, _keyfile(wifi).encode(), mode=0o600)
        if wifi.country:
            self._remember("country", wifi.country)
            self._country(wifi.country)
        self._let_it_send()

    @property
    def has_logins_of_ours(self) -> bool:
        """Whether who may log in is for us to say: on a system that deploy/image made."""
        return self._path("etc/ssh/sshd_config.d/restore-station.conf").is_file()

    def let_log_in(self, keys: Iterable[str]) -> None:
        """Let whoever has one of these keys log in over the network, as root, and nobody else. Raises StorageError."""
        lines = [f"{key}\n" for key in keys]
        file = self._path("etc/restore-station/authorized_keys")
        if lines:
            file.parent.mkdir(parents=True, exist_ok=True)
            durable.write(file, "".join(lines).encode())
        else:
            file.unlink(missing_ok=True)

    def restore(self) -> None:
        """Set again what this system does not know any more. Raises StorageError."""
        kept = self._kept()
        if (name := kept.get("name")) and name != self._read("etc/hostname"):
            self._name(name)
        if (zone := kept.get("timezone")) and zone != self._read("etc/timezone"):
            self._zone(zone)
        if (country := kept.get("country")) and not self._path("etc/modprobe.d/restore-station.conf").exists():
            self._country(country)

    @property
    def _file(self) -> Path:
        return self._networks / f"{CONNECTION}.nmconnection"

    def _name(self, name: str) -> None:
        old = self._read("etc/hostname")
        self._write("etc/hostname", f"{name}\n")
        hosts = self._path("etc/hosts")
        if old and hosts.is_file():
            lines = [
                re.sub(rf"(?<![\w.-]){re.escape(old)}(?![\w.-])", name, line) if line.startswith("127.0.1.1") else line
                for line in hosts.read_text().splitlines()
            ]
            self._write("etc/hosts", "\n".join(lines) + "\n")
        if self._root == Path("/"):
            with suppress(OSError):  # without the right to, the name holds from the next start on
                socket.sethostname(name)

    def _zone(self, name: str) -> None:
        link, part = self._path("etc/localtime"), self._path("etc/localtime.new")
        try:
            part.unlink(missing_ok=True)
            part.symlink_to(f"/usr/share/zoneinfo/{name}")
            part.replace(link)
        except OSError as error:
            raise StorageError(f"The time zone could not be set: {error.strerror}.") from error
        self._write("etc/timezone", f"{name}\n")

    def _country(self, country: str) -> None:
        self._path("etc/modprobe.d").mkdir(parents=True, exist_ok=True)
        self._write("etc/modprobe.d/restore-station.conf", f"options cfg80211 ieee80211_regdom={country}\n")
        with suppress(OSError):  # not loaded yet: it will read the file
            self._path("sys/module/cfg80211/parameters/ieee80211_regdom").write_text(country)

    def _let_it_send(self) -> None:
        """Raspberry Pi OS keeps the radio off until a country was set."""
        for switch in self._path("sys/class/rfkill").glob("*"):
            with suppress(OSError):
                if (switch / "type").read_text().strip() == "wlan":
                    (switch / "soft").write_text("0")

    def _remember(self, what: str, value: str) -> None:
        self._keep.parent.mkdir(parents=True, exist_ok=True)
        durable.write(self._keep, json.dumps({**self._kept(), what: value}, indent=2).encode() + b"\n")

    def _kept(self) -> Mapping[str, str]:
        try:
            found = json.loads(self._keep.read_bytes())
        except (OSError, ValueError):
            return {}
        return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}

    def _path(self, name: str) -> Path:
        return self._root / name

    def _read(self, name: str) -> str:
        try:
            return self._path(name).read_text().strip()
        except OSError:
            return ""

    def _write(self, name: str, text: str) -> None:
        durable.write(self._path(name), text.encode())


def _bytes(ssid: str) -> str:
    """A name as NetworkManager takes it whatever letters it has."""
    return "".join(f"{byte};" for byte in ssid.encode())


def _keyfile(wifi: Wifi) -> str:
    lines = [
        "[connection]",
        f"id={CONNECTION}",
        f"uuid={uuid.uuid5(_SPACE, wifi.ssid)}",
        "type=wifi",
        "[wifi]",
        "mode=infrastructure",
        f"ssid={_bytes(wifi.ssid)}",
    ]
    if wifi.hidden:
        lines.append("hidden=true")
    if wifi.password:
        psk = wifi.password.replace("\\", "\\\\").replace(" ", "\\s")
        lines += ["[wifi-security]", "key-mgmt=wpa-psk", f"psk={psk}"]
    lines += ["[ipv4]", "method=auto", "[ipv6]", "method=auto"]
    return "\n".join(lines) + "\n"
