"""What a reference map says of hand, pixel size and contrast."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cryoarena.particles.doctor.against_reference import AgainstReference, compare_with_reference
from cryoarena.particles.doctor.contrast import CHECK as CONTRAST
from cryoarena.particles.doctor.contrast import REMEDY as REVERSE_CONTRAST
from cryoarena.particles.doctor.ctf_changes import PIXEL_SIZE
from cryoarena.particles.doctor.finding import Finding, Verdict
from cryoarena.particles.doctor.hypothesis import Hypothesis
from cryoarena.particles.doctor.sampled_images import SampledImages

HAND = "hand"
# Microscopes are calibrated no better.
_LEAST_SCALE_ERROR = 0.015


def findings_by_reference(
    images: SampledImages, hypothesis: Hypothesis, path: Path, others: Mapping[str, Finding]
) -> dict[str, Finding]:
    """Return the findings that a reference changes.

    Args:
        images: up to a low radius.
        hypothesis: the best reading of the table.
        path: of the reference.
        others: findings without it.

    Raises:
        UserError: when the map cannot be read.
    """
    against = compare_with_reference(images, hypothesis, path)
    if not against.resembles.other_is_better:
        reason = f"the reference does not resemble the map of the images ({against.resembles})"
        return {HAND: Finding(HAND, Verdict.UNKNOWN, reason)}
    found = {HAND: _hand(against)}
    if others[PIXEL_SIZE].verdict is not Verdict.WRONG:
        found[PIXEL_SIZE] = _pixel_size(against, hypothesis.table.pixel_size_A, others[PIXEL_SIZE])
    if others[CONTRAST].verdict is Verdict.UNKNOWN:
        verdict, sentence = Verdict.FINE, "density has the sign of the reference's"
        if against.sign < 0:
            verdict, sentence = Verdict.WRONG, f"density has the opposite sign of the reference's: {REVERSE_CONTRAST}"
        found[CONTRAST] = Finding(CONTRAST, verdict, sentence)
    return found


def _hand(against: AgainstReference) -> Finding:
    mirrored = against.mirrored
    verdict, sentence = Verdict.UNKNOWN, f"the reference fits in either hand ({mirrored})"
    if mirrored.other_is_better:
        verdict = Verdict.WRONG
        sentence = (
            f"the images agree better with the mirrored reference ({mirrored}): change the sign of every tilt (of x "
            "and y of rotation vectors), unless the reference is of the wrong hand"
        )
    elif mirrored.stated_is_better:
        verdict, sentence = Verdict.FINE, f"that of the reference ({mirrored})"
    return Finding(HAND, verdict, sentence, mirrored.numbers())


def _pixel_size(against: AgainstReference, pixel_size_A: float, other: Finding) -> Finding:
    numbers = against.scaled.numbers() | {"scale": against.scale}
    if against.scaled.other_is_better and abs(against.scale - 1) >= _LEAST_SCALE_ERROR:
        sentence = (
            f"the particle is {against.scale:.3f} times as large as the reference ({against.scaled}): set the pixel "
            f"size to {pixel_size_A / against.scale:.4g} Å, unless that of the reference is wrong"
        )
        return Finding(PIXEL_SIZE, Verdict.WRONG, sentence, numbers)
    return replace(other, sentence=f"{other.sentence}; the particle is {against.scale:.3f} times the reference")
