"""Writes the files of tests/cases/pictures, with Pillow: one small picture in the forms in which pictures come.

    python autoencode/pictures.py

24 × 16 pixels in four fields: red and green above, blue and cream below. Every file shows it that way up, whatever the
pixels' order in it is.
"""
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parents[2] / "tests" / "cases" / "pictures"
RED, GREEN, BLUE, CREAM = (200, 40, 40), (40, 160, 60), (40, 60, 200), (240, 230, 210)


def four_fields(colours, width=24, height=16):
    pixels = np.zeros((height, width, len(colours[0])), np.uint8)
    for i, colour in enumerate(colours):
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


if __name__ == "__main__":
    main()
