"""The one API between the daemon and its clients: commands in, snapshots and answers out.

Transport: websockets over the daemon's unix socket, one JSON message a frame, 256 KiB at most. On connect
and after every change the daemon sends a whole `Snapshot`; a command gets one `Answer` with its `id`.
Times are CLOCK_BOOTTIME seconds, the same for every process of the machine.

It is long because it is everything that crosses that socket, to be read in one place; it has no logic.
"""

from enum import Enum

from station.model.base import BayId, Ecid, JobId, Message
from station.model.catalog import Arrival
from station.model.causes import Cause
from station.model.consent import Options
from station.model.face import Face
from station.model.gates import Choice, Finding, Gate
from station.model.guide import Family, Press, Seen, Target
from station.model.job import Phase
from station.model.operator import OperatorView, PinState, Power
from station.model.phone import PhoneFacts, PhoneMode
from station.model.record import Check, Outcome
from station.model.service import Service
from station.model.symptoms import Symptom

DEFAULT_SOCKET = "/run/restore-station/station.sock"
"""Where clients find the daemon, unless its settings say otherwise."""


class BayState(Enum):
    """What a bay's tile, lamp and word show."""

    EMPTY = "empty"
    READING = "reading"
    """A phone arrived and is being asked who it is."""
    READY = "ready"
    """It can be given a service."""
    NEEDS_PERSON = "needs_person"
    """Somebody must do something at the phone (trust, unlock), or it cannot be identified."""
    ARMED = "armed"
    """START was pressed: CONFIRM must be held within `until`."""
    QUEUED = "queued"
    WORKING = "working"
    DONE = "done"
    """Done and verified."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    """Ended because somebody wished it, before anything was changed: a result to be seen, and no fault."""


class Lamp(Enum):
    """What a lamp shows, in IEC 60073's colours; each has a pattern too, never colour alone."""

    READY = "ready"
    """White, steady."""
    PERSON = "person"
    """Blue, flashing evenly twice a second: a person must act."""
    WORKING = "working"
    """Yellow, a second on, a second off."""
    DONE = "done"
    """Green, steady with a short wink every other second: done and verified."""
    FAULT = "fault"
    """Red, short flashes twice a second."""


class PhoneView(Message, frozen=True, kw_only=True):
    """A phone, as much as is known."""

    ecid: Ecid | None
    mode: PhoneMode
    emulated: bool
    model_name: str = ""
    product_type: str = ""
    version: str = ""
    build: str = ""
    name: str = ""
    battery_percent: int | None = None
    facts: PhoneFacts | None = None
    """All that it said of itself; None until it was asked."""


class JobView(Message, frozen=True, kw_only=True):
    """A running, queued or just ended job."""

    job: JobId
    service: Service
    phase: Phase
    phase_fraction: float
    fraction: float
    """Of the whole job, weighted over the phases, never going back."""
    detail: str
    started: float
    eta: float | None
    """When it is expected to end; None while there is nothing to judge by."""
    target_version: str
    """Empty: nothing is installed."""
    target_build: str
    keep_plugged: bool
    """Whether unplugging now would harm."""
    awaits: Arrival | None = None
    """The firmware that it waits for, and that is on its way; None: it waits for none."""


class ConfirmView(Message, frozen=True, kw_only=True):
    """START was pressed; what confirming would do."""

    service: Service
    until: float
    """After this the START is forgotten."""
    holding_since: float | None
    """When CONFIRM went down, while it is down."""
    hold_seconds: float
    target_version: str
    """Empty: nothing is installed."""
    options: Options = Options()
    """What was chosen about the service; confirming covers it."""


class OfferView(Message, frozen=True, kw_only=True):
    """A service that the phone in a bay could be given; its words are in `SERVICES`."""

    service: Service
    seconds: float | None
    """How long it took at this station of late; None: it was never done here."""
    findings: tuple[Finding, ...] = ()
    """The gates that are closed; empty: START will do."""
    told: tuple[Finding, ...] = ()
    """What a person must know before START, although nothing of it is closed."""


