"""The gate, both ways: does a perfect generator pass, is one that copies 1 % of its cases refused?

    python benchmarks/gate.py --out FOLDER [--deals 10] [--first 0] [--train 60] [--control 80] [--test 60]
        [--policy default] [--disguises compounds]

A deal is a real cohort of phantom subjects at 32 px, and synthetic ones of 200 other phantom subjects, five slices
each: what a generator draws that knows the distribution and copies nobody. Of these, in turn, 1 % of the cases are
replaced by copies of training cases in disguises that the audit does not inject (``DISGUISES``), and, in the first
deal, all by copies of eight subjects. ``compounds`` are of kinds that audit and encoder know, at other strengths;
``foreign`` ones are of kinds that neither knows: barrel distortion, shear, waves, perspective, swirls, tone curves, few
grey levels, bands. Each is judged by `evaluate privacy --audit`, and held against the policy by
`release`, as a user would.
One line a deal and cohort goes to FOLDER/gate.csv: whether it was released, and else which limits did not hold. Deals
that are in the table already are not made again. The three cohorts of a deal share a cache, and so a detector.
"""

import argparse
import contextlib
import csv
import io
import math
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from understudy.cli.main import main as understudy
from understudy.core.cohort import Cohort
from understudy.core.provenance import Provenance
from understudy.core.seed import derive, rng
from understudy.core.writer import CohortWriter
from understudy.data.pseudonym import PUBLIC_KEY
from understudy.data.seal import cohort_seal
from understudy.evaluation.privacy.copies.registration import affine_maps, apply_affine, blur, random_warp, sample
from understudy.nets.affine import affine_grid

SIZE, SLICES, SHARE, MEMORISED = 32, 5, 0.01, 8
Disguise = Callable[[Tensor, torch.Generator], Tensor]


def _affine(x: Tensor, degrees: float, zoom: float, shift: tuple[float, float]) -> Tensor:
    n = len(x)
    return apply_affine(x, affine_maps(torch.full((n,), degrees), torch.full((n,), zoom), torch.tensor([shift] * n)))


