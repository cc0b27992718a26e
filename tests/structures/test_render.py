import gemmi
import numpy as np
import pytest

from cryoarena.errors import UserError
from cryoarena.structures.density import electron_model, molmap_model
from cryoarena.structures.render import check_fits, render_volume


def _gaussians(position_A, atomic_number, resolution_A, box_px, pixel_size_A):
    """Sum real-space Gaussians at the voxels [z, y, x]; coordinate 0 is voxel D // 2."""
    axis = (np.arange(box_px) - box_px // 2) * pixel_size_A
    sigma_A = resolution_A / (np.pi * np.sqrt(2))
    norm = (2 * np.pi * sigma_A**2) ** -0.5
    volume = np.zeros((box_px,) * 3)
    for (x, y, z), number in zip(position_A, atomic_number, strict=True):
        gx, gy, gz = (norm * np.exp(-((axis - c) ** 2) / (2 * sigma_A**2)) for c in (x, y, z))
        volume += number * gz[:, None, None] * gy[None, :, None] * gx[None, None, :]
    return volume


@pytest.mark.parametrize("box_px", [40, 46])
def test_an_off_centre_asymmetric_molecule_is_the_sum_of_its_gaussians(make_atoms, box_px):
    position_A = np.array([[20.0, 3.0, -7.0], [-5.0, -18.0, 1.0], [2.5, 6.25, 15.0], [-14.0, 9.0, -11.0]])
    atoms = make_atoms(position_A, atomic_number=[6, 16, 8, 30])
    # Low enough a resolution that the Gaussians end inside both the box and the band.
    volume = render_volume(atoms.position_A, molmap_model(atoms, 16.0), box_px, 2.5)
    expected = _gaussians(position_A, atoms.atomic_number, 16.0, box_px, 2.5)
    assert volume.dtype == np.float32
    assert np.abs(volume - expected).max() < 1e-4 * expected.max()
    np.testing.assert_allclose(volume.sum(dtype=float) * 2.5**3, 60.0, rtol=1e-5)


def test_the_spectrum_is_the_sum_over_atoms_and_zero_at_nyquist(make_atoms):
    rng = np.random.default_rng(0)
    atoms = make_atoms(rng.uniform(-12, 12, (5, 3)), atomic_number=[6, 7, 8, 16, 26], b_factor_A2=range(5))
    box_px, pixel_size_A = 16, 2.0
    model = electron_model(atoms, np.sqrt(3) / (2 * pixel_size_A))
    volume = render_volume(atoms.position_A, model, box_px, pixel_size_A).astype(float)
    spectrum = np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(volume))) * pixel_size_A**3
    k = np.arange(-box_px // 2, box_px // 2) / (box_px * pixel_size_A)
    kz, ky, kx = np.meshgrid(k, k, k, indexing="ij")
    form = np.einsum("nr,rzyx->nzyx", model.weights, model.profile(np.sqrt(kx**2 + ky**2 + kz**2)))
    phase = np.einsum("nc,czyx->nzyx", atoms.position_A, np.stack([kx, ky, kz]))
    expected = (form * np.exp(-2j * np.pi * phase)).sum(axis=0)
    for axis in range(3):
        np.moveaxis(expected, axis, 0)[0] = 0.0
    assert np.abs(spectrum - expected).max() < 3e-6 * np.abs(expected).max()


def test_turning_atoms_turns_the_map(igg):
    """A quarter turn about z, (x, y) -> (-y, x), maps voxels onto voxels once the Nyquist planes are gone."""
    model = molmap_model(igg, 12.0)
    volume = render_volume(igg.position_A, model, 64, 4.0)
    turned = render_volume(igg.position_A @ np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1.0]]), model, 64, 4.0)
    inside = slice(1, None)
    expected = np.flip(np.swapaxes(volume[inside, inside, inside], 1, 2), axis=2)
    np.testing.assert_allclose(turned[inside, inside, inside], expected, atol=2e-6 * volume.max())


def test_equal_atoms_give_equal_bits(igg):
    model = molmap_model(igg, 8.0)
    first, second = (render_volume(igg.position_A, model, 48, 6.0) for _ in range(2))
    assert first.tobytes() == second.tobytes()


@pytest.mark.agreement
def test_electron_maps_agree_with_gemmi_in_the_band(igg):
    """Compare Fourier coefficients up to 5 Å with gemmi's own density, summed in real space on a finer grid."""
    atoms = igg[igg.chain == "L"]
    atoms = atoms.with_positions(atoms.position_A - atoms.position_A.mean(axis=0))
    box_px, pixel_size_A, fine = 48, 2.0, 4
    side_A = box_px * pixel_size_A
    model = gemmi.Model(1) if gemmi.__version__ >= "0.7" else gemmi.Model("1")
    residue = gemmi.Residue()
    for position, number, b_factor in zip(atoms.position_A, atoms.atomic_number, atoms.b_factor_A2, strict=True):
        atom = gemmi.Atom()
        atom.element = gemmi.Element(int(number))
        atom.b_iso = float(b_factor)
        atom.pos = gemmi.Position(*position)
        residue.add_atom(atom)
    chain = gemmi.Chain("L")
    chain.add_residue(residue)
    model.add_chain(chain)
    calculator = gemmi.DensityCalculatorE()
    calculator.cutoff = 1e-7
    calculator.grid.unit_cell = gemmi.UnitCell(side_A, side_A, side_A, 90, 90, 90)
    calculator.grid.spacegroup = gemmi.SpaceGroup("P 1")
    calculator.grid.set_size(fine * box_px, fine * box_px, fine * box_px)
    calculator.add_model_density_to_grid(model)
    # gemmi's array is [x, y, z] with coordinate 0 at index 0.
    theirs = np.fft.fftn(np.transpose(np.array(calculator.grid, copy=False), (2, 1, 0)).astype(float))
    theirs *= (pixel_size_A / fine) ** 3
    volume = render_volume(
        atoms.position_A, electron_model(atoms, np.sqrt(3) / (2 * pixel_size_A)), box_px, pixel_size_A
    )
    ours = np.fft.fftn(np.fft.ifftshift(volume).astype(float)) * pixel_size_A**3
    k = np.fft.fftfreq(box_px, 1 / box_px).astype(int)
    kz, ky, kx = np.meshgrid(k, k, k, indexing="ij")
    band = (kx**2 + ky**2 + kz**2) < (side_A / 5.0) ** 2
    theirs = theirs[kz[band], ky[band], kx[band]]
    ours = ours[band]
    correlation = np.vdot(ours, theirs).real / (np.linalg.norm(ours) * np.linalg.norm(theirs))
    assert correlation > 0.9999
    assert abs(np.vdot(ours, theirs).real / np.vdot(ours, ours).real - 1) < 0.01


def test_a_molecule_that_does_not_fit_is_refused():
    check_fits(50.0, 51, 2.0)
    check_fits(50.0, 60, 2.0, margin_A=9.9)
    with pytest.raises(
        UserError,
        match=r"the molecule reaches 50.0 Å from the centre but a box of 48 px at 2 Å holds only 48.0 Å; use a "
        r"larger box or pixel$",
    ):
        check_fits(50.0, 48, 2.0)
    with pytest.raises(UserError, match=r"holds only 45.0 Å after a margin of 15.0 Å"):
        check_fits(50.0, 60, 2.0, margin_A=15.0)


def test_an_odd_box_is_refused(make_atoms):
    atoms = make_atoms([[0, 0, 0]])
    with pytest.raises(UserError, match="even number of pixels, not 31"):
        render_volume(atoms.position_A, molmap_model(atoms, 5.0), 31, 2.0)
