"""Run by DynaMight's own Python: train, or take latents or maps out of a checkpoint, which no other program can open.

Nothing of cryoarena is imported. The modules that it has for windows and plots are not needed, and may be missing.
"""

# ruff: noqa: E402
import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

for _name in ("tsnecuda", "dynamight.evaluation"):
    sys.modules[_name] = MagicMock()

import mrcfile
import numpy as np
import torch
from dynamight.data.dataloaders.relion import RelionDataset
from dynamight.data.handlers.particle_image_preprocessor import ParticleImagePreprocessor
from dynamight.deformations.optimize_deformations import optimize_deformations

_SOFT_EDGE_A = 20
# What a checkpoint may name: classes of these packages, and two more.
_NETWORKS = ("dynamight.models.", "dynamight.utils.", "torch.nn.modules.")
_HARMLESS = ("dynamight.utils.utils_new.fourier_crop", "pathlib.PosixPath")


def main() -> None:
    """Do one of three things."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    train_parser = commands.add_parser("train")
    train_parser.add_argument("star", type=Path)
    train_parser.add_argument("out", type=Path)
    train_parser.add_argument("--initial-model", type=Path, required=True)
    train_parser.add_argument("--epochs", type=int, required=True)
    train_parser.add_argument("--gaussians", type=int, required=True)
    train_parser.add_argument("--latent-dimensions", type=int, required=True)
    train_parser.add_argument("--batch-size", type=int, required=True)
    train_parser.add_argument("--regularization", type=float, required=True)
    train_parser.add_argument("--mask", type=Path)
    train_parser.add_argument("--seed", type=int, required=True)
    train_parser.set_defaults(run=train)
    latents_parser = commands.add_parser("latents")
    latents_parser.add_argument("checkpoint", type=Path)
    latents_parser.add_argument("out", type=Path)
    latents_parser.add_argument("--star", type=Path)
    latents_parser.add_argument("--half", type=int, choices=(1, 2), required=True)
    latents_parser.set_defaults(run=write_latents)
    maps_parser = commands.add_parser("maps")
    maps_parser.add_argument("checkpoint", type=Path)
    maps_parser.add_argument("latents", type=Path)
    maps_parser.add_argument("out", type=Path)
    maps_parser.add_argument("--half", type=int, choices=(1, 2), required=True)
    maps_parser.set_defaults(run=write_maps)
    given = parser.parse_args()
    given.run(given)


def train(given: argparse.Namespace) -> None:
    """Train both halves; the function ends the process where it fails."""
    torch.manual_seed(given.seed)
    optimize_deformations(
        refinement_star_file=given.star.resolve(),
        output_directory=given.out,
        initial_model=given.initial_model,
        mask_file=given.mask,
        n_gaussians=given.gaussians,
        n_latent_dimensions=given.latent_dimensions,
        regularization_factor=given.regularization,
        batch_size=given.batch_size,
        n_epochs=given.epochs,
        n_threads=torch.get_num_threads(),
        n_workers=0,
        gpu_id=0 if torch.cuda.is_available() else None,
    )


def read_checkpoint(path: Path, device: str) -> dict[str, Any]:
    """Read a checkpoint, which holds pickled networks, by torch's restricted reader; others are refused, not run."""
    known: list[Any] = []
    for name in torch.serialization.get_unsafe_globals_in_checkpoint(path):
        module, _, attribute = name.rpartition(".")
        found = None
        if module.startswith(_NETWORKS) or name in _HARMLESS:
            found = getattr(importlib.import_module(module), attribute, None)
        is_network = isinstance(found, type) and found.__module__ == module
        if not is_network and name not in _HARMLESS:
            sys.exit(f"{path} is refused: it names {name}, which is no part of a network of DynaMight")
        known.append(found)
    with torch.serialization.safe_globals(known):
        content: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return content


def load(path: Path, half: int) -> tuple[Any, Any, Any, Path, str]:
    """Return the encoder and decoder of a half, the poses, the table they were trained on, and the device of all."""
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    content = read_checkpoint(path, device)
    encoder, decoder, poses = (content[name] for name in (f"encoder_half{half}", f"decoder_half{half}", "poses"))
    encoder.load_state_dict(content[f"encoder_half{half}_state_dict"])
    decoder.load_state_dict(content[f"decoder_half{half}_state_dict"])
    poses.load_state_dict(content["poses_state_dict"])
    for part in (decoder, decoder.p2i, decoder.projector, decoder.image_smoother, decoder.p2v):
        part.device = device
    star = Path(content["refinement_directory"])
    star = star if star.suffix == ".star" else star / "run_data.star"
    return encoder.to(device).eval(), decoder.to(device), poses.to(device), star, device


def write_latents(given: argparse.Namespace) -> None:
    """Encode all images, of both halves, by the encoder of one: each half has latents of its own."""
    encoder, _, poses, star, device = load(given.checkpoint, given.half)
    star = (given.star or star).resolve()
    if not star.is_file():
        sys.exit(f"the checkpoint names {star}, which does not exist; give it with --set particles=FILE.star")
    relion = RelionDataset(path=star, circular_mask_thickness=_SOFT_EDGE_A, particle_diameter=None)
    images = relion.make_particle_dataset()
    batches = torch.utils.data.DataLoader(images, batch_size=100, shuffle=False)
    preprocessor, latents = None, []
    with torch.no_grad():
        for batch in batches:
            if preprocessor is None:
                pixel_A = relion.pixel_spacing_angstroms
                preprocessor = ParticleImagePreprocessor()
                preprocessor.initialize_from_stack(
                    stack=batch["image"],
                    circular_mask_radius=relion.particle_diameter / (2 * pixel_A),
                    circular_mask_thickness=_SOFT_EDGE_A / pixel_A,
                )
            _, shift = poses(batch["idx"].to(device))
            shift = shift.cpu()
            image = preprocessor.apply_square_mask(batch["image"])
            image = preprocessor.apply_translation(image, -shift[:, 0], -shift[:, 1])
            image = preprocessor.apply_circular_mask(image)
            ctf = torch.fft.fftshift(batch["ctf"], dim=[-1, -2])
            latents.append(encoder(image.to(device), ctf.to(device))[0].cpu().numpy())
            print(f"ENCODED {sum(map(len, latents))}/{len(images)}", flush=True)
    given.out.mkdir(exist_ok=True)
    np.save(given.out / "latents.npy", np.concatenate(latents))
    about = {"star": str(star), "half": given.half, "checkpoint": given.checkpoint.name}
    (given.out / "latents.json").write_text(json.dumps(about, indent=1))


def write_maps(given: argparse.Namespace) -> None:
    """Write the maps 000000.mrc … at latents (k, d)."""
    _, decoder, _, _, device = load(given.checkpoint, given.half)
    latents = torch.as_tensor(np.load(given.latents), dtype=torch.float32, device=device)
    given.out.mkdir(exist_ok=True)
    with torch.no_grad():
        for number, latent in enumerate(latents):
            # It makes no single map.
            pair = latent.repeat(2, 1)
            volume = decoder.generate_volume(pair, torch.zeros(2, 3, device=device), torch.zeros(2, 2, device=device))
            with mrcfile.new(given.out / f"{number:06d}.mrc") as stream:
                stream.set_data(volume[0].float().cpu().numpy())
                stream.voxel_size = float(decoder.ang_pix) * decoder.box_size / len(volume[0])


if __name__ == "__main__":
    main()
