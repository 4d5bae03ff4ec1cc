"""The stages that chain.py times, as commands, in the order in which they read each other's folders.

Data lie as those of lgg_tcga: ``images128`` and ``masks128`` with PNGs of one name, ``manifest.csv`` with the columns
``file`` and ``subject``. Where there are none, phantoms are written in that way: enough for times and for nothing else.
"""

import csv
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SPLIT = "train=0.6,validation=0.1,control=0.1,test=0.2"
GENERATORS = ("diffusion", "progan", "stylegan1", "stylegan2", "stylegan3", "mask_gan", "pix2pix", "spade", "cyclegan")
TRANSLATORS = ("pix2pix", "spade", "cyclegan")
KINDS = ("import", "edit", "train", "sample", "utility", "fidelity", "privacy", "release")
NO_FOLDER = ("check", "verify")  # kinds that only look
WHY = "a measurement of speed, which nobody receives"
BLOCK = 32  # cases that a generator draws at once by default
TINY_SETTINGS = {
    "utility": "--set updates=2 --set repeats=1 --set checks=1",
    "fidelity": "--set encoder_updates=2",
    "privacy": "--set updates=2 --set audit_copies=10 --set audit_among=10 --set bootstrap=100 --set attacks=[]",
}


@dataclass(frozen=True)
class Stage:
    """A command that makes one folder."""

    name: str  # folder below that of the chain: "64/train-diffusion"
    kind: str  # of KINDS
    size: int  # pixels a side
    words: tuple[str, ...]  # after ``understudy``, without --out
    reads: tuple[str, ...]  # names of stages
    generator: str = ""
    cases: int = 0  # synthetic cases drawn or judged
    images: int = 0  # seen in a training
    counted: tuple[str, ...] | None = ()  # the same with less work, of which FLOPs are counted; () all of it, None none
    times: float = 1.0  # as much work as the counted command

    def command(self) -> list[str]:
        """Return the words after ``understudy``."""
        return [*self.words, *(() if self.kind in NO_FOLDER else ("--out", self.name))]


