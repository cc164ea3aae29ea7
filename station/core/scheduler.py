"""Whose turn it is: jobs up to the cap in the order they were confirmed, looks at phones beside them."""

from msgspec import structs

from station.core.actions import Action
from station.core.bays import Bay, Bays, Stay
from station.core.consent import require
from station.core.events import Moment
from station.core.gates import Case, decision, overruled
from station.core.gates.health import exhausted, full, heavy
from station.core.inspection import Inspection
from station.core.jobs import Job
from station.core.policy import Policy
from station.core.situation import Situation
from station.errors import ConsentVoid
from station.model.base import BackupId, JobId
from station.model.consent import Consent
from station.model.firmware import Firmware
from station.model.job import BackupPlace, JobSpec
from station.model.phone import PhoneMode
from station.model.service import Service


class Scheduler:
    """Makes jobs and decides when each may begin."""

    def __init__(self, bays: Bays, policy: Policy, instance: str) -> None:
        self._bays = bays
        self.situation = Situation()
        """The station's circumstances: the one there is, for everybody who decides."""
        self._policy = policy
        self._instance = instance
        self._made = 0
        self._queue: list[Job] = []

    def submit(self, bay: Bay, consent: Consent, firmware: Firmware | None) -> None:
        """A person's word was given: the job exists, and waits for its turn."""
        assert bay.stay is not None
        assert bay.sighting is not None
        case = Case(
            service=consent.service,
            bay=bay,
            bays=self._bays,
            situation=self.situation,
            policy=self._policy,
            options=consent.options,
        )
        spec = structs.replace(
            self._spec(bay, bay.stay, consent=consent, firmware=firmware),
            decided=decision(case, at=consent.at),
            overruled=overruled(case),
        )
        bay.job = Job(spec, self._policy, mode=bay.sighting.mode)
        self._queue.append(bay.job)

    def waits(self, bay: Bay) -> bool:
        """Whether a bay's job waits for its turn."""
        return bay.job in self._queue

    def drop(self, bay: Bay) -> None:
        """Forget a queued job: it touched nothing, so it leaves no trace."""
        assert bay.job is not None
        self._queue.remove(bay.job)
        bay.job = None

    def schedule(self, now: Moment, *, jobs: bool = True) -> list[Action]:
        """Start whatever may start now. `jobs`: whether jobs may; looks always may."""
        actions: list[Action] = []
        running = sum(bay.running for bay in self._bays)
        for job in [job for job in self._queue if jobs and not self._held(job)][: max(0, self._policy.cap - running)]:
            self._queue.remove(job)
            actions += self._launch(job, now)
        looking = sum(bay.inspection is not None for bay in self._bays)
        for bay in self._bays:
            if looking < self._policy.cap and self._wants_look(bay):
                looking += 1
                actions += self._look(bay, now)
        return actions

    def _held(self, job: Job) -> bool:
        """Whether the station itself is in no state to begin it: too full, too hot, its supply too weak. It waits."""
        if full(self.situation.health, self._policy) is not None:
            return True  # its record must still fit, whatever happens
        opened = {word.gate for word in job.spec.overruled}
        return heavy(job.service) and any(
            found.gate not in opened for found in exhausted(self.situation.health, self._policy)
        )

    def _launch(self, job: Job, now: Moment) -> list[Action]:
        bay = self._bays.get(job.spec.bay)
        assert bay is not None
        assert bay.stay is not None
        try:
            require(job.consent, ecid=bay.stay.ecid, bay=bay.id, plug=bay.stay.plug, service=job.consent.service)
        except ConsentVoid:
            bay.job = None
            return []
        if job.service in (Service.BACKUP, Service.PUT_BACK):
            job.spec = structs.replace(job.spec, backup=self._place(job))
        return job.start(now)

    def _place(self, job: Job) -> BackupPlace | None:
        """Where its backup is, or is to be: what broke off is gone on with. None: there is none to put back."""
        vault = self.situation.vault
        known = (vault.partial if job.service is Service.BACKUP else vault.verified).get(job.ecid)
        if known is None and job.service is Service.PUT_BACK:
            return None
        name = BackupId(job.id) if known is None else known.id
        return BackupPlace(
            id=name,
            directory=f"{vault.directory}/{name}/data",
            secret=f"{vault.secrets}/{job.id}.secret",
            owed=f"{vault.secrets}/{job.id}.owed" if job.ecid in vault.owed else "",
        )

    def _wants_look(self, bay: Bay) -> bool:
        if bay.inspection is not None or bay.stay is None or bay.sighting is None:
            return False
        if bay.sighting.mode is not PhoneMode.NORMAL or self._bays.is_twin(bay):
            return False
        if bay.job is not None:
            return bay.job.vigil.wants_look
        return bay.stay.facts is None and bay.stay.failed is None

    def _look(self, bay: Bay, now: Moment) -> list[Action]:
        assert bay.stay is not None
        bay.inspection = Inspection(self._spec(bay, bay.stay), self._policy)
        if bay.job is not None:
            bay.job.look_began(now)
        return bay.inspection.start(now)

    def _spec(
        self, bay: Bay, stay: Stay, *, consent: Consent | None = None, firmware: Firmware | None = None
    ) -> JobSpec:
        self._made += 1
        return JobSpec(
            job=JobId(f"{self._instance}-{self._made}"),
            service=None if consent is None else consent.service,
            bay=bay.id,
            socket=bay.socket,
            plug=stay.plug,
            ecid=stay.ecid,
            udid=stay.udid,
            emulated=stay.emulated,
            reach=self._policy.reach,
            deadlines=dict(self._policy.deadlines),
            consent=consent,
            firmware=firmware,
            before=None if consent is None else stay.facts,
        )
