"""ImagePool: a discriminator is shown synthetic cases of earlier steps too, so that it does not forget them.

Source: Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial Training", 2017, arXiv
    1612.07828, section 2.3; as in Zhu et al., 2017, arXiv 1703.10593, section 4 (50 cases; while the pool fills, new
    cases are shown and kept; then half of the time an old case is shown, and the new one takes its place).
Differs: the pool is a part of a checkpoint. Of several processes each has a pool, and a resumed training goes on with
    the first one's in all of them.
Checked: tests/training/test_pool.py, and the contract tests of cyclegan (resume bit for bit).

Everything is drawn from torch's global generator, which the training loop seeds at each step.
"""

import torch
from torch import Tensor


class ImagePool:
    """Up to `size` cases of earlier steps.

    Args:
        size: cases kept; 0 for none.
    """

    def __init__(self, size: int) -> None:
        """Begin empty."""
        self.size, self.kept = size, list[Tensor]()

    def exchange(self, x: Tensor) -> Tensor:
        """Return new cases (N, ...), some of them replaced by old ones."""
        shown = []
        for case in x.detach():
            if len(self.kept) < self.size:
                self.kept.append(case.clone())
            elif self.size and float(torch.rand([])) < 0.5:
                place = int(torch.randint(self.size, []))
                case, self.kept[place] = self.kept[place], case.clone()
            shown.append(case)
        return torch.stack(shown)

    def state(self, name: str) -> dict[str, Tensor]:
        """Return what a resume needs: the kept cases (n, ...), under a name."""
        return {name: torch.stack(self.kept)} if self.kept else {}

    def load(self, name: str, tensors: dict[str, Tensor], device: torch.device) -> None:
        """Put back what :meth:`state` gave."""
        self.kept = [*tensors[name].to(device)] if name in tensors else []
