"""What a phone checks of an image before it runs it: secure boot, as far as a host can notice it."""

from collections.abc import Collection

from cryptography.hazmat.primitives.asymmetric import ec

from station.virtual.firmware.image4 import Im4p, Image4Error, Ticket
from station.virtual.phones.phone import VirtualPhone


def check_image(
    phone: VirtualPhone,
    image: Im4p,
    ticket: Ticket | None,
    *,
    apple: ec.EllipticCurvePublicKey,
    expected: Collection[str] = (),
) -> Ticket:
    """Check that a phone may run an image, and return the ticket that says so. Takes a millisecond.

    Args:
        phone: the phone it was sent to.
        image: the image.
        ticket: the ticket it came with.
        apple: the public key burnt into the phone.
        expected: types the image may be of; empty: any that the ticket names.

    Raises:
        Image4Error: it may not, with the reason.
    """
    if expected and image.fourcc not in expected:
        raise Image4Error(f"{image.fourcc} where {'/'.join(expected)} was due")
    if ticket is None:
        raise Image4Error("not personalized")
    ticket.verify(apple)
    me = phone.identity
    if (ticket.ecid, ticket.chip, ticket.board) != (me.ecid, me.chip_id, me.board_id):
        raise Image4Error("signed for another phone")
    if ticket.nonce_digest != phone.ap_nonce:
        raise Image4Error("signed for another nonce")
    if not image.matches(ticket.digests.get(image.fourcc)):
        raise Image4Error(f"{image.fourcc} is not what was signed")
    return ticket
