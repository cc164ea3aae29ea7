"""Every service there is, by name."""

from station.virtual.services import (
    afc,
    crash_reports,
    diagnostics,
    heartbeat,
    installation_proxy,
    notification_proxy,
    preboard,
    springboard,
    syslog,
)
from station.virtual.services.backup import service as mobilebackup2
from station.virtual.services.service import Service

SERVICES: dict[str, Service] = {
    service.name: service
    for service in (
        afc.SERVICE,
        crash_reports.COPY,
        crash_reports.MOVER,
        diagnostics.SERVICE,
        heartbeat.SERVICE,
        installation_proxy.SERVICE,
        mobilebackup2.SERVICE,
        notification_proxy.SERVICE,
        preboard.SERVICE,
        springboard.SERVICE,
        syslog.SERVICE,
    )
}