class AdviceView(Message, frozen=True, kw_only=True):
    """What can help against a symptom: the gentlest first, what was tried without success left out."""

    symptom: Symptom
    services: tuple[Service, ...]
    guide: Target | None
    """Presses of buttons that come before any service."""
    says: str
    """Why this, and what comes next if it does not help: a sentence or two."""
    options: Options = Options()
    """What to choose about the first of the services."""
    ended: bool = False
    """Whether nothing is left to try here: `says` tells who can help."""


class GuideView(Message, frozen=True, kw_only=True):
    """A person is being led through presses of buttons."""

    target: Target
    family: Family
    step: int
    """Counts from 0; as many as there are steps: all are done."""
    steps: tuple[Press, ...]
    began: float
    """When this step began."""
    seen: Seen
    says: str
    """What USB tells, in words; empty: nothing yet."""
    warning: str
    """What can go wrong with these very presses, such as an emergency call; empty: nothing."""


class OrderView(Message, frozen=True, kw_only=True):
    """An operator's standing order, while it holds."""

    service: Service
    bays: tuple[BayId, ...]
    """Empty: every bay."""
    left: int
    """How many more phones it covers."""
    until: float
    done: int
    failed: int


class ResultView(Message, frozen=True, kw_only=True):
    """How the bay's last job ended; shown until the phone leaves and the result is dismissed."""

    job: JobId
    ecid: Ecid
    """The phone it is about: not always the one that is in the bay now."""
    service: Service
    outcome: Outcome
    title: str
    remedy: str
    record: int
    """Number in the record chain; 0 while it is still being written."""
    certificate: str | None
    """Path of the PDF, when there is one."""
    proof: str = ""
    """What a QR code says of the certificate, on paper and on the screen; empty: there is none."""
    cause: Cause | None = None
    """None exactly when the outcome is VERIFIED."""
    checks: tuple[Check, ...] = ()
    """What was looked at after the phone came back."""
    before: PhoneFacts | None = None
    """What it said of itself before; None: it was not asked."""
    after: PhoneFacts | None = None
    """What it said of itself at the end; None: it was not asked."""


class BayView(Message, frozen=True, kw_only=True):
    """Everything about one bay."""

    bay: BayId
    state: BayState
    lamp: Lamp | None
    title: str
    """The state in words: one short line."""
    hint: str
    """What a person can do now: one line, may be empty."""
    selected: bool
    phone: PhoneView | None = None
    confirm: ConfirmView | None = None
    job: JobView | None = None
    result: ResultView | None = None
    offers: tuple[OfferView, ...] = ()
    """What this phone could be given, gentlest first."""
    chosen: Service | None = None
    """The service that START means here."""
    options: Options = Options()
    """What was chosen about it."""
    advice: AdviceView | None = None
    guide: GuideView | None = None
    cause: Cause | None = None
    """Why a person must act (NEEDS_PERSON), so that it can be drawn; None: it is told in words only."""
    dropped: Finding | None = None
    """Why what was confirmed here did not begin after all; nothing was changed. Until somebody asks anew."""


class Snapshot(Message, frozen=True, kw_only=True, tag="snapshot"):
    """The whole station. A client draws this and nothing else."""

    station: str
    sequence: int
    at: float
    bays: tuple[BayView, ...]
    lamp: Lamp
    """The station's one lamp set."""
    touch_confirms: bool
    """Whether this station has no buttons, so that a hold on the screen confirms."""
    notice: str
    """Something about the station itself that somebody should know ("the disk is nearly full"); usually empty."""
    emulated: bool
    """Whether this station has virtual phones."""
    clock_trusted: bool = False
    """Whether the machine's clock is known to be right: a wrong time is shown to nobody."""
    arrivals: tuple[Arrival, ...] = ()
    """Firmware that is on its way, or could not be had."""
    order: OrderView | None = None
    face: Face = Face()
    pin: PinState = PinState.UNSET
    pin_until: float = 0.0
    """Until when it must be waited, while `pin` is WAIT."""
    operator: OperatorView | None = None
    """None: nobody has opened the operator's pages."""


