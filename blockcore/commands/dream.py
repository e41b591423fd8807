"""``dream``: find materials that look like words say, as a model sees them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from blockcore import __version__
from blockcore.commands.arguments import (
    add_export,
    add_palette,
    add_scene,
    add_settings,
    add_watching,
    chosen_scene,
    export_all,
    settings_of,
    settings_words,
)
from blockcore.commands.reporter import Report, Watcher, end_told, reporter
from blockcore.commands.stopping import stop_requests
from blockcore.model.settings import Machine, OptimizeSettings, Rules, settings_in
from blockcore.report.events import Done, Started

if TYPE_CHECKING:
    from blockcore.guidance.protocol import Guidance
    from blockcore.guidance.shots import CameraSampler
    from blockcore.guidance.words import Prompt
    from blockcore.io.files import Json
    from blockcore.model.scene import BlockScene

KINDS = ("sds", "csd", "clip")
_SEARCH = ("steps", "learning_rate", "relaxation", "hard", "temperature_start", "temperature_end", "init", "seed")
SETTINGS = (*_SEARCH, *(entry.name for group in (Rules, Machine) for entry in settings_in(group)))
"""The settings that count for a dream."""
USUAL = OptimizeSettings(steps=1000, learning_rate=0.1, temperature_end=0.1)
"""How a dream is followed where nothing else is said: in many small steps, since each sees a few pictures alone."""
_RANGES = {
    "distance": ((0.9, 1.2), "how far cameras stand off, as a share of from where all just fits"),
    "elevation": ((-10.0, 60.0), "degrees above the horizon that they stand at"),
    "azimuth": ((0.0, 360.0), "degrees around the blocks that they stand at; 0 is in front"),
    "fov": ((30.0, 50.0), "their vertical field of view, degrees"),
}
_NOISE = {
    "noise": ((0.02, 0.98), "least and most noise in the first step, as shares of all"),
    "noise_end": ((0.02, 0.5), "likewise in the last step"),
}
_SHOWN = ("pictures", "size", "antialias", "jitter", "light", "background")
_PLAIN = ("prompt", "negative", "model", "guidance", "scale", *_SHOWN)
_TURNTABLE = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    add_scene(parser, views=False)
    add_palette(parser)
    add_dream(parser)
    add_watching(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    text = "folder that the state is kept in while it runs, to go on from (default: that of --out with .dream)"
    parser.add_argument("--keep", type=Path, metavar="DIR", help=text)
    add_export(parser)


def add_dream(parser: argparse.ArgumentParser) -> None:
    """Adds what is said of the dream itself."""
    parser.add_argument("--prompt", required=True, metavar="TEXT", help="what the blocks should look like, in words")
    parser.add_argument("--negative", default="", metavar="TEXT", help="what they should not look like")
    parser.add_argument("--model", required=True, metavar="DIR", help="a model's folder, or one downloaded before")
    text = "by score distillation (sds), by its classifier alone (csd), or by a CLIP model's similarity (default: sds)"
    parser.add_argument("--guidance", choices=KINDS, default="sds", help=text)
    parser.add_argument("--scale", type=float, default=100.0, help="how much the words count (default: 100)")
    parser.add_argument("--one-prompt", action="store_true", help="do not tell the model which side it sees")
    parser.add_argument("--pictures", type=int, default=1, metavar="N", help="pictures a step (default: 1)")
    parser.add_argument("--size", type=int, default=512, metavar="PIXELS", help="their edge (default: 512)")
    parser.add_argument("--antialias", type=int, default=1, metavar="N", help="N × N samples a pixel (default: 1)")
    for name, (usual, help) in (_RANGES | _NOISE).items():
        text = f"{help} (default: {usual[0]:g} {usual[1]:g})"
        option, pair = f"--{name.replace('_', '-')}", ("LOW", "HIGH")
        parser.add_argument(option, type=float, nargs=2, default=usual, metavar=pair, help=text)
    text = "how far past the middle they look, as a share of the blocks' radius (default: 0.1)"
    parser.add_argument("--jitter", type=float, default=0.1, metavar="SHARE", help=text)
    parser.add_argument("--light", choices=("scene", "random"), default="scene", help="random: a sun anew in each step")
    text = "random: another colour in each picture, so that none gets into the blocks (the default); or the light's"
    parser.add_argument("--background", choices=("scene", "random"), default="random", help=text)
    text = "seconds between two times that the state is kept (default: 30)"
    parser.add_argument("--keep-every", type=float, default=30.0, metavar="SECONDS", help=text)
    add_settings(parser, SETTINGS, USUAL)


def dream_words(args: argparse.Namespace) -> list[str]:
    """Returns the command line that says what the options of ``add_dream`` say."""
    words = [f"--{name.replace('_', '-')}={getattr(args, name)}" for name in (*_PLAIN, "keep_every")]
    for name in (*_RANGES, *_NOISE):
        words += [f"--{name.replace('_', '-')}", *map(str, getattr(args, name))]
    words += ["--one-prompt"] if args.one_prompt else []
    return words + settings_words(settings_of(args, USUAL), SETTINGS)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    with (
        stop_requests(args.watch_stdin) as stopped,
        reporter(args.progress, _print_result) as report,
        end_told(report),
    ):
        scene, changed = chosen_scene(args)
        # standard output is kept for the lines of events
        aside = sys.stderr if args.progress == "jsonl" else None
        for sentence in changed:
            print(f"Palette: {sentence}", file=aside)
        _dream(args, scene, stopped, report, aside)
    return 0


def _dream(
    args: argparse.Namespace, scene: BlockScene, stopped: Callable[[], bool], report: Report, aside: TextIO | None
) -> None:
    from blockcore.guidance.kept import STATE, check_place
    from blockcore.machine.device import choose_device, require_torch

    beside = args.keep or args.out.with_name(f"{args.out.name}.dream")
    check_place(beside)
    require_torch("a dream")
    from blockcore.guidance.album import Album
    from blockcore.guidance.dreaming import Pictures, dream
    from blockcore.guidance.kept import Kept, job_of
    from blockcore.report.dreamed import Told, write_dream

    settings, device = settings_of(args, USUAL), choose_device(args.device or "auto")[0].type
    prompt, sampler = _prompt(args), _sampler(args, scene, settings)
    pictures = Pictures(args.pictures, args.size, args.antialias)
    guidance = _guidance(args, prompt, settings, device)
    album, asked = Album(beside, settings.steps), _asked(args)
    kept = Kept(
        beside / STATE, job_of(scene, settings=settings.to_dict(), asked=asked, version=__version__), args.keep_every
    )
    report(Started(__version__, device, settings.rasterizer, len(scene.grid), pictures.count, settings.steps))
    watch = Watcher(args.preview, report)
    how = (sampler, settings, pictures)
    dreamed = dream(scene, album.over(guidance), *how, progress=watch, cancelled=stopped, kept=kept)
    said = {name.replace("_", " "): str(value) for name, value in asked.items()}
    told = Told(args.prompt, said, SETTINGS, sampler.turntable(_TURNTABLE), album.pictures())
    summary = write_dream(args.out, scene, settings, dreamed, told)
    export_all(args.export, scene.with_materials(dreamed.materials), file=aside)
    kept.remove()
    album.remove()
    report(Done(str(args.out), dreamed.seconds, summary))


def _prompt(args: argparse.Namespace) -> Prompt:
    from blockcore.guidance.words import Prompt

    return Prompt(args.prompt, args.negative, by_view=not args.one_prompt)


def _sampler(args: argparse.Namespace, scene: BlockScene, settings: OptimizeSettings) -> CameraSampler:
    from blockcore.guidance.shots import CameraSampler

    ranges: Any = {name: tuple(getattr(args, name)) for name in _RANGES}
    more: Any = {name: getattr(args, name) for name in ("jitter", "light", "background")}
    return CameraSampler.around(scene.grid, **ranges, **more, seed=settings.seed)


def _guidance(args: argparse.Namespace, prompt: Prompt, settings: OptimizeSettings, device: str) -> Guidance:
    if args.guidance == "clip":
        from blockcore.guidance.similarity import TextSimilarity

        return TextSimilarity.load(args.model, prompt, device)
    from blockcore.guidance.diffusion import LatentDiffusion
    from blockcore.guidance.distillation import Annealing, ScoreDistillation

    (low, high), (last_low, last_high) = args.noise, args.noise_end
    annealing = Annealing((low, high), (last_low, last_high), settings.steps)
    denoiser = LatentDiffusion.load(args.model, device)
    return ScoreDistillation(denoiser, prompt, args.guidance, args.scale, annealing, settings.seed)


def _asked(args: argparse.Namespace) -> Json:
    """Returns what was asked for besides the settings: what the page says, and what tells this dream from others."""
    told = {name: getattr(args, name) for name in (*_PLAIN, "one_prompt", *_RANGES, *_NOISE)}
    return {name: " to ".join(map(str, v)) if isinstance(v, list | tuple) else v for name, v in told.items()}


def _print_result(done: Done) -> None:
    result = done.result
    print(f"{result.visible_blocks} of {result.blocks} blocks were seen in {result.steps} steps; {done.seconds:.0f} s")
    print(f"Report: {Path(done.out) / 'report.html'}")
