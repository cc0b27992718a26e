"""Jobs of one kind that are imported as another, with the command lines that RELION 3.1.3 keeps in its files."""

from pathlib import Path

import pytest

from cryoarena.errors import UserError
from cryoarena.methods.base import methods
from cryoarena.methods.external.relion.job_folder import job_kind
from cryoarena.methods.external.relion.read_classes import ImportOptions
from random_particles import make_particles

CLASS3D = "--i particles.star --ref reference.mrc --ini_high 60 --K 3 --iter 2 --skip_align --o output/run --j 1"
INITIAL = "--o ../im/run --sgd_ini_iter 2 --sgd --denovo_3dref --i particles.star --ctf --K 2 --sym C1"
# As RELION 4 calls it.
GRADIENT = "--o InitialModel/job012/run --iter 100 --grad --denovo_3dref --i particles.star --ctf --K 1"
BODIES = "--continue consensus/run_it001_optimiser.star --o output/run --multibody_masks bodies.star --iter 2"
CONTINUED = "--continue output/run_it001_optimiser.star --o output/run --j 1"


def job(folder: Path, *runs: str) -> Path:
    """Plant a job folder with an iteration of each run."""
    folder.mkdir()
    for number, words in enumerate(runs, start=1):
        (folder / f"run_it{number:03d}_data.star").write_text("data_particles\n\n")
        (folder / f"run_it{number:03d}_optimiser.star").write_text(
            f"# RELION optimiser; version 3.1.3\n# {words} \n\n# version 30001\n\ndata_optimiser_general\n"
        )
    return folder


@pytest.mark.parametrize(
    ("name", "runs", "right"),
    [
        ("relion-class3d", (INITIAL, CONTINUED), "relion-initialmodel"),
        ("relion-class3d", (GRADIENT,), "relion-initialmodel"),
        ("relion-class3d", (BODIES,), "relion-multibody"),
        ("relion-initialmodel", (CLASS3D,), "relion-class3d"),
        ("relion-initialmodel", (BODIES, CONTINUED), "relion-multibody"),
    ],
)
def test_the_method_that_reads_a_job_is_named(name: str, runs: tuple[str, ...], right: str, tmp_path: Path) -> None:
    folder = job(tmp_path / "job007", *runs)
    with pytest.raises(UserError, match=f"job007 is of another kind of RELION job; import it with {right}$"):
        methods.get(name).read(folder, make_particles(tmp_path), ImportOptions())


@pytest.mark.parametrize(
    ("runs", "kind"),
    [
        ((CLASS3D,), "relion-class3d"),
        ((INITIAL,), "relion-initialmodel"),
        # What continues is not told again what it is, and may be anything.
        ((CLASS3D, CONTINUED), None),
        ((CONTINUED,), None),
        ((), None),
    ],
)
def test_the_kind_of_a_job_is_told_by_its_arguments_or_not_at_all(
    runs: tuple[str, ...], kind: str | None, tmp_path: Path
) -> None:
    assert job_kind(job(tmp_path / "job", *runs)) == kind
