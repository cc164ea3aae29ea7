"""Whoever owns a station that was made from an image: has a key, and logs in by it (`logs_in`)."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.deploy.whole import Disk

_KEY = Ed25519PrivateKey.generate()
_PRIVATE = _KEY.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
LETS_IN = f'ssh_keys = ["{_KEY.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()}"]\n'
"""A line of station.toml."""
SSH = "ssh -n -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=/run/known -i /run/key"


async def logs_in(machine: Disk) -> str:
    """Log in by the key, as root; by nothing else, and nobody else. Returns the key by which the station is known."""
    lines = _PRIVATE.strip().replace("\n", "\\n")
    await machine.check(f"(umask 077; printf %b '{lines}\\n' >/run/key)")
    await machine.check("until systemctl is-active --quiet ssh; do sleep 1; done", seconds=300)
    said = await machine.check(f"{SSH} root@localhost 'id -un; station --help >/dev/null && echo it works'")
    assert said.endswith("root\nit works"), said
    await machine.check("ssh-keygen -q -t ed25519 -N '' -f /run/another <<<y >/dev/null")
    for wrong in (f"{SSH} -o PubkeyAuthentication=no root@localhost", f"{SSH} restore-station@localhost"):
        assert "Permission denied (publickey)" in (await machine.run(f"{wrong} true"))[1]
    others = SSH.replace("/run/key", "/run/another")
    assert "Permission denied (publickey)" in (await machine.run(f"{others} root@localhost true"))[1]
    return (await machine.check("cut -d' ' -f2- /run/known")).splitlines()[0]
