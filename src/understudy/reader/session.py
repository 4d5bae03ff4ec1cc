"""What one reader may see and say next: training cases first, then the study's, in this reader's order.

A reader knows a case by its position alone: there is no name in any address, and a later case cannot be fetched before
the earlier ones are answered, but for the next one, which the browser loads ahead.
**Checked** in tests/reader/test_session.py.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.core.errors import UsageError
from understudy.reader.answers import SentAnswer, SentTraining, refuse_unasked
from understudy.reader.documents import ITEMS, OrdersDocument, StudyDocument, read_orders, read_study_document
from understudy.reader.store import Answer, Progress, Store, now


class OutOfTurn(UsageError):
    """A position that is not this reader's now; the page asks for the state again."""


@dataclass(frozen=True)
class OpenStudy:
    """A study that is being read: what readers may know, their orders, the store of answers. No truth of its items."""

    folder: Path
    study: StudyDocument
    orders: OrdersDocument
    store: Store

    @classmethod
    def open(cls, folder: Path) -> "OpenStudy":
        """Open a study folder; UnderstudyError where it is damaged, UsageError where it is none."""
        study = read_study_document(folder)
        return cls(folder, study, read_orders(folder, study), Store(folder))

    def state(self, reader: int) -> dict[str, Any]:
        """Return what the page needs: the study, and where this reader is."""
        plan, order = self.study.plan, self.orders.orders[reader - 1]
        about = {name: getattr(plan, name) for name in ("title", "about", "pairs", "undo")}
        image = {name: getattr(self.study, name) for name in ("channels", "shape", "levels", "aspect", "colour")}
        return {
            "reader": reader,
            **about,
            **image,
            "legend": [entry.model_dump() for entry in self.study.legend],
            "questions": [one.model_dump(mode="json") for one in plan.asked],
            "training": len(self.orders.training),
            "total": len(order),
            "next": self.store.next_position(reader),
        }

    def item(self, reader: int, position: int) -> bytes:
        """Return the pixels at a position, up to the one after the next; OutOfTurn for later ones and none."""
        order = self.orders.orders[reader - 1]
        if not 0 <= position < len(order) or position > self.store.next_position(reader) + 1:
            raise OutOfTurn("this case is not to be shown now")
        return self._bytes(order[position])

    def training_item(self, position: int) -> bytes:
        """Return the pixels of a training case."""
        return self._bytes(self._training(position).item)

    def feedback(self, sent: SentTraining) -> dict[str, Any]:
        """Return the truth of a training case, once it was called."""
        truth = self._training(sent.position).truth
        return {"truth": truth, "right": truth == sent.call}

    def answered(self, reader: int, position: int) -> dict[str, Any]:
        """Return what this reader said at a position, to be changed; OutOfTurn where the study does not allow it."""
        self._refuse_position(reader, position)
        found = self.store.answer(reader, position)
        return {"answers": found.answers if found else None}

    def accepted(self, reader: int, sent: SentAnswer) -> Answer:
        """Return an answer to be stored.

        Raises:
            UsageError: not an answer to the questions, or of another reader.
            OutOfTurn: a position that may not be answered now.
        """
        if sent.reader != reader:
            raise UsageError("another link was opened in this browser: open your own again")
        refuse_unasked(self.study.plan.asked, sent.answers)
        self._refuse_position(reader, sent.position, sent.nonce)
        return Answer(reader, sent.position, sent.answers, sent.seconds, now())

    def following(self, reader: int) -> dict[str, Any]:
        """Return which position comes next."""
        return {"next": self.store.next_position(reader)}

    def progress(self) -> dict[str, Any]:
        """Return how far each reader is, and no answer."""
        return {
            "title": self.study.plan.title,
            "total": [len(order) for order in self.orders.orders],
            "readers": [_told(one) for one in self.store.progress()],
        }

    def _refuse_position(self, reader: int, position: int, nonce: str = "") -> None:
        """Refuse a position that is neither the next one nor one that may be changed, nor one sent again."""
        following, total = self.store.next_position(reader), len(self.orders.orders[reader - 1])
        earliest = {"any": 0, "last": following - 1, "never": following}[self.study.plan.undo]
        again = bool(nonce) and self.store.has(reader, nonce)
        if not again and not max(0, earliest) <= position <= min(following, total - 1):
            raise OutOfTurn("this case cannot be answered now")

    def _training(self, position: int) -> Any:
        if not 0 <= position < len(self.orders.training):
            raise OutOfTurn("there is no such training case")
        return self.orders.training[position]

    def _bytes(self, name: str) -> bytes:
        """Read an item; its name matched a pattern of 16 hexadecimal digits, so that it leads nowhere else."""
        return (self.folder / ITEMS / f"{name}.raw").read_bytes()


def _told(one: Progress) -> dict[str, Any]:
    return {"reader": one.reader, "answered": one.answered, "seconds": one.seconds, "last": one.last}
