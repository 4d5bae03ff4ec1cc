"""Settings of ``evaluate fidelity``; flat, so that ``--set draws=50`` names any of them."""

from typing import Literal

from pydantic import Field

from understudy.evaluation.features.config import FeatureConfig


class FidelityConfig(FeatureConfig):
    """How often baselines are drawn, how distances are estimated, and what is shown."""

    draws: int = Field(
        20, ge=2, description="random draws of cases, and random halves of unseen subjects, behind the baselines"
    )
    subsets: int = Field(100, ge=1, description="subsets of the kernel distance")
    subset_size: int = Field(1000, ge=2, description="cases of each set in a subset")
    sizes: int = Field(15, ge=2, description="sample sizes behind the Frechet distance at infinitely many cases")
    neighbours: int = Field(5, ge=1, description="k of precision, recall, density and coverage")
    bins: int = Field(64, ge=2, description="bins of intensities, of curves and distances")
    pairs: int = Field(500, ge=1, description="random pairs of cases behind the MS-SSIM of a set")
    label_bins: int = Field(24, ge=2, description="bins of the histograms of label maps, before small ones are joined")
    location: Literal["image", "labelled"] = Field(
        "image", description="what centroids are relative to: the image, or the box of all labelled voxels of the case"
    )
    grid: int = Field(64, ge=1, description="cases shown")
