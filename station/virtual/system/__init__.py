"""The installed system in normal mode: lockdownd, pairing, what it tells of itself."""
