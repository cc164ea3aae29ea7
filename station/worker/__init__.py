"""The worker: one process for one job on one phone, and the only importer of pymobiledevice3.

The library blocks, spins and waits for ever in places, believes what a phone says and swallows what goes
wrong. Nothing of that leaves this package:

    keeper → child              a small parent that outlives the worker by a moment and writes down how it ended
    confine, deadline           what the kernel enforces: private directories, memory, files, silence
    reporter, guard             what the worker says; the one door to every irreversible act
    plists, connection          messages and connections to the phone, bounded and streamed
    firmware, image4, pump      the unpacked IPSW, streamed: never a component whole in memory
    fetch, signing, assets, fdr everything that leaves the station for Apple
    lockdown, iboot, recovery, restored, asr, restore
                                the library's classes, subclassed
    failures                    every error becomes one named cause
    inspecting, restoring       the two kinds of jobs
"""
