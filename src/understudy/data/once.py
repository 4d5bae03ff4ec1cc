"""YAML that a person wrote and another one reads: a key that stands twice would mean what only its last place says.

**Checked** in tests/data/test_once.py.
"""

from typing import Any

import yaml


class OnceLoader(yaml.SafeLoader):
    """YAML in which a key, a word or a number, stands once in a mapping; elsewhere the last one would count."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Read a mapping; YAMLError where a key stands twice or is no word or number."""
        seen: set[Any] = set()
        for key in (self.construct_object(key, deep=True) for key, _ in node.value):
            if not isinstance(key, str | int | float | None):
                raise yaml.YAMLError(f"a key is a word or a number, found {key!r}{node.start_mark}")
            if key in seen:
                raise yaml.YAMLError(f"the key {key!r} stands twice{node.start_mark}")
            seen.add(key)
        return super().construct_mapping(node, deep)
