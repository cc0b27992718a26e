"""Tables are edited as users get them wrong; the doctor names the error, the remedy, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import starfile

from cryoarena.particles.cs import write_cs
from cryoarena.particles.doctor.diagnose import Diagnosis, diagnose
from cryoarena.particles.doctor.finding import Finding, Verdict
from cryoarena.particles.read_star import read_star
from doctored_stack import BOX_PX, IMAGES, PIXEL_SIZE_A, edit_images, edit_star, write_good_stack, write_true_map


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_good_stack(tmp_path_factory.mktemp("stack"))


@pytest.fixture(scope="module")
def true_map(good: Path) -> Path:
    write_true_map(good.with_name("true.mrc"))
    return good.with_name("true.mrc")


@pytest.fixture
def edited(good: Path) -> Path:
    return good.with_name("edited.star")


def the_only_error(diagnosis: Diagnosis) -> Finding:
    wrong = [finding for finding in diagnosis.findings if finding.verdict is Verdict.WRONG]
    assert [finding.check for finding in wrong] == [finding.check for finding in wrong[:1]], wrong
    assert wrong, diagnosis.findings
    return wrong[0]


def finding_of(diagnosis: Diagnosis, check: str) -> Finding:
    return next(finding for finding in diagnosis.findings if finding.check == check)


def negated(values: Any) -> Any:
    return -values


def columns_of(path: Path) -> Any:
    return starfile.read(path, always_dict=True)["particles"]


def test_a_good_stack_is_fine(good: Path) -> None:
    diagnosis = diagnose(good)
    verdicts = {finding.check: finding.verdict for finding in diagnosis.findings}
    assert verdicts.pop("hand") is Verdict.UNKNOWN
    assert set(verdicts.values()) == {Verdict.FINE}, diagnosis.findings
    assert diagnosis.is_fine


ERRORS: dict[str, tuple[dict[str, Callable[[Any], Any]], str, str]] = {
    "shift sign": ({"rlnOriginXAngst": negated, "rlnOriginYAngst": negated}, "shifts", "change the sign of both"),
    "shifts in pixels": (
        {name: lambda values: values / PIXEL_SIZE_A for name in ("rlnOriginXAngst", "rlnOriginYAngst")},
        "shifts",
        "multiply the shifts by the pixel size",
    ),
    "shifts as fractions": (
        {name: lambda values: values / (BOX_PX * PIXEL_SIZE_A) for name in ("rlnOriginXAngst", "rlnOriginYAngst")},
        "shifts",
        "multiply the shifts by the box side",
    ),
    "psi sign": ({"rlnAnglePsi": negated}, "rotations", "change the sign of psi"),
    "radians": (
        dict.fromkeys(("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"), np.deg2rad),
        "rotations",
        "write the angles in degrees",
    ),
    "rows off by one": ({"rlnImageName": lambda names: np.roll(names, 1)}, "row order", "down by one row"),
    "µm": (
        {name: lambda values: values / 1e4 for name in ("rlnDefocusU", "rlnDefocusV")},
        "defocus and optics",
        "multiply the defoci by 10,000",
    ),
    "overfocus": (
        dict.fromkeys(("rlnDefocusU", "rlnDefocusV"), negated),
        "defocus and optics",
        "change the sign of the defoci",
    ),
    "voltage": ({"rlnVoltage": lambda kV: 0 * kV + 200}, "defocus and optics", "set the voltage to 300"),
    "volts": ({"rlnVoltage": lambda kV: 1000 * kV}, "defocus and optics", "divide it by 1,000"),
    "azimuth": ({"rlnDefocusAngle": lambda angle: angle + 90}, "astigmatism", "exchange defocus U and V"),
    "amplitude contrast": (
        {"rlnAmplitudeContrast": lambda w: 0 * w},
        "defocus and optics",
        "set the amplitude contrast to 0.1",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_wrong_column(name: str, good: Path, edited: Path) -> None:
    columns, check, remedy = ERRORS[name]
    found = the_only_error(diagnose(edit_star(good, edited, **columns)))
    assert found.check == check
    assert remedy in found.sentence


def test_a_pixel_size_off_by_5_percent(good: Path, edited: Path) -> None:
    found = the_only_error(diagnose(edit_star(good, edited, rlnImagePixelSize=lambda size: 1.05 * size)))
    assert found.check == "pixel size"
    assert found.evidence["pixel_size_A"] == pytest.approx(PIXEL_SIZE_A, rel=0.005)


def test_transposed_rotations(good: Path, edited: Path) -> None:
    table = columns_of(good)
    found = the_only_error(
        diagnose(
            edit_star(
                good,
                edited,
                rlnAngleRot=lambda _: -table["rlnAnglePsi"],
                rlnAngleTilt=negated,
                rlnAnglePsi=lambda _: -table["rlnAngleRot"],
            )
        )
    )
    assert found.check == "rotations"
    assert "image to object" in found.sentence


@pytest.mark.slow
def test_two_errors_at_once(good: Path, edited: Path) -> None:
    diagnosis = diagnose(edit_star(good, edited, rlnAnglePsi=negated, rlnOriginXAngst=negated, rlnOriginYAngst=negated))
    wrong = " ".join(finding.sentence for finding in diagnosis.findings if finding.verdict is Verdict.WRONG)
    assert "change the sign of psi" in wrong
    assert "change the sign of both shifts" in wrong


def test_dark_images_called_bright(good: Path, edited: Path) -> None:
    found = the_only_error(diagnose(edit_images(good, edited, negated)))
    assert found.check == "contrast"
    assert "protein is dark, not bright" in found.sentence


def test_flipped_phases(good: Path, edited: Path) -> None:
    # Closed form of what `relion_preprocess --phase_flip` does to a particle.
    from cryoarena.imaging.ctf import ctf

    frequency = np.meshgrid(*[np.fft.fftfreq(BOX_PX, PIXEL_SIZE_A)] * 2)
    parameters = read_star(good).ctf
    assert parameters is not None
    sign = np.sign(-ctf(parameters, *frequency))
    found = the_only_error(
        diagnose(edit_images(good, edited, lambda images: np.fft.ifft2(np.fft.fft2(images) * sign).real))
    )
    assert found.check == "CTF in the images"
    assert "without phase flipping" in found.sentence


@pytest.mark.slow
def test_a_permuted_table(tmp_path: Path) -> None:
    good = write_good_stack(tmp_path, images=2 * IMAGES)
    order = np.random.default_rng(1).permutation(2 * IMAGES)
    table = columns_of(good)
    columns = [name for name in table if name not in ("rlnImageName", "rlnParticleName", "rlnOpticsGroup")]
    shuffle = {name: lambda values: values[order] for name in columns}
    found = the_only_error(diagnose(edit_star(good, tmp_path / "edited.star", **shuffle)))
    assert found.check == "row order"
    assert "rows were permuted" in found.sentence


def test_a_row_lost_in_the_middle(good: Path, edited: Path) -> None:
    table = columns_of(good)
    columns = [name for name in table if name not in ("rlnImageName", "rlnParticleName", "rlnOpticsGroup")]
    lost = {name: lambda values: np.r_[values[:150], values[151:], values[:1]] for name in columns}
    found = the_only_error(diagnose(edit_star(good, edited, **lost)))
    assert found.check == "row order"
    assert abs(found.evidence["first_row"] - 151) <= IMAGES / 20
    assert "row before" in found.sentence


@pytest.mark.slow
def test_the_hand_shows_only_with_a_reference(good: Path, edited: Path, true_map: Path) -> None:
    edit_star(good, edited, rlnAngleTilt=negated)
    assert diagnose(edited).is_fine
    found = the_only_error(diagnose(edited, reference=true_map))
    assert found.check == "hand"
    assert "mirrored reference" in found.sentence


def test_a_reference_agrees_with_a_good_stack(good: Path, true_map: Path) -> None:
    diagnosis = diagnose(good, reference=true_map)
    assert diagnosis.is_fine
    assert finding_of(diagnosis, "hand").verdict is Verdict.FINE


@pytest.mark.slow
def test_a_pixel_size_that_only_a_reference_tells(good: Path, edited: Path, true_map: Path) -> None:
    # All that was fitted with the wrong pixel size is wrong in the same way, as from a miscalibrated microscope.
    edit_star(
        good,
        edited,
        rlnImagePixelSize=lambda size: 1.05 * size,
        rlnOriginXAngst=lambda shift: 1.05 * shift,
        rlnOriginYAngst=lambda shift: 1.05 * shift,
        rlnDefocusU=lambda defocus: 1.05**2 * defocus,
        rlnDefocusV=lambda defocus: 1.05**2 * defocus,
    )
    assert diagnose(edited).is_fine
    found = the_only_error(diagnose(edited, reference=true_map))
    assert found.check == "pixel size"
    assert found.evidence["scale"] == pytest.approx(1.05, abs=0.01)


def test_the_same_image_twice(good: Path, edited: Path) -> None:
    def repeat(images: Any) -> Any:
        images[17] = images[3]
        return images

    found = the_only_error(diagnose(edit_images(good, edited, repeat)))
    assert found.check == "duplicates"
    assert "rows 4 and 18" in found.sentence


def test_two_rows_of_one_image(good: Path, edited: Path) -> None:
    def repeat(names: Any) -> Any:
        names = names.copy()
        names[5] = names[4]
        return names

    assert finding_of(diagnose(edit_star(good, edited, rlnImageName=repeat)), "duplicates").verdict is Verdict.WRONG


def test_an_empty_image(good: Path, edited: Path) -> None:
    def blank(images: Any) -> Any:
        images[7] = 0
        return images

    found = the_only_error(diagnose(edit_images(good, edited, blank)))
    assert found.check == "normalisation"
    assert "row 8" in found.sentence


@pytest.mark.slow
def test_rotation_vectors_of_the_opposite_sign_in_a_cs_file(good: Path) -> None:
    path = good.with_name("particles.cs")
    write_cs(path, read_star(good))
    assert diagnose(path).is_fine
    records = np.load(path)
    records["alignments3D/pose"] *= -1
    with path.open("wb") as stream:
        np.save(stream, records)
    found = the_only_error(diagnose(path))
    assert found.check == "rotations"
    assert "change the sign of rotation vectors" in found.sentence
