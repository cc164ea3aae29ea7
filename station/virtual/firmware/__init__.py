"""Firmware as Apple packs and signs it: Image4, IPSW."""
