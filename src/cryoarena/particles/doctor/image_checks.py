"""Images that are empty, not numbers, of odd strength, or there twice."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from cryoarena.particles.doctor.finding import Finding, Verdict
from cryoarena.particles.doctor.sampled_images import image_batches, spread_rows
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.stack import open_stack

NORMALISATION, DUPLICATES = "normalisation", "duplicates"
_MOST_LOOKED_AT = 20_000
# Ice of other thickness changes the noise of counted electrons by much less.
_LARGEST_SPREAD = 10.0


def check_normalisation(table: ParticleSet, rows: NDArray[np.int64]) -> Finding:
    """Look at the mean and standard deviation of the corners of some images, where there is no particle."""
    means, deviations = [], []
    offset = np.arange(table.box_px) - table.box_px // 2
    background = np.hypot(offset[:, None], offset) > 0.45 * table.box_px
    for batch in image_batches(table.subset(rows)):
        pixels = batch[:, background].astype(np.float64)
        means.append(pixels.mean(axis=1))
        deviations.append(np.where(np.isfinite(batch).all(axis=(1, 2)), pixels.std(axis=1), np.nan))
    mean, deviation = np.concatenate(means), np.concatenate(deviations)
    for bad, what in ((~np.isfinite(deviation), "pixels that are not finite numbers"), (deviation == 0, "no contrast")):
        if bad.any():
            first = int(rows[bad.argmax()]) + 1
            return Finding(
                NORMALISATION,
                Verdict.WRONG,
                f"{bad.sum()} of {len(rows)} images have {what}, the first in row {first}: remove them",
                {"images": float(bad.sum())},
            )
    low, median, high = np.quantile(deviation, [0.01, 0.5, 0.99])
    evidence = {
        "background_mean": float(np.median(mean)),
        "background_deviation": float(median),
        "deviation_1_percent": float(low),
        "deviation_99_percent": float(high),
    }
    what = (
        f"the background has mean {np.median(mean):.3g} and standard deviation {median:.3g} ({low:.3g} to {high:.3g})"
    )
    if high > _LARGEST_SPREAD * low:
        return Finding(
            NORMALISATION,
            Verdict.WRONG,
            f"normalise the images one by one: {what}, so that a few outweigh all others",
            evidence,
        )
    return Finding(NORMALISATION, Verdict.FINE, what, evidence)


def check_duplicates(table: ParticleSet) -> Finding:
    """Look for rows that name one image, and for images that are equal to the last bit."""
    places = np.stack([table.stack_index, table.slice_index], axis=1)
    distinct, count = np.unique(places, axis=0, return_counts=True)
    named = int((count > 1).sum())
    if named:
        stack, index = distinct[count.argmax()]
        return Finding(
            DUPLICATES,
            Verdict.WRONG,
            f"{named} images are named by more than one row, e.g. image {index + 1} of "
            f"{table.stack_files[stack].name}: remove the rows",
            {"images": float(named)},
        )
    rows = spread_rows(len(table), _MOST_LOOKED_AT)
    by_content: dict[bytes, list[int]] = defaultdict(list)
    middle = table.box_px // 2
    for stack in np.unique(table.stack_index[rows]):
        data = open_stack(table.stack_files[stack], table.box_px)
        for row in rows[table.stack_index[rows] == stack]:
            line = data[table.slice_index[row], middle]
            if np.ptp(line) > 0:
                by_content[line.tobytes()].append(int(row))
    pairs = [alike[:2] for alike in by_content.values() if len(alike) > 1]
    equal = [pair for pair in pairs if np.array_equal(*table.images(np.array(pair)))]
    if equal:
        first, second = equal[0]
        return Finding(
            DUPLICATES,
            Verdict.WRONG,
            f"{len(equal)} of {len(rows)} images are there twice, e.g. those of rows {first + 1} and {second + 1}: "
            "remove one of each pair, or half-sets are not independent",
            {"images": float(len(equal))},
        )
    return Finding(DUPLICATES, Verdict.FINE, f"no two of {len(rows)} images are equal", {"images": 0.0})
