"""Ways in which a CTF may have been written, or applied, other than as stated."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from cryoarena.imaging.ctf import CtfParameters
from cryoarena.particles.doctor.hypothesis import Change
from cryoarena.particles.doctor.reading import Applied, Reading

OPTICS, ASTIGMATISM, APPLIED, PIXEL_SIZE = "defocus and optics", "astigmatism", "CTF in the images", "pixel size"
# Amplitude contrast outside of this is a slip.
_AMPLITUDE_CONTRAST = (0.02, 0.3)
_USUAL_AMPLITUDE_CONTRAST = 0.1
PIXEL_SCALES = (0.5, 0.67, 0.8, 0.9, 0.95, 0.975, 1.025, 1.05, 1.1, 1.25, 1.5, 2.0)


def optics_changes(ctf: CtfParameters) -> list[Change]:
    """Return other units and signs of defocus and optics."""
    found = [
        _defocus(-1, "defocus of the opposite sign", "change the sign of the defoci: underfocus is positive"),
        _defocus(1e4, "defoci in µm", "multiply the defoci by 10,000"),
        _defocus(10, "defoci in nm", "multiply the defoci by 10"),
        _defocus(0.1, "defoci ten times smaller", "divide the defoci by 10"),
    ]
    for voltage_kV in (200.0, 300.0):
        if not np.any(np.isclose(ctf.voltage_kV, voltage_kV, rtol=0.05)):
            found.append(
                _set("voltage_kV", voltage_kV, f"a voltage of {voltage_kV:g} kV", f"set the voltage to {voltage_kV:g}")
            )
    if not _AMPLITUDE_CONTRAST[0] <= np.median(ctf.amplitude_contrast) <= _AMPLITUDE_CONTRAST[1]:
        w = _USUAL_AMPLITUDE_CONTRAST
        found.append(
            _set("amplitude_contrast", w, f"an amplitude contrast of {w:g}", f"set the amplitude contrast to {w:g}")
        )
    if 0 < np.abs(ctf.phase_shift_deg).max() <= np.pi:
        found.append(
            _change(
                OPTICS,
                "phase shifts in radians",
                "write the phase shifts in degrees",
                lambda c: replace(c, phase_shift_deg=np.rad2deg(c.phase_shift_deg)),
            )
        )
    return found


def astigmatism_changes(ctf: CtfParameters) -> list[Change]:
    """Return other directions of the astigmatism."""
    found = [
        _change(
            ASTIGMATISM,
            "U and V exchanged",
            "exchange defocus U and V, or add 90° to the azimuth",
            lambda c: replace(c, defocus_u_A=c.defocus_v_A, defocus_v_A=c.defocus_u_A),
        ),
        _azimuth("azimuths of the opposite sign", "change the sign of the azimuths", lambda angle: -angle),
        _azimuth("azimuths from the y axis", "replace the azimuths by 90° minus them", lambda angle: 90 - angle),
    ]
    if 0 < np.abs(ctf.defocus_azimuth_deg).max() <= 2 * np.pi:
        found.append(_azimuth("azimuths in radians", "write the azimuths in degrees", np.rad2deg))
    if np.abs(ctf.defocus_azimuth_deg).max() > 360:
        found.append(_azimuth("azimuths in degrees", "write the azimuths in radians", np.deg2rad))
    return found


def applied_changes() -> list[Change]:
    """Return what else than the CTF may be in the images."""
    remedies = {
        Applied.FLIPPED: "extract the particles without phase flipping, or tell each program that phases are flipped",
        Applied.MULTIPLIED: "extract the particles without multiplying by the CTF",
        Applied.NOTHING: "remove the CTF from the table",
    }
    return [_applied(applied, remedy) for applied, remedy in remedies.items()]


def pixel_change(scale: float, pixel_size_A: float) -> Change:
    """Return pixels that are larger by a factor than stated."""
    size_A = pixel_size_A * scale
    return Change(
        PIXEL_SIZE,
        f"pixels of {size_A:.4g} Å",
        f"set the pixel size to {size_A:.4g} Å",
        lambda reading: replace(reading, pixel_scale=scale * reading.pixel_scale),
    )


def defocus_change(factor: float) -> Change:
    """Return defoci that are larger by a factor than stated."""
    return _defocus(factor, f"defoci {factor:.4g} times as large", f"multiply the defoci by {factor:.4g}")


def pixel_changes(pixel_size_A: float, scales: Iterable[float] = PIXEL_SCALES) -> list[Change]:
    """Return other pixel sizes: they stretch the rings of the CTF and the shifts."""
    return [pixel_change(scale, pixel_size_A) for scale in scales]


def _change(check: str, name: str, remedy: str, change: Callable[[CtfParameters], CtfParameters]) -> Change:
    def apply(reading: Reading) -> Reading:
        return reading if reading.ctf is None else replace(reading, ctf=change(reading.ctf))

    return Change(check, name, remedy, apply)


def _defocus(factor: float, name: str, remedy: str) -> Change:
    return _change(
        OPTICS,
        name,
        remedy,
        lambda c: replace(c, defocus_u_A=factor * c.defocus_u_A, defocus_v_A=factor * c.defocus_v_A),
    )


def _set(field: str, value: float, name: str, remedy: str) -> Change:
    return _change(OPTICS, name, remedy, lambda c: replace(c, **{field: np.full(len(c), value)}))


def _azimuth(name: str, remedy: str, change: Callable[..., np.ndarray]) -> Change:
    return _change(ASTIGMATISM, name, remedy, lambda c: replace(c, defocus_azimuth_deg=change(c.defocus_azimuth_deg)))


def _applied(applied: Applied, remedy: str) -> Change:
    return Change(APPLIED, f"images that have {applied}", remedy, lambda reading: replace(reading, applied=applied))
