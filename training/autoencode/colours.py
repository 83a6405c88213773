"""Colour profiles and the PNG chunks that say what a picture's numbers mean, made from nothing, and the colours they encode.

Profiles are ICC.1:2001-04 (version 2.1), as small as they can be. All conversions are in float64.
"""
import struct
import zlib

import numpy as np

# Bradford-adapted to D50, as ICC profiles have it.
D50 = np.array([0.9642, 1.0, 0.8249])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
# Adobe RGB's primaries and exponent.
WIDE = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
WIDE_GAMMA = 2.19921875
P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
BT2020 = np.array([[0.67342, 0.16564, 0.12513], [0.27902, 0.67534, 0.04564], [-0.00193, 0.02998, 0.79733]])


def linear(srgb):
    """Light, 0 to 1, of sRGB's numbers, 0 to 1 (IEC 61966-2-1)."""
    srgb = np.asarray(srgb, np.float64)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def encoded(light):
    """The inverse of `linear`."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055)


def light_in(matrix, rgb8):
    """Light of sRGB's bytes, in the primaries whose XYZ are the matrix's columns."""
    return linear(np.asarray(rgb8) / 255) @ (np.linalg.inv(matrix) @ SRGB).T


def lab(rgb8):
    """CIE L*a*b* under D50, of sRGB's bytes."""
    t = linear(np.asarray(rgb8) / 255) @ SRGB.T / D50
    f = np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def pq(nits):
    """PQ's numbers, 0 to 1 (SMPTE ST 2084)."""
    power = (np.asarray(nits) / 10_000) ** (1305 / 8192)
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** (2523 / 32)


def hlg(nits):
    """HLG's numbers, 0 to 1, that a display of 1000 cd/m² shows as this light (ITU-R BT.2100)."""
    shown = np.asarray(nits) / 1000
    scene = shown * (shown @ [0.2627, 0.678, 0.0593])[..., None] ** (1 / 1.2 - 1)
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073)


def brighter(light):
    """cd/m² that tone mapping brings to this light, 0 to 1: white paper, 203 cd/m², to one half, and 1000 to one, by a
    quadratic Bézier curve (reference-white tone mapping, SMPTE ST 2094-50). It goes by the strongest channel."""
    t = np.linspace(0, 1, 10_001)
    papers, shown = [(1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c for a, b, c in ((1, 1.65, 1000 / 203), (0.5, 0.825, 1))]
    strongest = np.max(light, -1, keepdims=True)
    return 203 * light * np.where(strongest <= 0.5, 2, np.interp(strongest, shown, papers) / strongest)


def s15(*values):
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def profile(kind, space, pcs, tags):
    """`kind`: mntr, scnr or prtr. `space`: of the pixels. `pcs`: of the tags' colours. Equal tags are stored once."""
    tags = [(b"desc", b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78)),
            (b"cprt", b"text" + bytes(4) + b"none\0"), (b"wtpt", b"XYZ " + bytes(4) + s15(*D50)), *tags]
    table, data, places = struct.pack(">I", len(tags)), b"", {}
    for name, tag in tags:
        if tag not in places:
            places[tag] = 132 + 12 * len(tags) + len(data)
            data += tag + bytes(-len(tag) % 4)
        table += name + struct.pack(">II", places[tag], len(tag))
    header = struct.pack(">I4sI4s4s4s12s4s", 128 + len(table + data), bytes(4), 0x02100000, kind, space, pcs, bytes(12), b"acsp")
    return (header + bytes(28) + s15(*D50)).ljust(128, b"\0") + table + data


def curve(gamma):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def matrix_profile(matrix, gamma):
    colorants = [(name, b"XYZ " + bytes(4) + s15(*matrix[:, i])) for i, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))]
    return profile(b"mntr", b"RGB ", b"XYZ ", [*colorants, *[(name, curve(gamma)) for name in (b"rTRC", b"gTRC", b"bTRC")]])


def gray_profile(gamma):
    return profile(b"mntr", b"GRAY", b"XYZ ", [(b"kTRC", curve(gamma))])


def table_profile(kind, space, base, steps):
    """A table of two points a channel, whose colours are `base` + channels · `steps` in L*a*b*: so plain that no way of
    interpolating between its corners differs from another."""
    steps = np.asarray(steps, np.float64)
    corners = np.stack(np.meshgrid(*[[0, 1]] * len(steps), indexing="ij"), -1).reshape(-1, len(steps))
    colours = base + corners @ steps
    # 16 bits of version 2: L* to FF00, a* and b* around 8000.
    codes = np.round(np.stack([colours[:, 0] / 100 * 0xFF00, *((colours[:, 1:] + 128) * 256).T], -1))
    assert codes.min() >= 0 and codes.max() <= 0xFFFF, codes
    straight = struct.pack(">HH", 0, 0xFFFF)
    lut = b"mft2" + bytes(4) + bytes([len(steps), 3, 2, 0]) + s15(1, 0, 0, 0, 1, 0, 0, 0, 1) + struct.pack(">HH", 2, 2)
    lut += straight * len(steps) + codes.astype(">u2").tobytes() + straight * 3
    return profile(kind, space, b"Lab ", [(b"A2B0", lut)])


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def iccp(icc):
    return chunk(b"iCCP", b"p\0\0" + zlib.compress(icc, 9))


def cicp(primaries, transfer, full_range=1):
    return chunk(b"cICP", bytes([primaries, transfer, 0, full_range]))


def gama(exponent):
    return chunk(b"gAMA", struct.pack(">I", round(100_000 * exponent)))


def chrm(*xy):
    """White, red, green, blue."""
    return chunk(b"cHRM", struct.pack(">8I", *[round(100_000 * v) for v in xy]))


def png(pixels, *chunks):
    """A PNG of [h, w, channels] in 8 or 16 bits, with chunks before its pixels."""
    height, width, channels = pixels.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(f">u{pixels.itemsize}").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, kind, 0, 0, 0)
    body = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(rows, 9)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def bmp(pixels, icc):
    """A BMP with a header of version 5, which carries a profile behind the pixels. Rows of whole 4 bytes."""
    height, width, _ = pixels.shape
    rows = pixels[::-1, :, ::-1].tobytes()
    header = struct.pack("<IiiHHIIiiII", 124, width, height, 1, 24, 0, len(rows), 0, 0, 0, 0) + bytes(16)
    header += b"DEBM" + bytes(48) + struct.pack("<IIII", 4, 124 + len(rows), len(icc), 0)
    return struct.pack("<2sIII", b"BM", 138 + len(rows) + len(icc), 0, 138) + header + rows + icc
