"""Sample FSC: maps at the centres of latent clusters, each against the true map that it matches best."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.metrics.base import MetricCard, MetricResult, metric
from cryoarena.metrics.volume_fsc import Masks, check_map, cryobench_curve, scores_of_curves
from cryoarena.volumes.all_pairs import ShellOrder
from cryoarena.volumes.fsc import FscCurve, HalfShells, correlate

_TRUTHS_AT_ONCE = 8


@metric(
    MetricCard(
        name="sample-fsc",
        version=1,
        unit="cycles/px",
        range=(-0.5, 0.5),
        direction="higher",
        citation="Jeon et al., CryoBench, NeurIPS 2024 Datasets & Benchmarks, C.2 and table S5",
        summary="Area under the FSC between a map at a k-means centre of the latents and the true map most like it.",
        needs=("sample_volumes", "true_volumes", "masks", "pixel_size_A"),
    )
)
def sample_fsc(
    sample_volumes: Iterable[NDArray[np.float32]],
    true_volumes: Sequence[NDArray[np.float32]],
    masks: Masks,
    pixel_size_A: float,
) -> MetricResult:
    """Score sampled maps against the best of all true maps.

    The best is that of greatest area under the curve, chosen for each variant and mask apart, among all true maps:
    nothing is screened away. It needs no labels, but does not notice conformations that a method never gives.

    Args:
        sample_volumes: k maps (D, D, D), at the k-means centres of the latents (k = 20 in the paper).
        true_volumes: K maps (D, D, D), read one at a time for every mask; they may be read from disk when asked for.
        masks: name to soft mask (D, D, D), or to None for no mask.
        pixel_size_A: of the maps.

    Returns:
        As `score_pairs`: per variant and mask mean and median AUC over samples; resolution; curves.

    Raises:
        UserError: when a sampled map holds NaN or infinity or is constant, or there is no sample or no truth.
        ValueError: when maps and masks differ in box.
    """
    samples = list(sample_volumes)
    for number, sample in enumerate(samples):
        check_map(f"sample {number}", sample)
    if not samples or not len(true_volumes):
        raise UserError("sample FSC needs at least one sampled map and one true map; none was given")
    order = ShellOrder.of_box(samples[0].shape[-1])
    curves: dict[str, list[FscCurve]] = defaultdict(list)
    for name, mask in masks.items():
        best = _best_truths(order, samples, true_volumes, mask)
        for number, sample in enumerate(samples):
            for variant, truths in best.items():
                shells = correlate(sample, true_volumes[int(truths[number])], mask)
                curves[f"{variant}/{name}"].append(_curve(shells, variant))
    return scores_of_curves(curves, pixel_size_A)


def _best_truths(
    order: ShellOrder,
    samples: list[NDArray[np.float32]],
    true_volumes: Sequence[NDArray[np.float32]],
    mask: NDArray[np.float32] | None,
) -> dict[str, NDArray[np.int64]]:
    """Return for each variant the true map (k,) of greatest AUC with each sample."""
    of_samples = np.stack([order.values(sample, mask) for sample in samples])
    areas: dict[str, list[NDArray[np.float64]]] = {"standard": [], "cryobench": []}
    for first in range(0, len(true_volumes), _TRUTHS_AT_ONCE):
        numbers = range(first, min(first + _TRUTHS_AT_ONCE, len(true_volumes)))
        of_truths = np.stack([order.values(true_volumes[number], mask) for number in numbers])
        shells = order.correlate(of_samples, of_truths)
        for variant, of_variant in areas.items():
            frequency, fsc = _curve(shells, variant)
            of_variant.append(np.asarray(np.trapezoid(np.abs(fsc) if variant == "cryobench" else fsc, frequency)))
    return {variant: np.concatenate(each, axis=1).argmax(axis=1) for variant, each in areas.items()}


def _curve(shells: HalfShells, variant: str) -> FscCurve:
    return cryobench_curve(shells) if variant == "cryobench" else shells.standard()
