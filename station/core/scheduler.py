"""Whose turn it is: jobs up to the cap in the order they were confirmed, looks at phones beside them."""

from dataclasses import replace

from msgspec import structs

from station.core.actions import Action
from station.core.arriving import Target, arrival_of, could_not
from station.core.bays import Bay, Bays, Stay
from station.core.consent import require
from station.core.events import Moment
from station.core.gates import Case, closed, decision, overruled
from station.core.gates.health import exhausted, full, heavy
from station.core.inspection import Inspection
from station.core.jobs import Job
from station.core.policy import Policy
from station.core.situation import Situation
from station.errors import ConsentVoid
from station.model.base import BackupId, JobId
from station.model.catalog import ArrivalState
from station.model.consent import Consent
from station.model.firmware import Firmware
from station.model.gates import Finding, Gate
from station.model.job import BackupPlace, JobSpec
from station.model.phone import PhoneMode
from station.model.service import Service

OF_THE_STATION = frozenset({Gate.TROUBLE, Gate.DISK, Gate.POWER, Gate.TEMPERATURE, Gate.CLOCK})
"""Gates that are closed until the station itself is in order: what was confirmed waits for that."""


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

    def submit(self, bay: Bay, consent: Consent, target: Target | None) -> None:
        """A person's word was given: the job exists, and waits for its turn, and for its firmware to be here."""
        assert bay.stay is not None
        assert bay.sighting is not None
        case = self._case(bay, consent)
        here = target if isinstance(target, Firmware) else None
        spec = structs.replace(
            self._spec(bay, bay.stay, consent=consent, firmware=here),
            decided=decision(case, at=consent.at),
            overruled=overruled(case),
        )
        awaits = None if isinstance(target, Firmware) else target
        bay.job = Job(spec, self._policy, mode=bay.sighting.mode, awaits=awaits)
        self._queue.append(bay.job)

    def supplied(self) -> None:
        """Firmware came, or something became known of what is on its way: exactly what a job awaits, or nothing."""
        for job in list(self._queue):
            if job.awaits is None or job.spec.firmware is not None:
                continue
            model, build = job.awaits.product_type, job.awaits.build
            here = (self.situation.firmware.get(model), *self.situation.older.get(model, ()))
            found = next((each for each in here if each is not None and each.build == build), None)
            if found is not None:
                job.spec = structs.replace(job.spec, firmware=found)
                continue
            coming = arrival_of(self.situation.arrivals, model, build)
            if coming is None:
                title = f"iOS {job.awaits.version} is not being fetched any more."
                self._give_up(job, Finding(gate=Gate.FIRMWARE, title=title, remedy="START again when it is to be."))
            elif coming.state is ArrivalState.FAILED:
                self._give_up(job, Finding(gate=Gate.FIRMWARE, title=could_not(coming), remedy=coming.remedy))

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
        self._ask_again()
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
        """Whether its firmware is still to come, or the station is too full, too hot, its supply too weak. It waits."""
        if job.awaits is not None and (job.spec.firmware is None or self._closed(job)):
            return True
        if full(self.situation.health, self._policy) is not None:
            return True  # its record must still fit, whatever happens
        opened = {word.gate for word in job.spec.overruled}
        return heavy(job.service) and any(
            found.gate not in opened for found in exhausted(self.situation.health, self._policy)
        )

    def _ask_again(self) -> None:
        """What has come is not begun through a gate that has closed since it was confirmed."""
        for job in list(self._queue):
            if job.awaits is None or job.spec.firmware is None:
                continue
            found = next((each for each in self._closed(job) if each.gate not in OF_THE_STATION), None)
            if found is not None:
                self._give_up(job, found)

    def _closed(self, job: Job) -> tuple[Finding, ...]:
        """The gates that would be closed to a job that waits, if it were asked for now."""
        bay = self._bays.get(job.spec.bay)
        assert bay is not None
        assert job.target is not None
        case = self._case(replace(bay, job=None), job.consent)
        return closed(replace(case, options=structs.replace(case.options, build=job.target.build)))

    def _give_up(self, job: Job, why: Finding) -> None:
        """Forget a queued job, and have its bay say why."""
        bay = self._bays.get(job.spec.bay)
        assert bay is not None
        self.drop(bay)
        if bay.stay is not None:
            bay.stay.dropped = why

    def _case(self, bay: Bay, consent: Consent) -> Case:
        return Case(
            service=consent.service,
            bay=bay,
            bays=self._bays,
            situation=self.situation,
            policy=self._policy,
            options=consent.options,
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
