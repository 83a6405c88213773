"""Writes the files of tests/cases/pictures, with Pillow: one small picture in the forms in which pictures come.

    python autoencode/pictures.py

24 × 16 pixels in four fields: red and green above, blue and cream below. Every file shows it that way up, whatever the
pixels' order in it is, and whatever its numbers mean: `colours.json` says what the four fields are in sRGB, how far a
reader may be off, and what it must say about the file.
"""
import json
from pathlib import Path

import colours

import numpy as np
from PIL import Image

HERE = Path(__file__).parents[2] / "tests" / "cases" / "pictures"
RED, GREEN, BLUE, CREAM = (200, 40, 40), (40, 160, 60), (40, 60, 200), (240, 230, 210)


def four_fields(fields, width=24, height=16, dtype=np.uint8):
    pixels = np.zeros((height, width, len(fields[0])), dtype)
    for i, colour in enumerate(fields):
        pixels[(i // 2) * height // 2 :][: height // 2, (i % 2) * width // 2 :][:, : width // 2] = colour
    return pixels


def main():
    picture = Image.fromarray(four_fields([RED, GREEN, BLUE, CREAM]))
    picture.save(HERE / "rgb.png")
    picture.save(HERE / "rgb.bmp")
    picture.save(HERE / "rgb.jpg", quality=95, subsampling=0)
    picture.save(HERE / "progressive.jpg", quality=95, progressive=True)
    picture.save(HERE / "lossless.webp", lossless=True)
    picture.save(HERE / "lossy.webp", quality=90)
    picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=8).save(HERE / "palette.png")
    picture.convert("CMYK").save(HERE / "cmyk.jpg", quality=95)
    picture.convert("L").save(HERE / "gray.png")
    picture.convert("L").save(HERE / "gray.jpg", quality=95)
    # 16 bits that do not repeat the upper 8: rounding, not cutting, gives the value.
    wide = np.asarray(picture.convert("L")).astype(np.uint16) * 257 + 100
    Image.fromarray(wide).save(HERE / "gray16.png")

    # Three quarters opaque: over white, each channel is 255 - (255 - c) * 191 / 255.
    glass = picture.convert("RGBA")
    glass.putalpha(191)
    glass.save(HERE / "alpha.png")

    # Stored lying on its side, with a note that says so.
    lying = picture.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    lying.save(HERE / "turned.jpg", quality=95, subsampling=0, exif=exif)

    other = Image.fromarray(four_fields([CREAM] * 4))
    for name in ("animated.gif", "animated.png", "animated.webp"):
        lossless = {"lossless": True} if name.endswith("webp") else {}
        picture.save(HERE / name, save_all=True, append_images=[other], duration=100, loop=0, **lossless)
    picture.save(HERE / "still.gif")
    with_meanings(picture)


def with_meanings(picture):
    """Pictures whose numbers are not sRGB's, and those that only say so."""
    srgb = [RED, GREEN, BLUE, CREAM]
    gray = [(round(0.299 * r + 0.587 * g + 0.114 * b),) for r, g, b in srgb]
    wide = colours.matrix_profile(colours.WIDE, colours.WIDE_GAMMA)
    dark = colours.gray_profile(1.0)
    # A table whose channels are L*, a* and b* themselves, and one of four inks.
    table = colours.table_profile(b"mntr", b"RGB ", [0, -80, -80], [[100, 0, 0], [0, 160, 0], [0, 0, 160]])
    steps = np.array([[-15, -60, -80], [-25, 90, -20], [-5, -5, 120], [-50, 0, 0]])
    inks = colours.table_profile(b"prtr", b"CMYK", [100, 0, 0], steps)

    def bytes_of(fields):
        return np.round(255 * np.asarray(fields)).clip(0, 255).astype(np.uint8)

    def deep(fields):
        return four_fields(np.round(65535 * np.asarray(fields)).astype(np.uint16), dtype=np.uint16)

    light = colours.light_in(colours.WIDE, srgb) ** (1 / colours.WIDE_GAMMA)
    in_wide = four_fields(bytes_of(light))
    in_table = deep((colours.lab(srgb) + [0, 80, 80]) / [100, 160, 160])
    bright = colours.brighter(colours.light_in(colours.BT2020, srgb))
    in_gray = four_fields(bytes_of(colours.linear(np.array(gray) / 255)))
    in_p3 = four_fields(bytes_of(colours.encoded(colours.light_in(colours.P3, srgb))))
    amounts = np.array([ink_amounts(colour - [100, 0, 0], steps) for colour in colours.lab(srgb)])
    in_inks = four_fields(bytes_of(amounts))
    half = np.full((16, 24, 1), 128, np.uint8)
    plain, broken = four_fields(srgb), wide[:200] + bytes(300)

    cases = []

    def case(name, data, fields=srgb, tolerance=2, note=None):
        """`data`: the file, or a function that writes it."""
        if isinstance(data, bytes):
            (HERE / name).write_bytes(data)
        else:
            data(HERE / name)
        cases.append({"file": name, "fields": [list(field) * (3 // len(field)) for field in fields], "tolerance": tolerance, "note": note})

    def saved(pixels, mode, **options):
        return lambda path: Image.fromarray(pixels.squeeze(), mode).save(path, **options)

    jpeg = {"quality": 95, "subsampling": 0}
    case("wide.png", saved(in_wide, "RGB", icc_profile=wide))
    case("wide16.png", colours.png(deep(light), colours.iccp(wide)))
    case("wide.bmp", colours.bmp(in_wide, wide))
    case("wide.jpg", saved(in_wide, "RGB", icc_profile=wide, **jpeg), tolerance=6)
    case("wide.webp", saved(in_wide, "RGB", icc_profile=wide, lossless=True))
    case("wide-palette.png", lambda path: Image.fromarray(in_wide).quantize(4).save(path, icc_profile=wide))
    # Half transparent: over white after its colours are sRGB's.
    over_white = [[round(255 - (255 - c) * 128 / 255) for c in field] for field in srgb]
    case("wide-alpha.png", colours.png(np.concatenate([in_wide, half], -1), colours.iccp(wide)), over_white)
    opaque_half = np.full((16, 24, 1), 128 * 257, np.uint16)
    case("table-alpha.png", colours.png(np.concatenate([in_table, opaque_half], -1), colours.iccp(table)), over_white, tolerance=3)
    case("gray-icc.png", saved(in_gray, "L", icc_profile=dark), gray, tolerance=3)
    case("gray-icc.jpg", saved(in_gray, "L", icc_profile=dark, quality=95), gray, tolerance=6)
    # Black ink is most of the dark colours: a step of it is several of red.
    case("cmyk-icc.jpg", saved(in_inks, "CMYK", icc_profile=inks, quality=95), tolerance=10)
    case("ycck-icc.jpg", ycck(in_inks, inks), tolerance=10)
    case("cicp.png", colours.png(in_p3, colours.cicp(12, 13)))
    case("pq.png", colours.png(deep(colours.pq(bright)), colours.cicp(9, 16)), tolerance=3, note="light")
    case("hlg.png", colours.png(deep(colours.hlg(bright)), colours.cicp(9, 18)), tolerance=3, note="light")
    case("gamma.png", colours.png(four_fields(bytes_of(colours.linear(np.array(srgb) / 255) ** (1 / 1.8))), colours.gama(1 / 1.8)))
    primaries = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
    case("primaries.png", colours.png(in_wide, colours.gama(1 / colours.WIDE_GAMMA), colours.chrm(*primaries)))
    # Of what a PNG says, cICP goes before a profile, that before sRGB, and that before gAMA.
    case("cicp-first.png", colours.png(in_p3, colours.cicp(12, 13), colours.iccp(wide), colours.gama(1.0)))
    case("profile-first.png", colours.png(in_wide, colours.iccp(wide), colours.gama(1.0)))
    case("srgb-first.png", colours.png(plain, colours.chunk(b"sRGB", b"\0"), colours.gama(1.0), colours.chrm(*primaries)))
    case("broken-icc.png", saved(plain, "RGB", icc_profile=broken), note="colour profile")
    case("broken-icc.jpg", saved(plain, "RGB", icc_profile=broken, **jpeg), tolerance=6, note="colour profile")
    case("other-icc.png", colours.png(plain, colours.iccp(dark)), note="gray")
    lines = ",\n".join("  " + json.dumps(each) for each in cases)
    (HERE / "colours.json").write_text(f"[\n{lines}\n]\n")


def ink_amounts(change, steps):
    """What of each ink, 0 to 1, makes that change in L*a*b*: the first answer in which none is over or under."""
    for black in np.linspace(0, 1, 101):
        amounts = np.append(np.linalg.solve(steps[:3].T, change - black * steps[3]), black)
        if amounts.min() >= 0 and amounts.max() <= 1:
            return amounts
    raise ValueError(f"no inks make {change}")


def ycck(inks, icc):
    """A JPEG whose first three inks are stored as brightness and two differences: Pillow writes none, but its CMYK is
    stored inverted, with a marker that says which of the two it is."""
    matrix = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    stored = np.concatenate([inks[..., :3] @ matrix.T + [0, 128, 128], 255.0 - inks[..., 3:]], -1)
    pixels = (255 - np.round(stored)).clip(0, 255).astype(np.uint8)

    def save(path):
        Image.fromarray(pixels, "CMYK").save(path, quality=95, icc_profile=icc)
        data = bytearray(path.read_bytes())
        data[data.index(b"Adobe") + 11] = 2
        path.write_bytes(data)

    return save


if __name__ == "__main__":
    main()
