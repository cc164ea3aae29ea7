"""Every service there is, by name."""

from station.virtual.services import afc, heartbeat
from station.virtual.services.service import Service

SERVICES: dict[str, Service] = {service.name: service for service in (afc.SERVICE, heartbeat.SERVICE)}