@dataclass(frozen=True)
class Plan:
    """What is asked for."""

    data: Path
    sizes: tuple[int, ...] = (64, 128)
    generators: tuple[str, ...] = GENERATORS
    images: int = 2048  # of each training
    cases: tuple[int, ...] = (250, 500, 1000)  # synthetic; all but the first for growth, at the first size alone
    preset: str = "short"
    settings: tuple[tuple[str, str], ...] = ()  # of evaluations: kind, options
    whole: bool = False  # with the default settings, which train three networks an arm

    def stages(self) -> Iterator[Stage]:
        """Yield the stages, each after those that it reads."""
        for size in self.sizes:
            yield from self._real(size)
            for generator in self.generators:
                yield from self._generator(size, generator)
            for n in self.cases if size == self.sizes[0] else self.cases[:1]:
                yield from self._judged(size, self.generators[0], n)

    def _stage(self, name: str, size: int, line: str, reads: tuple[str, ...] = (), **more: object) -> Stage:
        kind = name.partition("-")[0]
        made: dict[str, object] = {"real": "import", "tissues": "edit", "cases": "sample"}
        return Stage(
            f"{size}/{name}",
            str(made.get(kind, kind)),
            size,
            tuple(shlex.split(line)),
            tuple(f"{size}/{one}" for one in reads),
            **more,  # type: ignore[arg-type]
        )

    def _real(self, size: int) -> Iterator[Stage]:
        line = f"import folder {shlex.quote(str(self.data))} --images images128 --labels masks128 --table manifest.csv"
        yield self._stage("real", size, f"{line} --subject subject --size {size} --split {SPLIT} --key key")
        if set(self.generators) & set(TRANSLATORS):
            yield self._stage("tissues", size, f"edit {size}/real --anatomy 3 --key key", ("real",))

    def _generator(self, size: int, generator: str) -> Iterator[Stage]:
        translates = generator in TRANSLATORS
        cohort = "tissues" if translates else "real"
        other = f"--other {size}/real" if generator == "cyclegan" else ""
        reads = (cohort, "real") if other else (cohort,)

        def training(images: int) -> str:
            pace = " ".join(f"--set {key}={images}" for key in ("images_seen", "snapshot_every", "grid_every"))
            return f"train {generator} {size}/{cohort} --preset {self.preset} {pace} {other}"

        yield self._stage(
            f"train-{generator}", size, training(self.images), reads, generator=generator, images=self.images
        )
        first = self.generators[0] == generator and size == self.sizes[0]
        for n in self.cases if first else self.cases[:1]:
            given, key = (f"--labels {size}/tissues", "--key key") if translates else ("", "")
            drawn = f"sample {size}/train-{generator} {given} {key} --n"
            reads = (f"train-{generator}", *(("tissues",) if translates else ()))
            yield self._stage(
                f"cases-{generator}-{n}", size, f"{drawn} {n}", reads, generator=generator, cases=n,
                counted=tuple(shlex.split(f"{drawn} {min(n, BLOCK)}")) if n == self.cases[0] else None,
                times=-(-n // BLOCK),
            )  # fmt: skip

    def _judged(self, size: int, generator: str, n: int) -> Iterator[Stage]:
        cases, settings = f"cases-{generator}-{n}", dict(self.settings)
        pair, kinds = f"--real {size}/real --synthetic {size}/{cases}", ("utility", "fidelity", "privacy")
        for kind in kinds:
            if generator == "mask_gan" and kind != "fidelity":
                continue
            audit = "--audit" if kind == "privacy" else ""
            usual = "--set repeats=1" if kind == "utility" and not self.whole else ""
            line = f"evaluate {kind} {pair} {audit} {settings.get(kind, usual)}"
            less: dict[str, object] = {} if n == self.cases[0] else {"counted": None}
            yield self._stage(f"{kind}-{n}", size, line, ("real", cases), cases=n, **less)
        if generator != "mask_gan":
            judged = " ".join(f"{size}/{kind}-{n}" for kind in kinds)
            line = f"release {size}/{cases} --evidence {judged} --real {size}/real --override '{WHY}'"
            reads = ("real", cases, *(f"{kind}-{n}" for kind in kinds))
            yield self._stage(f"release-{n}", size, line, reads, cases=n, counted=None)


def chosen(stages: list[Stage], kinds: tuple[str, ...]) -> list[Stage]:
    """Return the stages of some kinds, and those that they read."""
    wanted = {stage.name for stage in stages if stage.kind in kinds}
    for stage in reversed(stages):
        if stage.name in wanted:
            wanted |= set(stage.reads)
    return [stage for stage in stages if stage.name in wanted]


def write_phantoms(
    folder: Path, understudy: Callable[[list[str]], None], subjects: int = 80, slices: int = 14, side: int = 128
) -> None:
    """Write phantoms as PNGs of three channels with binary masks, unless they are there.

    ``understudy`` runs a command.
    """
    from PIL import Image

    from understudy.core.cohort import Cohort

    if folder.is_dir():
        return
    partial = folder.with_name(f"{folder.name}.partial")
    for name in ("images128", "masks128"):
        (partial / name).mkdir(parents=True, exist_ok=True)
    words = ["import", "phantom", "--subjects", str(subjects), "--slices", str(slices), "--size", str(side), "--key"]
    understudy([*words, str(folder.parent / "key"), "--out", str(partial / "phantom")])
    cohort = Cohort.open(partial / "phantom")
    assert cohort.images is not None and cohort.labels is not None
    highest = np.array([channel.high for channel in cohort.encoding.channels])[:3, None, None]
    rows = []
    for i, subject in enumerate(cohort.column("subject_id")):
        pixels = np.clip(cohort.images[i][:3] / highest * 255, 0, 255).astype(np.uint8)
        name = f"{i:06d}.png"
        Image.fromarray(pixels.transpose(1, 2, 0)).save(partial / "images128" / name)
        Image.fromarray((cohort.labels[i] > 0).astype(np.uint8)).save(partial / "masks128" / name)
        rows.append([name, subject])
    with (partial / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "subject"], *rows])
    partial.rename(folder)
