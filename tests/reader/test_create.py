"""A study folder: what is in it, what tells nothing, what is refused, and the same request gives the same study."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_predict

from understudy.core.errors import UnderstudyError, UsageError
from understudy.reader.create import Created
from understudy.reader.session import OpenStudy
from understudy.reader.statistics.roc import areas, normal_interval


def truths(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "truth.json").read_text())["items"]
    return found


def test_the_folder_is_internal_and_has_no_seed_where_readers_may_look(make: Callable[..., Created]) -> None:
    made = make(synthetic=("gan", "edm"), training=4)
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700 and (made.folder / "INTERNAL.txt").exists()
    assert all(stat.S_IMODE(file.stat().st_mode) & 0o077 == 0 for file in made.folder.rglob("*"))
    assert len(list((made.folder / "items").iterdir())) == 36 + 4 and made.items == 36
    for name in ("study.json", "orders.json"):
        text = (made.folder / name).read_text()
        assert "seed" not in text and "secret" not in text and "gan" not in text
    found = list(truths(made.folder).values())
    kinds = [(one["generator"], one["stratum"]) for one in found]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        (name, stratum): 6 for name in ("", "gan", "edm") for stratum in ("none", "ill")
    }
    wrong = [one["generator"] for one in found if one["wrong"]]
    assert {name: wrong.count(name) for name in wrong} == {"": 3, "gan": 3, "edm": 3}
    training = json.loads((made.folder / "orders.json").read_text())["training"]
    assert sorted(one["truth"] for one in training) == ["real"] * 2 + ["synthetic"] * 2
    assert not {one["item"] for one in training} & set(truths(made.folder))


def test_the_same_request_gives_the_same_study_but_for_the_links(make: Callable[..., Created]) -> None:
    first, second, other = make("a"), make("b"), make("c", seed=1)
    for name in ("study.json", "orders.json", "truth.json"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()
        assert name == "study.json" or (first.folder / name).read_bytes() != (other.folder / name).read_bytes()
    assert not set(first.links.values()) & set(second.links.values())
    content = [sorted(f.read_bytes() for f in (one.folder / "items").iterdir()) for one in (first, second)]
    assert content[0] == content[1]


def test_planted_errors_are_other_cases_maps(make: Callable[..., Created], cohorts: dict[str, Path]) -> None:
    made = make()
    voxels = 64
    maps = {"real": np.load(cohorts["real"] / "labels.npy"), "synthetic": np.load(cohorts["gan"] / "labels.npy")}
    for name, one in truths(made.folder).items():
        label = np.frombuffer((made.folder / "items" / f"{name}.raw").read_bytes()[4 * voxels :], np.uint8)
        own = maps[one["source"]][one["cases"][0]].ravel()
        assert (label != own).any() == one["wrong"]


def test_what_is_no_pixel_tells_nothing(make: Callable[..., Created], reading: Any) -> None:
    """A classifier on all that a reader's browser gets beside the pixels, and on the files, stays at chance."""
    app = pytest.importorskip("understudy.reader.app")
    made = make(n=20, readers=3, plan=reading.plan(wrong_annotations=0.0, repeats=0.0))
    truth, study = truths(made.folder), OpenStudy.open(made.folder)
    client = reading.Client(app.make_app(study, ["localhost"]))
    rows, answers, headers = [], [], set()
    names = sorted(truth)
    for reader in (1, 2, 3):
        client.ask("POST", "/api/enter", {"token": made.links[reader]})
        for position, name in enumerate(study.orders.orders[reader - 1]):
            reply = client.ask("GET", f"/image/study/{position}")
            state = client.ask("POST", "/api/answer", reading.sent(position, reader=reader))
            headers.add(tuple(sorted(reply.headers.items())))
            file = (made.folder / "items" / f"{name}.raw").stat()
            rows.append([
                position, len(reply.body), len(state.body), file.st_size, file.st_mtime, file.st_mode,
                names.index(name), int(name[:2], 16), int(name[-2:], 16), reader,
            ])  # fmt: skip
            answers.append(truth[name]["source"] == "synthetic")
    client.close()
    study.store.close()
    assert len(headers) == 1  # the same headers, and the same length, for every image
    table, fakes = np.array(rows, float), np.array(answers)
    assert (np.ptp(table[:, [1, 3, 4, 5]], axis=0) == 0).all()  # sizes, times, permissions
    known = RandomForestClassifier(20, random_state=0, min_samples_leaf=3)
    columns = [0, 6, 7, 8, 9]
    groups = np.array([names.index(n) for order in study.orders.orders for n in order]) % 5
    folds = [(np.flatnonzero(groups != k), np.flatnonzero(groups == k)) for k in range(5)]  # a case never on both sides
    score = cross_val_predict(known, table[:, columns], fakes, cv=folds, method="predict_proba")[:, 1]
    area = areas(real=score[None, ~fakes], synthetic=score[None, fakes])
    low, high = normal_interval(float(area.values[0]), 3 * float(area.covariance[0, 0]), 0.99)  # three looks at a case
    assert low < 0.5 < high


def test_pairs_have_one_real_case_of_the_same_class(make: Callable[..., Created], reading: Any) -> None:
    made = make(n=16, plan=reading.plan(pairs=True, questions=(), wrong_annotations=0.0, training=2))
    found = truths(made.folder)
    assert made.items == len(found) == 16
    left = [one["source"] for one in found.values()]
    assert 2 < left.count("real") < 14
    size = {file.stat().st_size for file in (made.folder / "items").iterdir()}
    assert size == {2 * 2 * 2 * 64}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"n": 0}, "at least 1 case"),
        ({"n": 3}, "needs 5 real subjects"),
        ({"n": 60}, "lower --n"),
        ({"synthetic": ("gan", "edm"), "plan": "pairs"}, "pairs compare one synthetic cohort"),
        ({"real": "volumes"}, "does not fit"),
        ({"synthetic": ("real",)}, "swapped"),
    ],
)
def test_what_cannot_be_is_refused(
    make: Callable[..., Created], reading: Any, tmp_path: Path, more: dict[str, Any], told: str
) -> None:
    if more.get("plan") == "pairs":
        more = more | {"plan": reading.plan(pairs=True, questions=(), wrong_annotations=0.0)}
    with pytest.raises((UsageError, UnderstudyError), match=told):
        make(**more)
    assert not list(tmp_path.iterdir())
