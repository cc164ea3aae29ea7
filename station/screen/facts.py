"""Words for what a phone says of itself. Names are left out, numbers masked: others stand beside the screen."""

from station.model.phone import ActivationLock, PhoneFacts
from station.screen.text import clean


def masked(secret: str) -> str:
    """A number of which only the last four characters are shown: enough to compare, too little to copy."""
    secret = clean(secret)
    return f"•••• {secret[-4:]}" if len(secret) > 4 else "••••"


def size(count: int) -> str:
    """Bytes as they are printed on boxes."""
    return f"{count / 1e12:.0f} TB" if count >= 1e12 else f"{count / 1e9:.0f} GB"


LOCKS: dict[ActivationLock, str] = {
    ActivationLock.LOCKED: "locked",
    ActivationLock.NOT_DETECTED: "not detected",
    ActivationLock.UNKNOWN: "not known",
}


def brief(facts: PhoneFacts) -> str:
    """What matters before anything is done, in a line or two. How full its battery is, is drawn."""
    said = []
    if facts.capacity is not None:
        said.append(size(facts.capacity))
    if facts.passcode:
        said.append("has a passcode")
    said.append(f"Find My: {LOCKS[facts.lock.state]}")
    if facts.supervised:
        said.append("managed")
    return " · ".join(said)


def rows(facts: PhoneFacts) -> list[tuple[str, str]]:
    """All that a phone said of itself and that others may see: names left out, numbers masked."""
    yes = {True: "yes", False: "no", None: ""}
    health = "" if facts.battery_health is None else f"{facts.battery_health} %"
    cycles = "" if facts.battery_cycles is None else f"{facts.battery_cycles} cycles"
    free = "" if facts.free is None else f"{size(facts.free)} free"
    told = [
        ("Model", " · ".join(part for part in (facts.model_name, facts.colour) if part)),
        ("Number", facts.product_type),
        ("Storage", ", ".join(part for part in ("" if facts.capacity is None else size(facts.capacity), free) if part)),
        ("iOS", f"{facts.version} ({facts.build})"),
        ("Battery", "" if facts.battery_percent is None else f"{facts.battery_percent} % charged"),
        ("Battery health", ", ".join(part for part in (health, cycles) if part)),
        ("Serial number", masked(facts.serial_number)),
        ("IMEI", masked(facts.imei) if facts.imei else ""),
        ("Second IMEI", masked(facts.imei2) if facts.imei2 else ""),
        ("Passcode", yes[facts.passcode]),
        ("Activation", facts.activation_state),
        ("Find My", LOCKS[facts.lock.state]),
        ("Managed", facts.organisation or yes[facts.supervised]),
        ("Backup password", yes[facts.backup_password]),
        ("Pictures", "" if facts.media is None else f"{facts.media.files} files"),
    ]
    return [(name, value) for name, value in told if value]


_NUMBERED = frozenset({"Serial number", "IMEI", "Second IMEI"})


def changes(before: PhoneFacts, after: PhoneFacts) -> list[tuple[str, str, str]]:
    """What a phone says differently now: what, before, after."""
    then, now = dict(rows(before)), dict(rows(after))
    names = dict.fromkeys([*then, *now])
    pairs = [(name, then.get(name, "–"), now.get(name, "–")) for name in names if name not in _NUMBERED]
    return [(name, was, is_now) for name, was, is_now in pairs if was != is_now]
