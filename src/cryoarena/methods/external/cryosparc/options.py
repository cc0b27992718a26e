"""What a user may have to tell about a job folder of cryoSPARC."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ImportOptions:
    """What a user may have to tell about a job folder.

    Attributes:
        kind: class3d, hetero-refine, ab-initio, 3dva or 3dflex, where the folder has no job.json.
        images: the .cs file whose blob/path names the images of the dataset, where the job's own files lack it or name
            others, e.g. imported_particles.cs of the import job where particles were downsampled since.
        maps: of 3D Flex: folder of the maps of a 3D Flex Generator job (J12_series_000, unzipped).
        latents: of 3D Flex: the .cs file with the latents that these maps were made at.
    """

    kind: str | None = None
    images: Path | None = None
    maps: str | None = None
    latents: Path | None = None
