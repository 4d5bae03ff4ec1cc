"""Attacks on the released cases: ATTACKS is the menu. Each scores real cases without knowing who was a member."""

from understudy.evaluation.privacy.attacks import attribute, linkability, membership, singling_out
from understudy.evaluation.privacy.attacks.setup import Attack

ATTACKS: dict[str, Attack] = {
    "nearest_pixels": membership.PIXELS,
    "nearest_features": membership.FEATURES,
    "density_ratio": membership.DENSITY_RATIO,
    "singling_out": singling_out.ATTACK,
    "link_contrasts": linkability.CONTRASTS,
    "link_slices": linkability.SLICES,
    "attribute": attribute.ATTACK,
    "discriminator": membership.DISCRIMINATOR,
    "denoising_loss": membership.DENOISING,
}
