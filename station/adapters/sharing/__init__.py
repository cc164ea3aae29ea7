"""A station's firmware for other stations in the same network, read-only, over HTTP.

    GET /v1/firmware             what can be had: a list of `Shared`
    GET /v1/firmware/NAME        one of them with all of its files: `Digests`
    GET /v1/objects/SHA256       a content, or with Range part of one

NAME is that of the firmware's directory in the store. What is not offered, or not any more, is a 404. Nothing is
offered but what was read whole and found good, and looks to the file system as it did then. Firmware is no secret;
which of it a station has can be read by whoever reaches it, and nothing else.
"""
