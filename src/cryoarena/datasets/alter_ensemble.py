"""Change what a recipe has built as the dials of realism ask."""

from dataclasses import replace

import numpy as np

from cryoarena.datasets.base import CollectiveVariable, DatasetCard, Ensemble, Settings
from cryoarena.datasets.populations import populations
from cryoarena.datasets.random_streams import RandomStreams
from cryoarena.errors import UserError
from cryoarena.imaging.in_solvent import InSolvent
from cryoarena.imaging.incomplete import WithIncomplete

_COMPLETE = CollectiveVariable("complete", "", None, "1 where the particle is complete, 0 where it lacks a part")


def altered(ensemble: Ensemble, card: DatasetCard, settings: Settings) -> Ensemble:
    """Return the ensemble as it is imaged: with other populations, with incomplete particles, in solvent.

    Raises:
        UserError: when the populations do not fit, or the recipe does not know which part particles could lack.
    """
    realism = settings.realism
    if realism.populations != "recipe":
        rng = RandomStreams(settings.seed).generator("populations")
        # They no longer follow an energy.
        population = populations(realism.populations, len(ensemble.population), rng)
        ensemble = replace(ensemble, population=population, energy=None)
    if realism.incomplete > 0:
        ensemble = _with_incomplete(ensemble, card, realism.incomplete)
    if realism.solvent > 0:
        specimen = InSolvent(ensemble.specimen, realism.solvent, realism.solvent_b_A2)
        ensemble = replace(ensemble, specimen=specimen)
    return ensemble


def _with_incomplete(ensemble: Ensemble, card: DatasetCard, share: float) -> Ensemble:
    """Return every conformation twice: complete, and for `share` of its particles without a part.

    The part is the third of the first body that is farthest from the last, so that all motion stays to be seen.
    """
    if ensemble.rigid_bodies is None:
        raise UserError("--realism incomplete needs a dataset whose parts are rigid bodies, such as igg-1d")
    body = ensemble.rigid_bodies.body
    position_A = ensemble.specimen.position_A(0)
    away_A = np.linalg.norm(position_A - position_A[body == body.max()].mean(axis=0), axis=1)
    kept = (body != 0) | (away_A < np.quantile(away_A[body == 0], 2 / 3))
    count = len(ensemble.population)
    cvs = {name: np.tile(values, 2) for name, values in ensemble.cvs.items()}
    return replace(
        ensemble,
        specimen=WithIncomplete(ensemble.specimen, kept),
        cvs=cvs | {_COMPLETE.name: np.repeat([1.0, 0.0], count)},
        variables=(*(card.cvs if ensemble.variables is None else ensemble.variables), _COMPLETE),
        state=None if ensemble.state is None else np.tile(ensemble.state, 2),
        population=np.concatenate([(1 - share) * ensemble.population, share * ensemble.population]),
        notes=(*ensemble.notes, f"{100 * share:g} % of the particles lack {int((~kept).sum())} of {len(kept)} atoms."),
        # Bodies that are not in all particles are not what the rigid-motion oracle can reconstruct.
        rigid_bodies=None,
        mapped=None if ensemble.mapped is None else np.concatenate([ensemble.mapped, ensemble.mapped + count]),
    )
