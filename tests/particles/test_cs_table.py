"""Fields of a .cs file and its passthrough files are joined by uid, never by order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.recfunctions import drop_fields

from cryoarena.errors import UserError
from cryoarena.particles.cs import read_cs, write_cs
from cryoarena.particles.cs_table import read_cs_table
from random_particles import assert_same_particles, make_particles


def save(path, records):
    with path.open("wb") as stream:
        np.save(stream, records)


def split(path, names, order):
    """Move the fields that start with `names` from a .cs file into a passthrough file with rows in `order`."""
    records = np.load(path)
    moved = [name for name in records.dtype.names if name.startswith(names)]
    kept = [name for name in records.dtype.names if name not in moved]
    passthrough = path.with_name("passthrough.cs")
    save(passthrough, records[["uid", *moved]].copy()[order])
    save(path, records[kept].copy())
    return passthrough


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 20), st.sampled_from([("blob/",), ("ctf/",), ("alignments3D/",), ("blob/", "ctf/")]), st.randoms()
)
def test_whatever_the_order(tmp_path_factory, n, names, random):
    folder = tmp_path_factory.mktemp("cs")
    particles = make_particles(folder, n, shard=3, write_stacks=False)
    rows = np.array(sorted(range(n), key=lambda _: random.random()))
    kept = particles.subset(rows[: random.randint(1, n)])
    write_cs(folder / "a.cs", particles)
    passthrough = split(folder / "a.cs", names, np.array(sorted(range(n), key=lambda _: random.random())))
    # The job has dropped some particles and sorted the rest.
    main = np.load(folder / "a.cs")
    save(folder / "a.cs", main[[int(np.argmax(main["uid"] == uid)) for uid in kept.particle_id.astype(np.uint64)]])
    found = read_cs(folder / "a.cs", [passthrough])
    # Stacks are numbered in the order in which they are met.
    assert [found.stack_files[i] for i in found.stack_index] == [kept.stack_files[i] for i in kept.stack_index]
    renumbered = {"stack_files": found.stack_files, "stack_index": found.stack_index}
    assert_same_particles(found, type(kept)(**{**vars(kept), **renumbered}), 1e-6)


def test_two_passthrough_files(tmp_path, particles):
    write_cs(tmp_path / "a.cs", particles)
    first = split(tmp_path / "a.cs", ("blob/",), np.arange(7)[::-1]).rename(tmp_path / "p1.cs")
    second = split(tmp_path / "a.cs", ("ctf/",), np.roll(np.arange(7), 3))
    assert_same_particles(read_cs(tmp_path / "a.cs", [first, second]), particles, 1e-6)


def test_the_main_file_has_the_last_word(tmp_path, particles):
    write_cs(tmp_path / "a.cs", particles)
    records = np.load(tmp_path / "a.cs")
    records["alignments3D/shift"] = 99
    save(tmp_path / "old.cs", records)
    assert_same_particles(read_cs(tmp_path / "a.cs", [tmp_path / "old.cs"]), particles, 1e-6)


def test_particles_that_a_passthrough_lacks_are_told(tmp_path, particles):
    write_cs(tmp_path / "a.cs", particles)
    passthrough = split(tmp_path / "a.cs", ("ctf/",), np.array([6, 0, 1, 4, 5]))
    uid = particles.particle_id[2]
    with pytest.raises(UserError, match=rf"lacks 2 of the 7 particles of .*a\.cs, first uid {uid} of row 3"):
        read_cs_table(tmp_path / "a.cs", [passthrough])


def test_repeated_and_missing_uids(tmp_path, particles):
    write_cs(tmp_path / "a.cs", particles)
    records = np.load(tmp_path / "a.cs")
    again = records.copy()
    again["uid"][5] = again["uid"][1]
    save(tmp_path / "b.cs", again)
    with pytest.raises(UserError, match=r"row 6 of .*b\.cs repeats the uid"):
        read_cs_table(tmp_path / "b.cs")
    with pytest.raises(UserError, match=r"row 6 of .*b\.cs repeats the uid"):
        read_cs_table(tmp_path / "a.cs", [tmp_path / "b.cs"])
    save(tmp_path / "c.cs", drop_fields(records, "uid"))
    with pytest.raises(UserError, match=r"c\.cs has no field uid"):
        read_cs_table(tmp_path / "a.cs", [tmp_path / "c.cs"])


def test_exposure_groups_are_optics_groups(tmp_path, particles):
    write_cs(tmp_path / "a.cs", particles)
    records = np.load(tmp_path / "a.cs")
    records["ctf/exp_group_id"] = [23, 5, 23, 0, 5, 5, 23]
    for name, value in (("ctf/accel_kv", 300), ("ctf/cs_mm", 2.7), ("ctf/amp_contrast", 0.1)):
        records[name] = value
    save(tmp_path / "a.cs", records)
    found = read_cs(tmp_path / "a.cs")
    assert found.optics_names == ("opticsGroup0", "opticsGroup5", "opticsGroup23")
    np.testing.assert_array_equal(found.optics_group, [2, 1, 2, 0, 1, 1, 2])
    # The settings of a microscope come back as they were told, without the tail of single precision.
    assert set(found.ctf.cs_mm) == {2.7}
    write_cs(tmp_path / "b.cs", found)
    np.testing.assert_array_equal(np.load(tmp_path / "b.cs")["ctf/exp_group_id"], records["ctf/exp_group_id"])
