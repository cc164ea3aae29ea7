"""A job in the terminal: one progress bar a phase, one for the whole with the time left."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from station.model.api import BayView, JobView
from station.model.job import PHASE_WORDS, PHASES, Phase
from station.screen.words import time_left

WHOLE = "Whole restore"


class Follower:
    """Draws one bay's job as snapshots arrive. On a pipe, where nothing can be redrawn, it prints a line a phase."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("  {task.description:<30}"),
            BarColumn(bar_width=32),
            TaskProgressColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
            auto_refresh=False,
        )
        self._bars: dict[Phase, TaskID] = {}
        self._whole: TaskID | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, bay: BayView) -> None:
        """Bring the bars up to date with a snapshot of the bay."""
        job = bay.job
        if job is None:
            return
        self._reach(job)
        self._progress.update(self._bars[job.phase], completed=job.phase_fraction, note=job.detail[:40])
        if self._whole is not None:
            self._progress.update(self._whole, completed=job.fraction, note=_left(job))
        self._refresh()

    def finish(self, *, success: bool) -> None:
        """The job ended: full bars when it ended well, and no guess of the time left any more."""
        bars = [*self._bars.values(), *([] if self._whole is None else [self._whole])]
        for bar in bars:
            self._progress.update(bar, note="", completed=1.0 if success else None)
        self._refresh()

    def _reach(self, job: JobView) -> None:
        """Give every phase up to the present one its bar, and fill those that are behind."""
        if self._whole is None:
            self._whole = self._progress.add_task(f"[bold]{WHOLE}", total=1.0, note="")
        phases = PHASES[job.service]
        for phase in phases[: phases.index(job.phase) + 1]:
            if phase not in self._bars:
                self._bars[phase] = self._progress.add_task(PHASE_WORDS[phase], total=1.0, note="")
                if not self._console.is_terminal:
                    self._console.print(f"  {PHASE_WORDS[phase]} …")
            if phase is not job.phase:
                self._progress.update(self._bars[phase], completed=1.0, note="")

    def _refresh(self) -> None:
        if self._console.is_terminal:
            self._progress.refresh()


def _left(job: JobView) -> str:
    if job.eta is None:
        return ""
    return time_left(job.eta - time.clock_gettime(time.CLOCK_BOOTTIME))
