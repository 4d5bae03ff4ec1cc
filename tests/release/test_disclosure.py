"""One real thing of each kind, in each kind of file of a bundle, is found; a clean bundle and non-members pass."""

import json
import struct
import zlib
from base64 import b64encode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.data.seal import cohort_seal
from understudy.release.disclosure import (
    Comparison,
    RealImages,
    compare_with_real,
    figure_panels,
    highest_correlation,
    open_png,
)
from understudy.release.package import release_cohort
from understudy.release.policy import read_policy
from understudy.report.figures import curve_figure, grid_figure

RULE = read_policy().policy.real_check
Fields = Callable[..., np.ndarray]
BOUND = RULE.drawn


@pytest.fixture
def real(bench: Any) -> Cohort:
    return Cohort.open(bench.real)


def compare(bench: Any, bundle: Path) -> Comparison:
    return compare_with_real(bundle, ["folder"], Cohort.open(bench.real), RULE)


@pytest.fixture
def bundle(bench: Any, smooth: Fields) -> Path:
    """Return a bundle with a grid of synthetic cases, in the evidence and in the report."""
    evidence = bench.evidence()
    folder = next(path for path in evidence if path.name.endswith("privacy"))
    (folder / "images").mkdir()
    np.savez(folder / "images" / "synthetic.npz", images=bench.images[:6].astype(np.float32) / 255)
    bench.sealed(folder)
    return release_cohort(bench.synthetic, evidence, bench.root / "bundle", real=bench.real)


def test_a_clean_bundle_tells_what_was_compared(bench: Any, bundle: Path) -> None:
    found = compare(bench, bundle)
    assert found.real_cases == 60 and found.pictures == 1 and found.names_too_short == 0
    assert found.files == len([path for path in bundle.rglob("*") if path.is_file()])
    assert 0.1 < found.highest_r < 0.9 and 0.1 < found.highest_r_drawn < 0.95


def test_what_is_hidden_is_found(bench: Any, bundle: Path, smooth: Fields) -> None:
    real = Cohort.open(bench.real)
    assert real.images is not None and real.labels is not None
    images = smooth(6, 6)
    images[2] = real.images[11]
    arrays = images.astype(np.float32) / 255
    blurred = (arrays[2] * 0.8 + np.random.default_rng(0).normal(0, 0.005, (32, 32))).astype(np.float32)
    figure = grid_figure([("", np.repeat(arrays[:, 0, :, :, None], 3, -1), None)])
    page = f'<img src="data:image/png;base64,{b64encode(figure).decode()}">'
    file = bundle / "evidence" / "privacy" / "images" / "hidden"

    def refused(suffix: str, says: str) -> None:
        with pytest.raises(UnderstudyError, match=says):
            compare(bench, bundle)
        file.with_suffix(suffix).unlink()

    np.savez_compressed(file.with_suffix(".npz"), images=arrays)
    refused(".npz", "hidden.npz hold a real patch")
    np.savez_compressed(file.with_suffix(".npz"), images=blurred[None])
    refused(".npz", "hidden.npz is a real one, or as good as that")
    np.savez_compressed(file.with_suffix(".npz"), labels=np.array(real.labels[3:4]))
    refused(".npz", "hidden.npz hold a real label map")
    for array in (
        real.images[11, 0],
        real.images[11, 0].astype(np.uint16) * 257,
        np.moveaxis(real.images[11:13], 1, -1),
    ):
        np.savez(file.with_suffix(".npz"), x=array)
        refused(".npz", r"hidden.npz .its numbers. hold a real row of pixels")
    for suffix, text in (
        (".json", json.dumps(arrays[2].ravel().tolist())),
        (".csv", "\n".join(map(str, images[2].ravel()))),
    ):
        file.with_suffix(suffix).write_text(text)
        refused(suffix, f"hidden{suffix} .its numbers. hold a real row of pixels")
    file.with_suffix(".png").write_bytes(figure)
    refused(".png", "hidden.png is a real one")
    file.with_suffix(".html").write_text(page)
    refused(".html", r"hidden.html \(picture 1\) is a real one")
    file.with_suffix(".csv").write_text(f"case\n{bench.names[1]}-0001\n")
    refused(".csv", "the name of a real case stands in|the pseudonym of a real subject stands in")
    file.with_suffix(".dcm").write_bytes(b"x")
    refused(".dcm", "is of a kind that is not looked into")
    assert compare(bench, bundle)


