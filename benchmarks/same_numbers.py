"""Has a change of the code moved a number? One small fixed chain, and a hash of everything that it makes.

    python benchmarks/same_numbers.py OUT > before.txt      # in the old checkout
    python benchmarks/same_numbers.py OUT > after.txt       # in the new one, on the same machine
    diff before.txt after.txt

The chain: the phantom at 32 px and as volumes; every generator of the menu trained for 200 images, with and without
differential privacy, resumed; sampled, edited, conditioned, mixed; every evaluation; screened; reported. Hashed are the
bytes of every array of a cohort, of every tensor of a snapshot (whatever its name) and every number of every result
(whatever its name), so that renamed keys and tensors change nothing and a changed bit does. About six minutes.
"""

import hashlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

SPLIT = "--split train=0.5,validation=0.15,control=0.15,test=0.2"
GENERATORS = ("progan", "stylegan1", "stylegan2", "stylegan3", "diffusion", "mask_gan")
TRANSLATORS = ("pix2pix", "spade", "cyclegan")
SHORT = "--preset short --set images_seen=200 --set snapshot_every=200 --set grid_every=100"


def chain() -> list[str]:
    """Return the commands, without the leading ``understudy``; every path lies in the working folder."""
    lines = [
        f"import phantom --subjects 24 --slices 4 --size 32 {SPLIT} --key key --out real",
        f"import phantom --subjects 12 --slices 16 --dims 3 --size 16,32,32 {SPLIT} --key key --out volumes --seed 1",
        "edit real --anatomy 3 --out tissues",
        "edit real --lesion necrosis,oedema,enhancing --grow 0.5:2 --move 0:4 --rotate 0:40 --deform 0:1 --per-case 2 "
        "--key key --out edited",
    ]
    for name in GENERATORS:
        lines += [f"train {name} real {SHORT} --out run-{name}", f"sample run-{name} --n 40 --out {name}"]
    for name in TRANSLATORS:
        other = "--other real" if name == "cyclegan" else ""
        lines += [
            f"train {name} tissues {SHORT} {other} --out run-{name}",
            f"sample run-{name} --labels tissues --n 40 --key key --out {name}",
        ]
    return [
        *lines,
        f"train diffusion real {SHORT} --set labels=given --out run-painter",
        "sample run-painter --labels run-mask_gan --n 40 --out painted",
        "sample run-diffusion run-progan --n 30 --out mixed --seed 3",
        f"import phantom --subjects 24 --slices 4 --size 32 {SPLIT} --intensity volume-percentile --key key "
        "--out public",
        f"train diffusion public {SHORT} --set dp.epsilon=8 --set dp.delta=0.01 --out run-dp",
        "sample run-dp --n 20 --out dp",
        f"train diffusion volumes {SHORT} --out run-volumes",
        "sample run-volumes --n 12 --out drawn-volumes",
        "evaluate utility --real real --synthetic progan diffusion --set updates=30 --set repeats=2 "
        "--set 'shares=[0.5]' --out results-utility",
        "evaluate utility --real volumes --synthetic drawn-volumes --set updates=10 --set repeats=2 --out results-3d",
        "evaluate fidelity --real real --synthetic progan diffusion --out results-fidelity",
        "evaluate fidelity --real real --synthetic progan --features random --out results-random",
        "evaluate fidelity --real real --synthetic progan --features texture --out results-texture",
        "evaluate privacy --real real --synthetic progan diffusion --audit --set updates=40 --set audit_copies=20 "
        "--set bootstrap=200 --out results-privacy",
        "evaluate privacy --real real --synthetic diffusion --generator run-diffusion --set updates=40 "
        "--set bootstrap=200 --out results-whitebox",
        "evaluate consistency --real real --synthetic painted progan --set updates=30 --out results-consistency",
        "screen painted --evidence results-consistency --threshold mean=0.01 --out screened-painted",
        "screen diffusion --evidence results-privacy --key key --out screened",
        "report results-utility results-fidelity results-privacy --internal --out report",
    ]


SECRET = "dp"  # noise for privacy is drawn from a secret that is destroyed: no two trainings are alike
OLD = {
    "evaluate consistency": "evaluate agreement",
    "results-consistency": "results-agreement",
}


def run(line: str, folder: Path, old: bool) -> None:
    """Run one command in the working folder; a failure ends the chain."""
    for new, word in OLD.items() if old else ():
        line = line.replace(new, word)
    command = [sys.executable, "-m", "understudy.cli.main", *shlex.split(line)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "UNDERSTUDY_KEY_FILE": str(folder / "key")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    print("done" if done.returncode == 0 else "FAILED", line, file=sys.stderr, flush=True)
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-4000:], file=sys.stderr)


def digest(parts: list[bytes]) -> str:
    """Return one short hash of several byte strings, in the order given."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:16]


def cohort_hash(folder: Path) -> str:
    """Hash the arrays of a cohort and the rows of its case table, whatever its columns are called."""
    parts = [(folder / name).read_bytes() for name in ("images.npy", "labels.npy") if (folder / name).is_file()]
    return digest([*parts, (folder / "cases.csv").read_bytes().partition(b"\n")[2]])


def weights_hash(file: Path) -> str:
    """Hash the tensors of a snapshot by shape and bytes, whatever they are called."""
    tensors = load_file(file)
    return digest(sorted(str(t.shape).encode() + np.ascontiguousarray(t).tobytes() for t in tensors.values()))


def results_hash(file: Path) -> tuple[int, str]:
    """Hash the numbers of a results.json, whatever they are called; return how many there are too."""
    results = json.loads(file.read_text())["results"]
    rows = sorted(json.dumps([r["value"], r["low"], r["high"], r["n"]]) for r in results)
    return len(rows), digest([row.encode() for row in rows])


def table(folder: Path) -> list[str]:
    """Return a line for every cohort, snapshot and results folder."""
    found = [p for p in sorted(folder.glob("*/cohort.json")) if p.parent.name != SECRET]
    lines = [f"cohort {p.parent.name} {cohort_hash(p.parent)}" for p in found]
    lines += [
        f"weights {p.relative_to(folder).parts[0]} {weights_hash(p)}"
        for p in sorted(folder.glob("run-*/snapshots/*/*.safetensors"))
        if p.relative_to(folder).parts[0] != f"run-{SECRET}"
    ]
    for file in sorted(folder.glob("results-*/results.json")):
        name = OLD_NAMES.get(file.parent.name, file.parent.name)
        lines.append("results {} {} numbers {}".format(name, *results_hash(file)))
    return sorted(lines)


OLD_NAMES = {word: new for new, word in OLD.items()}


def main() -> None:
    """Run the chain in the folder that is named, and print the table of hashes."""
    folder, old = Path(sys.argv[1]).resolve(), "--old" in sys.argv
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "key").exists():  # the key is part of a cohort's id, and ids seed the order of label maps
        (folder / "key").write_text("00" * 32)
    for line in chain():
        run(line, folder, old)
    print("\n".join(table(folder)))


if __name__ == "__main__":
    main()
