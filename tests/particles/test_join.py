from dataclasses import replace

import numpy as np

from cryoarena.particles.join import join_particles


def test_beam_tilt_is_kept_where_all_have_it(particles):
    tilt = np.random.default_rng(0).normal(size=(len(particles), 2))
    tilted = replace(particles, beam_tilt_mrad=tilt)
    np.testing.assert_array_equal(join_particles([tilted, tilted]).beam_tilt_mrad, np.concatenate([tilt, tilt]))
    assert join_particles([tilted, particles]).beam_tilt_mrad is None
