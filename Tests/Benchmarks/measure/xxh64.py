"""XXH64 with seed 0, which decides a mailbox's partition."""

_P1, _P2, _P3, _P4, _P5 = (
    0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
_ALL = (1 << 64) - 1


def _rotated(value, bits):
    value &= _ALL
    return (value << bits | value >> 64 - bits) & _ALL


def _round(lane, word):
    return _rotated(lane + word * _P2, 31) * _P1 & _ALL


def xxh64(octets):
    """Of fewer than 32 octets, as names of mailboxes here are."""
    if len(octets) >= 32:
        raise ValueError("too long")
    value, at = _P5 + len(octets), 0
    while at + 8 <= len(octets):
        value = _rotated(value ^ _round(0, int.from_bytes(octets[at : at + 8], "little")), 27) * _P1 + _P4
        at += 8
    if at + 4 <= len(octets):
        value = _rotated(value ^ int.from_bytes(octets[at : at + 4], "little") * _P1, 23) * _P2 + _P3
        at += 4
    for octet in octets[at:]:
        value = _rotated(value ^ octet * _P5, 11) * _P1
    value &= _ALL
    value = (value ^ value >> 33) * _P2 & _ALL
    value = (value ^ value >> 29) * _P3 & _ALL
    return value ^ value >> 32
