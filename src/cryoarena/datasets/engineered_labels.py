"""engineered-labels: states that are encoded by design, on a body that moves whatever its state."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cryoarena.datasets.base import (
    CollectiveVariable,
    Dataset,
    DatasetCard,
    Ensemble,
    Settings,
    Sources,
    dataset,
)
from cryoarena.datasets.sessions import Sessions, unlike_sessions
from cryoarena.errors import UserError
from cryoarena.imaging.specimen import Complexes
from cryoarena.structures.atoms import Atoms, joined
from cryoarena.structures.density import molmap_model
from cryoarena.structures.duplex import build_duplex, placed
from cryoarena.structures.pseudo_nuclease import build_pseudo_nuclease


@dataclass(frozen=True)
class EngineeredLabelsOptions:
    """Which states there are, and how they are recorded.

    Attributes:
        shortest, longest: base pairs of the duplex; every length between them is a state.
        lobe_deg: the lobe turns from minus to plus this angle, in equal steps, alike in all states.
        session: none: all states are recorded alike; mild or strong: each in a session of its own, whose defocus, ice
            and grey scale differ from those of the others, so that the label leaks into what is no structure.
    """

    shortest: int = 2
    longest: int = 14
    lobe_deg: float = 15.0
    session: str = "none"


# Largest offset of the defocus (Å), thinnest and thickest ice (nm), largest factor of the grey values.
_SESSIONS: dict[str, tuple[float, tuple[float, float], float] | None] = {
    "none": None,
    "mild": (1_000.0, (25.0, 35.0), 1.03),
    "strong": (4_000.0, (20.0, 80.0), 1.25),
}
_SMALL = Settings(
    preset="small",
    images=5_200,
    conformations=65,
    box_px=64,
    source_box_px=256,
    source_pixel_size_A=1.25,
    snr=0.01,
    max_shift_px=10.0,
    resolution_A=5.0,
)


@dataset
class EngineeredLabels(Dataset[EngineeredLabelsOptions]):
    """A nuclease with a duplex of 2 to 14 base pairs, the label, and a lobe that turns, the nuisance."""

    card = DatasetCard(
        name="engineered-labels",
        title="Engineered labels",
        kind="compositional, discrete, with a conformational nuisance",
        summary="A 158 kDa body with a DNA duplex of 2 to 14 base pairs, its label, while a lobe turns in every state.",
        citation="Kinman, Grassetti, Carreira & Davis 2025, doi:10.1063/4.0001019 (the idea, on real Cas9 complexes)",
        licence="BSD-3-Clause",
        sources=(),
        cvs=(
            CollectiveVariable("length", "bp", None, "base pairs of the duplex: the label"),
            CollectiveVariable("lobe_angle", "deg", None, "turn of the lobe: the nuisance"),
        ),
        notes=(
            "A simulated twin of the published idea: 13 complexes prepared and imaged apart. The recorded images and "
            "their analysis are not used; the body, its motion, the signal-to-noise ratio and all sizes (that of "
            "`paper` too, since none is published) are ours.",
            "Classes and populations are judged by the length of the duplex alone, whatever the angle of the lobe.",
        ),
    )
    options = EngineeredLabelsOptions
    presets: ClassVar[dict[str, Settings]] = {
        "small": _SMALL,
        "paper": replace(_SMALL, preset="paper", images=130_000, conformations=130, box_px=128),
    }

    def build(self, settings: Settings, sources: Sources, options: EngineeredLabelsOptions) -> Ensemble:
        """Grow the duplex base pair by base pair, each length on every angle of the lobe.

        Raises:
            UserError: when there are fewer than two lengths or the conformations are no multiple of the states.
        """
        if not 1 <= options.shortest < options.longest:
            raise UserError(
                f"shortest must be at least 1 and longest more than that, not {options.shortest} and {options.longest}"
            )
        lengths = np.arange(options.shortest, options.longest + 1)
        angles = _lobe_angles(settings.conformations, len(lengths), options.lobe_deg)
        body = build_pseudo_nuclease()
        bodies = [body.with_lobe_turned(float(angle)) for angle in angles]
        positions, models = [], []
        for length in lengths:
            duplex = placed(build_duplex(int(length)), body.duplex_start_A, body.duplex_direction)
            # The states differ in their atoms, the conformations of a state only in where these are.
            model = molmap_model(joined([body.atoms, duplex]), settings.resolution_A)
            positions += [_position(turned, duplex) for turned in bodies]
            models += [model] * len(angles)
        count, state = len(positions), np.repeat(np.arange(len(lengths)), len(angles))
        return Ensemble(
            specimen=Complexes(tuple(positions), tuple(models)),
            cvs={
                "length": np.repeat(lengths, len(angles)).astype(np.float64),
                "lobe_angle": np.tile(angles, len(lengths)),
            },
            population=np.full(count, 1 / count),
            state=state,
            sessions=_sessions(options.session, state, settings.seed),
        )


def _sessions(kind: str, state: NDArray[np.int64], seed: int) -> Sessions | None:
    if kind not in _SESSIONS:
        raise UserError(f"session must be one of {', '.join(_SESSIONS)}, not {kind!r}")
    amounts = _SESSIONS[kind]
    return None if amounts is None else unlike_sessions(state, *amounts, seed)


def _position(body: Atoms, duplex: Atoms) -> NDArray[np.float32]:
    return np.concatenate([body.position_A, duplex.position_A]).astype(np.float32)


def _lobe_angles(conformations: int, states: int, largest_deg: float) -> NDArray[np.float64]:
    if not largest_deg >= 0:
        raise UserError(f"lobe_deg must not be negative, not {largest_deg}")
    if conformations % states:
        raise UserError(
            f"--conformations must be a multiple of the {states} lengths, not {conformations}: "
            "every length has the same angles of the lobe"
        )
    angles = conformations // states
    return np.linspace(-largest_deg, largest_deg, angles) if angles > 1 else np.zeros(1)
