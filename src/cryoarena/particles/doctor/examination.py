"""The checks that rest on what the images show."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from cryoarena.imaging.poses import Poses
from cryoarena.particles.doctor import ctf_changes, rotations, row_orders, shifts
from cryoarena.particles.doctor.comparison import Comparison
from cryoarena.particles.doctor.contrast import CHECK as CONTRAST
from cryoarena.particles.doctor.contrast import check_contrast, measure_blob
from cryoarena.particles.doctor.finding import Finding, Verdict
from cryoarena.particles.doctor.held_out import held_out
from cryoarena.particles.doctor.hypothesis import Hypothesis
from cryoarena.particles.doctor.pixel_fit import refine_pixel_size
from cryoarena.particles.doctor.reading import Reading
from cryoarena.particles.doctor.reference_findings import HAND, findings_by_reference
from cryoarena.particles.doctor.row_slips import find_slip
from cryoarena.particles.doctor.sampled_images import SampledImages
from cryoarena.particles.doctor.search import LOW_RADIUS, Search
from cryoarena.particles.doctor.table_checks import implausible_defocus, implausible_numbers
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.progress import Report

# With fewer, standard errors mean little.
_FEWEST_IMAGES = 50
# About as many as one search makes.
_RECONSTRUCTIONS = 70
_OF_CTF = (ctf_changes.OPTICS, ctf_changes.ASTIGMATISM, ctf_changes.APPLIED, ctf_changes.PIXEL_SIZE)
_SEARCHED = (row_orders.CHECK, rotations.CHECK, shifts.CHECK, *_OF_CTF)
_ALL = (*_SEARCHED, CONTRAST, HAND)
_TWO_HANDS = "the mirrored map at mirrored poses makes the same images; give a map of the right hand by --reference"


@final
@dataclass
class Examination:
    """What is to be examined.

    Attributes:
        table: all rows.
        rows: (n,) of the sampled images.
        images: n sampled images.
        reference: map of the same particle, or None.
        seed: of shuffled poses.
        progress: told how far it is.
    """

    table: ParticleSet
    rows: NDArray[np.int64]
    images: SampledImages
    reference: Path | None
    seed: int
    progress: Report
    _reconstructions: int = field(default=0, init=False)

    def findings(self) -> list[Finding]:
        """Return one finding per check."""
        if len(self.rows) < _FEWEST_IMAGES:
            found = self._unknown(f"{len(self.rows)} images are too few; {_FEWEST_IMAGES} are needed")
        elif self.table.poses is None:
            found = self._unknown("the table has no poses", self._contrast_without_poses())
        else:
            found = self._with_poses()
        return [self._or_implausible(finding) for finding in found]

    def _contrast_without_poses(self) -> Finding:
        nowhere = Poses(np.tile(np.eye(3), (len(self.rows), 1, 1)), np.zeros((len(self.rows), 2)))
        reading = Reading(nowhere, None if self.table.ctf is None else self.table.ctf[self.rows])
        blob_z = measure_blob(self.images.within(LOW_RADIUS), reading)
        return check_contrast(blob_z, None, self.table.contrast_sign)

    def _with_poses(self) -> list[Finding]:
        start = Hypothesis(self.table, row_orders.stated_order(self.rows))
        # What no microscope has would only hide what else is wrong.
        for change in () if self.table.ctf is None else implausible_numbers(self.table.ctf[self.rows]):
            start = start.and_changed(change)
        search = Search(self.images, start, self._step, self.seed)
        search.run()
        explained = search.poses_explain(search.hypothesis)
        if not explained.stated_is_better:
            return self._unexplained(search, explained)
        low = self.images.within(LOW_RADIUS)
        reading = search.hypothesis.reading()
        found = {check: self._judged(check, search) for check in _SEARCHED}
        if found[row_orders.CHECK].verdict is not Verdict.WRONG:
            found[row_orders.CHECK] = find_slip(low, search.hypothesis) or found[row_orders.CHECK]
        found[CONTRAST] = check_contrast(
            measure_blob(low, reading), held_out(low, reading).half_maps, self.table.contrast_sign
        )
        found[HAND] = Finding(HAND, Verdict.UNKNOWN, _TWO_HANDS)
        if self.reference is not None:
            self._step("reference")
            found |= findings_by_reference(low, search.hypothesis, self.reference, found)
        return list(found.values())

    def _judged(self, check: str, search: Search) -> Finding:
        """Return the verdict of a search on one check."""
        for one in search.adopted:
            if one.check == check:
                name, remedy, numbers = one.name, one.remedy, one.comparison.numbers()
                if check == ctf_changes.PIXEL_SIZE:
                    name, remedy, refined = refine_pixel_size(search)
                    numbers |= refined
                sentence = f"the images agree better with {name} ({one.comparison}): {remedy}"
                return Finding(check, Verdict.WRONG, sentence, numbers)
        if self.table.ctf is None and check in _OF_CTF:
            return Finding(check, Verdict.UNKNOWN, "the table has no CTF")
        others = search.rejected.get(check, [])
        if not others:
            return Finding(check, Verdict.UNKNOWN, "no other convention would change anything")
        nearest = max(others, key=lambda one: one.comparison.z)
        if nearest.comparison.stated_is_better:
            verdict, sentence = (
                Verdict.FINE,
                f"better than {len(others)} others, of which the nearest is {nearest.name}",
            )
        else:
            verdict, sentence = Verdict.UNKNOWN, f"the images do not tell it from {nearest.name}"
        return Finding(check, verdict, f"{sentence} ({nearest.comparison})", nearest.comparison.numbers())

    def _unexplained(self, search: Search, explained: Comparison) -> list[Finding]:
        """Return what is left to say where rotations do no better than those of other images.

        That may be so because particles are too faint or too different. But if the images are better centred by less
        than their shifts, the shifts are not theirs.
        """
        reading = search.hypothesis.reading()
        blob_z = measure_blob(self.images.within(LOW_RADIUS), reading)
        contrast = check_contrast(blob_z, None, self.table.contrast_sign)
        reason = f"rotations of other images explain the images as well ({explained})"
        of_less = [
            one
            for one in search.rejected.get(shifts.CHECK, [])
            if one.name in (shifts.NO_SHIFTS, shifts.HALF_SHIFTS) and one.comparison.other_is_better
        ]
        if not of_less:
            return self._unknown(f"{reason}: too little of a particle is seen, or particles differ too much", contrast)
        wrong = Finding(
            row_orders.CHECK,
            Verdict.WRONG,
            f"{reason}, and the images are better centred by {of_less[0].name} ({of_less[0].comparison}): rows "
            "were permuted, or the table belongs to other images; export both again from one job",
            of_less[0].comparison.numbers(),
        )
        return self._unknown("the poses do not explain the images", contrast, wrong)

    def _or_implausible(self, finding: Finding) -> Finding:
        """Replace the finding on optics where the table gives numbers that no microscope has."""
        if finding.check != ctf_changes.OPTICS or self.table.ctf is None:
            return finding
        ctf = self.table.ctf[self.rows]
        odd = [f"{change.name}: {change.remedy}" for change in implausible_numbers(ctf)]
        if not odd and finding.verdict is not Verdict.WRONG:
            odd = implausible_defocus(ctf)
        if not odd:
            return finding
        return Finding(finding.check, Verdict.WRONG, f"the table gives {'; and '.join(odd)}", finding.evidence)

    def _unknown(self, reason: str, *known: Finding) -> list[Finding]:
        """Return that nothing can be told but what is known."""
        found: Iterable[Finding] = (Finding(check, Verdict.UNKNOWN, reason) for check in _ALL)
        of_check = {finding.check: finding for finding in known}
        return [of_check.get(finding.check, finding) for finding in found]

    def _step(self, note: str) -> None:
        self._reconstructions += 1
        self.progress(min(self._reconstructions, _RECONSTRUCTIONS - 1), _RECONSTRUCTIONS, note)
