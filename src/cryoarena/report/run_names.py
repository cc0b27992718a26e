"""Call every run on a dataset by its method, the options that set it apart, and its seed."""

from typing import Any

from cryoarena.report.text import plain


def name_runs(runs: list[dict[str, Any]], folders: list[str]) -> list[tuple[str, str]]:
    """Return (variant, run) per `result.json`: runs with one variant differ in nothing but their seed.

    The variant is the method, followed by those of the options given that differ among its runs here. Two runs with
    the same options and the same seed are no independent repeats: their folders set them apart.
    """
    methods = [str((info.get("method") or {}).get("name") or "unnamed method") for info in runs]
    given = [_given(info) for info in runs]
    variants = []
    for method, own in zip(methods, given, strict=True):
        others = [options for name, options in zip(methods, given, strict=True) if name == method]
        differing = {key for options in others for key in options if any(o.get(key) != options[key] for o in others)}
        told = [f"{key.replace('_', ' ')} {own[key]}" for key in sorted(differing) if key in own]
        variants.append(f"{method} ({', '.join(told)})" if told else method)
    repeats = [(variant, info.get("seed")) for variant, info in zip(variants, runs, strict=True)]
    variants = [
        variant if repeats.count(repeat) == 1 else f"{variant} in {folder}"
        for variant, repeat, folder in zip(variants, repeats, folders, strict=True)
    ]
    return [
        (variant, f"seed {info.get('seed')}" if variants.count(variant) > 1 else "")
        for variant, info in zip(variants, runs, strict=True)
    ]


def _given(info: dict[str, Any]) -> dict[str, str]:
    options = (info.get("options") or {}).get("given")
    return {str(key): plain(value) for key, value in options.items()} if isinstance(options, dict) else {}
