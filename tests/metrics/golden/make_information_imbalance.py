"""Make information_imbalance.json with DADApy, in an environment of its own.

python3.11 -m venv ENV
ENV/bin/pip install "numpy<2" "setuptools<80" wheel "cython<3.1"
ENV/bin/pip install --no-build-isolation "dadapy==0.3.4" "numpy<2"
ENV/bin/python tests/metrics/golden/make_information_imbalance.py
"""

import json
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np
from dadapy.metric_comparisons import MetricComparisons

K = (1, 3, 10, 30)
# name: images, subset size. "whole": all images at once; "subsets": five of equal size; "dropped": of 201, 201 and
# 200 the odd subset is left out; "truncated": subsets of 250 instead of 200, so that DADApy draws the far ranks by lot
CASES = {"whole": (400, 2000), "subsets": (1000, 200), "dropped": (602, 200), "truncated": (750, 200)}


def spaces(images: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a circle (N, 2) and a noisy view of it with one more dimension (N, 3)."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, images)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return circle, np.hstack([circle, np.zeros((images, 1))]) + rng.normal(scale=0.2, size=(images, 3))


def main() -> None:
    """Write the numbers beside this file."""
    values = {}
    for name, (images, subset_size) in CASES.items():
        a, b = spaces(images)
        values[name] = {"images": images, "subset_size": subset_size, "k": K, "forward": [], "backward": []}
        for k in K:
            imbalances = MetricComparisons(a, maxk=images - 1, n_jobs=1)
            forward, backward = imbalances.return_information_imbalace(b, k=k, subset_size=subset_size)
            values[name]["forward"].append(forward.tolist())
            values[name]["backward"].append(backward.tolist())
    versions = {package: version(package) for package in ("dadapy", "numpy", "scipy", "scikit-learn")}
    content = {
        "command": "python tests/metrics/golden/make_information_imbalance.py",
        "versions": {"python": platform.python_version(), **versions},
        "what": "[mean, standard error] of the information imbalance per k; forward is spaces()[0] to spaces()[1]",
        "values": values,
    }
    Path(__file__).with_name("information_imbalance.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
