"""The mapping network of the StyleGAN family: latent z and a condition to the intermediate latent w, with truncation.

**Source**: Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019, arXiv
1812.04948, section 2 and appendix B (truncation); Karras et al., "Training Generative Adversarial Networks with Limited
Data", 2020, arXiv 2006.06676, appendix C (conditioning). Parameter names and shapes are those of the published weights.
**Differs**: nothing known.
**Checked**: tests/nets/test_mapping.py (truncation, running average, condition).
"""

import torch
from torch import Tensor, nn

from understudy.nets.layers import EqualisedLinear, normalise_second_moment

W_AVERAGE_DECAY = 0.998


class Mapping(nn.Module):
    """z (and a condition) -> w: fully connected layers that learn 100 times slower than the rest.

    ``z_dim`` is 0 for a mapping of the condition alone (discriminator), ``classes`` 0 for no condition;
    ``track_average`` keeps the running average of w that truncation pulls towards.
    """

    w_avg: Tensor

    def __init__(self, z_dim: int, classes: int, w_dim: int, layers: int = 8, track_average: bool = True) -> None:
        super().__init__()
        self.z_dim, self.classes, self.layers = z_dim, classes, layers
        if classes:
            self.embed = EqualisedLinear(classes, w_dim)
        widths = [z_dim + (w_dim if classes else 0)] + [w_dim] * layers
        for i in range(layers):
            self.add_module(f"fc{i}", EqualisedLinear(widths[i], widths[i + 1], activation=True, lr_multiplier=0.01))
        if track_average:
            self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z: Tensor | None, condition: Tensor | None = None) -> Tensor:
        """z (N, Z) and condition (N, classes), each None when the network has none -> w (N, W), float32."""
        source = condition if z is None else z
        assert source is not None
        with torch.autocast(source.device.type, enabled=False):
            parts = [normalise_second_moment(z.float())] if z is not None and self.z_dim else []
            if self.classes and condition is not None:
                parts.append(normalise_second_moment(self.embed(condition.float())))
            w = torch.cat(parts, dim=1)
            for i in range(self.layers):
                w = self.get_submodule(f"fc{i}")(w)
        return w

    @torch.no_grad()
    def track(self, mean: Tensor, decay: float = W_AVERAGE_DECAY) -> None:
        """Move the running average towards the mean of a batch of w, (W,)."""
        self.w_avg.copy_(mean.lerp(self.w_avg, decay))

    def truncate(self, w: Tensor, psi: float) -> Tensor:
        """Pull w (N, W) towards the average: psi 1 leaves it, psi 0 gives the average for every case."""
        return w if psi == 1 else self.w_avg.lerp(w, psi)
