"""Whether the kernel lets this user make namespaces (unshare(1)), in which a machine lacks whatever it is to lack."""

import shutil
import subprocess
from functools import cache

import pytest

UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")


@cache
def namespaces_are_allowed() -> bool:
    """Whether this user may make namespaces, and mount something and use a network in one."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    trying = [*UNSHARE, "--net", "sh", "-c", "mount -t tmpfs tmpfs /mnt && ip link set lo up"]
    return subprocess.run(trying, check=False, capture_output=True, timeout=20).returncode == 0


needs_namespaces = pytest.mark.skipif(not namespaces_are_allowed(), reason="the kernel allows no namespaces")
