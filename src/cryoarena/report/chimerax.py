"""A ChimeraX script that opens truth and reconstructions side by side as linked series of volumes."""

from os.path import commonpath
from pathlib import Path

from cryoarena.errors import UserError
from cryoarena.report.collect import Group, ResultFolder
from cryoarena.report.colours import METHOD_COLOURS_LIGHT
from cryoarena.report.maps import enclosing_level, truth_level
from cryoarena.report.truth import Truth
from cryoarena.report.volumes_3d import compared_maps, true_maps
from cryoarena.volumes.mrc import read_volume

_TRUTH_COLOUR = "#9aa5b1"


def chimerax_script(group: Group, truth: Truth) -> str:
    """Return the commands, with paths from the folder that holds dataset and results; empty where there are no maps.

    ChimeraX reads the paths from the folder in which the script lies. The surface of every map encloses the volume of
    the first true molecule.
    """
    series: list[tuple[str, str, list[Path], float]] = []
    true = true_maps(group, truth)
    compared = [(result, maps) for result in group.results if result.status == "ok" and (maps := compared_maps(result))]
    # The members of linked series are paired by their place: all series hold the same conformations.
    known = [set(maps) for _, maps in compared] + ([set(true)] if true else [])
    shown = sorted(set.intersection(*known)) if known else []
    if not shown:
        return ""
    voxels = 0
    if true:
        files = [true[number] for number in shown]
        volume, _ = read_volume(files[0])
        level = truth_level(volume)
        voxels = int((volume > level).sum())
        series.append(("truth", _TRUTH_COLOUR, files, level))
    for result, maps in compared:
        files = [maps[number] for number in shown]
        series.append((result.label, _colour(result), files, _level(files[0], voxels)))
    folder = Path(commonpath([file.resolve().parent for _, _, files, _ in series for file in files]))
    lines = [
        f"# Truth and reconstructions of {_word(group.name)}. Save this file in the folder “{_word(folder.name)}”",
        "# and open it with ChimeraX: drag the slider to change the conformation of all maps at once.",
    ]
    for number, (name, colour, files, level) in enumerate(series, 1):
        paths = " ".join(f'"{_word(file.resolve().relative_to(folder).as_posix())}"' for file in files)
        lines += [
            f'open {paths} vseries true id {number} name "{_word(name)}"',
            f"volume #{number} style surface level {level:.5g} color {colour}",
        ]
    models = ",".join(str(number) for number in range(1, len(series) + 1))
    return "\n".join([*lines, "tile", "view", f"vseries slider #{models}", ""])


def _word(text: str) -> str:
    """Return text that ends neither a comment nor a quoted word of a script."""
    return "".join(letter if letter.isprintable() and letter != '"' else " " for letter in text)


def _colour(result: ResultFolder) -> str:
    return METHOD_COLOURS_LIGHT[result.colour % len(METHOD_COLOURS_LIGHT)]


def _level(path: Path, voxels: int) -> float:
    volume, _ = read_volume(path)
    level = enclosing_level(volume, voxels) if voxels else truth_level(volume)
    if not level > 0:
        raise UserError(f"{path.name} in {path.parent.parent.name} has no density to draw a surface around")
    return level
