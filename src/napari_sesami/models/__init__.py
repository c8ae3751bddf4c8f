"""Nets and their weights: prompt models, token encoders, and the catalog of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as lazy

if TYPE_CHECKING:
    from napari_sesami.models import catalog
    from napari_sesami.models.adapters import (
        AdapterCard,
        describe,
        read_card,
        save_adapter,
        use_adapter,
    )
    from napari_sesami.models.device import (
        DeviceChoice,
        PrecisionChoice,
        choose_device,
        choose_precision,
    )
    from napari_sesami.models.imagenet import (
        FeatureEncoder,
        install_imagenet,
        load_feature_encoder,
    )
    from napari_sesami.models.load import load_prompt_model, load_token_encoder
    from napari_sesami.models.lora import (
        add_lora,
        count_blocks,
        free_decoder,
        last_blocks,
        net_of,
        pairs,
        remove_lora,
    )
    from napari_sesami.models.nano.model import NAME, Nano, save_nano
    from napari_sesami.models.nano.net import NanoNet
    from napari_sesami.models.sam.model import SamModel, build_tiny_sam
    from napari_sesami.models.segmenter.net import SegmenterNet, SegmenterPlan
    from napari_sesami.models.segmenter.segmenter import (
        SegmentedPlane,
        Segmenter,
        SegmenterCard,
        read_segmenter_card,
        segmenter_folder,
    )
    from napari_sesami.models.tokens.tunable import TunableEncoder, facts_of_encoder
    from napari_sesami.models.types import (
        Embedding,
        ModelError,
        PromptModel,
        TokenEncoder,
        weights_key,
    )

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules={"catalog"},
    submod_attrs={
        "adapters": [
            "AdapterCard",
            "describe",
            "read_card",
            "save_adapter",
            "use_adapter",
        ],
        "device": [
            "DeviceChoice",
            "PrecisionChoice",
            "choose_device",
            "choose_precision",
        ],
        "imagenet": ["FeatureEncoder", "install_imagenet", "load_feature_encoder"],
        "load": ["load_prompt_model", "load_token_encoder"],
        "lora": [
            "add_lora",
            "count_blocks",
            "free_decoder",
            "last_blocks",
            "net_of",
            "pairs",
            "remove_lora",
        ],
        "nano.model": ["NAME", "Nano", "save_nano"],
        "nano.net": ["NanoNet"],
        "sam.model": ["SamModel", "build_tiny_sam"],
        "segmenter.net": ["SegmenterNet", "SegmenterPlan"],
        "segmenter.segmenter": [
            "SegmentedPlane",
            "Segmenter",
            "SegmenterCard",
            "read_segmenter_card",
            "segmenter_folder",
        ],
        "tokens.tunable": ["TunableEncoder", "facts_of_encoder"],
        "types": [
            "Embedding",
            "ModelError",
            "PromptModel",
            "TokenEncoder",
            "weights_key",
        ],
    },
)
