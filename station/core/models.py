"""Which model a chip and a board are: all that recovery and DFU mode tell of a phone besides its ECID."""

import re

_MODELS: dict[tuple[int, int], tuple[str, str]] = {
    # (CPID, BDID): (product type, name on the box). iPhones from A9 on, from the public device tables
    # (libirecovery's, theapplewiki.com); a test holds them against the library's.
    (0x8000, 0x04): ("iPhone8,1", "iPhone 6s"),
    (0x8003, 0x04): ("iPhone8,1", "iPhone 6s"),
    (0x8000, 0x06): ("iPhone8,2", "iPhone 6s Plus"),
    (0x8003, 0x06): ("iPhone8,2", "iPhone 6s Plus"),
    (0x8003, 0x02): ("iPhone8,4", "iPhone SE (1st generation)"),
    (0x8000, 0x02): ("iPhone8,4", "iPhone SE (1st generation)"),
    (0x8010, 0x08): ("iPhone9,1", "iPhone 7"),
    (0x8010, 0x0A): ("iPhone9,2", "iPhone 7 Plus"),
    (0x8010, 0x0C): ("iPhone9,3", "iPhone 7"),
    (0x8010, 0x0E): ("iPhone9,4", "iPhone 7 Plus"),
    (0x8015, 0x02): ("iPhone10,1", "iPhone 8"),
    (0x8015, 0x04): ("iPhone10,2", "iPhone 8 Plus"),
    (0x8015, 0x06): ("iPhone10,3", "iPhone X"),
    (0x8015, 0x0A): ("iPhone10,4", "iPhone 8"),
    (0x8015, 0x0C): ("iPhone10,5", "iPhone 8 Plus"),
    (0x8015, 0x0E): ("iPhone10,6", "iPhone X"),
    (0x8020, 0x0E): ("iPhone11,2", "iPhone XS"),
    (0x8020, 0x0A): ("iPhone11,4", "iPhone XS Max"),
    (0x8020, 0x1A): ("iPhone11,6", "iPhone XS Max"),
    (0x8020, 0x0C): ("iPhone11,8", "iPhone XR"),
    (0x8030, 0x04): ("iPhone12,1", "iPhone 11"),
    (0x8030, 0x06): ("iPhone12,3", "iPhone 11 Pro"),
    (0x8030, 0x02): ("iPhone12,5", "iPhone 11 Pro Max"),
    (0x8030, 0x10): ("iPhone12,8", "iPhone SE (2nd generation)"),
    (0x8101, 0x0A): ("iPhone13,1", "iPhone 12 mini"),
    (0x8101, 0x0C): ("iPhone13,2", "iPhone 12"),
    (0x8101, 0x0E): ("iPhone13,3", "iPhone 12 Pro"),
    (0x8101, 0x08): ("iPhone13,4", "iPhone 12 Pro Max"),
    (0x8110, 0x0C): ("iPhone14,2", "iPhone 13 Pro"),
    (0x8110, 0x0E): ("iPhone14,3", "iPhone 13 Pro Max"),
    (0x8110, 0x08): ("iPhone14,4", "iPhone 13 mini"),
    (0x8110, 0x0A): ("iPhone14,5", "iPhone 13"),
    (0x8110, 0x10): ("iPhone14,6", "iPhone SE (3rd generation)"),
    (0x8110, 0x18): ("iPhone14,7", "iPhone 14"),
    (0x8110, 0x1A): ("iPhone14,8", "iPhone 14 Plus"),
    (0x8120, 0x0C): ("iPhone15,2", "iPhone 14 Pro"),
    (0x8120, 0x0E): ("iPhone15,3", "iPhone 14 Pro Max"),
    (0x8120, 0x08): ("iPhone15,4", "iPhone 15"),
    (0x8120, 0x0A): ("iPhone15,5", "iPhone 15 Plus"),
    (0x8130, 0x04): ("iPhone16,1", "iPhone 15 Pro"),
    (0x8130, 0x06): ("iPhone16,2", "iPhone 15 Pro Max"),
    (0x8140, 0x0C): ("iPhone17,1", "iPhone 16 Pro"),
    (0x8140, 0x0E): ("iPhone17,2", "iPhone 16 Pro Max"),
    (0x8140, 0x08): ("iPhone17,3", "iPhone 16"),
    (0x8140, 0x0A): ("iPhone17,4", "iPhone 16 Plus"),
    (0x8140, 0x04): ("iPhone17,5", "iPhone 16e"),
    (0x8150, 0x0C): ("iPhone18,1", "iPhone 17 Pro"),
    (0x8150, 0x0E): ("iPhone18,2", "iPhone 17 Pro Max"),
    (0x8150, 0x08): ("iPhone18,3", "iPhone 17"),
    (0x8150, 0x0A): ("iPhone18,4", "iPhone Air"),
    (0x8150, 0x16): ("iPhone18,5", "iPhone 17e"),
}

_CHIP = re.compile(r"(?:^|[ _])CPID:([0-9A-Fa-f]{1,8})(?:$|[ _])")
_BOARD = re.compile(r"(?:^|[ _])BDID:([0-9A-Fa-f]{1,8})(?:$|[ _])")


def model_of_serial(serial: str) -> tuple[str, str] | None:
    """Product type and name of the model that an iBoot USB serial string names; None when it is unknown."""
    chip, board = _CHIP.search(serial), _BOARD.search(serial)
    if chip is None or board is None:
        return None
    return _MODELS.get((int(chip[1], 16), int(board[1], 16)))
