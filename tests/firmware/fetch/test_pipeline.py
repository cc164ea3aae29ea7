"""What is here is never far ahead of what is safe on the disk, however late the thread that secures it gets to run."""

import threading

from msgspec.structs import replace

from station.adapters.fetch.checkpoint import State
from station.adapters.fetch.digests import Algorithm, Digest
from station.adapters.fetch.limits import LIMITS
from station.adapters.fetch.pipeline import Pipeline
from station.adapters.fetch.plan import read_plan
from station.adapters.fetch.unpack import Position
from station.adapters.ipsw import MANIFEST
from tests.firmware.fetch.zips import Made, make_zip, text

PATIENCE = 15.0
FILES = [
    Made(name, text(seed, 64 << 10), None, descriptor=False, far=False, gap=0)
    for seed, name in enumerate((MANIFEST, "image"))
]
SMALL = replace(LIMITS, buffer=1 << 10, buffers=4, checkpoint_bytes=4 << 10, ahead=8 << 10)


def test_what_arrives_waits_for_a_thread_that_is_due_and_does_not_run(tmp_path, monkeypatch):
    runs, stands = threading.Event(), threading.Event()
    keep, wait = Pipeline._keep, threading.Condition.wait

    def late(pipeline: Pipeline) -> None:
        runs.wait(PATIENCE)
        keep(pipeline)

    def waits(condition: threading.Condition, timeout: float | None = None) -> bool:
        if threading.current_thread() is receiver:
            stands.set()
        return wait(condition, timeout)

    def receive() -> None:
        while pipeline.received < len(data):
            buffer = pipeline.buffer()
            piece = data[pipeline.received :][: len(buffer)]
            buffer[: len(piece)] = piece
            pipeline.give(len(piece))
        stands.set()

    data = make_zip(FILES)
    plan = read_plan(len(data), lambda start, end: data[start:end])
    nothing = Digest(Algorithm.SHA256).state()
    begun = State(
        total=plan.total, table=plan.digest, position=Position(offset=0, index=0), hashed=nothing, started=nothing
    )
    (tmp_path / "ipsw").mkdir()
    monkeypatch.setattr(Pipeline, "_keep", late)
    monkeypatch.setattr(threading.Condition, "wait", waits)
    receiver = threading.Thread(target=receive)
    with Pipeline(
        plan, tmp_path, begun, algorithm=Algorithm.SHA256, limits=SMALL, require_space=lambda _: None
    ) as pipeline:
        receiver.start()
        assert stands.wait(PATIENCE)
        assert pipeline.received <= SMALL.ahead + SMALL.checkpoint_bytes + SMALL.buffer * SMALL.buffers
        runs.set()
        receiver.join(PATIENCE)
        pipeline.finish()
    assert pipeline.saved.position.index == len(plan.parts)
    assert (tmp_path / "ipsw" / "image").read_bytes() == FILES[1].content
