"""Real defocus tables."""

from pathlib import Path

import numpy as np
import pytest

from cryoarena.datasets.defocus_table import read_defocus_table
from cryoarena.errors import UserError


def test_the_real_table_is_read_as_it_is(mirror: Path) -> None:
    table = read_defocus_table(mirror / "ctf" / "empiar10028_ctf.npz")
    assert len(table) == 105_247
    # The ranges that the data's manifest states: 0.81 to 3.85 µm.
    assert table.defocus_u_A.min() == pytest.approx(8_112, abs=1)
    assert table.defocus_u_A.max() == pytest.approx(38_473, abs=1)


def test_a_table_without_a_column_names_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", columns=np.array(["defocus_u_A"]), ctf=np.ones((3, 1)))
    with pytest.raises(UserError, match="no column defocus_v_A"):
        read_defocus_table(tmp_path / "t.npz")


def test_a_value_that_is_no_number_names_its_row(tmp_path: Path) -> None:
    columns = np.array(["defocus_u_A", "defocus_v_A", "defocus_angle_deg"])
    values = np.ones((3, 3))
    values[1, 0] = np.nan
    np.savez(tmp_path / "t.npz", columns=columns, ctf=values)
    with pytest.raises(UserError, match="row 2"):
        read_defocus_table(tmp_path / "t.npz")