def test_a_real_label_map_in_the_cohort_is_found(bench: Any) -> None:
    real = Cohort.open(bench.real)
    assert real.labels is not None
    images = bench.images.copy()
    images[4] = np.where(real.labels[9][None] == 1, 151 + images[4] // 8, images[4] // 2)  # its map, another image
    cohort = bench.cohort("maps", images)
    with pytest.raises(UnderstudyError, match="the cohort .folder. hold a real label map"):
        release_cohort(cohort, bench.evidence(cohort, "maps-"), bench.root / "out", real=bench.real)


def test_real_images_in_the_place_of_label_maps_are_found(bench: Any) -> None:
    real, levels = Cohort.open(bench.real), np.linspace(-1, 1, 30)
    assert real.images is not None
    scheme = LabelScheme(("background", *(f"k{i}" for i in range(1, 255))), tuple(range(255)))
    honest = np.stack([np.digitize(image[0] / 128 - 1, levels) for image in bench.images]).astype(np.uint8)
    hidden = honest.copy()
    hidden[3] = np.minimum(real.images[5, 0], 254)
    settings: dict[str, Any] = {"modality": "MR", "size": (32, 32), "channels": bench.channels, "dtype": "uint8"}
    settings |= {
        "kind": "synthetic",
        "scheme": scheme,
        "label_source": "sampled",
        "provenance": Provenance("sample", {}, 3),
    }
    settings |= {"trained_on": [{"cohort": bench.real_id, "splits": ["train"], "subjects": bench.names}]}
    for name, labels in (("hidden", hidden), ("honest", honest)):
        with CohortWriter(bench.root / name, **settings, seal=cohort_seal([], bench.key)) as writer:
            for i, (image, label) in enumerate(zip(bench.images, labels, strict=True)):
                writer.append(image, label, {"case_id": f"synthetic-{i:06d}", "subject_id": f"synthetic-{i:06d}"})
        evidence = bench.evidence(bench.root / name, f"{name}-")
        if name == "hidden":
            with pytest.raises(UnderstudyError, match=r"the cohort .folder. .label maps. hold a real image"):
                release_cohort(bench.root / name, evidence, bench.root / "out", real=bench.real)
        else:
            assert release_cohort(bench.root / name, evidence, bench.root / "out", real=bench.real)


def test_evidence_that_shows_a_real_case_is_never_released(bench: Any) -> None:
    evidence = bench.evidence()
    (evidence[0] / "images").mkdir()
    pixels = np.asarray(Cohort.open(bench.real).images, np.float32)[:3] / 255
    np.savez(evidence[0] / "images" / "synthetic.npz", images=pixels)
    bench.sealed(evidence[0])
    with pytest.raises(UnderstudyError, match="synthetic.npz shows a picture .* that is no case of synthetic"):
        release_cohort(bench.synthetic, evidence, bench.root / "out", real=bench.real)
    assert not (bench.root / "out").exists()


@pytest.fixture
def pixels(real: Cohort) -> RealImages:
    return RealImages(real, 64)


def encoded(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32) / 127.5 - 1


def test_a_patch_is_found_at_any_place_and_in_any_case(real: Cohort, pixels: RealImages, smooth: Fields) -> None:
    assert real.images is not None
    for case, (y, x) in ((0, (0, 0)), (31, (3, 5)), (59, (17, 16))):
        images = smooth(40, 9)
        assert pixels.same_patches(encoded(images)) == 0
        images[35, 0, y : y + 15, x : x + 15] = real.images[case, 0, 11:26, 6:21]  # the least that is promised
        assert pixels.same_patches(encoded(images)) == 1
        images[35, 0, y + 7, x + 7] ^= 1
        images[35, 0, y : y + 15, x + 7] ^= 1
        assert pixels.same_patches(encoded(images)) == 0


def test_a_flat_patch_is_no_evidence(bench: Any, real: Cohort, pixels: RealImages) -> None:
    assert real.images is not None
    flat = np.full((2, 1, 32, 32), real.images[0, 0, 0, 0])
    assert pixels.same_patches(encoded(flat)) == 0 and pixels.nearest_to(encoded(flat)) <= 0
    assert pixels.same_patches(encoded(flat)[..., :7, :7]) == 0


def test_a_real_image_is_near_also_with_noise_and_gain(real: Cohort, pixels: RealImages, smooth: Fields) -> None:
    assert real.images is not None
    others = pixels.nearest_to(encoded(smooth(40, 9)))
    images = encoded(smooth(40, 9))
    noise = np.random.default_rng(0).normal(0, 0.01, (32, 32))
    images[4] = encoded(real.images[20:21])[0] * 0.7 + 0.1 + noise
    assert others < 0.8 and pixels.nearest_to(images) > 0.995
    assert pixels.nearest_to(images[:, :, :16]) == -1  # another size: not comparable, and the patches still are


def test_a_real_label_map_is_found_where_it_is_large_enough(real: Cohort, pixels: RealImages) -> None:
    assert real.labels is not None
    maps = np.zeros((3, 32, 32), np.uint8)
    assert pixels.same_maps(maps) == 0
    maps[1] = real.labels[8]
    assert int(maps[1].sum()) >= 64 and pixels.same_maps(maps) == 1
    assert RealImages(real, int(maps[1].sum()) + 1).same_maps(maps) == 0
    assert RealImages(real, None).same_maps(maps) == 0


def test_a_real_label_map_with_other_numbers_is_found(real: Cohort, pixels: RealImages) -> None:
    assert real.labels is not None
    copy = np.array(real.labels[8])
    assert [pixels.same_maps(one[None]) for one in (1 - copy, 2 * copy, (1 - copy).T)] == [1, 1, 1]


def test_a_cohort_is_read_whole(bench: Any, real: Cohort, pixels: RealImages) -> None:
    assert real.images is not None
    images = np.concatenate([bench.images] * 5)
    images[59, 0, 10:26, 10:26] = real.images[2, 0, 8:24, 8:24]
    assert pixels.same_patches_of(Cohort.open(bench.cohort("hidden", images))) == 1
    assert pixels.same_patches_of(Cohort.open(bench.synthetic)) == 0
    assert pixels.nearest_of(Cohort.open(bench.synthetic)) < 0.8 and pixels.nearest_of(real) > 0.999


def found(png: bytes, real: Cohort) -> float:
    return highest_correlation(figure_panels(open_png(png, "x"), (32, 32)), real)


def drawn(pictures: np.ndarray, labels: np.ndarray | None = None) -> bytes:
    """Draw images uint8 (n, 1, H, W) as the report does."""
    return grid_figure([("", np.repeat(pictures[:, 0, :, :, None] / 255, 3, -1), labels)], [f"r {i}" for i in range(9)])


def saved(picture: np.ndarray) -> bytes:
    stream = BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def test_tiles_of_the_reports_grid_are_cut_out(smooth: Fields) -> None:
    cut = figure_panels(open_png(drawn(smooth(9, 5)), "x"), (32, 32))
    whole = smooth(9, 5)[:, 0].reshape(9, -1).astype(float)
    best = np.corrcoef(np.concatenate([whole, cut.reshape(len(cut), -1)]))[:9, 9:].max(1)
    assert (best > 0.985).all()


def test_a_real_tile_is_found_and_others_are_not(real: Cohort, smooth: Fields) -> None:
    assert real.images is not None
    pictures, labels = smooth(9, 5), np.zeros((9, 32, 32), np.uint8)
    labels[:, 8:14, 20:27] = 1  # a lesion
    assert found(drawn(pictures), real) < 0.9 and found(drawn(pictures, labels), real) < 0.9
    pictures[8] = real.images[40]
    assert found(drawn(pictures), real) > BOUND
    assert found(drawn(pictures, labels), real) > BOUND  # an outline over it


def test_a_mosaic_and_a_single_picture(real: Cohort, smooth: Fields) -> None:
    assert real.images is not None
    pictures = smooth(6, 5)[:, 0]
    pictures[4] = real.images[3, 0]
    mosaic = np.kron(np.block([[*pictures[:3]], [*pictures[3:]]]), np.ones((2, 2), np.uint8))
    assert found(saved(mosaic), real) > BOUND
    assert found(saved(255 - real.images[3, 0]), real) < BOUND  # said in the module: other colours are not covered
    assert found(saved(np.asarray(real.images[3, 0])), real) > BOUND
    assert found(saved(np.stack([pictures[0], real.images[9, 0], pictures[1]], -1)), real) > BOUND


def test_a_curve_is_no_image(real: Cohort) -> None:
    series = [{"name": "synthetic", "x": [0, 1], "y": [1, 0]}]
    assert found(curve_figure({"x_label": "r", "y_label": "share", "series": series}), real) < 0.9


def test_a_png_with_anything_beside_the_picture_is_refused() -> None:
    good = saved(np.zeros((8, 8), np.uint8))
    text = b"tEXtComment\0s-0123"
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    assert open_png(good, "x").shape == (8, 8, 3)
    for data in (good[:33] + chunk + good[33:], good + b"more", good[1:], b"GIF89a", good[:20]):
        with pytest.raises(UnderstudyError, match="a PNG that holds a picture and nothing else"):
            open_png(data, "x")
