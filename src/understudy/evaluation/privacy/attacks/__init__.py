"""Attacks on the released cases: ATTACKS is the menu. Each scores real cases without knowing who was a member."""

from typing import TYPE_CHECKING

from understudy.core.menu import Menu

if TYPE_CHECKING:
    from understudy.evaluation.privacy.attacks.setup import Attack

ATTACKS: Menu["Attack"] = Menu(
    "understudy.evaluation.privacy.attacks",
    nearest_pixels="membership:PIXELS",
    nearest_features="membership:FEATURES",
    density_ratio="membership:DENSITY_RATIO",
    singling_out="singling_out:ATTACK",
    label_maps="membership:LABEL_MAPS",
    link_contrasts="linkability:CONTRASTS",
    link_slices="linkability:SLICES",
    attribute="attribute:ATTACK",
    discriminator="membership:DISCRIMINATOR",
    denoising_loss="membership:DENOISING",
    latent_inversion="membership:INVERSION",
)
ALWAYS = ("nearest_pixels", "nearest_features", "density_ratio", "singling_out")  # whatever the data
ON_WEIGHTS = ("denoising_loss", "latent_inversion")  # what holders of a released generator can ask of it
TITLES = {  # as the report names them, which imports no attack
    "nearest_pixels": "membership by nearest image",
    "nearest_features": "membership by nearest features",
    "density_ratio": "membership by density ratio",
    "singling_out": "singling out",
    "label_maps": "membership by label maps",
    "link_contrasts": "linking two contrasts",
    "link_slices": "linking slices",
    "attribute": "inference of a class",
    "discriminator": "membership by the discriminator",
    "denoising_loss": "membership by the denoising loss",
    "latent_inversion": "membership by latent inversion",
}
