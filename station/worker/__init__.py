"""The worker: one process for one job on one phone, and the only importer of pymobiledevice3.

The library blocks, spins and waits for ever in places, believes what a phone says and swallows what goes
wrong. Nothing of that leaves this package:

    keeper → child → job        a small parent that outlives the worker by a moment and writes down how it ended;
                                the worker; its composition root, where real or virtual USB is chosen
    reaper                      ends another worker whose time is over, for the daemon
    confine, deadline           what the kernel enforces: private directories, memory, files, silence
    reporter, guard             what the worker says; the one door to every irreversible act
    services                    what a phone can be given, one module each; and `look`, which reads its facts
    activation_lock, media      for a look: whose the phone is, by every means; the owner's pictures, counted
    installing, approach, preboard
                                what those that install firmware share: the way to the phone, by somebody's hands
                                where it must be; the passcode before its data is kept
    backups, received, reread   the phone's backup service, what came from it, and whether all of it is still there
    work                        what each of them is given
    failures, answers           every error becomes one named cause; so does an answer that the library chokes on

    present                     who is on the bus
    plists, connection          messages and connections to the phone, bounded; patience: waits that end
    firmware, image4, pump      the unpacked IPSW, streamed: never a component whole in memory
    fetch, signing, assets, fdr everything that leaves the station for Apple, through the gateway

    lockdown                    normal mode ┐
    iboot, recovery             recovery    ├ the library's classes, subclassed
    restored, conversation, messages, asr, components, restore
                                restore mode┘
"""
