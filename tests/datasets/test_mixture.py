"""Sets of models with populations."""

from pathlib import Path

import numpy as np
import pytest

from cryoarena.datasets.mixture import choose_models, mixture
from cryoarena.errors import UserError
from cryoarena.structures.atoms import read_atoms
from model_files import write_pdb

MODELS = tuple(Path(f"{number}.pdb") for number in range(5))


def test_all_models_with_their_shares() -> None:
    models, population = choose_models(MODELS, (1, 2, 3, 4, 10), 5)
    assert models == MODELS
    np.testing.assert_allclose(population, [0.05, 0.1, 0.15, 0.2, 0.5])
    np.testing.assert_allclose(choose_models(MODELS, (), 5)[1], 0.2)


def test_some_models_are_spread_over_the_list_and_keep_their_ratio() -> None:
    models, population = choose_models(MODELS, (1, 2, 3, 4, 5), 3)
    assert models == (MODELS[0], MODELS[2], MODELS[4])
    np.testing.assert_allclose(population, np.array([1, 3, 5]) / 9)


def test_counts_that_do_not_match_and_too_few_models_are_refused() -> None:
    with pytest.raises(UserError, match="4 numbers of particles for 5 models"):
        choose_models(MODELS, (1, 2, 3, 4), 5)
    with pytest.raises(UserError, match="6 conformations need as many models, but there are 5"):
        choose_models(MODELS, (), 6)


def test_rank_follows_mass_and_not_order(tmp_path: Path) -> None:
    sizes = (20, 5, 40)
    models = [
        read_atoms(write_pdb(tmp_path / f"{n}.pdb", np.random.default_rng(n).normal(size=(n, 3)), np.arange(n)))
        for n in sizes
    ]
    ensemble = mixture(models, np.full(3, 1 / 3), 3.0, ())
    assert ensemble.cvs["size_rank"].tolist() == [2, 1, 3]
    assert [len(ensemble.specimen.position_A(number)) for number in range(3)] == list(sizes)
