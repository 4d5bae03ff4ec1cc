"""Does other people's software accept a release? Bundles in 2D and 3D, in every form, are given to twelve clients.

Run by ``make clients``, which makes an environment of its own for each client from PyPI (``--install``); Debian's
programs must be there. What is not there is skipped, with the reason. Bundles are synthetic noise with two classes:
2D of two MR contrasts, 3D of one, a CT of int16, an x-ray (DX), and an ultrasound image as a Secondary Capture.
``--bundle DIR``, as often as wanted, asks of a bundle that ``understudy release`` made as well, once ``verify`` has
nothing against it; with every form it is ``--format folder,nifti,nnunet,bids,dicom``, and clients of another form skip
it. ``--write`` puts the table into docs/clients.md. Exit code 0: nothing failed; 1: something did.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.seed import rng
from understudy.core.writer import CohortWriter
from understudy.release.deidentify import write_deidentified
from understudy.release.formats import FORMS
from understudy.release.recipient import write_recipient_files
from understudy.release.verify import verify_bundle

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "clients.md"
DEBIAN = "apt-get install -y --no-install-recommends dicom3tools dcmtk orthanc dcm2niix"
SHARED = ("shared",)  # an environment that sees the packages of this one, such as torch
ENVIRONMENTS: dict[str, tuple[tuple[str, ...], ...]] = {  # what pip is called with, call by call
    "bids-validator-deno": (("bids-validator-deno==3.0.2",),),
    "mlcroissant": (("mlcroissant==1.1.1",),),
    "dicomqc": (("dicomqc==0.2.0",),),
    "torchio": (SHARED, ("torchio==1.2.1",)),
    "nnunet": (
        SHARED,
        ("--no-deps", "nnunetv2==2.8.1", "batchgenerators==0.25.5", "batchgeneratorsv2==0.3.6", "acvl-utils==0.2.6",
         "dynamic-network-architectures==0.4.4"),
        ("blosc2==4.14.1", "pandas==3.1.1", "tqdm==4.70.1", "requests==2.34.2", "future==1.0.0"),
    ),
}  # fmt: skip
CASES = 3
KNOWN_ERROR = "(0x0008,0x001c)"  # Synthetic Data: younger than dicom3tools of 2022


@dataclass(frozen=True)
class Made:
    """A bundle: its name, spatial size, data type, range, channels and modality."""

    name: str
    size: tuple[int, ...]
    dtype: str
    bounds: tuple[int, int]
    channels: tuple[str, ...]
    modality: str


BUNDLES = (
    Made("2D", (40, 32), "uint8", (0, 255), ("t1", "flair"), "MR"),
    Made("3D", (7, 40, 32), "uint16", (0, 4000), ("t1",), "MR"),
    Made("CT", (7, 40, 32), "int16", (-1000, 2000), ("ct",), "CT"),
    Made("X-ray", (40, 32), "uint16", (0, 4000), ("xray",), "DX"),
    Made("Capture", (40, 32), "uint8", (0, 255), ("us",), "US"),
)


class SkippedError(Exception):
    """A client is not here."""


class RefusedError(Exception):
    """A client does not accept a bundle."""


def make(folder: Path, made: Made) -> Path:
    """Write a bundle in each form that can hold it, as a release does."""
    draw, low_high = rng(0, "clients", made.name), made.bounds
    settings: dict[str, Any] = {"kind": "synthetic", "modality": made.modality, "size": made.size, "dtype": made.dtype}
    settings |= {"scheme": LabelScheme(("background", "tumour", "small cyst"), (0, 1, 2)), "label_source": "sampled"}
    channels = [Channel(name, *low_high) for name in made.channels]
    request, source = Provenance("sample", {"generator": "noise"}, 0), folder / f".{made.name}"
    with CohortWriter(source, channels=channels, provenance=request, classes=["ill"], **settings) as writer:
        for i in range(CASES):
            image = draw.integers(*low_high, (len(channels), *made.size)).astype(made.dtype)
            label = draw.integers(0, 3, made.size).astype(np.uint8) * np.uint8(i > 0)
            spacing = " ".join(("2.5", "0.9", "0.8")[-len(made.size) :])
            row = {"case_id": f"{i}", "subject_id": f"{i}", "ill": str(i % 2), "spacing": spacing}
            writer.append(image, label, row)
    write_deidentified(Cohort.open(source), folder / f".{made.name}-plain", Provenance("release"))
    plain, bundle = Cohort.open(folder / f".{made.name}-plain"), folder / made.name
    bundle.mkdir()
    forms = [name for name in FORMS if holds(name, plain)]
    for name in forms:
        FORMS[name].write(bundle, plain)
    write_recipient_files(bundle, plain, forms, "CC0-1.0", None)
    return bundle


def take(folder: Path, given: Path) -> Path:
    """Copy a released bundle, so that clients may write beside it; UnderstudyError where it does not verify."""
    told = verify_bundle(given).splitlines()
    print(f"{given}: {told[0]} {told[1]}", flush=True)
    name = given.absolute().name
    taken = [made.name for made in BUNDLES] + [path.name for path in folder.iterdir()]
    return Path(shutil.copytree(given, folder / (name if name not in taken else f"{name}-{len(taken)}")))


def described(bundle: Path) -> str:
    """Say what a bundle that was released holds."""
    cohort = Cohort.open(bundle / "cohort")
    size = " x ".join(map(str, cohort.size))
    by = json.loads((bundle / "manifest.json").read_text())["override"]
    gated = "within its policy" if by is None else "over its policy"
    return f"{bundle.name}: {len(cohort)} {cohort.modality} cases of {size}, {cohort.encoding.dtype}, {gated}"


def holds(form: str, cohort: Cohort) -> bool:
    """Tell whether a form can hold a cohort as it is."""
    try:
        FORMS[form].refuse(cohort)
    except UsageError:
        return False
    return True


def run(*command: str | Path, may_fail: bool = False) -> str:
    """Run a program; return what it said. RefusedError where it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=600)
    if done.returncode and not may_fail:
        raise RefusedError(f"{Path(command[0]).name}: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout + done.stderr


def program(name: str) -> str:
    """Return where a program of Debian is."""
    if found := shutil.which(name):
        return found
    raise SkippedError(f"no {name} here: {DEBIAN}")


def debian(package: str) -> str:
    """Return the version of a Debian package."""
    said = run("dpkg-query", "-W", "-f", "${Version}", package, may_fail=True) if shutil.which("dpkg-query") else ""
    return said.strip() if said and "no packages" not in said else "not recorded"


class Environments:
    """An environment a client, below one folder."""

    def __init__(self, folder: Path, install: bool) -> None:
        """Remember where they are, and whether missing ones are made."""
        self.folder, self.install = folder.absolute(), install

    def python(self, name: str) -> Path:
        """Return the interpreter of an environment; SkippedError where it is not there, or cannot be made."""
        place = self.folder / name / "bin" / "python"
        done = self.folder / name / ".installed"
        if not done.exists() and self.install:
            self._make(name, place)
            done.touch()
        if not done.exists():
            raise SkippedError(f"no environment {self.folder / name}: make it with --install")
        return place

    def _make(self, name: str, place: Path) -> None:
        try:
            run(sys.executable, "-m", "venv", self.folder / name)
            if SHARED in ENVIRONMENTS[name]:
                ours = next(path for path in sys.path if path.endswith("site-packages"))
                target = next((self.folder / name / "lib").glob("python3.*")) / "site-packages" / "shared.pth"
                target.write_text(f"{ours}\n")
            for packages in ENVIRONMENTS[name]:
                if packages != SHARED:
                    run(place, "-m", "pip", "install", "--quiet", *packages)
        except RefusedError as error:
            raise SkippedError(f"its environment could not be made: {error}") from error

    def version(self, name: str, package: str) -> str:
        """Return the version of a package in an environment."""
        code = f"from importlib.metadata import version; print(version({package!r}))"
        return run(self.python(name), "-c", code).strip()

    def judge(self, name: str, bundle: Path, client: str = "") -> str:
        """Run a judge in its environment; what it says."""
        python = self.python(name) if name else Path(sys.executable)
        said = run(python, HERE / "judges.py", client or name, bundle).splitlines()
        return next(line.removeprefix("judged: ") for line in said if line.startswith("judged: "))


def installed(package: str) -> str:
    """Return the version of a package of this environment."""
    return importlib.metadata.version(package)


def instances(bundle: Path) -> list[Path]:
    """Return the DICOM files of a bundle."""
    return sorted((bundle / "dicom").rglob("*.dcm"))


def dciodvfy(bundle: Path, where: Environments) -> str:
    """No error but that on Synthetic Data, which is younger than the dictionary."""
    tool, errors, warned = program("dciodvfy"), set(), set()
    for file in instances(bundle):
        lines = run(tool, file, may_fail=True).splitlines()
        errors |= {line for line in lines if line.startswith("Error") and KNOWN_ERROR not in line}
        warned |= {line for line in lines if line.startswith("Warning") and KNOWN_ERROR not in line}
    if errors:
        raise RefusedError("; ".join(sorted(errors)[:4]))
    return f"{len(instances(bundle))} instances: no error but that (0008,001C) is not known; {len(warned)} warnings"


def dcmtk(bundle: Path, where: Environments) -> str:
    """Every instance can be dumped without an error or a warning, and says Synthetic Data YES."""
    tool = program("dcmdump")
    for file in instances(bundle):
        lines = run(tool, file).splitlines()
        marked = any(line.startswith("(0008,001c) CS [YES]") for line in lines)
        if not marked or any(line.startswith(("E:", "W:")) for line in lines):
            raise RefusedError(f"{file.name}: {' '.join(lines)[:200]}")
    return f"{len(instances(bundle))} instances dumped, each with (0008,001C) YES"


def orthanc(bundle: Path, where: Environments) -> str:
    """Stored in an Orthanc on loopback, and fetched again: equal data sets."""
    for name in ("Orthanc", "storescu", "getscu", "curl", "ip", "unshare"):
        program(name)
    if os.geteuid():
        raise SkippedError("a network namespace needs root")
    out = bundle.with_name(f"{bundle.name}-orthanc")
    run("unshare", "--net", HERE / "orthanc.sh", bundle / "dicom", str(len(instances(bundle))), out)
    return where.judge("", bundle, "orthanc")


def dcm2niix(bundle: Path, where: Environments) -> str:
    """What it makes of the DICOM form is the NIfTI form."""
    tool, out = program("dcm2niix"), bundle.with_name(f"{bundle.name}-dcm2niix")
    out.mkdir()
    for i, case in enumerate(sorted((bundle / "dicom").glob("case-*"))):
        run(tool, "-z", "n", "-b", "n", "-f", str(i), "-o", out, case / "series-0")
    return where.judge("", bundle, "dcm2niix")


def bids(bundle: Path, where: Environments) -> str:
    """No error in the raw and in the derivative data set."""
    tool = where.python("bids-validator-deno").with_name("bids-validator-deno")
    for part, folder in (("raw", bundle / "bids"), ("derivative", bundle / "bids" / "derivatives" / "labels")):
        env = {**os.environ, "NO_COLOR": "1"}
        done = subprocess.run([tool, "--format", "json", folder], capture_output=True, text=True, env=env, check=False)
        bundle.with_name(f"{bundle.name}-bids-{part}.json").write_text(done.stdout)
    return where.judge("", bundle, "bids")


def dicomqc(bundle: Path, where: Environments) -> str:
    """No error in its audit of the DICOM form."""
    tool, report = where.python("dicomqc").with_name("dicomqc"), bundle.with_name(f"{bundle.name}-dicomqc.json")
    said = run(tool, "scan", bundle / "dicom", "--uid-checks", "--json", report, may_fail=True)
    json.loads(report.read_text())
    if "Errors: 0" not in said:
        raise RefusedError(said[-300:])
    return ", ".join(line.lower() for line in said.splitlines() if line.startswith(("Files", "Errors", "Warnings")))


def judged(name: str, client: str) -> Callable[[Path, Environments], str]:
    """Return the check of a client that is a judge alone."""
    return lambda bundle, where: where.judge(name, bundle, client)


Check = Callable[[Path, Environments], str]
Version = Callable[[Environments], str]
CLIENTS: dict[str, tuple[str, Version, Check]] = {  # what is asked, its version, the check
    "dciodvfy": ("no error but on (0008,001C)", lambda w: debian("dicom3tools"), dciodvfy),
    "dcmtk": ("dumps every instance", lambda w: debian("dcmtk"), dcmtk),
    "Orthanc": ("stores and gives back equal data sets", lambda w: debian("orthanc"), orthanc),
    "dcm2niix": ("makes the NIfTI form of the DICOM form", lambda w: debian("dcm2niix"), dcm2niix),
    "highdicom": ("reads the same masks from the SEG", lambda w: installed("highdicom"), judged("", "highdicom")),
    "dicomqc": ("0 errors", lambda w: w.version("dicomqc", "dicomqc"), dicomqc),
    "bids-validator-deno": ("0 errors", lambda w: w.version("bids-validator-deno", "bids-validator-deno"), bids),
    "mlcroissant": ("validates and loads", lambda w: w.version("mlcroissant", "mlcroissant"),
                    judged("mlcroissant", "mlcroissant")),
    "nnU-Net": ("its own check passes", lambda w: w.version("nnunet", "nnunetv2"), judged("nnunet", "nnunet")),
    "SimpleITK": ("agrees with nibabel on geometry", lambda w: installed("simpleitk"), judged("", "simpleitk")),
    "TorchIO": ("loads the same cases", lambda w: w.version("torchio", "torchio"), judged("torchio", "torchio")),
    "MONAI": ("loads the same cases", lambda w: installed("monai"), judged("", "monai")),
}  # fmt: skip


NEEDS = {  # folders of a bundle, beside cohort/, from which judges know what is in it
    **dict.fromkeys(("dciodvfy", "dcmtk", "Orthanc", "highdicom", "dicomqc"), ("dicom",)),
    **dict.fromkeys(("SimpleITK", "TorchIO", "MONAI"), ("nifti",)),
    "dcm2niix": ("dicom", "nifti"),
    "bids-validator-deno": ("bids",),
    "nnU-Net": ("nnunet",),
    "mlcroissant": (),
}
LABELLED = ("highdicom", "TorchIO", "MONAI")


def refuse_lacking(bundle: Path, name: str) -> None:
    """Raise SkippedError where a bundle has not what a client is asked about."""
    for form in ("cohort", *NEEDS[name]):
        if not (bundle / form).is_dir():
            why = "BIDS has no place for it, and the release refuses" if form == "bids" else "it has not this form"
            raise SkippedError(f"no {form}/ in this bundle: {why}")
    if name in LABELLED and not (bundle / "cohort" / "labels.npy").exists():
        raise SkippedError("no label maps in this bundle")


def check(bundle: Path, name: str, where: Environments) -> tuple[str, str]:
    """Return the verdict of a client on a bundle, and what it said."""
    try:
        refuse_lacking(bundle, name)
        return "holds", CLIENTS[name][2](bundle, where)
    except SkippedError as reason:
        return "skipped", str(reason)
    except (RefusedError, OSError, ValueError, subprocess.TimeoutExpired) as error:
        return "FAILED", " ".join(str(error).split())


def version(name: str, where: Environments) -> str:
    """Return the version of a client, or a dash."""
    try:
        return CLIENTS[name][1](where)
    except (SkippedError, RefusedError, ImportError):
        return "-"


def page(rows: Sequence[tuple[str, ...]], given: Sequence[str]) -> str:
    """Return docs/clients.md; ``given`` says what released bundles hold."""
    about = ", ".join(f"{b.name}: {CASES} cases of {' x '.join(map(str, b.size))}, {b.dtype}" for b in BUNDLES)
    lines = [
        "# Other people's software",
        "",
        "`make clients` gives bundles in every form to the programs below, and writes this page. Bundles are noise "
        f"with two classes and one empty label map ({about}). A client that is not there is skipped, with the reason.",
        *(["", "Released bundles, as `--bundle` names them: " + "; ".join(given) + "."] if given else []),
        "",
        "| client | version | asked | bundle | verdict | what it said |",
        "|---|---|---|---|---|---|",
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows),
        "",
        f"Python {platform.python_version()}, {platform.system()} on {platform.machine()}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Make the bundles, ask all clients, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=Path("clients-output"), help="a new folder")
    parser.add_argument("--bundle", type=Path, action="append", default=[], help="a released bundle, asked as well")
    parser.add_argument("--environments", type=Path, default=Path(".clients"), help="an environment a client")
    parser.add_argument("--install", action="store_true", help="make environments that are missing, from PyPI")
    parser.add_argument("--write", action="store_true", help="write docs/clients.md")
    parser.add_argument("--only", choices=CLIENTS, help="one client; the page is not written")
    options = parser.parse_args()
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    where, rows = Environments(options.environments, options.install), []
    try:
        given = [take(options.out.absolute(), bundle) for bundle in options.bundle]
    except UnderstudyError as error:
        parser.error(str(error))
    bundles = [*(make(options.out.absolute(), made) for made in BUNDLES), *given]
    for name in [options.only] if options.only else CLIENTS:
        said = version(name, where)
        for bundle in bundles:
            verdict, told = check(bundle, name, where)
            rows.append((name, said, CLIENTS[name][0], bundle.name, verdict, told))
            print(f"{name} {said}, {bundle.name}: {verdict}: {told}", flush=True)
    if options.write and not options.only:
        PAGE.write_text(page(rows, [described(bundle) for bundle in given]))
    failed = any(row[4] == "FAILED" for row in rows)
    if not failed:
        shutil.rmtree(options.out)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
