"""The updaters of other chips: each has its firmware signed for itself, and checks what it is given."""

from station.virtual.phones.chips import chips_of
from station.virtual.phones.identity import Identity
from station.virtual.restore.installation import Installation
from station.virtual.restore.updaters.base import Updater
from station.virtual.restore.updaters.cryptex import Cryptex1
from station.virtual.restore.updaters.euicc import Vinyl
from station.virtual.restore.updaters.face_id import face_id
from station.virtual.restore.updaters.secure_element import secure_element
from station.virtual.restore.updaters.veridian import veridian
from station.virtual.restore.updaters.wireless import HostMadeRose, TableOfImages

DEVICE_GENERATED_SINCE = 18
"""The iOS from which on updaters make their requests up themselves."""


def make_updater(name: str, installation: Installation, identity: Identity) -> Updater | None:
    """The updater of that name; None: the phone has no such chip, or its system asks for no ticket by itself.

    Which of its two ways to ask it takes follows from the system that is being installed, as far as it is known.
    """
    chips = chips_of(identity.product_type)
    version = str((installation.identity or {}).get("ProductMarketingVersion", "0")).partition(".")[0]
    modern = version.isdecimal() and int(version) >= DEVICE_GENERATED_SINCE
    updater: Updater | None = None
    match name:
        case "Cryptex1":
            updater = Cryptex1(installation, identity)
        case "Rose" if chips.rose:
            updater = TableOfImages(installation, identity, "Rap") if modern else HostMadeRose(installation, identity)
        case "Centauri" if chips.centauri and modern:
            updater = TableOfImages(installation, identity, "Wireless1")
        case "SE" if chips.secure_element is not None:
            updater = secure_element(installation, identity, chips)
        case "Savage" if chips.face_id is not None:
            updater = face_id(installation, identity, chips, modern=modern)
        case "T200" if chips.veridian:
            updater = veridian(installation, identity, modern=modern)
        case "Vinyl" if chips.euicc is not None and modern:
            updater = Vinyl(installation, identity, chips)
        case _:
            pass
    return updater
