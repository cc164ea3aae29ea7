"""Every service there is, by name."""

from station.virtual.services import (
    activation,
    afc,
    crash_reports,
    diagnostics,
    heartbeat,
    installation_proxy,
    management,
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
        activation.SERVICE,
        afc.SERVICE,
        crash_reports.COPY,
        crash_reports.MOVER,
        diagnostics.SERVICE,
        heartbeat.SERVICE,
        installation_proxy.SERVICE,
        management.SERVICE,
        mobilebackup2.SERVICE,
        notification_proxy.SERVICE,
        preboard.SERVICE,
        springboard.SERVICE,
        syslog.SERVICE,
    )
}
