"""The machine itself: how it is reached, its clock, its disk, how warm it is, what it runs."""

from pygame import Rect

from station.model.api import Snapshot
from station.model.operator import MachineView, OperatorView
from station.screen import facts, times
from station.screen.canvas import Canvas
from station.screen.office import Office
from station.screen.scenes.operator.furniture import page, say
from station.screen.table import table
from station.screen.theme import YELLOW


def draw(canvas: Canvas, box: Rect, snapshot: Snapshot, operator: OperatorView, office: Office, note: str) -> None:
    """Fill the box."""
    room = page(canvas, box, "Machine", office, note)
    if operator.machine is None:
        say(canvas, room, "Nothing can be told about this machine.")
        return
    rows = [(name, (value,)) for name, value in _rows(snapshot, operator.machine)]
    notice = " ".join(filter(None, (snapshot.notice, *operator.machine.upkeep)))
    height = canvas.px(40 if notice else 46) * len(rows)
    table(canvas, Rect(room.left, room.top, room.width, min(height, room.height)), rows, share=0.3)
    rest = Rect(room.left, room.top + height, room.width, max(1, room.height - height))
    if notice and rest.height >= canvas.px(30):
        say(canvas, rest, notice, size=19, colour=YELLOW)


def _rows(snapshot: Snapshot, machine: MachineView) -> list[tuple[str, str]]:
    clock = times.day_and_clock(machine.clock) or "not known"
    trusted = {True: clock, False: f"{clock}, may be wrong", None: clock}
    power = {True: "Too weak: take a better power supply", False: "Good", None: ""}
    program, _, library = machine.software.partition(", ")
    told = [
        ("Name", snapshot.station),
        ("Network", ", ".join(machine.addresses[:2]) or "not connected"),
        ("Clock", trusted[machine.clock_trusted]),
        ("Disk", "" if machine.disk_free is None else f"{facts.size(machine.disk_free)} free"),
        ("Temperature", "" if machine.temperature is None else f"{machine.temperature:.0f} °C"),
        ("Power supply", power[machine.under_voltage]),
        ("Version", program),
        ("With", library),
    ]
    return [(name, value) for name, value in told if value]


def ailing(snapshot: Snapshot, operator: OperatorView) -> bool:
    """Whether something about the machine needs somebody."""
    machine = operator.machine
    weak = machine is not None and (machine.under_voltage is True or machine.clock_trusted is False)
    return weak or bool(snapshot.notice) or (machine is not None and bool(machine.upkeep))