class Select(Message, frozen=True, kw_only=True, tag="select"):
    """Choose the bay that START and CONFIRM mean."""

    id: int
    bay: BayId


class Start(Message, frozen=True, kw_only=True, tag="start"):
    """Press START for a bay."""

    id: int
    bay: BayId
    service: Service
    options: Options = Options()


class Choose(Message, frozen=True, kw_only=True, tag="choose"):
    """Choose the service that START means in a bay, on the screen and for the button."""

    id: int
    bay: BayId
    service: Service
    options: Options = Options()
    """What START then means with it."""


class Decide(Message, frozen=True, kw_only=True, tag="decide"):
    """Somebody decided about a backup of the phone in a bay; holds until it is unplugged."""

    id: int
    bay: BayId
    ecid: Ecid
    choice: Choice


class Overrule(Message, frozen=True, kw_only=True, tag="overrule"):
    """An operator opens a gate for the phone in a bay; holds until it is unplugged."""

    id: int
    bay: BayId
    ecid: Ecid
    gate: Gate
    reason: str


class Release(Message, frozen=True, kw_only=True, tag="release"):
    """An operator has looked into a failed erase: the phone leaves quarantine."""

    id: int
    ecid: Ecid
    reason: str


class Describe(Message, frozen=True, kw_only=True, tag="describe"):
    """Say what is wrong with the phone in a bay; None: forget it."""

    id: int
    bay: BayId
    symptom: Symptom | None


class DidNotHelp(Message, frozen=True, kw_only=True, tag="did_not_help"):
    """What was advised last was done, and did not help: what is next?"""

    id: int
    bay: BayId


class Guide(Message, frozen=True, kw_only=True, tag="guide"):
    """Begin to lead a person through presses of buttons; None: stop. In an empty bay too: the phone may seem dead."""

    id: int
    bay: BayId
    target: Target | None
    family: Family | None = None
    """None: of the phone that is here, where its model is known."""


class GuideNext(Message, frozen=True, kw_only=True, tag="guide_next"):
    """The person is ready: the next step begins now."""

    id: int
    bay: BayId


class Order(Message, frozen=True, kw_only=True, tag="order"):
    """An operator's standing order: the next `count` phones in these bays get `service` unattended, until then."""

    id: int
    service: Service
    bays: tuple[BayId, ...]
    count: int
    seconds: float
    """From now."""
    options: Options = Options()


class EndOrder(Message, frozen=True, kw_only=True, tag="end_order"):
    """End the standing order; what has begun goes on."""

    id: int


HOLD_BEAT = 0.25
"""Seconds between two words of a screen that a finger is still there. After twice as long without, the hold is over:
a screen that froze must not confirm."""


class HoldBegan(Message, frozen=True, kw_only=True, tag="hold_began"):
    """A finger began to hold the screen's confirm; obeyed only where `touch_confirms`.

    The hold goes on while `HoldGoesOn` follows, until `HoldEnded` or the end of the connection.
    """

    id: int
    bay: BayId


class HoldGoesOn(Message, frozen=True, kw_only=True, tag="hold_goes_on"):
    """The finger is still there: said at least every HOLD_BEAT seconds by a screen that is alive and sees it."""

    id: int
    bay: BayId


class HoldEnded(Message, frozen=True, kw_only=True, tag="hold_ended"):
    """The finger left."""

    id: int
    bay: BayId


class OperatorConfirm(Message, frozen=True, kw_only=True, tag="operator_confirm"):
    """An operator's confirmation from the command line, where the policy allows it."""

    id: int
    bay: BayId
    ecid: Ecid
    """Typed by the operator: the phone they mean."""


class Cancel(Message, frozen=True, kw_only=True, tag="cancel"):
    """Forget an armed START, or end a job that has not begun to erase."""

    id: int
    bay: BayId


