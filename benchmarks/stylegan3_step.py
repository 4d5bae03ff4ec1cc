"""Speed of a StyleGAN3 training step, beside the official code when a checkout of it is at hand.

    python benchmarks/stylegan3_step.py [--official PATH] [--variant t|r] [--rounds N] [--steps N] [--batch N]
                                        [--busy] [--size 64] [--compile] [--csv FILE] [--device cpu|cuda]

One step is a generator step and a discriminator step without R1 and without augmentation: 64 pixels, 5 channels,
channel_base 8192, channel_max 256 (variant r: twice that in the generator, as published), 14 layers, z = w = 512,
batch 16 unless said otherwise. How the two take turns: benchmarks/compare.py. Without a GPU a step of the official code
takes a minute and more and, at batch 16, more than 23 GB.

With --busy each side uses one thread and its own processor time is counted instead of the time on the wall: that is
what can be measured on a machine that others use at the same moment.
"""

from typing import Any

from compare import Setting, Step, compare, official_step, options_of, our_step


def ours(batch: int, setting: Setting, variant: str) -> Step:
    """Understudy's StyleGAN3."""
    return our_step("stylegan3", batch, setting, variant=variant, blur=0)


def official(batch: int, path: str, setting: Setting, variant: str) -> Step:
    """The official configuration stylegan3-t or stylegan3-r."""
    of_training: dict[str, Any] = {
        "mapping_kwargs": {"num_layers": 2}, "magnitude_ema_beta": 0.5 ** (batch / 20_000)
    }  # fmt: skip
    if variant == "r":
        of_training |= {"conv_kernel": 1, "use_radial_filters": True}
        of_training |= {name: 2 * width for name, width in setting.widths.items()}
    return official_step(path, batch, setting, "networks_stylegan3", 0.0025, 0.0, **of_training)


if __name__ == "__main__":
    parser = options_of(__doc__, rounds=3, steps=1)
    parser.add_argument("--variant", default="t", choices=("t", "r"))
    compare(parser, ours, official, parser.parse_args().variant)
