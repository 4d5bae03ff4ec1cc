"""The YAML of a study, read strictly: unknown or repeated keys, and names that are none, are refused in one sentence.

    study: crossval                  name
    title: Five folds                one line; ``about`` may say more
    data: lgg_tcga                   a folder, relative to the file: ``$data``
    values: {size: 64}               constants, which may name others: ``$size``
    loops: {seed: [0, 1]}            or {generator: {progan: {set: {...}}}}: ``$generator``, ``$generator.set``
    needs: {threads: 1}              of every stage; a stage may say otherwise
    stages:                          see expand.py
      cohort:
        import: [folder, $data]      a verb and its arguments, as on the command line
        size: $size                  its options
      run:
        train: [diffusion, $cohort]
        set: {images_seen: 20000}    its settings
        seed: $seed
    report: {}                       what the report shows; see report/

**Checked** in tests/studies/test_study.py.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from understudy.core.documents import mistakes
from understudy.core.errors import NO_VALUE, UnderstudyError, UsageError
from understudy.core.regular_file import read_regular
from understudy.data.once import OnceLoader
from understudy.studies.report.config import ReportConfig
from understudy.studies.stage import MARKERS, Needs

NAME = r"[a-z][a-z0-9_]{0,39}"
VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._]{0,39}")  # of a loop; it becomes part of folder names
OWN = ("joins", "only", "needs", "about", "set")  # keys of a stage that are no options
RESERVED = {"report": "the study's report", "logs": "the logs of the stages", "profile": "Snakemake's profile"}
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")  # what no word of a command may hold
MAX_BYTES = 2**20
Name = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
FORBID = ConfigDict(extra="forbid", frozen=True)


class Template(BaseModel):
    """A stage as the YAML has it, for all values of the loops that it mentions."""

    model_config = FORBID

    verb: str
    words: tuple[Any, ...]  # arguments of the verb
    options: dict[str, Any]
    settings: Any = None  # a mapping, or the name of one
    joins: tuple[Name, ...] = ()  # loops over which it takes all outputs of its inputs at once
    only: dict[Name, tuple[Any, ...]] = {}  # loops of which it takes some values only; constants may stand for them
    needs: Needs | None = None
    about: str = ""

    @model_validator(mode="before")
    @classmethod
    def _by_verb(cls, given: Any) -> Any:
        """Tell the verb from the options: it is the one key that names a verb."""
        if not isinstance(given, dict):
            raise ValueError("a stage is a verb with its arguments and options, as in {train: [diffusion, $cohort]}")
        verbs = [key for key in given if key in MARKERS]
        if len(verbs) != 1:
            found = " and ".join(verbs) or "none"
            raise ValueError(f"a stage has exactly one verb out of {', '.join(MARKERS)}; found {found}")
        words = given[verbs[0]]
        options = {str(key).replace("-", "_"): value for key, value in given.items() if key not in (*verbs, *OWN)}
        if len(options) < len(given) - len(given.keys() & {*verbs, *OWN}):
            raise ValueError("a stage has an option twice, once with - and once with _")
        if forbidden := {"out", "dry_run", "key"} & options.keys():
            raise ValueError(f"a study gives every stage its {min(forbidden)}: leave it out")
        own = {key: given[key] for key in OWN[:-1] if given.get(key) is not None}
        listed = tuple(words) if isinstance(words, list) else (words,)
        return {"verb": verbs[0], "words": listed, "options": options, "settings": given.get("set"), **own}


def _plain(path: str) -> str:
    if CONTROL.search(path):
        raise ValueError(f"a path without control characters was expected, found {path!r}: rename the folder")
    return path


class StudyFile(BaseModel):
    """A whole study, as its YAML says it."""

    model_config = FORBID

    study: Name
    title: str = ""
    about: str = ""
    data: Annotated[str, AfterValidator(_plain)] | None = None
    values: dict[Name, Any] = {}
    loops: dict[Name, dict[str, Any]] = {}  # name -> value -> what belongs to it
    needs: Needs = Needs()
    stages: dict[Name, Template] = Field(min_length=1, max_length=1000)
    report: ReportConfig = ReportConfig()

    @model_validator(mode="before")
    @classmethod
    def _loops_are_mappings(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("loops"), dict):
            given = {**given, "loops": {name: _loop(name, value) for name, value in given["loops"].items()}}
        return given

    @model_validator(mode="after")
    def _names_are_told_apart(self) -> Self:
        if taken := sorted(RESERVED.keys() & self.stages.keys()):
            raise ValueError(f"the folder `{taken[0]}` is that of {RESERVED[taken[0]]}: give the stage another name")
        names = ["data", *self.values, *self.loops, *self.stages]
        if twice := sorted(name for name, times in Counter(names).items() if times > 1):
            raise ValueError(f"stages, loops, values and data have names of their own; {twice[0]!r} stands twice")
        for stage, template in self.stages.items():
            if unknown := [loop for loop in (*template.joins, *template.only) if loop not in self.loops]:
                raise ValueError(f"the stage {stage} names the loop {unknown[0]!r}, and there is none")
            for loop, values in template.only.items():
                told = [value for value in map(as_text, values) if not value.startswith("$")]
                if wrong := [value for value in told if value not in self.loops[loop]]:
                    raise ValueError(f"the stage {stage} names the value {wrong[0]!r}, which {loop} has not")
        return self


def as_text(value: Any) -> str:
    """Return a value of a loop as it stands in names: ``true`` for true."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _loop(name: Any, values: Any) -> dict[str, Any]:
    """Return a loop as value -> what belongs to it."""
    listed = {as_text(v): {} for v in values} if isinstance(values, list) else values
    if not isinstance(listed, dict) or not listed or (isinstance(values, list) and len(listed) < len(values)):
        raise ValueError(f"the loop {name} is a list of values, each once, or a mapping of values to what they set")
    for value, more in listed.items():
        if not VALUE.fullmatch(as_text(value)):
            raise ValueError(
                f"a value of a loop becomes part of a folder's name: letters, digits, . and _; {name} has {value!r}"
            )
        if more is not None and not isinstance(more, dict):
            raise ValueError(f"the value {value} of the loop {name} has {more!r}: a mapping of names was expected")
    return {as_text(value): dict(more or {}) for value, more in listed.items()}


