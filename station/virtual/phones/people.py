"""Who has the phone in hand, and what they did with it: named states that a phone can be plugged in with.

A state says what is different from a phone that is set up, unlocked, and trusts whoever asks. Several go together
as long as no two say different things of the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from station.virtual.phones.phone import VirtualPhone
from station.virtual.system.files import FileSystem

KNOWN_PASSWORD = "correct horse battery staple"  # noqa: S105 - everybody may know it, which is the point
"""What backups are encrypted with where the owner tells."""
_FORGOTTEN_PASSWORD = "what was it again, 1987 or 1978"  # noqa: S105 - of an owner that was made up


@dataclass(frozen=True)
class Person:
    """One named state."""

    name: str
    description: str
    system: Mapping[str, Any] = field(default_factory=dict)
    """What is different in `System`."""
    phone: Mapping[str, Any] = field(default_factory=dict)
    """What is different in `VirtualPhone`."""
    free: int | None = None
    """Bytes that are left of the storage; None: nobody filled it."""
    data: bool = True
    """False: nothing of an owner's is on it."""


PEOPLE = (
    Person("passcode", "has a passcode, and unlocked it", {"passcode": True}),
    Person(
        "locked", "has a passcode, and has not typed it since it was plugged in", {"passcode": True, "locked": True}
    ),
    Person("untrusted", "was never asked to trust this host, and will", {"trusted": True, "denied": False}),
    Person(
        "paired",
        "answered the dialog for one host before, and is not there to answer it for another",
        {"acquainted": True, "trusted": False, "denied": False},
    ),
    Person("trust-pending", "leaves “Trust This Computer?” unanswered", {"trusted": False, "denied": False}),
    Person("trust-refused", "taps “Don’t Trust”", {"trusted": False, "denied": True}),
    Person("trust-lost", "taps “Trust”, and the phone forgets it at once", {"forgetful": True}),
    Person("find-my-on", "has Find My on", {"find_my": True}),
    Person("find-my-off", "has Find My off", {"find_my": False}),
    Person("find-my-silent", "has a phone that does not tell whether Find My is on", {"find_my": None}),
    Person("supervised", "is supervised by an organisation", {"supervised": True}),
    Person("managed", "is enrolled in device management (MDM) by it", {"supervised": True, "managed": True}),
    Person("pairing-forbidden", "may not pair: supervised", {"supervised": True, "pairing_allowed": False}),
    Person(
        "not-activated",
        "has not set it up since it was erased",
        {"activation_state": "Unactivated", "set_up": False, "name": "iPhone", "find_my": False},
        data=False,
    ),
    Person(
        "activation-locked",
        "bought it erased, and Apple still holds it for somebody else",
        {"activation_state": "Unactivated", "set_up": False, "name": "iPhone", "find_my": False},
        {"activation_lock": True},
        data=False,
    ),
    Person("developer", "has developer mode on", {"developer_mode": True}),
    Person("backup-password-known", "encrypts backups, and tells with what", {"backup_password": KNOWN_PASSWORD}),
    Person("backup-password-forgotten", "encrypts backups, nobody knows", {"backup_password": _FORGOTTEN_PASSWORD}),
    Person("storage-full", "has no storage left", free=3_000_000),
    Person("frozen", "has one that hangs: only its buttons restart it", phone={"frozen": True}),
    Person("battery-low", "has an almost empty battery", phone={"battery": 2}),
    Person("battery-charging", "has a battery that is half full and charges", phone={"battery": 50, "charging": True}),
    Person("battery-worn", "has a battery that takes no charge any more", phone={"battery": 19, "charging": False}),
)


def find_person(name: str) -> Person:
    """The state with this name. Raises KeyError with the names there are."""
    for person in PEOPLE:
        if person.name == name:
            return person
    raise KeyError(f"no state {name!r}; there are {', '.join(person.name for person in PEOPLE)}")


def hand_over(phone: VirtualPhone, names: Iterable[str]) -> None:
    """Put a phone that is not plugged in yet into all these states.

    Raises:
        KeyError: there is no such state.
        ValueError: two of them exclude each other, or need something installed where nothing is.
    """
    people = [find_person(name) for name in names]
    system_changes = _together(people, "system")
    phone_changes = _together(people, "phone")
    system = phone.system
    if system is None and any(person.system or person.free is not None or not person.data for person in people):
        raise ValueError(f"nothing is installed that could be {', '.join(person.name for person in people)}")
    for name, value in phone_changes.items():
        setattr(phone, name, value)
    if system is None:
        return
    for name, value in system_changes.items():
        setattr(system, name, value)
    if not all(person.data for person in people):
        system.files = FileSystem(capacity=phone.identity.capacity)
    for person in people:
        if person.free is not None:
            system.files.taken += max(0, system.files.free - person.free)


def _together(people: Iterable[Person], part: str) -> dict[str, Any]:
    changes: dict[str, tuple[Any, str]] = {}
    for person in people:
        for name, value in getattr(person, part).items():
            said, who = changes.setdefault(name, (value, person.name))
            if said != value:
                raise ValueError(f"a phone cannot be both {who} and {person.name}")
    return {name: value for name, (value, _) in changes.items()}
