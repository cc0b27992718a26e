"""Find the reading of a table that explains the images best, one change after another."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from cryoarena.particles.doctor import ctf_changes, rotations, row_orders, shifts
from cryoarena.particles.doctor.comparison import Comparison, compare
from cryoarena.particles.doctor.held_out import held_out
from cryoarena.particles.doctor.hypothesis import Hypothesis
from cryoarena.particles.doctor.reading import shuffled
from cryoarena.particles.doctor.sampled_images import SampledImages

LOW_RADIUS = 15
_MOST_CHANGES = 4
# The shifts with which every rotation is tried where no single change makes poses explain the images.
_PAIRED_SHIFTS = ("shifts of the opposite sign", shifts.NO_SHIFTS, "shifts in pixels")


@final
@dataclass(frozen=True)
class Alternative:
    """Another reading, and how it compares.

    Attributes:
        check: which it belongs to.
        name, remedy: as of a `Change`.
        hypothesis: the reading.
        comparison: with the hypothesis that it changes, at one radius.
    """

    check: str
    name: str
    remedy: str
    hypothesis: Hypothesis
    comparison: Comparison


@final
@dataclass
class Search:
    """The state of a search.

    Attributes:
        images: up to the full radius.
        hypothesis: the best reading so far.
        adopted: what was changed to come there, each compared with the reading before.
        rejected: by check, the alternatives to the final reading that were tried.
        step: called with a note before every reconstruction.
        seed: of shuffled poses.
    """

    images: SampledImages
    hypothesis: Hypothesis
    step: Callable[[str], None]
    seed: int = 0
    adopted: list[Alternative] = field(default_factory=list)
    rejected: dict[str, list[Alternative]] = field(default_factory=dict)
    _best_gain: dict[int, NDArray[np.float64]] = field(default_factory=dict)

    def run(self) -> None:
        """Adopt the best change as long as it is better beyond doubt and makes the poses explain the images."""
        while len(self.adopted) < _MOST_CHANGES:
            found = self._alternatives()
            if not self.adopted and not self.poses_explain(self.hypothesis).stated_is_better:
                found += self._pairs()
            self.rejected = {}
            better = sorted(
                (one for one in found if one.comparison.other_is_better),
                key=lambda one: one.comparison.other / max(one.comparison.stated, 1e-9),
                reverse=True,
            )
            best = next((one for one in better[:3] if self.poses_explain(one.hypothesis).stated_is_better), None)
            if best is None:
                for one in found:
                    self.rejected.setdefault(one.check, []).append(one)
                return
            self.adopted.append(best)
            self.hypothesis = best.hypothesis
            self._best_gain = {}

    def gain(self, hypothesis: Hypothesis, radius: int, note: str) -> NDArray[np.float64]:
        """Return the gain (n,) of the images up to a radius."""
        self.step(note)
        return held_out(self.images.within(radius), hypothesis.reading()).gain

    def compared(self, check: str, name: str, remedy: str, hypothesis: Hypothesis, radius: int) -> Alternative:
        """Compare a hypothesis with the best so far."""
        if radius not in self._best_gain:
            self._best_gain[radius] = self.gain(self.hypothesis, radius, "as stated")
        comparison = compare(self._best_gain[radius], self.gain(hypothesis, radius, name))
        return Alternative(check, name, remedy, hypothesis, comparison)

    def poses_explain(self, hypothesis: Hypothesis) -> Comparison:
        """Compare a hypothesis with the same but for rotations, which are those of other images."""
        images, reading = self.images.within(LOW_RADIUS), hypothesis.reading()
        own = self.gain(hypothesis, LOW_RADIUS, "rotations of the images")
        self.step("rotations of other images")
        return compare(own, held_out(images, shuffled(reading, self.seed)).gain)

    def _alternatives(self) -> list[Alternative]:
        table, reading = self.hypothesis.table, self.hypothesis.reading()
        low, full = min(LOW_RADIUS, self.images.radius), self.images.radius
        found = [
            self.compared(row_orders.CHECK, order.name, order.remedy, self.hypothesis.with_rows(order), low)
            for order in row_orders.other_orders(table, self.hypothesis.rows.pose_rows)
        ]
        changes = [(change, low) for change in rotations.rotation_changes(reading)]
        changes += [(change, low) for change in shifts.shift_changes(reading, table.box_px, table.pixel_size_A)]
        if reading.ctf is not None:
            of_ctf = ctf_changes.optics_changes(reading.ctf) + ctf_changes.astigmatism_changes(reading.ctf)
            of_ctf += ctf_changes.applied_changes()
            of_ctf += ctf_changes.pixel_changes(table.pixel_size_A * reading.pixel_scale)
            changes += [(change, full) for change in of_ctf]
        done = {one.check for one in self.adopted}
        return found + [
            self.compared(change.check, change.name, change.remedy, self.hypothesis.and_changed(change), radius)
            for change, radius in changes
            if change.check not in done
        ]

    def _pairs(self) -> list[Alternative]:
        """Return every rotation with some shifts."""
        table, reading = self.hypothesis.table, self.hypothesis.reading()
        moved = shifts.shift_changes(reading, table.box_px, table.pixel_size_A)
        return [
            self.compared(
                rotations.CHECK,
                f"{turn.name}, and {move.name}",
                f"{turn.remedy}; {move.remedy}",
                self.hypothesis.and_changed(turn).and_changed(move),
                LOW_RADIUS,
            )
            for turn in rotations.rotation_changes(reading)
            for move in moved
            if move.name in _PAIRED_SHIFTS
        ]
