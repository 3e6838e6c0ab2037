"""``whisperapi engine``: build the engine for this machine, keep it only if it is faster, and go back."""

from __future__ import annotations

import os
import subprocess
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated

import typer

from app.engines.cpu import usable_cores
from app.services.tuning import MOST_THREADS
from app.settings import Settings
from app.wiring import build_catalog
from cli.bench_store import engine_build
from cli.engine_build import Flavour, build_wheel, install_wheel, missing_tools, version_of
from cli.engine_trial import Trial, run_trial
from cli.engine_wheel import keep_published, kept_folder, kept_wheel
from cli.failures import failed, plain_failures

engine_app = typer.Typer(help="Build the speech engine for this machine, and go back.", no_args_is_help=True)

WORTH_IT = 0.97
"""Share of the installed engine's time that a build must stay below: two runs of the same build differ by 2 %."""

TRIALS = 2


@engine_app.command("build")
def build(
    native: Annotated[bool, typer.Option("--native", help="Only for this processor (the default).")] = False,
    blas: Annotated[bool, typer.Option("--blas", help="With OpenBLAS.")] = False,
    cuda: Annotated[bool, typer.Option("--cuda", help="For NVIDIA GPUs.")] = False,
    vulkan: Annotated[bool, typer.Option("--vulkan", help="For GPUs through Vulkan.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Install it even if it is not faster.")] = False,
) -> None:
    """Build the engine from its source package, try it, and install it if it is faster with the same words.

    Takes minutes. Restart the server afterwards. `whisperapi engine restore` brings the published engine back.
    """
    chosen = {Flavour.NATIVE: True, Flavour.BLAS: blas, Flavour.CUDA: cuda, Flavour.VULKAN: vulkan}
    flavours = frozenset(flavour for flavour, wanted in chosen.items() if wanted)
    if native and len(flavours) > 1:
        raise failed("--native builds for the processor alone: leave it out with the others.")
    if problems := missing_tools(sorted(flavours), os.environ):
        raise failed(" ".join(problems))
    with plain_failures():
        settings = Settings()
        model = build_catalog(settings).default().path
    threads = min(MOST_THREADS, usable_cores())
    with tempfile.TemporaryDirectory() as folder:
        try:
            wheel = build_wheel(engine_build(), flavours, Path(folder))
        except (subprocess.CalledProcessError, ValueError) as error:
            raise failed("The build failed; what it printed above says why. Nothing was changed.") from error
        trial = Path(folder) / "trial"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(trial)
        pairs = [
            (run_trial(model, threads, use_gpu=settings.gpu), run_trial(model, threads, trial, use_gpu=settings.gpu))
            for _ in range(TRIALS)
        ]
        verdict, keep = judge(pairs, flavours, force=force)
        typer.echo(verdict, err=True)
        if not keep:
            raise typer.Exit(1)
        _replace(wheel, version_of(engine_build(), flavours), model)


def judge(pairs: list[tuple[Trial | None, Trial | None]], flavours: frozenset[Flavour], *, force: bool) -> tuple[str, bool]:
    """What the trials of (installed, built) say, and whether to install the build."""
    built = [new for _, new in pairs if new is not None]
    if len(built) < len(pairs):
        return "The new engine cannot be loaded here. Nothing was changed.", False
    if flavours & {Flavour.CUDA, Flavour.VULKAN} and not any(new.devices for new in built):
        return "The new engine finds no GPU on this machine. Nothing was changed.", force
    old = [trial for trial, _ in pairs if trial is not None]
    if not old:
        return "The installed engine cannot be loaded; the new one takes its place.", True
    if {trial.text for trial in built} != {trial.text for trial in old}:
        return "The new engine recognises other words. Nothing was changed.", force
    ratio = min(trial.full_window_s for trial in built) / min(trial.full_window_s for trial in old)
    told = f"The new engine takes {ratio:.2f} x the installed one's time for a full window, with the same words."
    if ratio < WORTH_IT or force:
        return told, True
    return f"{told} Nothing was changed (--force installs it anyway).", False


def _replace(wheel: Path, version: str, model: Path) -> None:
    try:
        keep_published(kept_folder())
    except OSError as error:
        raise failed("The installed engine could not be kept for the way back. Nothing was changed.") from error
    back = kept_wheel(kept_folder())
    try:
        install_wheel(wheel)
    except subprocess.CalledProcessError as error:
        raise failed("pip could not install the new engine: whisperapi engine restore") from error
    if run_trial(model, 1, use_gpu=False) is None:
        if back is not None:
            install_wheel(back)
        raise failed("The new engine does not load once installed; the published one is back.")
    typer.echo(f"Installed {version}. Restart the server; `whisperapi bench` measures it.", err=True)


@engine_app.command("restore")
def restore() -> None:
    """Bring the published engine back that was installed before the first build."""
    wheel = kept_wheel(kept_folder())
    if wheel is None:
        base = engine_build().partition("+")[0]
        command = f"pip install --force-reinstall --no-deps --only-binary pywhispercpp pywhispercpp=={base}"
        raise failed(f"No published engine was kept in this environment. To fetch it: {command}")
    try:
        install_wheel(wheel)
    except subprocess.CalledProcessError as error:
        raise failed("pip could not install the kept engine.") from error
    typer.echo(f"Restored {engine_build()}. Restart the server.", err=True)
