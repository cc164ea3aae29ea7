"""Every service there is, by name."""

from station.virtual.services import heartbeat
from station.virtual.services.service import Service

SERVICES: dict[str, Service] = {service.name: service for service in (heartbeat.SERVICE,)}
