"""Tomotwin-100: a mixture of a hundred unrelated complexes."""

from typing import ClassVar

from cryoarena.datasets.base import Dataset, DatasetCard, Ensemble, NoOptions, Settings, SourceFile, Sources, dataset
from cryoarena.datasets.mixture import SIZE_RANK, choose_models, mixture
from cryoarena.structures.atoms import centred, read_atoms

# Jeon et al. 2024, A.5, the lightest first. Seven names that confuse O and 0 there are as Rice et al. 2023 have them.
_ENTRIES = (
    "2cg9 6vgr 5a20 1ul1 5ljo 5csa 7wbt 7sgm 7blr 6zqj 7niu 1u6g 3ulv 5jh9 3d2f 3cf3 6lmt 2rhs 1bxn 1n9g "
    "5h0s 6ces 7k5x 7jsn 6vn1 1qvr 2ww2 6u8q 6krk 6z80 6lxk 6wzt 3mkq 6ksp 2xnx 7b7u 6cnj 1ss8 6x5z 7kj2 "
    "6klh 6pif 2dfs 6ahu 6f8l 2vz9 7nhs 6tgc 6m04 4xk8 7e1y 7r04 6i0d 6bq1 7lsy 7dd9 3lue 7sfw 7nyz 5o32 "
    "6yt5 6scj 7ege 5vkq 6vz8 6w6m 7t3u 6tav 7e8h 7etm 7amv 1g3i 6z3a 7egd 7q21 6xf8 6emk 6ta5 6tps 7qj0 "
    "7kdv 7egq 6lxv 6gym 7o01 5g04 7bkc 6mrc 6jy0 7woo 7eep 7mei 6gy6 6duz 7vtq 7ey7 6z6o 4cr2 6id1 6up6"
)
_STAND_INS = {
    "3h84": "Get3",
    "1hzh": "antibody IgG1 b12",
    "2cg9": "Hsp90-Sba1, a member",
    "1u6g": "CAND1-CUL1-ROC1, a member",
    "3cf3": "p97, a member",
    "6vxx": "coronavirus spike",
    "1oel": "GroEL ring",
    "1wcm": "RNA polymerase II",
    "3j9i": "20S proteasome",
    "1aon": "GroEL-GroES",
}
_PAPER = Settings(
    preset="paper",
    images=100_000,
    conformations=100,
    box_px=128,
    source_box_px=384,
    source_pixel_size_A=1.5,
    snr=0.01,
    max_shift_px=20.0,
    resolution_A=3.0,
)


def _entry(name: str, suffix: str, description: str) -> SourceFile:
    return SourceFile(
        f"{name}{suffix}", f"https://files.rcsb.org/download/{name.upper()}{suffix}.gz", None, description
    )


@dataset
class Tomotwin100(Dataset[NoOptions]):
    """A hundred complexes of 150 kDa to some MDa, 1,000 images of each (Jeon et al. 2024, §3.2 and A.5)."""

    card = DatasetCard(
        name="tomotwin-100",
        title="Tomotwin-100",
        kind="compositional, discrete, mixture",
        summary="A hundred unrelated complexes, as in a lysate, each centred and in equal numbers.",
        citation="Jeon et al., CryoBench, NeurIPS 2024 Datasets and Benchmarks; choice of models: Rice et al., "
        "TomoTwin, Nat. Methods 2023, 20:871",
        licence="PDB entries: CC0 1.0; recipe: BSD-3-Clause",
        sources=tuple(_entry(name, ".cif", f"PDB {name.upper()}") for name in _ENTRIES.split()),
        cvs=(SIZE_RANK,),
        notes=(
            "Models are the deposited coordinates and not the biological assemblies: the published list is in order of "
            "mass only so.",
            "Defocus is drawn from a parametric distribution unless --ctf names a table; the published set used "
            "EMPIAR-11247, whose table is not public.",
            "Images are bright (protein positive) and have unit noise variance; the published stacks are dark.",
            "Nothing is common to the models: the orientation of one says nothing of that of another, and the moving "
            "mask covers most of what the complexes occupy.",
        ),
        stand_ins=tuple(_entry(name, ".pdb", f"PDB {name.upper()} ({what})") for name, what in _STAND_INS.items()),
    )
    options = NoOptions
    takes = frozenset({"models"})
    presets: ClassVar[dict[str, Settings]] = {
        "paper": _PAPER,
        "small": Settings(
            **{**vars(_PAPER), "preset": "small", "images": 5_000, "conformations": len(_STAND_INS), "box_px": 64}
        ),
    }

    def build(self, settings: Settings, sources: Sources, options: NoOptions) -> Ensemble:
        """Centre every model on its own centre."""
        listed = self.card.stand_ins if sources.are_stand_ins else self.card.sources
        given = sources.models or tuple(sources.files[source.name] for source in listed)
        paths, population = choose_models(given, sources.counts, settings.conformations)
        return mixture([centred(read_atoms(path)) for path in paths], population, settings.resolution_A, ())
