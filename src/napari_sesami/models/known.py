"""Weights of others that can be downloaded: where from, under which licence.

A checksum is given where it is certain (several parties publish the same one); where it
is not, none is made up, and the catalog tells the address and fetches nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

META = "https://dl.fbaipublicfiles.com"


@dataclass(frozen=True)
class Known:
    """One downloadable file of weights."""

    name: str
    title: str
    kind: str
    url: str
    licence: str
    size: int | None = None
    sha256: str | None = None
    non_commercial: bool = False
    card: str = ""

    @property
    def file_name(self) -> str:
        """Name of the file at the end of the address."""
        return self.url.partition("?")[0].rsplit("/", 1)[-1]


_SA1B = (
    "Trained by Meta on SA-1B, eleven million photos with a thousand million masks; "
    "no micrographs among them. Paper: Kirillov et al., Segment Anything, 2023."
)
_EM = (
    "SAM fine-tuned by the authors of micro-sam (Archit et al., Segment Anything for "
    "Microscopy) on electron micrographs of cells; no semiconductor scans among them."
)
_DINO = (
    "Trained by Meta without labels on LVD-142M, 142 million photos. Paper: Oquab et "
    "al., DINOv2, 2023. Gives tokens, no masks."
)

KNOWN = (
    Known(
        "sam-vit-b",
        "SAM ViT-B",
        "prompt",
        f"{META}/segment_anything/sam_vit_b_01ec64.pth",
        "Apache-2.0",
        375_042_383,
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        card=_SA1B,
    ),
    Known(
        "sam-vit-l",
        "SAM ViT-L",
        "prompt",
        f"{META}/segment_anything/sam_vit_l_0b3195.pth",
        "Apache-2.0",
        1_249_524_607,
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        card=_SA1B,
    ),
    Known(
        "sam-vit-h",
        "SAM ViT-H",
        "prompt",
        f"{META}/segment_anything/sam_vit_h_4b8939.pth",
        "Apache-2.0",
        2_564_550_879,
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        card=_SA1B,
    ),
    Known(
        "micro-sam-vit-b-em",
        "micro-sam ViT-B for electron microscopy (first release)",
        "prompt",
        "https://zenodo.org/record/8250260/files/vit_b_em.pth?download=1",
        "not verified: see Zenodo record 8250260",
        None,
        "c04a714a4e14a110f0eec055a65f7409d54e6bf733164d2933a0ce556f7d6f81",
        card=_EM,
    ),
    Known(
        "dinov2-vit-s",
        "DINOv2 ViT-S/14",
        "tokens",
        f"{META}/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth",
        "Apache-2.0",
        88_283_115,
        "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
        card=_DINO,
    ),
    Known(
        "dinov2-vit-s-reg",
        "DINOv2 ViT-S/14 with registers",
        "tokens",
        f"{META}/dinov2/dinov2_vits14/dinov2_vits14_reg4_pretrain.pth",
        "Apache-2.0",
        None,
        "f433177089a681826f849f194ece3bb48f4d63fb38d32fc837e3dc7a4e5641fb",
        card=_DINO,
    ),
    Known(
        "dinov2-vit-b-reg",
        "DINOv2 ViT-B/14 with registers",
        "tokens",
        f"{META}/dinov2/dinov2_vitb14/dinov2_vitb14_reg4_pretrain.pth",
        "Apache-2.0",
        card=_DINO,
    ),
    Known(
        "mae-vit-b",
        "MAE ViT-B/16",
        "tokens",
        f"{META}/mae/pretrain/mae_pretrain_vit_base.pth",
        "CC-BY-NC-4.0",
        non_commercial=True,
        card=(
            "Trained by Meta on ImageNet-1k by masked reconstruction. Paper: He et "
            "al., Masked Autoencoders Are Scalable Vision Learners, 2021. Not for "
            "commercial use: compare with it, do not work with it in a fab."
        ),
    ),
)
