"""Words of old and what they are called now: whoever types one is told, and nothing is guessed.

Settings of old stand in api/settings.py, where Python is told of them too.

**Checked** in tests/cli/test_renamed.py.
"""

from understudy.core.errors import UsageError

VERBS = {
    "evaluate agreement": "evaluate consistency",
    "evaluate readers": "evaluate interrater",
}
OPTIONS = {
    "evaluate consistency --over": "evaluate correlation RESULTS...",
    "edit --bend": "edit --augment",
    "sample --specks": "sample --set small_components=",
}
RENAMED = {"verbs": VERBS, "options": OPTIONS}


def refuse_renamed(kind: str, word: str, what: str) -> None:
    """Refuse a word of old.

    Args:
        kind: verbs or options.
        word: what was typed.
        what: how to call it in the sentence.

    Raises:
        UsageError: the word has another name now.
    """
    if word in RENAMED[kind]:
        raise UsageError(f"{what} is called `{RENAMED[kind][word]}` now: write that")
