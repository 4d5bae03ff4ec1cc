"""Speed of a StyleGAN2 training step, beside the official code when a checkout of it is at hand.

    python benchmarks/stylegan2_step.py [--official PATH] [--rounds N] [--steps N] [--batch N] [--busy]
                                        [--size 64] [--compile] [--csv FILE] [--device cpu|cuda]

One step is a generator step and a discriminator step without the lazy penalties and without augmentation: 64 pixels,
5 channels, channel_base 8192, channel_max 256, z = w = 512, batch 16
unless said otherwise. How the two take turns: benchmarks/compare.py.

With --busy each side uses one thread and its own processor time is counted instead of the time on the wall: that is
what can be measured on a machine that others use at the same moment.
"""

from compare import Setting, Step, compare, official_step, options_of, our_step


def ours(batch: int, setting: Setting) -> Step:
    """Understudy's StyleGAN2."""
    return our_step("stylegan2", batch, setting, path_weight=0)


def official(batch: int, path: str, setting: Setting) -> Step:
    """The official configuration stylegan2."""
    of_training = {"mapping_kwargs": {"num_layers": 8}, "fused_modconv_default": "inference_only"}
    return official_step(path, batch, setting, "networks_stylegan2", 0.002, 0.9, **of_training)


if __name__ == "__main__":
    compare(options_of(__doc__, rounds=5, steps=3), ours, official)