class Dismiss(Message, frozen=True, kw_only=True, tag="dismiss"):
    """Somebody has seen the bay's result."""

    id: int
    bay: BayId


class Unlock(Message, frozen=True, kw_only=True, tag="unlock"):
    """Open the operator's pages. Where no PIN is set yet, this one is set."""

    id: int
    pin: str

    def __repr__(self) -> str:
        return f"Unlock(id={self.id})"


class Lock(Message, frozen=True, kw_only=True, tag="lock"):
    """Close the operator's pages."""

    id: int


class SetPin(Message, frozen=True, kw_only=True, tag="set_pin"):
    """Change the PIN. An operator's command, as all that follow."""

    id: int
    pin: str
    """Empty: there is none any more, and whoever opens the pages next chooses one."""

    def __repr__(self) -> str:
        return f"SetPin(id={self.id})"


class SetFace(Message, frozen=True, kw_only=True, tag="set_face"):
    """Change how the station looks and sounds."""

    id: int
    face: Face


class UsePolicy(Message, frozen=True, kw_only=True, tag="use_policy"):
    """Make this the kind of station that it is from now on. The daemon starts anew with it; workers go on."""

    id: int
    policy: str


class LearnBay(Message, frozen=True, kw_only=True, tag="learn_bay"):
    """The next phone in a socket that is no bay makes that socket this bay, new or not; None: stop waiting for one."""

    id: int
    bay: BayId | None


class ForgetBay(Message, frozen=True, kw_only=True, tag="forget_bay"):
    """A bay is no more. Refused while there is a phone in it, or a job."""

    id: int
    bay: BayId


class TestPanel(Message, frozen=True, kw_only=True, tag="test_panel"):
    """Begin or end trying the buttons and lamps. Refused while something waits to be confirmed."""

    id: int
    on: bool


class LightLamp(Message, frozen=True, kw_only=True, tag="light_lamp"):
    """While they are being tried: light this lamp and no other."""

    id: int
    lamp: Lamp | None
    bay: BayId | None = None
    """None: the station's own."""


class SaveLogs(Message, frozen=True, kw_only=True, tag="save_logs"):
    """Write the logs, without anything private, to a USB stick."""

    id: int
    stick: str


class FetchNewest(Message, frozen=True, kw_only=True, tag="fetch_newest"):
    """Look at the lists of firmware now, and fetch the newest for the models that are here."""

    id: int


class StopFetch(Message, frozen=True, kw_only=True, tag="stop_fetch"):
    """Do not fetch a build that is on its way. What is here of it stays, for another time."""

    id: int
    build: str


class RemoveFirmware(Message, frozen=True, kw_only=True, tag="remove_firmware"):
    """Delete firmware. Refused while a job uses it, or a pin names it."""

    id: int
    name: str
    """As its line has it."""


class SwitchOff(Message, frozen=True, kw_only=True, tag="switch_off"):
    """Shut the machine down, or restart it. Refused while a job runs."""

    id: int
    how: Power


Command = (
    Select
    | Start
    | Choose
    | Decide
    | Overrule
    | Release
    | HoldBegan
    | HoldGoesOn
    | HoldEnded
    | OperatorConfirm
    | Cancel
    | Dismiss
    | Describe
    | DidNotHelp
    | Guide
    | GuideNext
    | Order
    | EndOrder
    | Unlock
    | Lock
    | SetPin
    | SetFace
    | UsePolicy
    | LearnBay
    | ForgetBay
    | TestPanel
    | LightLamp
    | SaveLogs
    | FetchNewest
    | StopFetch
    | RemoveFirmware
    | SwitchOff
)


class Answer(Message, frozen=True, kw_only=True, tag="answer"):
    """What became of a command. `refused` is empty when it was carried out, else the reason in words."""

    id: int
    refused: str = ""
    remedy: str = ""


Reply = Snapshot | Answer
