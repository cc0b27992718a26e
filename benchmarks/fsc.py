"""Cost of one masked FSC of two 256³ maps, next to the peers'. Run: python benchmarks/fsc.py [box]."""

import resource
import sys
import time

import numpy as np

from cryoarena.volumes.fsc import correlate, fsc_auc

# CPU seconds and peak GB measured on the peers' code for the same box, imports not timed
PEERS = {
    128: {"CryoBench": (1.83, 0.59), "cryoDRGN 4.3.1": (1.65, 0.56)},
    256: {"CryoBench": (11.7, 2.04), "cryoDRGN 4.3.1": (11.8, 2.04)},
}


def main() -> None:
    box_px = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    rng = np.random.default_rng(0)
    a = rng.standard_normal((box_px,) * 3, dtype=np.float32)
    b = a + rng.standard_normal((box_px,) * 3, dtype=np.float32)
    mask = np.ones_like(a)
    repeats = 5
    start = time.process_time()
    for _ in range(repeats):
        shells = correlate(a, b, mask)
        areas = fsc_auc(*shells.standard()), fsc_auc(*shells.cryobench())
    cpu_s = (time.process_time() - start) / repeats
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"both FSC variants, {box_px}³, masked: {cpu_s:.2f} CPU s, peak {peak_gb:.2f} GB")
    print(f"AUC {areas[0]:.4f} standard, {areas[1]:.4f} cryobench")
    for peer, (peer_s, peer_gb) in PEERS.get(box_px, {}).items():
        ratios = f"{peer_s / cpu_s:.0f} x the time, {peer_gb / peak_gb:.1f} x the memory"
        print(f"{peer}: {peer_s} CPU s, peak {peer_gb} GB: {ratios}")


if __name__ == "__main__":
    main()
