"""Cohorts are measured, reported and released. **Checked** in tests/api/test_evidence.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from understudy.api import paths
from understudy.api.settings import CONFIGS, configure, one_of
from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.core.menu import Menu
from understudy.core.result import Result, read_results

if TYPE_CHECKING:
    from understudy.release.loading import ReleasedCases

STAGES: Menu[Any] = Menu(
    "understudy.evaluation",
    utility="utility.stage:evaluate_utility",
    fidelity="fidelity.stage:evaluate_fidelity",
    privacy="privacy.stage:evaluate_privacy",
    consistency="consistency.stage:evaluate_consistency",
    correlation="correlation.stage:evaluate_correlation",
    interrater="interrater.stage:evaluate_interrater",
)
PAIR = {"real": "cohort.json", "synthetic": "cohort.json"}


@dataclass(frozen=True)
class Inputs:
    """What an evaluation is given: the file that makes each folder what it should be; "" where none does."""

    required: dict[str, str]
    optional: dict[str, str]


INPUTS = {
    "utility": Inputs(PAIR, {"task": "", "cache": ""}),
    "fidelity": Inputs(PAIR, {"classifier": "classifier.json", "guide": "classifier.json", "network": "", "cache": ""}),
    "privacy": Inputs(PAIR, {"generator": "run.json", "cache": ""}),
    "consistency": Inputs(PAIR, {}),
    "correlation": Inputs({"results": ""}, {}),
    "interrater": Inputs({"real": "cohort.json", "other": "cohort.json"}, {}),
}
LISTS = ("synthetic", "results")


def evaluate(kind: str, *, out: Path | str, seed: int = 0, **given: Any) -> dict[str, Result]:
    """Measure cohorts: how useful, how realistic, what named attacks find, how image and label map agree, and more.

    The results are returned by name; tables, curves and pictures lie in ``out``.

    Args:
        kind: ``utility``, ``fidelity``, ``privacy``, ``consistency``, ``correlation`` or ``interrater``.
        out: the results folder to make.
        seed: everything random follows from it.
        given: ``real=`` and ``synthetic=`` (one cohort folder, or several); ``results=`` of correlation; ``real=`` and
            ``other=`` of interrater; further ``task=`` of utility, ``classifier=``, ``guide=`` and ``network=`` of
            fidelity, ``generator=`` of privacy, ``cache=`` of all three; and settings, which ``understudy settings
            KIND`` lists.

    Raises:
        UsageError: the request cannot be right.
        UnderstudyError: a leak, too few subjects, or cohorts that cannot be compared.
    """
    inputs, settings = split_inputs(kind, given)
    out = paths.output(out, "results.json")
    checked = _checked(kind, inputs)
    if kind == "utility" and "task" not in checked:
        from understudy.evaluation.utility.stage import default_task

        checked["task"] = default_task(checked["real"], checked["synthetic"])
    config, stage = evaluation_config(kind, settings, checked.get("task")), STAGES[kind]
    if generator := checked.pop("generator", None):
        queries = _score_queries(generator, checked["synthetic"], seed)
        config, checked["score_queries"] = _white_box(config, queries, "attacks" in settings)
    stage(out=out, seed=seed, config=config, **checked)
    return {result.name: result for result in read_results(out)[0]}


def split_inputs(kind: str, given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the inputs of an evaluation and its settings, out of what was given.

    Raises:
        UsageError: there is no such evaluation, or an input is missing.
    """
    wanted = one_of(INPUTS, kind, "evaluation")
    inputs = {n: v for n, v in given.items() if n in wanted.required or (n in wanted.optional and v is not None)}
    if missing := [name for name in wanted.required if not inputs.get(name)]:
        raise UsageError(f"evaluate {kind} needs {' and '.join(wanted.required)}: {', '.join(missing)} is missing")
    return inputs, {n: v for n, v in given.items() if n not in wanted.required and n not in wanted.optional}


def evaluation_config(kind: str, settings: dict[str, Any], task: str | None = None) -> BaseModel:
    """Return the settings that an evaluation, of utility perhaps of a task, would have after changes to the defaults.

    Raises:
        UsageError: there is no such task or setting.
    """
    model = CONFIGS[kind]
    if task is not None:
        from understudy.evaluation.utility.stage import TASKS

        model = one_of(TASKS, task, "task").Config
    return configure(model, settings, f"evaluate {kind}")


