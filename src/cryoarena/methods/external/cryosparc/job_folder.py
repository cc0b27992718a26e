"""A job folder of cryoSPARC: what kind of job it is, and which of its files are the last ones."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoarena.errors import UserError
from cryoarena.files import read_json
from cryoarena.particles.cs_table import cs_fields

KINDS = {
    "class_3D": "class3d",
    "hetero_refine": "hetero-refine",
    "homo_abinit": "ab-initio",
    "var_3D": "3dva",
    "flex_train": "3dflex",
}
_HINTS = {
    "var_3D_disp": "give the folder of its 3D Variability job",
    "flex_generate": "give the folder of its 3D Flex Training job, and the maps of this one by --maps",
    "flex_highres": "give the folder of its 3D Flex Training job",
}
FINAL = 10**9
# Particles that a job set aside.
_ASIDE = ("excluded", "incomplete", "remainder", "rejected", "uncategorized")


@dataclass(frozen=True)
class JobFolder:
    """A job folder.

    Attributes:
        path: of the folder.
        kind: one of the values of KINDS.
        about: program, job and its parameters, as far as job.json tells.
        complete: whether job.json does not say that the job ended early.
    """

    path: Path
    kind: str
    about: dict[str, Any]
    complete: bool


@dataclass(frozen=True)
class JobFile:
    """A file of a job.

    Attributes:
        path: of the file.
        class_number: whose file it is, or None for that of all particles.
        iteration: that wrote it; -1 where a job writes one file only, and the most for its final one.
    """

    path: Path
    class_number: int | None
    iteration: int


def open_job(path: Path, kind: str | None = None) -> JobFolder:
    """Tell the kind of a job folder by its job.json, or else by what the user says or the names of its files.

    Raises:
        UserError: when it is no job folder, a job without heterogeneity, or not of the kind that is told.
    """
    if kind is not None and kind not in KINDS.values():
        raise UserError(f"option kind must be one of {', '.join(KINDS.values())}, not {kind!r}")
    job = path / "job.json"
    told = read_json(job) if job.is_file() else {}
    if not isinstance(told, dict):
        raise UserError(f"{job} is not the job.json of cryoSPARC")
    # Version 5 keeps what tells the job in "spec".
    spec: dict[str, Any] = told["spec"] if isinstance(told.get("spec"), dict) else told
    job_type = spec.get("type") or told.get("job_type")
    found = KINDS.get(str(job_type)) if job_type else kind or _kind_by_names(path)
    if found is None and job_type is None:
        raise UserError(
            f"{path} has no job.json and no files that tell what job of cryoSPARC it is; give a job folder (J12) as "
            f"cryoSPARC wrote it, or tell what it is with --set kind=KIND, one of {', '.join(KINDS.values())}"
        )
    if found is None:
        hint = _HINTS.get(str(job_type), f"give one of {', '.join(KINDS)}")
        raise UserError(f"{path} is a job of type {job_type}, which has no result to import; {hint}")
    if kind not in (None, found):
        raise UserError(f"{path} is a job of type {job_type}, which is {found}, not {kind}; leave kind out")
    version = str(told.get("version", "")).lstrip("v")
    about = {
        "program": f"cryoSPARC {version}".strip(),
        "job": f"{told.get('project_uid', '')} {told.get('uid', '')} {job_type or found}".strip(),
        "parameters": spec.get("params_spec") or spec.get("params") or {},
    }
    return JobFolder(path, found, about, told.get("status", "completed") == "completed")


def _kind_by_names(folder: Path) -> str | None:
    names = [path.name for path in folder.iterdir()]

    def some(pattern: str) -> bool:
        return any(re.search(pattern, name) for name in names)

    if some(r"_component_0\.mrc$"):
        return "3dva"
    if some(r"_latents_\d+\.cs$"):
        return "3dflex"
    # 3D Classification and heterogeneous refinement name their files alike.
    return "ab-initio" if some(r"_class_\d+_final_volume\.mrc$") else None


def job_files(folder: Path, pattern: str) -> list[JobFile]:
    """Return the files of a glob pattern, except those of particles set aside, the last iteration first."""
    files = []
    for path in folder.glob(pattern):
        if any(word in path.name for word in _ASIDE):
            continue
        stem = path.stem
        of_class = re.search(r"class_(\d+)", stem)
        stem = re.sub(r"class_\d+", "class", stem)
        numbers = re.findall(r"_(\d{3,})(?=_|$)", stem)
        iteration = FINAL if "_final" in stem else int(numbers[-1]) if numbers else -1
        files.append(JobFile(path, int(of_class[1]) if of_class else None, iteration))
    return sorted(files, key=lambda file: (-file.iteration, file.class_number or 0, file.path.name))


def last_class_maps(folder: Path) -> dict[int, Path]:
    """Return the maps of the last iteration by class."""
    files = [file for file in job_files(folder, "*_volume.mrc") if file.class_number is not None]
    return {int(file.class_number or 0): file.path for file in files if file.iteration == files[0].iteration}


def last_tables(folder: Path, wanted: Callable[[tuple[str, ...]], bool]) -> list[JobFile]:
    """Return the last table of all particles with the wanted fields, or else the last tables of single classes.

    Args:
        folder: of the job.
        wanted: tells whether the fields of a table will do.

    Returns:
        One table, or one per class, whatever their fields; none where there is neither.

    Raises:
        UserError: when a table that is looked at is damaged or compressed.
    """
    files = _particle_tables(folder)
    own = [file for file in files if not _is_passthrough(file)]
    for file in own:
        if file.class_number is None and wanted(cs_fields(file.path)):
            return [file]
    of_classes = [file for file in own if file.class_number is not None]
    of_classes = of_classes or [file for file in files if file.class_number is not None]
    return [file for file in of_classes if file.iteration == of_classes[0].iteration]


def image_tables(folder: Path) -> list[Path]:
    """Return the tables that name the images of particles."""
    return [file.path for file in _particle_tables(folder) if "blob/path" in cs_fields(file.path)]


def _particle_tables(folder: Path) -> list[JobFile]:
    files = job_files(folder, "*.cs")
    return [file for file in files if "particles" in file.path.name or "latents" in file.path.name]


def _is_passthrough(file: JobFile) -> bool:
    return "passthrough" in file.path.name
