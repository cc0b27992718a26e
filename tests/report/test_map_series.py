from dataclasses import replace
from pathlib import Path

import numpy as np
from report_bench import OFFERED

from cryoarena.report.collect import collect
from cryoarena.report.map_series import latent_steps
from cryoarena.report.truth import read_truth


def test_maps_of_a_method_come_with_the_truth_nearest_in_latent_space(bench: Path) -> None:
    (group,) = collect(bench).groups
    truth = read_truth(group.dataset, [])
    ppca, consensus = (next(r for r in group.results if r.label == name) for name in ("ppca", "consensus"))
    steps = latent_steps(ppca, truth, [])
    assert [step.file.name for step in steps] == ["0000.mrc", "0001.mrc", "0002.mrc"]
    assert tuple(step.conformation for step in steps) == OFFERED
    assert latent_steps(consensus, truth, []) == []


def test_without_truth_the_maps_are_shown_alone(bench: Path) -> None:
    (group,) = collect(bench).groups
    ppca = next(result for result in group.results if result.label == "ppca")
    steps = latent_steps(ppca, read_truth(None, []), [])
    assert [step.conformation for step in steps] == [None] * 3


def test_a_damaged_table_is_a_note(bench: Path, tmp_path: Path) -> None:
    (group,) = collect(bench).groups
    ppca = next(result for result in group.results if result.label == "ppca")
    (tmp_path / "volumes.csv").write_text("volume,z0\n0000.mrc,not a number\n0001.mrc,2\n")
    notes: list[str] = []
    assert latent_steps(type(ppca)(tmp_path, ppca.info, ppca.variant, 0), read_truth(None, []), notes) == []
    assert "volumes.csv of" in notes[0]


def test_nearest_is_a_particle_that_is_known_and_whose_true_map_is_kept(own_bench: Path) -> None:
    (group,) = collect(own_bench).groups
    truth = read_truth(group.dataset, [])
    ppca = next(result for result in group.results if result.label == "ppca")
    embedding = np.load(ppca.path / "embedding.npy")
    embedding[0] = np.nan
    np.save(ppca.path / "embedding.npy", embedding)
    conformations = truth.conformations.copy()
    conformations.loc[conformations["conformation"] == OFFERED[0], "volume"] = ""
    sparse = replace(truth, conformations=conformations)
    found = [step.conformation for step in latent_steps(ppca, sparse, [])]
    assert found[1:] == list(OFFERED[1:])
    assert abs(found[0] - OFFERED[0]) == 1
    junk = replace(truth, particles=truth.particles.assign(junk="noise"))
    assert [step.conformation for step in latent_steps(ppca, junk, [])] == [None] * 3
