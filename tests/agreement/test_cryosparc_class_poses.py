"""cryoDRGN reads the poses of a class as we do."""

import numpy as np
import pytest

from cryoarena.methods.external.cryosparc.class_fields import best_poses
from cryoarena.particles.cryodrgn import read_cryodrgn_poses
from cryoarena.particles.cs_table import read_cs_table
from cryosparc_jobs import Project, classes_apart, write_cs_fields
from random_particles import make_particles

pytestmark = pytest.mark.agreement


def test_poses_of_an_ab_initio_job(cryodrgn, tmp_path):
    project = Project(tmp_path / "CS-project", make_particles(tmp_path / "set", 20, 32, 1.5, shard=12))
    rows = project.shuffled()
    table = tmp_path / "J5_final_particles.cs"
    write_cs_fields(table, classes_apart(project, rows, np.tile([0.9, 0.1], (len(rows), 1))))
    cryodrgn("parse_pose_csparc", table, "--abinit", "-D", 32, "-o", tmp_path / "poses.pkl", cwd=tmp_path)
    theirs, ours = read_cryodrgn_poses(tmp_path / "poses.pkl", 32, 1.5), best_poses(read_cs_table(table))
    np.testing.assert_allclose(theirs.rotation_object_to_image, ours.rotation_object_to_image, atol=1e-6)
    np.testing.assert_allclose(theirs.shift_A, ours.shift_A, atol=1e-5)
