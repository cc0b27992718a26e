"""Dials that make any dataset more like real data; all are off by default."""

from dataclasses import asdict, dataclass
from typing import Any

from cryoarena.errors import UserError


@dataclass(frozen=True)
class Realism:
    """Dials of realism, off by default, for every dataset (`--realism key=value`).

    Attributes:
        noise: spectrum of the noise: white, carbon (built in), or a CSV file with columns frequency_per_A and power.
        dose_e_per_A2: electrons per Å² that are counted in the pixels of the final images, in place of normal noise; 0:
            normal noise. The SNR follows from it: dose_contrast² times the electrons per source pixel.
        dose_contrast: standard deviation of the relative intensity of the noise-free images over the source box.
        ice_nm, ice_spread_nm: mean and standard deviation of the thickness of the ice, drawn per particle from a
            gamma distribution; it attenuates by exp(-t / 300 nm) and damps by the spread of the defocus through it.
        solvent: density of the solvent over that of the molecule, e.g. 0.6; 0: vacuum.
        solvent_b_A2: how soft the edge of the displaced solvent is, as a B-factor.
        beam_tilt_mrad: by which the beam is tilted, in a random direction per optics group.
        optics_groups: number of them, of equal size.
        beam_tilt_given: whether particles.star tells the optics groups and their beam tilt.
        view_kappa: concentration of the view directions around preferred axes (von Mises-Fisher); 0: uniform.
        view_axes: number of preferred axes, drawn at random.
        entanglement: probability that a particle is seen from within 30° of a direction that goes half around the
            molecule with the rank of the first CV of its conformation.
        populations: of the conformations: geometric:RATIO, dirichlet:ALPHA, or shares separated by commas; recipe: as
            the recipe has them.
        incomplete: share of the particles that lack a part: the third of the first rigid body that is farthest from
            the last. They are conformations of their own, with the CV `complete`.
        junk_noise, junk_aggregate, junk_off_centre: shares of the particles that are junk: nothing but noise; a random
            smooth object; the molecule a quarter to half of the field of view off its place. They are not scored.
        neighbours: share of the particles with a second molecule at the edge of the image.
        pose_error_deg, shift_error_A: of the poses that methods are given: root mean square angle; standard deviation
            along x and y.
        defocus_error_A: standard deviation of the error of the defocus that methods are given.
    """

    noise: str = "white"
    dose_e_per_A2: float = 0.0
    dose_contrast: float = 0.01
    ice_nm: float = 0.0
    ice_spread_nm: float = 0.0
    solvent: float = 0.0
    solvent_b_A2: float = 100.0
    beam_tilt_mrad: float = 0.0
    optics_groups: int = 1
    beam_tilt_given: bool = False
    view_kappa: float = 0.0
    view_axes: int = 1
    entanglement: float = 0.0
    populations: str = "recipe"
    incomplete: float = 0.0
    junk_noise: float = 0.0
    junk_aggregate: float = 0.0
    junk_off_centre: float = 0.0
    neighbours: float = 0.0
    pose_error_deg: float = 0.0
    shift_error_A: float = 0.0
    defocus_error_A: float = 0.0

    def changed(self) -> dict[str, Any]:
        """Return the dials that are not as they are by default."""
        off = asdict(Realism())
        return {name: value for name, value in asdict(self).items() if value != off[name]}

    def check(self) -> None:
        """Check that every dial is where it can be.

        Raises:
            UserError: when one is not; it is named.
        """
        for name, value in asdict(self).items():
            if isinstance(value, float) and not 0 <= value < float("inf"):
                raise UserError(f"--realism {name} must not be negative or infinite, not {value}")
        for name in ("view_axes", "optics_groups"):
            if getattr(self, name) < 1:
                raise UserError(f"--realism {name} must be at least 1, not {getattr(self, name)}")
        if self.dose_e_per_A2 > 0 and self.noise != "white":
            raise UserError(
                "--realism dose_e_per_A2 counts electrons, whose noise is white; leave noise or the dose away"
            )
        if self.dose_e_per_A2 > 0 and self.dose_contrast == 0:
            raise UserError("--realism dose_contrast must be greater than 0 where there is a dose")
        if self.ice_spread_nm > 0 and self.ice_nm == 0:
            raise UserError("--realism ice_spread_nm needs a mean thickness ice_nm greater than 0")
        for name in ("entanglement", "incomplete", "neighbours"):
            if getattr(self, name) > 1:
                raise UserError(f"--realism {name} is a share and must be at most 1, not {getattr(self, name)}")
        if self.junk_noise + self.junk_aggregate + self.junk_off_centre >= 1:
            raise UserError("--realism junk_noise, junk_aggregate and junk_off_centre must sum to less than 1")
        if self.solvent >= 1:
            raise UserError(f"--realism solvent must be below 1, not {self.solvent}: the molecule would not show")
