#!/usr/bin/env python3
"""Small archives for tests/data/test_entries.c and test_images.c, by Python's zipfile and
tarfile.

Each but pets.zip holds the same files; byte i of the file that is to be listed as NAME is
(i * i + len(NAME)) % 251.
Run in tests/golden/archives: python3 ../make_archives.py
"""
import io
import tarfile
import zipfile

tarfile.RECORDSIZE = tarfile.BLOCKSIZE  # no padding to 10 KB
LONG = "long/" + 30 * "name-" + ".bin"
FILES = {  # name in the archive -> bytes
    "./a.bin": 3,
    "folder/b.bin": 3000,
    "folder/empty.bin": 0,
    "folder/gr\u00fcn.bin": 700,
    LONG: 40,
    "../../outside.bin": 10,
    ".hidden.bin": 5,
    "__MACOSX/._a.bin": 5,
    "other.txt": 5,
}


def content(name, size):
    length = len(name.lstrip("./").encode())
    return bytes((i * i + length) % 251 for i in range(size))


def write_zip(path, force64=False, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.comment = b"a comment"
        archive.writestr(zipfile.ZipInfo("folder/"), b"")
        for name, size in FILES.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            with archive.open(info, "w", force_zip64=force64) as file:
                file.write(content(name, size))


def write_tar(path, kind, mode="w"):
    with tarfile.open(path, mode, format=kind) as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        old = tarfile.TarInfo("folder/b.bin")  # replaced by the next of its name
        old.size = 4
        archive.addfile(old, io.BytesIO(b"old\n"))
        for name, size in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = size
            archive.addfile(info, io.BytesIO(content(name, size)))
        link = tarfile.TarInfo("link.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "a.bin"
        archive.addfile(link)


def write_zip64(path):
    """As of more than 65,535 files: zipfile writes the wide records only when it must."""
    limit, zipfile.ZIP_FILECOUNT_LIMIT = zipfile.ZIP_FILECOUNT_LIMIT, 2
    write_zip(path, force64=True)
    zipfile.ZIP_FILECOUNT_LIMIT = limit


def write_pets(path):
    """The pictures of tests/data/test_images.c."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for i, name in enumerate(["cats/b.pgm", "cats/old/a.PGM", "dogs/c.pgm",
                                  "ants/z.pgm"]):
            archive.writestr("../pets/" + name, b"P5\n3 2\n255\n" + bytes([10 * i + 10] * 6))


write_pets("pets.zip")
write_zip("files.zip")
write_zip("files-stored.zip", method=zipfile.ZIP_STORED)
write_zip64("files-64.zip")
write_tar("files-pax.tar.gz", tarfile.PAX_FORMAT, "w:gz")
write_tar("files-pax.tar", tarfile.PAX_FORMAT)
write_tar("files-gnu.tar", tarfile.GNU_FORMAT)
