"""Which model a chip and a board are: all that recovery and DFU mode tell of a phone besides its ECID."""

import re

_MODELS: dict[tuple[int, int], tuple[str, str]] = {
    # (CPID, BDID): (product type, name on the box). iPhones and iPads from A9 on, from the public device tables
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
    (0x8001, 0x08): ("iPad6,3", "iPad Pro 9.7-inch"),
    (0x8001, 0x0A): ("iPad6,4", "iPad Pro 9.7-inch"),
    (0x8001, 0x10): ("iPad6,7", "iPad Pro 12.9-inch (1st generation)"),
    (0x8001, 0x12): ("iPad6,8", "iPad Pro 12.9-inch (1st generation)"),
    (0x8000, 0x10): ("iPad6,11", "iPad (5th generation)"),
    (0x8003, 0x10): ("iPad6,11", "iPad (5th generation)"),
    (0x8000, 0x12): ("iPad6,12", "iPad (5th generation)"),
    (0x8003, 0x12): ("iPad6,12", "iPad (5th generation)"),
    (0x8011, 0x0C): ("iPad7,1", "iPad Pro 12.9-inch (2nd generation)"),
    (0x8011, 0x0E): ("iPad7,2", "iPad Pro 12.9-inch (2nd generation)"),
    (0x8011, 0x04): ("iPad7,3", "iPad Pro 10.5-inch"),
    (0x8011, 0x06): ("iPad7,4", "iPad Pro 10.5-inch"),
    (0x8010, 0x18): ("iPad7,5", "iPad (6th generation)"),
    (0x8010, 0x1A): ("iPad7,6", "iPad (6th generation)"),
    (0x8010, 0x1C): ("iPad7,11", "iPad (7th generation)"),
    (0x8010, 0x1E): ("iPad7,12", "iPad (7th generation)"),
    (0x8027, 0x0C): ("iPad8,1", "iPad Pro 11-inch (1st generation)"),
    (0x8027, 0x1C): ("iPad8,2", "iPad Pro 11-inch (1st generation)"),
    (0x8027, 0x0E): ("iPad8,3", "iPad Pro 11-inch (1st generation)"),
    (0x8027, 0x1E): ("iPad8,4", "iPad Pro 11-inch (1st generation)"),
    (0x8027, 0x08): ("iPad8,5", "iPad Pro 12.9-inch (3rd generation)"),
    (0x8027, 0x18): ("iPad8,6", "iPad Pro 12.9-inch (3rd generation)"),
    (0x8027, 0x0A): ("iPad8,7", "iPad Pro 12.9-inch (3rd generation)"),
    (0x8027, 0x1A): ("iPad8,8", "iPad Pro 12.9-inch (3rd generation)"),
    (0x8027, 0x3C): ("iPad8,9", "iPad Pro 11-inch (2nd generation)"),
    (0x8027, 0x3E): ("iPad8,10", "iPad Pro 11-inch (2nd generation)"),
    (0x8027, 0x38): ("iPad8,11", "iPad Pro 12.9-inch (4th generation)"),
    (0x8027, 0x3A): ("iPad8,12", "iPad Pro 12.9-inch (4th generation)"),
    (0x8020, 0x14): ("iPad11,1", "iPad mini (5th generation)"),
    (0x8020, 0x16): ("iPad11,2", "iPad mini (5th generation)"),
    (0x8020, 0x1C): ("iPad11,3", "iPad Air (3rd generation)"),
    (0x8020, 0x1E): ("iPad11,4", "iPad Air (3rd generation)"),
    (0x8020, 0x24): ("iPad11,6", "iPad (8th generation)"),
    (0x8020, 0x26): ("iPad11,7", "iPad (8th generation)"),
    (0x8030, 0x18): ("iPad12,1", "iPad (9th generation)"),
    (0x8030, 0x1A): ("iPad12,2", "iPad (9th generation)"),
    (0x8101, 0x04): ("iPad13,1", "iPad Air (4th generation)"),
    (0x8101, 0x06): ("iPad13,2", "iPad Air (4th generation)"),
    (0x8103, 0x08): ("iPad13,4", "iPad Pro 11-inch (3rd generation)"),
    (0x8103, 0x0A): ("iPad13,5", "iPad Pro 11-inch (3rd generation)"),
    (0x8103, 0x0C): ("iPad13,6", "iPad Pro 11-inch (3rd generation)"),
    (0x8103, 0x0E): ("iPad13,7", "iPad Pro 11-inch (3rd generation)"),
    (0x8103, 0x18): ("iPad13,8", "iPad Pro 12.9-inch (5th generation)"),
    (0x8103, 0x1A): ("iPad13,9", "iPad Pro 12.9-inch (5th generation)"),
    (0x8103, 0x1C): ("iPad13,10", "iPad Pro 12.9-inch (5th generation)"),
    (0x8103, 0x1E): ("iPad13,11", "iPad Pro 12.9-inch (5th generation)"),
    (0x8103, 0x10): ("iPad13,16", "iPad Air (5th generation)"),
    (0x8103, 0x12): ("iPad13,17", "iPad Air (5th generation)"),
    (0x8101, 0x14): ("iPad13,18", "iPad (10th generation)"),
    (0x8101, 0x16): ("iPad13,19", "iPad (10th generation)"),
    (0x8110, 0x04): ("iPad14,1", "iPad mini (6th generation)"),
    (0x8110, 0x06): ("iPad14,2", "iPad mini (6th generation)"),
    (0x8112, 0x08): ("iPad14,3", "iPad Pro 11-inch (4th generation)"),
    (0x8112, 0x0A): ("iPad14,4", "iPad Pro 11-inch (4th generation)"),
    (0x8112, 0x0C): ("iPad14,5", "iPad Pro 12.9-inch (6th generation)"),
    (0x8112, 0x0E): ("iPad14,6", "iPad Pro 12.9-inch (6th generation)"),
    (0x8112, 0x10): ("iPad14,8", "iPad Air 11-inch (M2)"),
    (0x8112, 0x12): ("iPad14,9", "iPad Air 11-inch (M2)"),
    (0x8112, 0x14): ("iPad14,10", "iPad Air 13-inch (M2)"),
    (0x8112, 0x16): ("iPad14,11", "iPad Air 13-inch (M2)"),
    (0x8122, 0x08): ("iPad15,3", "iPad Air 11-inch (M3)"),
    (0x8122, 0x0A): ("iPad15,4", "iPad Air 11-inch (M3)"),
    (0x8122, 0x0C): ("iPad15,5", "iPad Air 13-inch (M3)"),
    (0x8122, 0x0E): ("iPad15,6", "iPad Air 13-inch (M3)"),
    (0x8120, 0x10): ("iPad15,7", "iPad (A16)"),
    (0x8120, 0x12): ("iPad15,8", "iPad (A16)"),
    (0x8130, 0x08): ("iPad16,1", "iPad mini (A17 Pro)"),
    (0x8130, 0x0A): ("iPad16,2", "iPad mini (A17 Pro)"),
    (0x8132, 0x08): ("iPad16,3", "iPad Pro 11-inch (M4)"),
    (0x8132, 0x0A): ("iPad16,4", "iPad Pro 11-inch (M4)"),
    (0x8132, 0x0C): ("iPad16,5", "iPad Pro 13-inch (M4)"),
    (0x8132, 0x0E): ("iPad16,6", "iPad Pro 13-inch (M4)"),
    (0x8132, 0x10): ("iPad16,8", "iPad Air 11-inch (M4)"),
    (0x8132, 0x12): ("iPad16,9", "iPad Air 11-inch (M4)"),
    (0x8132, 0x14): ("iPad16,10", "iPad Air 13-inch (M4)"),
    (0x8132, 0x16): ("iPad16,11", "iPad Air 13-inch (M4)"),
    (0x8142, 0x08): ("iPad17,1", "iPad Pro 11-inch (M5)"),
    (0x8142, 0x0A): ("iPad17,2", "iPad Pro 11-inch (M5)"),
    (0x8142, 0x0C): ("iPad17,3", "iPad Pro 13-inch (M5)"),
    (0x8142, 0x0E): ("iPad17,4", "iPad Pro 13-inch (M5)"),
}

