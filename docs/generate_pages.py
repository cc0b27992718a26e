"""Write the pages of data sets, methods, metrics (from their cards), outside programs and the API; mkdocs runs this.

What is written by hand in docs/datasets, docs/methods and docs/metrics follows the card of its name.
"""

import inspect
import pkgutil
from dataclasses import asdict, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import mkdocs_gen_files
from griffe import Docstring, DocstringSectionKind

import cryoarena
from cryoarena.datasets.base import datasets
from cryoarena.methods import external
from cryoarena.methods.base import methods
from cryoarena.metrics.base import metrics

DOCS = Path(__file__).parent
KINDS = {"datasets": ("Data sets", datasets), "methods": ("Methods", methods), "metrics": ("Metrics", metrics)}
QUIET = {"warnings": False, "warn_missing_types": False}
OF_PRESETS = ("images", "conformations", "box_px", "pixel_size_A", "source_box_px", "snr", "resolution_A")


def write(path: str, text: str) -> None:
    """Add a page to the site."""
    with mkdocs_gen_files.open(path, "w") as page:
        page.write(text)


def table(rows: list[tuple[str, ...]], heads: tuple[str, ...] = ("", "")) -> str:
    """Return a table in Markdown."""
    lines = [heads, ("---",) * len(heads), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", "<br>")


def page_of(kind: str, name: str, entry: Any) -> str:
    """Return the page of an entry: its title, its card, its presets and options, and what is written by hand."""
    heading, _, body = by_hand(kind, name).partition("\n")
    text = f"{heading or '# ' + name}\n\n{entry.card.summary}\n\n{table(card_rows(entry.card))}\n"
    if presets := getattr(entry, "presets", None):
        numbers = [(number, *(f"{getattr(s, number):g}" for s in presets.values())) for number in OF_PRESETS]
        text += table(numbers, ("preset", *presets)) + "\n"
    return text + body + ("" if "## Options" in body else about_options(entry))


def about_options(entry: Any) -> str:
    """Return a table of the options, with what their docstrings say."""
    options = getattr(entry, "options", None)
    if options is None or not fields(options):
        return ""
    told = {}
    for each in reversed([each for each in inspect.getmro(options) if is_dataclass(each)]):
        for section in Docstring(inspect.getdoc(each) or "", parser="google", parser_options=QUIET).parse():
            if section.kind is DocstringSectionKind.attributes:
                for about in section.value:
                    # Of "a, b: …" it takes b for the type of a.
                    names = f"{about.name} {about.annotation or ''}".replace(",", " ").split()
                    told |= dict.fromkeys(names, about.description)
    rows = [(f"`{option.name}`", f"`{option.default}`", told.get(option.name, "")) for option in fields(options)]
    return "\n## Options\n\n" + table(rows, ("`--set`", "default", "")) + "\n"


def card_rows(card: Any) -> list[tuple[str, str]]:
    """Return the fields of a card that say something, but those that the page has elsewhere."""
    rows = []
    for field, value in asdict(card).items():
        if field in ("name", "title", "summary") or value in ((), None, ""):
            continue
        if field in ("sources", "stand_ins"):
            value = [f"{file['name']}: {file['description']}" for file in value]
        elif field == "cvs":
            value = [f"{cv['name']} ({cv['unit']}): {cv['description']}" for cv in value]
        elif field == "needs":
            value = [", ".join(value)]
        elif field == "range":
            value = [f"{value[0]:g} to {value[1]:g}"]
        lines = value if isinstance(value, (list, tuple)) else [value]
        rows.append((field.replace("_", " "), "\n".join(str(line) for line in lines)))
    return rows


def by_hand(kind: str, name: str) -> str:
    """Return what is written by hand about an entry, or nothing."""
    path = DOCS / kind / f"{name}.md"
    return path.read_text() if path.exists() else ""


for kind, (title, registry) in KINDS.items():
    entries = registry.all()
    for name, entry in entries.items():
        write(f"{kind}/{name}.md", page_of(kind, name, entry))
    others = sorted(path.stem for path in (DOCS / kind).glob("*.md") if path.stem not in entries)
    write(f"{kind}/SUMMARY.md", "".join(f"* [{name}]({name}.md)\n" for name in ["index", *entries, *others]))
    rows = [(f"[{name}]({name}.md)", entry.card.summary) for name, entry in entries.items()]
    more = "".join(f"* [{name}]({name}.md)\n" for name in others)
    write(f"{kind}/index.md", f"# {title}\n\n{table(rows)}" + (f"\nMore:\n\n{more}" if more else ""))

readmes = {path.parent.name: path for path in sorted(Path(external.__path__[0]).glob("*/README.md"))}
for name, path in readmes.items():
    # Links from where the README is, five folders down, become links from the page.
    write(f"tools/{name}.md", path.read_text().replace("(../../../../../docs/", "(../"))
write("tools/SUMMARY.md", "".join(f"* [{name}]({name}.md)\n" for name in readmes))

packages = [module.name for module in pkgutil.iter_modules(cryoarena.__path__) if module.ispkg]
for package in packages:
    folder = import_module(f"cryoarena.{package}")
    modules = [module.name for module in pkgutil.iter_modules(folder.__path__) if not module.ispkg]
    text = f"# cryoarena.{package}\n\n{folder.__doc__}\n\n"
    write(f"api/{package}.md", text + "".join(f"::: cryoarena.{package}.{module}\n\n" for module in modules))
write("api/plots.md", "# cryoarena.plots\n\n::: cryoarena.plots\n")
write("api/SUMMARY.md", "".join(f"* [{name}]({name}.md)\n" for name in ["plots", *packages]))