def _bent(x: Tensor, read: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Tensor:
    """Return images (N, C, H, W) read elsewhere; ``read`` maps where a pixel is, x and y from -1 to 1, to that."""
    still = affine_grid(torch.eye(2, 3).expand(len(x), 2, 3), x.shape[2:])
    return sample(x, torch.stack(read(*still.unbind(-1)), -1))


def _swirl(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    angle = math.radians(40) * torch.exp(-(x * x + y * y) / 0.3)
    return x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()


def _barrel(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    by = 1 + 0.18 * (x * x + y * y - 0.5)
    return x * by, y * by


def _bands(x: Tensor) -> Tensor:
    return 0.15 * (torch.arange(x.shape[-2]) * 2 * math.pi / 9).sin()[:, None]


FOREIGN: tuple[Disguise, ...] = (  # each of kinds that neither audit nor encoder has
    lambda x, draw: (y := _bent(x, _barrel)) + 0.25 * (math.pi * y).sin(),
    lambda x, draw: (_bent(x, lambda x, y: (x + 0.2 * y, 0.9 * y)) * 3).round() / 3,
    lambda x, draw: (y := _bent(x, lambda x, y: (x + 0.07 * (2 * math.pi * y).sin(), y))) + _bands(y),
    lambda x, draw: _bent(x.flip(-1), lambda x, y: (x / (1 + 0.2 * y), y / (1 + 0.2 * y))),
    lambda x, draw: _bent(x, _swirl),
)
COMPOUNDS: tuple[Disguise, ...] = (  # of kinds that both have, of strengths that neither has by itself
    lambda x, draw: _affine(x.flip(-1), 9, 1.06, (0.02, -0.03)),
    lambda x, draw: random_warp(_affine(x, -11, 1, (0, 0)), 2 / 64, 7 / 64, draw),
    lambda x, draw: blur(torch.rot90(x, 1, (2, 3)), 1 / 64) * 0.8 + 0.1,
    lambda x, draw: _affine(x, 0, 0.93, (-0.03, 0.02)) + 0.06 * torch.randn(x.shape, generator=draw),
    lambda x, draw: -random_warp(x, 2.5 / 64, 8 / 64, draw),
)
DISGUISES = {"compounds": COMPOUNDS, "foreign": FOREIGN}


def run(*words: str) -> tuple[int, str]:
    """Run the command line; return its exit code and what it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = understudy(list(words))
    return code, said.getvalue()


def write(out: Path, real: Cohort, images: np.ndarray, labels: np.ndarray) -> None:
    """Write cases as a synthetic cohort of a generator that learned the training subjects."""
    seen = [{"cohort": real.id, "splits": ["train"], "subjects": real.subjects("train")}]
    with CohortWriter(
        out, kind="synthetic", modality=real.modality, size=real.size, channels=real.encoding.channels,
        dtype=real.encoding.dtype, scheme=real.encoding.scheme, label_source="sampled", trained_on=seen,
        provenance=Provenance("sample", {"benchmark": out.name}), seal=cohort_seal([], PUBLIC_KEY),
    ) as writer:  # fmt: skip
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            writer.append(image, label, {"case_id": f"case-{i:05d}", "subject_id": f"case-{i:05d}"})


def copied(real: Cohort, rows: np.ndarray, seed: int, disguises: tuple[Disguise, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return disguised copies of training cases, each in one of the disguises, with label maps of none."""
    assert real.images is not None and real.labels is not None
    draw = torch.Generator().manual_seed(derive(seed, "gate", "disguise"))
    images = torch.from_numpy(real.encoding.encode_images(np.asarray(real.images[rows])))
    parts = [disguises[i % len(disguises)](images[i : i + 1], draw).clamp(-1, 1) for i in range(len(rows))]
    return real.encoding.decode_images(torch.cat(parts).numpy()), np.zeros_like(real.labels[rows])


def deal(number: int, folder: Path, args: argparse.Namespace) -> list[dict[str, object]]:
    """Make one deal, judge its three synthetic cohorts and hold them against the policy; return their lines."""
    subjects, common = args.train + args.control + args.test, ["--size", str(SIZE), "--slices", str(SLICES)]
    split = ",".join(f"{name}={getattr(args, name) / subjects}" for name in ("train", "control", "test"))
    for name, n, seed in (("real", subjects, 2 * number), ("others", args.others, 2 * number + 1)):
        code, said = run("import", "phantom", "--subjects", str(n), "--seed", str(seed), "--split", split,
                         *common, "--out", str(folder / name))  # fmt: skip
        assert code == 0, said
    real, others = Cohort.open(folder / "real"), Cohort.open(folder / "others")
    assert others.images is not None and others.labels is not None and real.labels is not None
    images = real.encoding.decode_images(
        real.encoding.encode_images(np.array(others.images))
    )  # in the real one's range
    labels = np.array(others.labels)
    rows, draw = real.rows("train"), rng(number, "gate", "copies")
    few = draw.choice(len(images), round(SHARE * len(images)), replace=False)
    sources = {"perfect": None, "1 % copies": draw.choice(rows, len(few), replace=False)}
    whose = real.column("subject_id")
    eight = rows[np.isin(whose[rows], sorted(set(whose[rows]))[:MEMORISED])]
    lines: list[dict[str, object]] = []
    if number == 0:
        sources["memorised"] = draw.choice(eight, len(images))
    for name, source in sources.items():
        shown, maps = images.copy(), labels.copy()
        if source is not None:
            at = few if name == "1 % copies" else np.arange(len(images))
            shown[at], maps[at] = copied(real, source, number, DISGUISES[args.disguises])
        safe = name.replace(" ", "-").replace("%", "percent")
        write(folder / safe, real, shown, maps)
    for name in sources:
        safe, start = name.replace(" ", "-").replace("%", "percent"), time.process_time()
        where = ["--real", str(folder / "real")]
        audit = ["--audit", "--set", "audit_left_out=false", "--set", "audit_copies=40", "--set", "audit_among=400"]
        unseen = ["--set", "non_members=[control,test]"]  # as `release plan` assumes
        code, said = run("evaluate", "privacy", *where, "--synthetic", str(folder / safe), *audit, *unseen, "--cache",
                         str(folder / "cache"), "--out", str(folder / f"privacy-{safe}"))  # fmt: skip
        assert code == 0, said
        code, said = run("release", str(folder / safe), "--evidence", str(folder / f"privacy-{safe}"), "--policy",
                         args.policy, "--out", str(folder / f"bundle-{safe}"), *where)  # fmt: skip
        minutes = (time.process_time() - start) / 60
        lines.append({"deal": number, "cohort": name, "released": code == 0, "minutes": f"{minutes:.1f}",
                      "said": " ".join(said.split())})  # fmt: skip
        print(f"deal {number}, {name}: {'released' if code == 0 else 'refused'}; {said.strip()[:400]}", flush=True)
    return lines


def main() -> None:
    """Make the deals that are not in the table yet, and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("deals", 10), ("first", 0), ("train", 60), ("control", 80), ("test", 60), ("others", 200)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--policy", default="default")
    parser.add_argument("--disguises", default="compounds", choices=[*DISGUISES])
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    table, read = args.out / "gate.csv", partial(csv.DictReader, strict=True)
    lines: list[dict[str, object]] = list(read(table.open())) if table.exists() else []
    for number in range(args.first, args.first + args.deals):
        if any(int(str(line["deal"])) == number for line in lines):
            continue
        folder = args.out / f"deal-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        lines += deal(number, folder, args)
        with table.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, list(lines[0]))
            writer.writeheader()
            writer.writerows(lines)
        shutil.rmtree(folder)
    for name in ("perfect", "1 % copies", "memorised"):
        mine = [line for line in lines if line["cohort"] == name]
        print(f"{name}: {sum(str(line['released']) == 'True' for line in mine)} of {len(mine)} released")


if __name__ == "__main__":
    main()
