"""Which particles the page pictures."""

from pathlib import Path

from cryoarena.datasets.realism import Realism
from cryoarena.files import read_json
from cryoarena.report.collect import DatasetFolder
from cryoarena.report.gallery import make_gallery
from cryoarena.report.truth import read_truth
from simulated import make_small_dataset


def test_junk_is_not_shown_beside_a_true_projection(tmp_path: Path) -> None:
    dials = Realism(junk_noise=0.3, junk_off_centre=0.3)
    folder = make_small_dataset(tmp_path / "d", images=60, box_px=16, realism=dials)
    dataset, notes = DatasetFolder(folder, read_json(folder / "dataset.json")), list[str]()
    gallery = make_gallery(dataset, read_truth(dataset, notes), notes)
    assert not notes
    assert gallery.items
    assert all("conformation -1" not in item.caption for item in gallery.items)
