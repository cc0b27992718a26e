"""Independent random streams of one seed."""

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RandomStreams:
    """Independent random streams of one seed, keyed by purpose and block."""

    seed: int

    def generator(self, purpose: str, block: int = 0) -> np.random.Generator:
        """Return the generator of a purpose and block."""
        key = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:4], "big")
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(key, block)))