RESTORABLE = frozenset(product_type for product_type, _ in _MODELS.values())
"""Product types on which firmware can be installed here: the library knows their chips and boards.

It refuses others when the phone is already in recovery mode, which is too late; and models before A9 start their
restore system in ways that nobody has tried here.
"""

_CHIP = re.compile(r"(?:^|[ _])CPID:([0-9A-Fa-f]{1,8})(?:$|[ _])")
_BOARD = re.compile(r"(?:^|[ _])BDID:([0-9A-Fa-f]{1,8})(?:$|[ _])")


def model_of_serial(serial: str) -> tuple[str, str] | None:
    """Product type and name of the model that an iBoot USB serial string names; None when it is unknown."""
    chip, board = _CHIP.search(serial), _BOARD.search(serial)
    if chip is None or board is None:
        return None
    return _MODELS.get((int(chip[1], 16), int(board[1], 16)))


def model_name(product_type: str) -> str:
    """What is on the box of a model; the product type itself when it is unknown."""
    return next((name for known, name in _MODELS.values() if known == product_type), product_type)


def models_named(text: str) -> tuple[str, ...]:
    """The product types that somebody means by "iPhone13,2", "iphone 12" or "iPhone SE"; none when there are none."""
    wanted = " ".join(text.casefold().split())
    exact, family = set(), set()
    for product_type, name in _MODELS.values():
        said = name.casefold()
        if wanted in (product_type.casefold(), said):
            exact.add(product_type)
        elif said.startswith(f"{wanted} ("):
            family.add(product_type)
    return tuple(sorted(exact or family))
