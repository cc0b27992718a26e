"""Write dataset.json, the last file of a dataset folder."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from cryoarena import __version__
from cryoarena.datasets.base import Dataset, Ensemble, Sources
from cryoarena.datasets.parallel import in_parallel
from cryoarena.files import sha256_of, write_json


def write_card(
    dataset: Dataset[Any],
    ensemble: Ensemble,
    sources: Sources,
    recipe: dict[str, Any],
    dataset_id: str,
    variance: float,
    amplitude: float,
    tables: list[Path],
    out: Path,
    processes: int,
) -> None:
    """Write dataset.json, the last file: a folder that has it is whole."""
    files = sorted(
        {
            *tables,
            *(out / "particles").glob("*.mrcs"),
            *(p for p in (out / "truth").rglob("*") if p.is_file()),
        }
    )
    hashes = in_parallel("Checksums", processes, sha256_of, [(path,) for path in files])
    card = asdict(dataset.card)
    cvs = card.pop("cvs") if ensemble.variables is None else [asdict(variable) for variable in ensemble.variables]
    write_json(
        out / "dataset.json",
        {
            "format": 1,
            "id": dataset_id,
            "name": dataset.card.name,
            "card": card,
            "cvs": cvs,
            "recipe": {
                **recipe,
                "noise_sigma": 1.0,
                "signal_variance_at_source_box": variance,
                "image_units_per_projected_density": amplitude,
            },
            "generator": {"cryoarena": __version__},
            "notes": [*dataset.card.notes, *_stand_in_notes(dataset, sources), *ensemble.notes],
            "files": {path.relative_to(out).as_posix(): digest for path, digest in zip(files, hashes, strict=True)},
        },
    )


def _stand_in_notes(dataset: Dataset[Any], sources: Sources) -> list[str]:
    if not sources.are_stand_ins:
        return []
    names = ", ".join(dict.fromkeys(source.description for source in dataset.card.stand_ins))
    return [f"Made from stand-ins, because not all of the published models are on this machine: {names}."]
