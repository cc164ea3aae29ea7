"""Buffers of a stream come from memory that was used before."""

import resource

from station.virtual.hosting.heap import keep_freed_memory


def test_big_buffers_are_not_fetched_from_the_kernel_each_time():
    keep_freed_memory()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(200):
        buffers = [bytes(256 << 10) for _ in range(4)]
        del buffers
    fetched = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert fetched < 4000  # pages; 20,000 and more otherwise
