"""Job folders as cryoSPARC writes them: field names and types of a real table, file names as third-party readers take.

The fields and types of alignments are those of the header of tests/data/4k_dataset.cs in cryosparc-tools.
"""

import json
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.mrc import write_volume

_ALIGNMENT = [
    ("split", "<u4"),
    ("shift", "<f4", (2,)),
    ("pose", "<f4", (3,)),
    ("psize_A", "<f4"),
    *((name, "<f4") for name in ("error", "error_min", "resid_pow", "slice_pow", "image_pow", "cross_cor", "alpha")),
    *((name, "<f4") for name in ("alpha_min", "weight", "pose_ess", "shift_ess", "class_posterior")),
    ("class", "<u4"),
    ("class_ess", "<f4"),
]


class Project:
    """A project of cryoSPARC that has imported the particles of a dataset, under uids of its own."""

    def __init__(self, folder: Path, particles: ParticleSet, seed: int = 0) -> None:
        self.folder = folder
        self.particles = particles
        self.rng = np.random.default_rng(seed)
        self.uid = self.rng.integers(2**63, 2**64, len(particles), np.uint64, endpoint=False)
        imported = folder / "J1" / "imported"
        imported.mkdir(parents=True)
        names = []
        for stack in particles.stack_files:
            name = f"{self.rng.integers(10**20 % 2**62):021d}_{stack.name}"
            (imported / name).symlink_to(stack)
            names.append(f">J1/imported/{name}".encode())
        self.stack_names = np.array(names)

    def job(self, number: int, job_type: str | None, **more: object) -> Path:
        """Make the folder of a job; without a type it has no job.json."""
        folder = self.folder / f"J{number}"
        folder.mkdir()
        if job_type is not None:
            told = {"project_uid": "P3", "uid": f"J{number}", "type": job_type, "version": "v4.4.1"}
            (folder / "job.json").write_text(json.dumps(told | {"status": "completed"} | more))
        return folder

    def blob(self, rows: np.ndarray, sign: float = 1) -> dict[str, np.ndarray]:
        """Return the fields that name the images of particles, and their defocus."""
        particles = self.particles
        return {
            "uid": self.uid[rows],
            "blob/path": self.stack_names[particles.stack_index[rows]],
            "blob/idx": particles.slice_index[rows].astype("<u4"),
            "blob/shape": np.full((len(rows), 2), particles.box_px, "<u4"),
            "blob/psize_A": np.full(len(rows), particles.pixel_size_A, "<f4"),
            "blob/sign": np.full(len(rows), sign, "<f4"),
            "ctf/df1_A": particles.ctf.defocus_u_A[rows].astype("<f4"),
        }

    def alignment(self, prefix: str, rows: np.ndarray, posterior: np.ndarray, pixels: float = 1) -> dict:
        """Return the fields of the alignment to one class; true poses, in pixels that are so many times larger."""
        poses = self.particles.poses[rows]
        fields = {f"{prefix}/{name}": np.zeros((len(rows), *shape), kind) for name, kind, *shape in _flat(_ALIGNMENT)}
        psize_A = pixels * self.particles.pixel_size_A
        fields[f"{prefix}/pose"][:] = Rotation.from_matrix(poses.rotation_object_to_image.swapaxes(1, 2)).as_rotvec()
        fields[f"{prefix}/shift"][:] = -poses.shift_A / psize_A
        fields[f"{prefix}/psize_A"][:] = psize_A
        fields[f"{prefix}/class_posterior"][:] = posterior
        return fields

    def shuffled(self, count: int | None = None) -> np.ndarray:
        """Return rows of particles in random order, some left out."""
        return self.rng.permutation(len(self.particles))[:count]


def _flat(fields: list[tuple]) -> list[tuple]:
    return [(name, kind, *(shape[0] if shape else ())) for name, kind, *shape in fields]


def classes_apart(project: Project, rows: np.ndarray, posterior: np.ndarray, pixels: float = 1) -> dict:
    """Return uid and alignments_class_k/*, as until 4.4; poses are right in the most probable class only."""
    fields = {"uid": project.uid[rows]}
    best = posterior.argmax(axis=1)
    for k in range(posterior.shape[1]):
        own = project.alignment(f"alignments_class_{k}", rows, posterior[:, k], pixels)
        own[f"alignments_class_{k}/pose"][best != k] = 0.3
        own[f"alignments_class_{k}/shift"][best != k] = 7
        own[f"alignments_class_{k}/class"][:] = k
        fields |= own
    return fields


def classes_together(project: Project, rows: np.ndarray, posterior: np.ndarray, pixels: float = 1) -> dict:
    """Return uid and alignments3D_multi/*, as from 4.5 on, with columns sorted by probability."""
    apart = classes_apart(project, rows, posterior, pixels)
    fields = {"uid": apart["uid"]}
    column = np.argsort(-posterior, axis=1)
    for name in ("shift", "pose", "psize_A", "class_posterior", "class"):
        values = np.stack([apart[f"alignments_class_{k}/{name}"] for k in range(posterior.shape[1])], axis=1)
        fields[f"alignments3D_multi/{name}"] = values[np.arange(len(rows))[:, None], column]
    fields["alignments3D_multi/split"] = apart["alignments_class_0/split"]
    return fields


def components(project: Project, rows: np.ndarray, latents: np.ndarray) -> dict:
    """Return uid and components_mode_k/* of latents (N, d) of all particles."""
    fields = {"uid": project.uid[rows]}
    for k in range(latents.shape[1]):
        fields[f"components_mode_{k}/component"] = np.full(len(rows), k, "<u4")
        fields[f"components_mode_{k}/value"] = latents[rows, k].astype("<f4")
    return fields


def write_cs_fields(path: Path, fields: dict[str, np.ndarray]) -> Path:
    """Write a .cs file."""
    records = np.zeros(len(fields["uid"]), [(name, value.dtype, value.shape[1:]) for name, value in fields.items()])
    for name, value in fields.items():
        records[name] = value
    with path.open("wb") as stream:
        np.save(stream, records, allow_pickle=False)
    return path


def write_maps(folder: Path, names: list[str], box_px: int, pixel_size_A: float, seed: int = 0) -> np.ndarray:
    """Write random smooth maps and return them (k, D, D, D)."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.fftn(rng.normal(size=(len(names), *[box_px] * 3)), axes=(1, 2, 3))
    square = sum(np.ix_(*[np.square(np.fft.fftfreq(box_px))] * 3))
    maps = np.fft.ifftn(spectrum * np.exp(-40 * square), axes=(1, 2, 3)).real.astype(np.float32)
    for name, volume in zip(names, maps, strict=True):
        write_volume(folder / name, volume, pixel_size_A)
    return maps
