"""Every service there is, by name."""

from station.virtual.services import afc, heartbeat, installation_proxy, notification_proxy, springboard
from station.virtual.services.backup import service as mobilebackup2
from station.virtual.services.service import Service

SERVICES: dict[str, Service] = {
    service.name: service
    for service in (
        afc.SERVICE,
        heartbeat.SERVICE,
        installation_proxy.SERVICE,
        mobilebackup2.SERVICE,
        notification_proxy.SERVICE,
        springboard.SERVICE,
    )
}