def read_study(file: Path) -> StudyFile:
    """Read a study; its ``data`` becomes a whole path, relative to the file.

    Raises:
        UsageError: there is no such file.
        UnderstudyError: it is no YAML, or not that of a study.
    """
    if not file.exists():
        raise UsageError(f"a study was expected at {file}, and there is none: correct the path")
    content = read_regular(file, "the YAML of a study", MAX_BYTES)
    try:
        study = StudyFile.model_validate(yaml.load(content.decode(), _Once))
    except ValidationError as error:
        raise UnderstudyError(f"{file} is no study ({mistakes(error)}): correct it") from error
    except (yaml.YAMLError, *NO_VALUE) as error:
        raise UnderstudyError(f"{file} is no YAML: {' '.join(str(error).split())[:300]}") from error
    folder = study.data and str((file.absolute().parent / study.data).resolve())
    return study.model_copy(update={"data": folder})


class _Once(OnceLoader):
    """YAML in which a key stands once, and nothing is named to be used again (an alias may grow without bound).

    Plain words mean what they do in YAML 1.2: ``0:8`` is a text (1.1: a number in base 60), and so are ``on``, ``no``
    and ``2020-01-01``.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError(f"aliases (*name) are not read{self.peek_event().start_mark}")
        return super().compose_node(parent, index)

    def construct_yaml_int(self, node: Any) -> int:
        number = super().construct_yaml_int(node)
        if abs(number) >= 2**64:
            raise yaml.YAMLError(f"a number is too large{node.start_mark}")
        return number


_Once.add_constructor("tag:yaml.org,2002:int", _Once.construct_yaml_int)
_Once.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Once.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), first)
