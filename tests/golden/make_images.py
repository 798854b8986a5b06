#!/usr/bin/env python3
"""Small pictures of every kind that src/image/decode.c reads, and what they decode to.

The truth is the array that a picture was made from, or Pillow's decoding where encoding
loses; where Pillow reads a format too, this script checks that it agrees. Needs Pillow and
numpy. Writes pictures.bin, for each picture a record (numbers are little-endian):

    u8 length of the name, the name
    u16 width, u16 height, u8 channels (0: is refused as unsupported), u8 ICC profile,
    u8 levels by which a sample may differ
    u32 size of the file, the file
    width * height * channels samples, decoded on BACKGROUND

With a folder as second argument also writes every file there, to begin fuzzing with."""
import io
import os
import struct
import sys
import zlib

import numpy
from PIL import Image, ImageOps

BACKGROUND = (200, 100, 50)  # as in test_decode.c
WIDTH, HEIGHT = 11, 7
records = []


def draw(height, width, channels, most=255, seed=0):
    """Ramps with noise: every row and column differs, every bit occurs."""
    y, x, c = numpy.ogrid[:height, :width, :channels]
    noise = numpy.random.default_rng(seed).integers(0, most // 8 + 2, (height, width, channels))
    ramp = (x * most // width + y * (most // 3 + 1) // height + c * (most // 4 + 1)) + noise
    return ramp % (most + 1)


def to_bytes(samples, most):
    """Rounded from 0..most to 0..255."""
    return (samples * 510 + most) // (2 * most)


def flatten(samples, most=255):
    """The last channel is alpha: exactly rounded over BACKGROUND; grey over its luma."""
    samples = samples.astype(object)
    value, alpha = samples[:, :, :-1], samples[:, :, -1:]
    behind = numpy.array(BACKGROUND, object)
    if value.shape[2] == 1:
        behind = numpy.asarray(Image.new("RGB", (1, 1), BACKGROUND).convert("L"))[0].astype(object)
    above = 255 * value * alpha + behind * most * (most - alpha)
    return ((2 * above + most * most) // (2 * most * most)).astype(int)


def from_pillow(encoded, channels):
    """Pillow's decoding, upright and flattened."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded)))
    if image.mode.startswith("I"):
        return to_bytes(numpy.asarray(image).astype(int)[:, :, None], 65535)
    if image.has_transparency_data:
        pixels = numpy.asarray(image.convert("RGBA")).astype(int)
        return flatten(pixels[:, :, [0, 3]] if channels == 1 else pixels)
    pixels = numpy.asarray(image.convert("L" if channels == 1 else "RGB")).astype(int)
    return pixels[:, :, None] if channels == 1 else pixels


def add(name, encoded, expected=None, channels=3, icc=False, differs=0, pillow=0):
    """Without `expected` Pillow's decoding is the truth, and `differs` says how far ours
    may be from it; with it, `pillow` says how far Pillow's is (None: cannot read it)."""
    if expected is None:
        expected = from_pillow(encoded, channels)
    elif pillow is not None:
        off = numpy.abs(from_pillow(encoded, expected.shape[2]) - expected).max()
        assert off <= pillow, (name, off)
    records.append((name, encoded, expected, icc, differs))


# ---- PNG ---------------------------------------------------------------------------------

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
         (1, 0, 2, 1)]  # first row, first column, steps


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_rows(samples, depth):
    packed = b""
    for row in samples:
        if depth == 16:
            line = row.astype(">u2").tobytes()
        else:
            bits = numpy.unpackbits(row.reshape(-1, 1).astype("u1"), axis=1)[:, 8 - depth:]
            line = numpy.packbits(bits.reshape(-1)).tobytes()
        packed += b"\0" + line
    return packed


def png(samples, depth, kind, extra=b"", interlaced=False, after=b""):
    height, width = samples.shape[:2]
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    parts = [samples[y::dy, x::dx] for y, x, dy, dx in passes]
    rows = b"".join(png_rows(p, depth) for p in parts if p.size)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra +
            chunk(b"IDAT", zlib.compress(rows, 9)) + after + chunk(b"IEND", b""))


def png_cases():
    """name, samples, depth, kind, chunks, expected, how far Pillow is, which cuts 16 bits
    of colour to the upper 8."""
    for depth in (1, 2, 4, 8, 16):
        most = (1 << depth) - 1
        grey = draw(HEIGHT, WIDTH, 1, most)
        yield f"grey{depth}", grey, depth, GREY, b"", to_bytes(grey, most), 0
        clear = int(grey[3, 4, 0])
        alpha = numpy.where(grey == clear, 0, most)
        yield (f"grey{depth}-trns", grey, depth, GREY, chunk(b"tRNS", struct.pack(">H", clear)),
               flatten(numpy.concatenate([grey, alpha], 2), most), None)
    for depth in (8, 16):
        most, far = (1 << depth) - 1, 0 if depth == 8 else 1
        colour = draw(HEIGHT, WIDTH, 3, most)
        yield f"rgb{depth}", colour, depth, RGB, b"", to_bytes(colour, most), far
        clear = colour[2, 5]
        alpha = numpy.where((colour == clear).all(2, keepdims=True), 0, most)
        yield (f"rgb{depth}-trns", colour, depth, RGB,
               chunk(b"tRNS", struct.pack(">HHH", *map(int, clear))),
               flatten(numpy.concatenate([colour, alpha], 2), most), None)
        for kind, name, n in ((GREY_ALPHA, "grey-alpha", 2), (RGB_ALPHA, "rgba", 4)):
            pixels = draw(HEIGHT, WIDTH, n, most, seed=n)
            pixels[0, :, -1], pixels[1, :, -1] = 0, most
            yield (f"{name}{depth}", pixels, depth, kind, b"", flatten(pixels, most),
                   0 if depth == 8 else 2)
    for depth in (1, 2, 4, 8):
        colours = draw(1, 1 << depth, 4, seed=depth)[0]
        index = draw(HEIGHT, WIDTH, 1, (1 << depth) - 1)
        plte = chunk(b"PLTE", colours[:, :3].astype("u1").tobytes())
        yield f"palette{depth}", index, depth, PALETTE, plte, colours[index[:, :, 0], :3], 0
        few = colours.copy()
        few[(1 << depth) // 2:, 3] = 255  # those that tRNS leaves out
        trns = chunk(b"tRNS", few[:(1 << depth) // 2, 3].astype("u1").tobytes())
        yield (f"palette{depth}-trns", index, depth, PALETTE, plte + trns,
               flatten(few[index[:, :, 0]]), 0)


def add_png():
    for name, samples, depth, kind, extra, expected, far in png_cases():
        for interlaced in (False, True):
            add(f"{name}{'-interlaced' if interlaced else ''}.png",
                png(samples, depth, kind, extra, interlaced), expected, pillow=far)
    colour = draw(HEIGHT, WIDTH, 3)
    turn = chunk(b"eXIf", exif(6)[6:])
    upright = numpy.rot90(colour, -1)
    add("exif-before.png", png(colour, 8, RGB, turn), upright)
    add("exif-after.png", png(colour, 8, RGB, after=turn), upright)
    profile = chunk(b"iCCP", b"name\0\0" + zlib.compress(b"not a profile"))
    add("icc.png", png(colour, 8, RGB, profile), colour, icc=True)
    add("pillow.png", saved(colour, "PNG"), colour)
    # One pixel a side leaves most of the seven passes empty.
    for height, width in ((1, 1), (1, 9), (9, 1)):
        tiny = draw(height, width, 4)
        add(f"tiny{height}x{width}.png", png(tiny, 8, RGB_ALPHA, interlaced=True), flatten(tiny))


# ---- JPEG --------------------------------------------------------------------------------

def exif(orientation, order="<"):
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return (b"Exif\0\0" + mark + struct.pack(order + "I", 8) + struct.pack(order + "H", 2) +
            struct.pack(order + "HHII", 0x100, 4, 1, 99) +
            struct.pack(order + "HHIHH", 0x112, 3, 1, orientation, 0) + struct.pack(order + "I", 0))


def saved(pixels, kind, mode=None, **options):
    pixels = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    out = io.BytesIO()
    pixels = numpy.ascontiguousarray(pixels.astype("u1"))
    image = Image.fromarray(pixels)
    if mode == "CMYK":
        image = Image.frombytes("CMYK", image.size, pixels.tobytes())
    image.save(out, kind, **options)
    return out.getvalue()


def smooth(height, width, channels):
    y, x, c = numpy.ogrid[:height, :width, :channels]
    return numpy.round(127 + 80 * numpy.sin(x / 5 + c) + 40 * numpy.cos(y / 3 - c)).astype(int)


def add_jpeg():
    colour, grey, ink = smooth(19, 37, 3), smooth(19, 37, 1), smooth(19, 37, 4)
    # The same library decodes: what differs are its versions, by a level at most.
    add("grey.jpg", saved(grey, "JPEG"), channels=1, differs=1)
    add("grey-progressive.jpg", saved(grey, "JPEG", progressive=True), channels=1, differs=1)
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        name = "ycc" + subsampling.replace(":", "")
        add(f"{name}.jpg", saved(colour, "JPEG", subsampling=subsampling), differs=1)
        add(f"{name}-progressive.jpg",
            saved(colour, "JPEG", subsampling=subsampling, progressive=True), differs=1)
    add("rgb.jpg", saved(colour, "JPEG", keep_rgb=True), differs=1)
    add("restarts.jpg", saved(colour, "JPEG", restart_marker_blocks=2), differs=1)
    add("icc.jpg", saved(colour, "JPEG", icc_profile=b"not a profile"), icc=True, differs=1)
    cmyk = saved(ink, "JPEG", "CMYK")
    marker = cmyk.index(b"\xff\xee\0\x0eAdobe")
    assert cmyk[marker + 15] == 0  # no transform
    add("cmyk.jpg", cmyk, differs=1)
    add("ycck.jpg", cmyk[:marker + 15] + b"\2" + cmyk[marker + 16:], differs=1)
    add("cmyk-unmarked.jpg", cmyk[:marker] + cmyk[marker + 16:], differs=1)
    for orientation in range(1, 9):
        small = smooth(8, 16, 3)
        order = "<>"[orientation % 2]
        add(f"exif{orientation}.jpg", saved(small, "JPEG", exif=exif(orientation, order)), differs=1)
    add("exif9.jpg", saved(smooth(8, 16, 3), "JPEG", exif=exif(9)), differs=1)


# ---- WebP --------------------------------------------------------------------------------

def add_webp():
    colour, clear = smooth(19, 37, 3), draw(HEIGHT, WIDTH, 4)
    add("lossy.webp", saved(colour, "WEBP", quality=70), differs=1)
    add("lossless.webp", saved(colour, "WEBP", lossless=True), colour)
    add("lossless-alpha.webp", saved(clear, "WEBP", lossless=True, exact=True), flatten(clear))
    add("lossy-alpha.webp", saved(clear, "WEBP", quality=70), differs=1)
    add("icc.webp", saved(colour, "WEBP", lossless=True, icc_profile=b"not a profile"), colour,
        icc=True)
    for orientation in (3, 5):
        encoded = saved(colour, "WEBP", lossless=True, exif=exif(orientation))
        add(f"exif{orientation}.webp", encoded)
    out = io.BytesIO()
    frames = [Image.fromarray(smooth(8, 8, 3).astype("u1") + i) for i in (0, 9)]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    records.append(("animation.webp", out.getvalue(), numpy.zeros((0, 0, 0), int), False, 0))


# ---- BMP ---------------------------------------------------------------------------------

def bmp(rows, width, height, bits, compression=0, header=40, masks=(), palette=None,
        used=0, profile=False):
    """`rows` as stored; a negative height means from the top."""
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression,
                           len(rows), 0, 0, used, 0)
        info += struct.pack(f"<{len(masks)}I", *masks)
        if header > 40:
            info += (b"DEBM" if profile else b"BGRs") if header == 124 else b""
            info = info.ljust(header, b"\0")
    if palette is not None:
        entries = palette[:, ::-1].astype("u1")
        if header != 12:
            entries = numpy.pad(entries, ((0, 0), (0, 1)))
        info += entries.tobytes()
    return struct.pack("<2sIHHI", b"BM", 14 + len(info) + len(rows), 0, 0, 14 + len(info)) + \
        info + rows


def bmp_rows(samples, top_down=False):
    """Bytes of each row, padded to four."""
    samples = samples if top_down else samples[::-1]
    return b"".join(r.tobytes() + bytes(-r.nbytes % 4) for r in samples)


def packed_indices(index, bits):
    unpacked = numpy.unpackbits(index[:, :, None].astype("u1"), axis=2)[:, :, 8 - bits:]
    return numpy.packbits(unpacked.reshape(len(index), -1), axis=1)


def masked(samples, masks):
    """Pixels of samples that fit the masks, and what the samples mean from 0 to 255."""
    pixels = numpy.zeros(samples.shape[:2], int)
    values = []
    for c, mask in enumerate(masks):
        low = mask & -mask
        most = mask // low
        part = samples[:, :, c] * (most + 1) // 256
        pixels |= part * low
        values.append(to_bytes(part, most))
    return pixels, numpy.stack(values, 2)


def run_length(index, bits):
    """Runs, literal pixels, a delta and line ends in turn; what the delta skips is 0."""
    index = index[::-1].copy()
    coded = b""
    for y, row in enumerate(index):
        if y == 2:
            coded += b"\0\2\5\0"  # five to the right
            row[:5] = 0
        start = 5 if y == 2 else 0
        if y % 2:
            row[start:] = row[start]
            twice = int(row[start]) * (17 if bits == 4 else 1)
            coded += bytes([len(row) - start, twice])
        else:
            line = packed_indices(row[None, start:], bits).tobytes()
            coded += bytes([0, len(row) - start]) + line + bytes(len(line) % 2)
        coded += b"\0\0"
    return coded + b"\0\1", index[::-1]


def add_bmp():
    for bits in (1, 4, 8):
        colours = draw(1, 1 << bits, 3, seed=bits)[0]
        index = draw(HEIGHT, WIDTH, 1, (1 << bits) - 1)[:, :, 0]
        rows = bmp_rows(packed_indices(index, bits))
        add(f"palette{bits}.bmp", bmp(rows, WIDTH, HEIGHT, bits, palette=colours), colours[index])
        add(f"os2-palette{bits}.bmp", bmp(rows, WIDTH, HEIGHT, bits, header=12, palette=colours),
            colours[index])
        rows = bmp_rows(packed_indices(index, bits), True)
        few = numpy.minimum(index, 1)
        add(f"few-colours{bits}.bmp", bmp(bmp_rows(packed_indices(few, bits)), WIDTH, HEIGHT, bits,
            palette=colours[:2], used=2), colours[few])
        add(f"top-down{bits}.bmp", bmp(rows, WIDTH, -HEIGHT, bits, palette=colours), colours[index])
        if bits > 1:
            coded, seen = run_length(index, bits)
            add(f"rle{bits}.bmp", bmp(coded, WIDTH, HEIGHT, bits, {8: 1, 4: 2}[bits],
                palette=colours), colours[seen])
    grey = draw(HEIGHT, WIDTH, 1)
    ramp = numpy.repeat(numpy.arange(255, -1, -1)[:, None], 3, 1)
    add("grey.bmp", bmp(bmp_rows(255 - grey[:, :, 0].astype("u1")), WIDTH, HEIGHT, 8, palette=ramp),
        grey)
    colour = draw(HEIGHT, WIDTH, 4)
    bgr = colour[:, :, 2::-1].astype("u1")
    add("bgr24.bmp", bmp(bmp_rows(bgr), WIDTH, HEIGHT, 24), colour[:, :, :3])
    add("os2-24.bmp", bmp(bmp_rows(bgr), WIDTH, HEIGHT, 24, header=12), colour[:, :, :3])
    add("top-down24.bmp", bmp(bmp_rows(bgr, True), WIDTH, -HEIGHT, 24), colour[:, :, :3])
    add("pillow.bmp", saved(colour[:, :, :3], "BMP"), colour[:, :, :3])
    add("icc24.bmp", bmp(bmp_rows(bgr), WIDTH, HEIGHT, 24, header=124, masks=(0,) * 4, profile=True),
        colour[:, :, :3], icc=True)
    # name, bits, compression, header, masks, what Pillow is off (it truncates 5 and 6 bits)
    usual = (0xff0000, 0xff00, 0xff)
    for name, bits, compression, header, masks, far in (
            ("rgb555", 16, 0, 40, (0x7c00, 0x3e0, 0x1f), 1),
            ("rgb565", 16, 3, 40, (0xf800, 0x7e0, 0x1f), 1),
            ("rgb444-v4", 16, 3, 108, (0xf00, 0xf0, 0xf, 0xf000), None),
            ("bgrx32", 32, 0, 40, usual, 0),
            ("masks32", 32, 3, 40, (0xff, 0xff00, 0xff0000), None),
            ("masks10", 32, 3, 56, (0x3ff00000, 0xffc00, 0x3ff, 0), None),
            ("rgba32-v4", 32, 3, 108, usual + (0xff000000,), 0),
            ("rgba32-v5", 32, 3, 124, usual + (0xff000000,), 0),
            ("alpha-masks", 32, 6, 40, usual + (0xff000000,), None)):
        pixels, values = masked(colour, [m for m in masks if m])
        rows = bmp_rows(pixels.astype("<u2" if bits == 16 else "<u4"))
        expected = flatten(values) if values.shape[2] == 4 else values
        add(f"{name}.bmp", bmp(rows, WIDTH, HEIGHT, bits, compression, header,
            masks if compression else (), None), expected, pillow=far)


# ---- PNM ---------------------------------------------------------------------------------

def add_pnm():
    size = f"{WIDTH} {HEIGHT}"
    bits = draw(HEIGHT, WIDTH, 1, 1)
    add("p1.pbm", (f"P1 # bits\n{size}\n" + "\n".join(
        "".join(str(b) for b in r) for r in bits[:, :, 0]) + "\n").encode(), 255 - 255 * bits)
    add("p4.pbm", f"P4\n{size}\n".encode() + numpy.packbits(bits[:, :, 0], axis=1).tobytes(),
        255 - 255 * bits)
    for channels, text, raw, end in ((1, 2, 5, "pgm"), (3, 3, 6, "ppm")):
        for most in (1, 100, 255, 1000, 65535):
            samples = draw(HEIGHT, WIDTH, channels, most)
            expected = to_bytes(samples, most)
            far = 1 if channels == 3 or most < 256 else None
            add(f"p{text}-{most}.{end}", (f"P{text}\n#c\n{size}\n{most}\n" + " ".join(
                str(v) for v in samples.reshape(-1)) + "\n").encode(), expected, pillow=far)
            data = samples.astype("u1" if most < 256 else ">u2").tobytes()
            add(f"p{raw}-{most}.{end}", f"P{raw} {size} {most}\n".encode() + data, expected,
                pillow=far)
    for depth, kind in enumerate(("GRAYSCALE", "GRAYSCALE_ALPHA", "RGB", "RGB_ALPHA"), 1):
        for most in (255, 1000):
            samples = draw(HEIGHT, WIDTH, depth, most)
            header = (f"P7\nWIDTH {WIDTH}\nHEIGHT {HEIGHT}\n# comment\nDEPTH {depth}\n"
                      f"MAXVAL {most}\nTUPLTYPE {kind}\nENDHDR\n")
            add(f"p7-{depth}-{most}.pam",
                header.encode() + samples.astype("u1" if most < 256 else ">u2").tobytes(),
                to_bytes(samples, most) if depth % 2 else flatten(samples, most), pillow=None)
    add("p7-bits.pam", (f"P7\nDEPTH 1\nMAXVAL 1\nHEIGHT {HEIGHT}\nWIDTH {WIDTH}\n"
        "TUPLTYPE BLACKANDWHITE\nENDHDR\n").encode() + bits.astype("u1").tobytes(), 255 * bits,
        pillow=None)


def main():
    for make in (add_png, add_jpeg, add_webp, add_bmp, add_pnm):
        make()
    with open(sys.argv[1] if len(sys.argv) > 1 else "pictures.bin", "wb") as out:
        for name, encoded, expected, icc, differs in records:
            height, width, channels = expected.shape
            out.write(bytes([len(name)]) + name.encode())
            out.write(struct.pack("<HHBBBI", width, height, channels, icc, differs, len(encoded)))
            out.write(encoded + expected.astype("u1").tobytes())
    for name, encoded, *_ in records if len(sys.argv) > 2 else []:
        with open(os.path.join(sys.argv[2], name), "wb") as out:
            out.write(encoded)
    print(len(records), "pictures")


main()
