"""How a request to lockdownd fails."""


class LockdownError(Exception):
    """The request is answered with this Error."""
