"""Numbers that no microscope has."""

from dataclasses import replace

import numpy as np

from cryoarena.imaging.ctf import CtfParameters
from cryoarena.particles.doctor.ctf_changes import OPTICS
from cryoarena.particles.doctor.hypothesis import Change

_VOLTAGE_KV = (60.0, 400.0)
_LARGEST_CS_MM = 10.0
_DEFOCUS_A = (500.0, 200_000.0)


def implausible_numbers(ctf: CtfParameters) -> list[Change]:
    """Return what must be wrong whatever the images are, with the likeliest remedy as a change.

    A change whose remedy is not known leaves the reading as it is.
    """
    found = []
    voltage = float(np.median(ctf.voltage_kV))
    if not _VOLTAGE_KV[0] <= voltage <= _VOLTAGE_KV[1]:
        in_volts = _VOLTAGE_KV[0] <= voltage / 1e3 <= _VOLTAGE_KV[1]
        remedy = "divide it by 1,000: it is in V" if in_volts else "set the voltage of the microscope"
        fixed = ctf.voltage_kV / 1e3 if in_volts else np.full(len(ctf), 300.0)
        found.append(_set(f"a voltage of {voltage:g} kV", remedy, "voltage_kV", fixed[0]))
    w = float(np.median(ctf.amplitude_contrast))
    if not 0 <= w < 1:
        percent = 1 < w <= 100
        remedy = "divide it by 100: it is in percent" if percent else "set it, usually to 0.1"
        found.append(_set(f"an amplitude contrast of {w:g}", remedy, "amplitude_contrast", w / 100 if percent else 0.1))
    cs_mm = float(np.median(ctf.cs_mm))
    if abs(cs_mm) > _LARGEST_CS_MM:
        found.append(_set(f"a Cs of {cs_mm:g} mm", "set the Cs of the microscope, usually 2.7", "cs_mm", 2.7))
    return found


def implausible_defocus(ctf: CtfParameters) -> list[str]:
    """Return what is odd about the defoci, if anything."""
    defocus_A = float(np.median(np.abs((ctf.defocus_u_A + ctf.defocus_v_A) / 2)))
    if _DEFOCUS_A[0] <= defocus_A <= _DEFOCUS_A[1]:
        return []
    return [f"a median defocus of {defocus_A:g} Å: correct the defoci"]


def _set(name: str, remedy: str, field: str, value: float) -> Change:
    return Change(
        OPTICS,
        name,
        remedy,
        lambda reading: (
            reading
            if reading.ctf is None
            else replace(reading, ctf=replace(reading.ctf, **{field: np.full(len(reading.ctf), value)}))
        ),
    )
