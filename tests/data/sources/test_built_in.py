"""The phantom as a source: 2D and 3D, without a key; and the fingerprint of what a source found."""

from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.core.cohort import Cohort
from understudy.data.check import check_cohort
from understudy.data.listing import Item, fingerprint
from understudy.data.sources.built_in import PhantomOptions

Bring, Refused, SaveNifti = Callable[..., Cohort], Callable[..., str], Callable[..., Path]
FILES = ("cohort.json", "cases.csv", "images.npy", "labels.npy")


def contents(cohort: Cohort) -> dict[str, bytes]:
    return {name: (cohort.path / name).read_bytes() for name in FILES if (cohort.path / name).exists()}


def test_the_phantom_in_2d_needs_no_key(tmp_path: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"subjects": 5, "size": (32,), "slices": 3, "split": "train=0.6,test=0.4"}
    first = bring(None, "phantom", out="a", **options)
    monkeypatch.setenv("UNDERSTUDY_KEY_FILE", str(tmp_path / "none" / "key"))
    assert contents(first) == contents(bring(None, "phantom", out="b", **options))
    assert not (tmp_path / "none").exists()
    assert (len(first), first.size, len(first.subjects("train"))) == (15, (32, 32), 3)
    assert [c.name for c in first.encoding.channels] == ["T1", "T1c", "T2", "FLAIR"]
    assert contents(first) != contents(bring(None, "phantom", out="c", seed=1, **options))
    levels = [finding.level for finding in check_cohort(first.path)]
    assert "error" not in levels


def test_the_phantom_in_3d(bring: Bring) -> None:
    cohort = bring(None, "phantom", subjects=4, dims=3, size=(16, 24, 24))
    assert (len(cohort), cohort.size) == (4, (16, 24, 24))
    assert cohort.spacing_mm(0) is not None


def test_some_contrasts_and_one_tumour(bring: Bring) -> None:
    options = {"subjects": 4, "size": (32,), "slices": 3}
    every = bring(None, "phantom", out="all", **options)
    some = bring(None, "phantom", out="some", channels=("FLAIR", "T1"), tumour="whole", **options)
    bare = bring(None, "phantom", out="bare", tumour="none", **options)
    assert bare.labels is None and bare.scheme is None
    assert [c.name for c in some.encoding.channels] == ["FLAIR", "T1"]
    assert some.images is not None and every.images is not None and (some.images == every.images[:, [3, 0]]).all()
    assert some.scheme is not None and some.scheme.names == ("background", "tumour")
    assert some.labels is not None and every.labels is not None and (some.labels[:] == (every.labels[:] > 0)).all()
    told = some.provenance["config"]
    assert "channels" not in every.provenance["config"] and told["channels"] == ["FLAIR", "T1"]
    with pytest.raises(ValueError, match="each contrast may stand once"):
        PhantomOptions(channels=("T1", "T1"))


@pytest.mark.parametrize(("options", "says"), [
    ({"size": (32, 40)}, "square slices"), ({"size": (4,)}, "square slices"),
    ({"slices": 400}, "phantom of 800 slices|8 to 512"),
])  # fmt: skip
def test_phantoms_that_cannot_be(refused: Refused, options: dict[str, object], says: str) -> None:
    refused(says, source="phantom", subjects=4, **options)


def test_the_fingerprint_follows_names_sizes_and_the_table_and_not_the_place(tmp_path: Path) -> None:
    def made(root: str, name: str = "a.png", content: bytes = b"12", table: str = "x") -> str:
        folder = tmp_path / root
        folder.mkdir()
        (folder / name).write_bytes(content)
        (folder / "table.csv").write_text(table)
        return fingerprint(folder, [Item("a", "s", (folder / name,))], folder / "table.csv")

    first = made("one")
    assert first == made("two", content=b"34")  # **Differs**: a change within the size is not noticed
    others = {made("3", "b.png"), made("4", content=b"123"), made("5", table="y")}
    assert len(others | {first}) == 4