def _checked(kind: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs as paths, looked at."""
    wanted = {**INPUTS[kind].required, **INPUTS[kind].optional}
    found: dict[str, Any] = {}
    for name, value in inputs.items():
        if name == "task":
            found[name] = value
            continue
        found[name] = paths.several(value) if name in LISTS else Path(value)
        for path in paths.several(found[name]):
            if wanted[name]:
                paths.folder(path, wanted[name])
            elif name in ("results", "network") and not path.exists():
                raise UsageError(f"{name} were expected at {path}, and nothing is there: correct the path")
    return found


def _white_box(config: Any, queries: dict[str, Any], chosen: bool) -> tuple[Any, dict[str, Any]]:
    """Add the attacks that query a generator; where attacks were chosen, leave the queries to those among them."""
    if chosen:
        return config, {name: query for name, query in queries.items() if name in config.attacks} or queries
    further = [name for name in queries if name not in config.attacks]
    return config.model_copy(update={"attacks": (*config.attacks, *further)}), queries


def _score_queries(run: Path, synthetic: Sequence[Path], seed: int) -> dict[str, Any]:
    """Return what the attacks of an evaluation, which never sees a generator, may ask of one."""
    from understudy.evaluation.privacy.attacks.setup import ScoreQuery
    from understudy.synthesis.score_query import open_run_queries

    found = open_run_queries(run, [Cohort.open(path) for path in synthetic], seed)
    return {one.attack: ScoreQuery(one.identity, one.score) for one in found}


def report(results: Sequence[Path | str], out: Path | str, *, internal: bool = False) -> Path:
    """Join results, folders that :func:`evaluate` made, into report.html, the PUBLIC edition, and return its path.

    ``internal`` writes the INTERNAL edition, too, with real images: never to leave the institution.
    """
    folders = [paths.folder(path, "results.json") for path in results]
    out = paths.output(out, "provenance.json")
    paths.outside(out, folders)
    from understudy.report import write_report

    return write_report(folders, out, internal)


def release(
    cohort: Path | str,
    evidence: Sequence[Path | str],
    out: Path | str,
    *,
    policy: Path | str | None = None,
    real: Path | str | None = None,
    override: str | None = None,
    formats: Sequence[str] = ("folder",),
    sign: Path | str | None = None,
    licence: str | None = None,
    weights: Path | str | None = None,
    fresh: Path | str | None = None,
) -> Path:
    """Write what may leave the institution, a bundle, or refuse: each limit of the policy is held against the evidence.

    Args:
        cohort: the synthetic cohort, screened or not.
        evidence: what :func:`evaluate` said of it, and of what it was before screening.
        out: the bundle to make.
        policy: the limits, as YAML, or the name of shipped ones (default, open, research-agreement, internal).
        real: the real cohort: nothing of it may be in the bundle.
        override: the reason to release although limits do not hold; the bundle says so for ever.
        formats: forms in which the cohort is stored, out of the menu of forms.
        sign: file of the private key that signs the bundle (``understudy key new``).
        licence: of what is released, an SPDX identifier or an https address; default: that of the source data.
        weights: the run that the cohort was sampled from, whose weights are released as well, behind limits of their
            own: what samples, nothing else.
        fresh: a cohort sampled from that run with another seed, for the evidence on its weights.
    """
    if (weights is None) != (fresh is None):
        raise UsageError("weights and fresh belong together: the run, and a cohort sampled from it with another seed")
    source = paths.folder(cohort, "cohort.json")
    folders = [paths.folder(path, "results.json") for path in evidence]
    original = None if real is None else paths.folder(real, "cohort.json")
    anew = None if fresh is None else paths.folder(fresh, "cohort.json")
    run = None if weights is None else paths.folder(weights, "run.json")
    out = paths.output(out, "manifest.json")
    paths.outside(out, [one for one in (source, *folders, original, anew, run) if one])
    from understudy.release.package import release_cohort
    from understudy.release.weights import AskedWeights

    asked = None
    if run is not None and anew is not None:
        from understudy.api.generators import weights_of

        asked = AskedWeights(weights_of(run), Cohort.open(anew))

    limits = None if policy is None else Path(policy)
    key = None if sign is None else Path(sign)
    return release_cohort(
        source,
        folders,
        out,
        policy=limits,
        real=original,
        override=override,
        formats=formats,
        sign=key,
        licence=licence,
        weights=asked,
    )


def load_bundle(bundle: Path | str) -> "ReleasedCases":
    """Open the cases of a bundle that :func:`release` made: what PyTorch's DataLoader and MONAI's Dataset take.

    Raises:
        UsageError: there is no bundle.
        UnderstudyError: its manifest or its cohort is damaged, or was changed.
    """
    from understudy.release.loading import load_bundle as load

    return load(bundle)


def verify(bundle: Path | str, *, key: Path | str | None = None, against: Path | str | None = None) -> str:
    """Check every file of a bundle that :func:`release` made, judge every limit again, and say what was checked.

    Args:
        bundle: the folder that :func:`release` made.
        key: file of the public key of the signer whom you trust; without one, integrity alone is checked.
        against: the real cohort behind it, for those who hold it: compared with the bundle again.

    Raises:
        UnderstudyError: what is wrong with it, or that it was released over its policy, and why.
    """
    path = paths.folder(bundle, "manifest.json")
    original = None if against is None else paths.folder(against, "cohort.json")
    from understudy.release.verify import verify_bundle

    return verify_bundle(path, None if key is None else Path(key), original)
