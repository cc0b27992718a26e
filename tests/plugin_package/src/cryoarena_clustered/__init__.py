from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans

from cryoarena.methods.base import Method, MethodCard, method, methods
from cryoarena.methods.class3d import Class3dReconstruction


@dataclass(frozen=True)
class Options:
    classes: int = 4


@method
class Clustered(Method[Options]):
    card = MethodCard(
        name="clustered",
        title="Clustered PPCA",
        family="3-D classification",
        summary="One map for each k-means cluster of PPCA latents.",
        citation="this tutorial",
        heterogeneity="discrete",
    )
    options = Options

    def fit(self, particles, options, run):
        ppca, consensus = methods.get("ppca"), methods.get("consensus")
        latents = ppca.fit(particles, ppca.options(components=2), run).embedding
        labels = KMeans(options.classes, n_init=5, random_state=run.seed).fit_predict(latents)
        maps = []
        for k in range(options.classes):
            members = particles.subset(np.flatnonzero(labels == k))
            maps.append(consensus.fit(members, consensus.options(), run).volumes_at(np.zeros((1, 1)))[0])
        return Class3dReconstruction(np.stack(maps), np.eye(options.classes, dtype=np.float32)[labels], [])

    def load(self, folder, particles):
        return methods.get("class3d").load(folder, particles)
