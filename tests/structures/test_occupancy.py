"""Occupancy of segments in maps that lack some of them."""

from pathlib import Path

import numpy as np

from cryoarena.structures.atoms import joined, read_atoms
from cryoarena.structures.density import molmap_model
from cryoarena.structures.occupancy import segment_occupancy
from cryoarena.structures.render import render_volume
from model_files import write_pdb

BOX_PX, PIXEL_SIZE_A = 24, 5.0


def test_what_is_left_out_is_seen_whatever_the_scale(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    corners = np.array([[x, y, z] for x in (40, 80) for y in (40, 80) for z in (40, 80)])
    segments = [
        read_atoms(write_pdb(tmp_path / f"{number}.pdb", corner + rng.normal(size=(60, 3)) * 6, np.arange(60)))
        for number, corner in enumerate(corners)
    ]
    there = rng.random((5, 8)) < 0.6
    there[:, 0] = True
    middle_A = BOX_PX // 2 * PIXEL_SIZE_A
    maps = []
    for scale, row in zip((1, 0.01, 300, 1, 1), there, strict=True):
        atoms = joined([part for part, here in zip(segments, row, strict=True) if here])
        model = molmap_model(atoms, 2 * PIXEL_SIZE_A)
        maps.append(scale * render_volume(atoms.position_A - middle_A, model, BOX_PX, PIXEL_SIZE_A))
    occupancy = segment_occupancy(segments, np.stack(maps).astype(np.float32), PIXEL_SIZE_A)
    np.testing.assert_allclose(occupancy, there, atol=0.2)
