"""A job of a worker whose words a test looks at."""

from station.model.base import BayId, Ecid, JobId, PlugId, SocketPath
from station.model.job import DEADLINES, JobSpec, Reach
from station.model.service import Service

SPEC = JobSpec(
    job=JobId("job-1"),
    service=Service.RESTART,
    bay=BayId("3"),
    socket=SocketPath("1-1"),
    plug=PlugId("1"),
    ecid=Ecid(0x1A2B),
    udid=None,
    emulated=True,
    reach=Reach(usbmuxd="/nowhere"),
    deadlines=DEADLINES,
)
