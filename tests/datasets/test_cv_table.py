"""Tables of collective variables."""

from pathlib import Path

import numpy as np
import pytest

from cryoarena.datasets.cv_table import read_cv_table
from cryoarena.errors import UserError


def test_headings_tell_names_units_and_periods(tmp_path: Path) -> None:
    path = tmp_path / "cv.csv"
    path.write_text("opening [Å],turn [deg mod 360], plain\n1,20,3\n4,50,6\n")
    table = read_cv_table(path, 2)
    assert [(cv.name, cv.unit, cv.period) for cv in table] == [
        ("opening", "Å", None),
        ("turn", "deg", 360.0),
        ("plain", "", None),
    ]
    np.testing.assert_array_equal(list(table.values()), [[1, 4], [20, 50], [3, 6]])


def test_arrays_have_numbered_columns(tmp_path: Path) -> None:
    np.save(tmp_path / "cv.npy", np.arange(6.0).reshape(3, 2))
    table = read_cv_table(tmp_path / "cv.npy", 3)
    assert {cv.name: values.tolist() for cv, values in table.items()} == {"cv1": [0, 2, 4], "cv2": [1, 3, 5]}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a,b\n1,2\n", "has 1 rows but the simulation has 2 frames"),
        ("a\n1\nnan\n", r"a is not a number in row 2 \(frame 1\)"),
        ("a\n1\nx\n", "is no table of numbers"),
        ("a b\n1\n2\n", "heading 'a b' is not"),
        ("", "is no table of numbers"),
    ],
)
def test_other_tables_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "cv.csv").write_text(text)
    with pytest.raises(UserError, match=sentence):
        read_cv_table(tmp_path / "cv.csv", 2)
