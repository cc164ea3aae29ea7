"""iBoot's variables: what `getenv` and `setenv` see, and what of it survives in NVRAM."""

from station.virtual.phones.phone import VirtualPhone

MAX_VARIABLES = 128


class Environment:
    """The variables of one run of iBoot."""

    def __init__(self, phone: VirtualPhone) -> None:
        """Start with what the phone's NVRAM holds."""
        self._phone = phone
        self._persistent = dict(phone.nvram)
        self._volatile: dict[str, str] = {}
        # As an iPhone of the 2020s lists them; values that depend on the model are left plausible.
        self._own = {
            "build-version": "iBoot-10151.140.19",
            "build-style": "RELEASE",
            "config_board": phone.identity.hardware_model.lower().removesuffix("ap"),
            "board-rev": "0xf",
            "image-version": "0x4",
            "secure-boot": "0x1",
            "bootdelay": "0",
            "backlight-level": "1505",
            "boot-command": "fsboot",
            "boot-partition": "0",
            "boot-device": "nvme_nand0",
            "loadaddr": "0x801000000",
            "ramdisk-size": "0x20000000",
            "idle-off": "true",
            "display-color-space": "ARGB8101010",
            "dt-path": "/usr/standalone/firmware/devicetree.img4",
            "fm-activation-locked": "",
            "restore-outcome": "",
        }

    def get(self, name: str) -> str | None:
        """The value of a variable; None: it is not set."""
        for variables in (self._volatile, self._persistent, self._own):
            if name in variables:
                return variables[name]
        return None

    def set(self, name: str, value: str, *, persistent: bool) -> None:
        """Set a variable; `persistent` ones are what `save` writes. Raises ValueError: there are too many."""
        if len(self._persistent) + len(self._volatile) >= MAX_VARIABLES:
            raise ValueError("too many variables")
        self._volatile.pop(name, None)
        (self._persistent if persistent else self._volatile)[name] = value

    def clear(self) -> None:
        """Forget everything that was ever set."""
        self._volatile.clear()
        self._persistent = {"auto-boot": "true"}

    def save(self) -> None:
        """Write to NVRAM."""
        self._phone.nvram = dict(self._persistent)
