"""Fetch a published CryoBench set and turn it into a dataset folder; an interrupted fetch goes on."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath

from cryoarena import __version__
from cryoarena.datasets.base import SourceFile, datasets
from cryoarena.datasets.cryobench_convert import Converted, convert
from cryoarena.datasets.making import MAKING, is_begun
from cryoarena.datasets.unpack import is_archive, list_archive, unpack
from cryoarena.datasets.zenodo import Record, RecordFile, download, partial_path, read_record
from cryoarena.errors import UserError
from cryoarena.files import (
    read_json,
    remove_temporary_files,
    require_empty_output,
    require_free_space,
    sha256_of,
    write_json,
)
from cryoarena.progress import progress_bar

# By the name of our dataset of the same kind: the record, and whether it holds other sets as well.
_RECORDS = {
    "igg-1d": (11629428, True),
    "igg-rl": (11629428, True),
    "ribosembly": (12528292, True),
    "tomotwin-100": (12528292, True),
    "spike-md": (14941494, False),
}
_PREFIX = "cryobench/"
_PAPER = "Jeon et al., CryoBench, NeurIPS 2024 Datasets and Benchmarks"
PUBLISHED = tuple(_PREFIX + base for base in _RECORDS)
# The first is the paper's; the others are IgG-1D-noisier and -noisiest.
_LEVELS = {"igg-1d": ("0.01", "0.005", "0.001")}
_DEFAULT_SNR = "0.01"
_WORK = ".published"


@dataclass(frozen=True)
class _Wanted:
    """Which set: its name, our dataset of the same kind, its record and its files, and the noise level asked for."""

    name: str
    base: str
    record: Record
    files: tuple[RecordFile, ...]
    snr: str | None

    def recipe(self) -> dict[str, object]:
        """Return all that fixes the dataset."""
        paper = datasets.get(self.base).presets["paper"]
        return {
            "published": {
                "record": self.record.number,
                "doi": self.record.doi,
                "version": self.record.version,
                "files": [{"name": file.name, "bytes": file.size_bytes, "md5": file.md5} for file in self.files],
            },
            "snr": paper.snr if self.snr is None else float(self.snr),
            "snr_box_px": paper.source_box_px,
        }


def fetch_published(name: str, out: Path, snr: str | None = None, overwrite: bool = False) -> int:
    """Download, check, unpack and convert a published set; return how many images it has.

    Args:
        name: one of `PUBLISHED`.
        out: new folder, or one that an interrupted run left.
        snr: noise level, where a set is published at several; 0.01 is the paper's.
        overwrite: replace what `out` holds.

    Raises:
        UserError: when the name is unknown, Zenodo cannot be reached, the disk is too small, a file is damaged, or
            what is published is not as expected.
    """
    wanted = _wanted(name, snr)
    recipe = wanted.recipe()
    dataset_id = hashlib.sha256(json.dumps([name, recipe], sort_keys=True).encode()).hexdigest()
    begun = is_begun(out, dataset_id, overwrite)
    if not begun and not overwrite:
        require_empty_output(out, overwrite=False)
    work = out / _WORK
    require_free_space(out, _needed_bytes(wanted.files, work))
    if begun:
        # Not of the whole folder: what has come of a download bears the same suffix.
        for folder in (out / "particles", out / "truth", work / "files"):
            remove_temporary_files(folder)
    else:
        require_empty_output(out, overwrite)
    write_json(out / MAKING, {"id": dataset_id})
    if not (out / "dataset.json").exists():
        for file in wanted.files:
            _bring(file, work, snr)
        converted = convert(work / "files", out, wanted.base)
        _write_card(wanted, converted, recipe, dataset_id, out)
    shutil.rmtree(work, ignore_errors=True)
    (out / MAKING).unlink()
    return int(read_json(out / "dataset.json")["recipe"]["images"])


def _wanted(name: str, snr: str | None) -> _Wanted:
    base = name.removeprefix(_PREFIX)
    if name not in PUBLISHED:
        raise UserError(f"nothing published is called {name!r}; there are {', '.join(PUBLISHED)}")
    levels = _LEVELS.get(base, ())
    if snr is not None and snr not in levels:
        there_is = f"there are {', '.join(levels)}" if levels else f"{name} has one noise level; leave it out"
        raise UserError(f"--snr {snr} is not published; {there_is}")
    number, shared = _RECORDS[base]
    record = read_record(number)
    files = tuple(file for file in record.files if _plain(base) in _plain(file.name))
    if not files and not shared:
        files = record.files
    if not files:
        listed = ", ".join(file.name for file in record.files) or "no files"
        raise UserError(f"record {number} has no file of {name}; it has {listed}")
    return _Wanted(name, base, record, files, snr)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _needed_bytes(files: Iterable[RecordFile], work: Path) -> int:
    """Return the bytes still to come; images do not compress, so that an archive is needed once more to unpack it."""
    needed = 0
    for file in files:
        if not _is_done(work, file):
            there = work / file.name if (work / file.name).exists() else partial_path(work / file.name)
            needed += file.size_bytes - (there.stat().st_size if there.exists() else 0)
            needed += file.size_bytes if is_archive(file.name) else 0
    return needed


def _is_done(work: Path, file: RecordFile) -> bool:
    return (work / f"{file.name}.done").exists()


def _bring(file: RecordFile, work: Path, snr: str | None) -> None:
    """Download a file and unpack it; an archive goes when all that is wanted of it is there."""
    if _is_done(work, file):
        (work / file.name).unlink(missing_ok=True)
        return
    with progress_bar(f"Downloading {file.name}") as report:
        download(file, work / file.name, report)
    if is_archive(file.name):
        names = _of_level(list_archive(work / file.name), snr)
        with progress_bar(f"Unpacking {file.name}") as report:
            unpack(work / file.name, names, work / "files", report)
    else:
        (work / "files").mkdir(exist_ok=True)
        (work / file.name).replace(work / "files" / file.name)
    (work / f"{file.name}.done").touch()
    (work / file.name).unlink(missing_ok=True)


def _of_level(names: Iterable[str], snr: str | None) -> set[str]:
    """Return the names of an archive that are not in the folder of another noise level (snr0.01 …).

    Raises:
        UserError: when the level asked for is not among those there.
    """
    level_of = {name: _level(name) for name in names}
    levels = sorted({level for level in level_of.values() if level is not None})
    wanted = snr or (levels[0] if len(levels) == 1 else _DEFAULT_SNR)
    if levels and wanted not in levels:
        raise UserError(f"no images of SNR {wanted} are among the published files; there are {', '.join(levels)}")
    return {name for name, level in level_of.items() if level in (None, wanted)}


def _level(name: str) -> str | None:
    found = [match[1] for part in PurePosixPath(name).parts if (match := re.fullmatch(r"snr(\d*\.?\d+)", part))]
    return found[0] if found else None


def _write_card(wanted: _Wanted, converted: Converted, recipe: dict[str, object], dataset_id: str, out: Path) -> None:
    """Write dataset.json, the last file: a folder that has it is whole."""
    ours = datasets.get(wanted.base).card
    record, particles = wanted.record, converted.particles
    card = asdict(
        replace(
            ours,
            name=wanted.name,
            title=f"{ours.title} (published)",
            citation=f"{_PAPER}; data: doi:{record.doi or f'10.5281/zenodo.{record.number}'}",
            licence="CC BY 4.0",
            sources=tuple(SourceFile(file.name, file.url, None, f"MD5 {file.md5}") for file in wanted.files),
            cvs=converted.cvs,
            notes=(),
            stand_ins=(),
        )
    )
    files = sorted(
        path
        for path in out.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(out).parts)
    )
    write_json(
        out / "dataset.json",
        {
            "format": 1,
            "id": dataset_id,
            "name": wanted.name,
            "cvs": card.pop("cvs"),
            "card": card,
            "recipe": {
                **recipe,
                "images": len(particles),
                "conformations": converted.conformations,
                "box_px": particles.box_px,
                "pixel_size_A": particles.pixel_size_A,
                "contrast_sign": particles.contrast_sign,
                "noise_sigma": 1.0,
                "published_noise_sigma": converted.agreement.noise_sigma,
                "published_gain": converted.agreement.gain,
            },
            "generator": {"cryoarena": __version__},
            "notes": list(converted.notes),
            "files": {path.relative_to(out).as_posix(): sha256_of(path) for path in files},
        },
    )
