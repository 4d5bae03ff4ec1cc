"""Features of images: EXTRACTORS is the menu. Each entry is built from the real side and then maps image by image."""

from collections.abc import Callable

from understudy.evaluation.features import encoder, imagenet, random_filters, texture, torchscript
from understudy.evaluation.features.extractor import Extractor, ExtractorInputs

EXTRACTORS: dict[str, Callable[[ExtractorInputs], Extractor]] = {
    "encoder": encoder.build,
    "imagenet": imagenet.build,
    "random": random_filters.build,
    "texture": texture.build,
    "torchscript": torchscript.build,
}
