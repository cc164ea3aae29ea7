"""What a phone's chip decides of how it shows itself: boot ROM, USB serial string, nonce, form of the UDID.

Sources: USB serial strings of real phones that their owners made public. Seen so: DFU mode of A9 to A16, recovery mode
of A9, A11 and A16. Of A17 Pro and later none was to be had: they follow the A16, with a ROM version that is made up.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Soc:
    """One application processor."""

    name: str
    """Apple's name for it."""
    revision: int = 0x11
    """`CPRV`."""
    rom: str
    """The version of its boot ROM's iBoot: `SRTG` in DFU mode."""
    security_domain: bool = True
    """Whether its ROM says `SDOM`; every iBoot since iOS 15 does."""
    secure_key: bool = False
    """Whether it says `SIKA`."""
    flags: tuple[int, int] = (0x3C, 0x3D)
    """`IBFL` in DFU and in recovery mode."""
    nonce_size: int = 32
    """Bytes of the nonce that a ticket is for."""
    dashed: bool = True
    """Whether the UDID is chip and ECID with a dash; before the A12 it is a SHA-1."""


SOCS = {
    0x8000: Soc(
        name="A9",
        revision=0x20,
        rom="2234.0.0.3.3",
        security_domain=False,
        flags=(0x1C, 0x1C),
        nonce_size=20,
        dashed=False,
    ),
    0x8003: Soc(
        name="A9",
        revision=0x01,
        rom="2234.0.0.2.22",
        security_domain=False,
        flags=(0x1C, 0x1C),
        nonce_size=20,
        dashed=False,
    ),
    0x8010: Soc(name="A10", rom="2696.0.0.1.33", security_domain=False, dashed=False),
    0x8015: Soc(name="A11", rom="3332.0.0.1.23", security_domain=False, dashed=False),
    0x8020: Soc(name="A12", rom="3865.0.0.4.7", security_domain=False),
    0x8030: Soc(name="A13", rom="4479.0.0.100.4", security_domain=False),
    0x8101: Soc(name="A14", rom="5281.0.0.100.45"),
    0x8110: Soc(name="A15", rom="6338.0.0.200.19"),
    0x8120: Soc(name="A16", rom="7195.0.0.300.25", secure_key=True),
    0x8130: Soc(name="A17 Pro", rom="8104.0.0.201.4", secure_key=True),
    0x8132: Soc(name="M4", rom="9265.0.0.200.1", secure_key=True),
    0x8140: Soc(name="A18", rom="9265.0.0.200.1", secure_key=True),
    0x8150: Soc(name="A19", rom="10151.0.0.200.1", secure_key=True),
    0x8160: Soc(name="A20", rom="11881.0.0.200.1", secure_key=True),
}
"""By ChipID."""


def usb_serial(*, chip_id: int, board_id: int, ecid: int, serial_number: str, dfu: bool) -> str:
    """The USB serial string in DFU or recovery mode."""
    soc = SOCS[chip_id]
    fields = {
        "SDOM": "01" if soc.security_domain or not dfu else "",
        "CPID": f"{chip_id:04X}",
        "CPRV": f"{soc.revision:02X}",
        "CPFM": "03",
        "SCEP": "01",
        "BDID": f"{board_id:02X}",
        "ECID": f"{ecid:016X}",
        "IBFL": f"{soc.flags[0 if dfu else 1]:02X}",
        "SIKA": "00" if soc.secure_key else "",
        "SRTG": f"[iBoot-{soc.rom}]" if dfu else "",
        "SRNM": "" if dfu else f"[{serial_number}]",
    }
    return " ".join(f"{name}:{value}" for name, value in fields.items() if value)
