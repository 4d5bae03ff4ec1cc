"""Attacks on the released cases: ATTACKS is the menu. Each scores real cases without knowing who was a member."""

from understudy.evaluation.privacy.attacks import (
    attribute,
    density_ratio,
    linkability,
    nearest,
    oracle,
    singling_out,
)
from understudy.evaluation.privacy.attacks.scene import Attack

ATTACKS: dict[str, Attack] = {
    "nearest_pixels": nearest.PIXELS,
    "nearest_features": nearest.FEATURES,
    "density_ratio": density_ratio.ATTACK,
    "singling_out": singling_out.ATTACK,
    "link_contrasts": linkability.CONTRASTS,
    "link_slices": linkability.SLICES,
    "attribute": attribute.ATTACK,
    "discriminator": oracle.DISCRIMINATOR,
    "denoising_loss": oracle.DENOISING,
}
