#!/usr/bin/python3
"""Writes the small pictures of tests/fixtures (needs python3-pil). They are committed; run this
only to change them."""
import math
import pathlib

from PIL import Image

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "tests" / "fixtures"


def draw(width, height, colour):
    image = Image.new("RGB", (width, height))
    image.putdata([colour(x / width, y / height) for y in range(height) for x in range(width)])
    return image


def waves(x, y):
    return tuple(int(127 + 120 * math.sin(6 * x * (k + 1) + 9 * y * (3 - k))) for k in range(3))


def rings(x, y):
    r = math.hypot(x - 0.5, y - 0.5)
    return int(127 + 120 * math.cos(40 * r)), int(255 * x), int(255 * y)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    draw(160, 120, waves).save(FOLDER / "waves.jpg", quality=80)
    draw(160, 120, waves).save(FOLDER / "waves.png", optimize=True)
    draw(120, 120, rings).save(FOLDER / "rings.webp", quality=70)
    draw(400, 300, rings).save(FOLDER / "rings.jpg", quality=75, progressive=True)
    turned = Image.Exif()
    turned[0x0112] = 6  # shown upright after a quarter turn
    draw(160, 120, rings).save(FOLDER / "turned.jpg", quality=80, exif=turned)
    first, second = draw(64, 64, waves), draw(64, 64, rings)
    first.save(FOLDER / "moving.webp", save_all=True, append_images=[second], duration=100)
    draw(64, 48, waves).convert("CMYK").save(FOLDER / "cmyk.jpg", quality=80)
    Image.new("I;16", (32, 24), 30000).save(FOLDER / "deep.png")


if __name__ == "__main__":
    main()
