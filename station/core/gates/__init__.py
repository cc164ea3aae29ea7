"""Gates: what must be true before START means anything. A table of named rules, each with its words.

A rule looks at one `Case` and returns a `Finding` when its gate is closed. Which gates a station has, and how strict
they are, is decided by what is in its `Policy`, never by other code.

    case     what a rule looks at            table   every rule, in the order of what a person would want to know
    bay      the bay and who is in it        fit     whether the service suits the phone
    vault    room for a backup, or one there is
    owner    what the owner may lose         health  the phone's battery, and the station's own circumstances
"""

from station.core.gates.case import Case
from station.core.gates.owner import decision
from station.core.gates.table import RULES, closed, findings, may_start, overruled, told

__all__ = ["RULES", "Case", "closed", "decision", "findings", "may_start", "overruled", "told"]
