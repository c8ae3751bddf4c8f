"""Recipe `semi`: weak-to-strong training with noise like the instrument's.

After §2.2 of "Semiconductor Image Analysis using Data-Efficient Machine Learning"
(equations 3 to 6), with what keeps rare classes alive; every part is an option.
"""

from __future__ import annotations

import time
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from napari_sesami.train.errors import TrainError
from napari_sesami.train.recipe import Recipe
from napari_sesami.train.semi.options import SemiConfig

if TYPE_CHECKING:
    import torch
    from torch import Generator, Tensor, nn

    from napari_sesami.models import Segmenter, SegmenterNet
    from napari_sesami.train.config import RunConfig
    from napari_sesami.train.semi.views import StrongView

SETS = ("sample", "machine", "post")
DOUBTFUL = 0.6
"""A candidate on which the teacher's mean confidence falls below is too hard."""


class Semi(Recipe):
    """Trains a segmenter on labelled pictures and a pool without labels."""

    name: ClassVar[str] = "semi"
    Config: ClassVar[type] = SemiConfig
    score: ClassVar[str] = "mIoU"

    def __init__(self, config: RunConfig, folder: Path) -> None:
        super().__init__(config, folder)
        self.options: SemiConfig = config.recipe_options
        self._metrics: dict[str, Any] = {}

    # ------------------------------------------------------------------- what there is

    def prepare(self, device: torch.device) -> nn.Module:
        """Read the pictures, build the net, and its teacher beside it."""
        import torch

        from napari_sesami.models import SegmenterNet, SegmenterPlan
        from napari_sesami.noise import instrument_of, strong_sets
        from napari_sesami.train.fitted import read_fitted
        from napari_sesami.train.semi.health import ClassHealth
        from napari_sesami.train.semi.losses import IGNORE
        from napari_sesami.train.semi.pool import read_pool
        from napari_sesami.train.semi.teachers import learns_nothing
        from napari_sesami.train.sesami.pictures import read_set

        o = self.options
        self.labelled = read_set(self.data)
        training = self.labelled.training
        if not training:
            raise TrainError("All labelled pictures are held out; label one more.")
        self.pool = read_pool(self.data)
        if o.unlabelled and not self.pool.pictures:
            raise TrainError(
                f"The preset “{o.preset}” learns from scans without labels too, and "
                "there are none: give unlabelled='folder', or take preset "
                "“supervised+noise”."
            )
        nothing = o.nothing == "learn" or (
            o.nothing == "auto" and learns_nothing(training)
        )
        present = {int(i) for p in training for i in np.unique(p.classes)}
        ids = sorted(present - {0, IGNORE}) + ([0] if nothing and 0 in present else [])
        self.ids = sorted(ids)
        if len(self.ids) < 2:
            raise TrainError(
                "A segmenter needs two classes at least: label a second one, or leave "
                "some of the picture without a label, which is “nothing”."
            )
        self.names = [
            "nothing" if i == 0 else self.labelled.classes.get(i, f"class {i}")
            for i in self.ids
        ]
        table = np.full(256, IGNORE, np.uint8)
        table[self.ids] = np.arange(len(self.ids))
        self.labels = [table[p.classes] for p in training]
        counts = np.zeros(len(self.ids))
        self.places: list[list[np.ndarray]] = []  # of each class, by picture
        for own in self.labels:
            counts += np.bincount(own[own != IGNORE], minlength=len(self.ids))
            self.places.append([np.flatnonzero(own == k) for k in range(len(self.ids))])
        power = float(o.class_power or 0)
        weights = (counts / counts.sum()).clip(1e-6) ** -power
        self.weights = (
            torch.tensor(weights / weights.mean(), dtype=torch.float32, device=device)
            if power
            else None
        )
        plan = SegmenterPlan(o.architecture, o.encoder, len(self.ids), 1, o.width)
        self.net: SegmenterNet = SegmenterNet(plan, o.pretrained).to(device)
        self.teacher: SegmenterNet | None = None
        if o.teacher:
            self.teacher = deepcopy(self.net).eval().requires_grad_(False)
        self.health = ClassHealth(len(self.ids))
        size = training[0].pixel_size if training[0].unit == "nm" else None
        fitted = read_fitted(self.data)
        known = instrument_of(o.modality) is not None
        modality = o.modality if known else "TEM"
        self.sets = strong_sets(modality, o.noise_strength, size, fitted)
        return self.net

    @property
    def n_examples(self) -> int:
        """One for each labelled picture; an epoch is short."""
        return len(self.labels)

    def optimiser(self, module: nn.Module) -> torch.optim.Optimizer:
        """AdamW; the encoder, which knows something already, moves more slowly."""
        import torch

        encoder = {
            id(p) for n, p in module.named_parameters() if ".encoder." in f".{n}"
        }
        groups: list[dict[str, Any]] = [
            {"params": [p for p in module.parameters() if id(p) in encoder],
             "lr": self.config.rate * self.options.encoder_rate},
            {"params": [p for p in module.parameters() if id(p) not in encoder]},
        ]  # fmt: skip
        groups = [g for g in groups if g["params"]]
        return torch.optim.AdamW(groups, lr=self.config.rate, weight_decay=1e-2)

    def example(self, index: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """A crop of a labelled picture, and one of any picture of the pool."""
        from napari_sesami.train.semi.views import crop

        o = self.options
        number = index % len(self.labels)
        near = None
        if rng.random() < (o.rare_crops or 0):
            # every class as likely as another; then any picture that shows it
            class_ = int(rng.integers(len(self.ids)))
            having = [i for i, p in enumerate(self.places) if len(p[class_])]
            if having:
                if not len(self.places[number][class_]):
                    number = having[int(rng.integers(len(having)))]
                at = int(rng.choice(self.places[number][class_]))
                near = divmod(at, self.labels[number].shape[1])
        picture = self.labelled.training[number]
        x, y = crop(picture.grey, self.labels[number], o.crop, o.zoom, rng, near)
        drawn = {"x": x, "y": y}
        if o.unlabelled:
            some = self.pool.pictures[int(rng.integers(len(self.pool.pictures)))]
            u, beyond = crop(some, None, o.crop, o.zoom, rng)
            drawn |= {"u": u, "valid": beyond == 0}
        return drawn

    # ------------------------------------------------------------------------ the loss

    @property
    def warm(self) -> bool:
        """Whether labels alone are learnt from, until every class is learnt."""
        import torch

        o, step = self.options, self.health.step
        share = float(o.warm_up or 0) * self.config.steps
        if not o.unlabelled or step >= 2 * share:
            return not o.unlabelled
        wanted = torch.tensor([any(len(p[k]) for p in self.places)
                               for k in range(len(self.ids))])  # fmt: skip
        return step < share or not self.health.learnt(wanted)

    @property
    def seeking_worst(self) -> bool:
        """Whether the set of the highest loss is taken, instead of any."""
        o = self.options
        if o.worst == "later":
            begin = (1 + float(o.warm_up or 0)) / 2
            return self.health.step >= begin * self.config.steps
        return o.worst == "always"

    def loss(self, batch: dict[str, Tensor], generator: Generator) -> dict[str, Tensor]:
        """L = ½ (L_s + L_u); during warm-up, and without a pool, L_s."""
        import torch

        from napari_sesami.train.semi.losses import (
            consistency,
            pseudo_labels,
            supervised_loss,
            thresholds,
            total_loss,
            unlabelled_loss,
        )
        from napari_sesami.train.semi.views import StrongView, cut_mix

        o = self.options
        dice = float(o.dice or 0)
        x, y = self._noisy(batch["x"], batch["y"], generator)
        told = dict.fromkeys(["supervised", "strong", "features"], float("nan"))
        shares = torch.full((len(self.ids),), torch.nan)
        chosen = dict.fromkeys(SETS, float("nan"))
        if self.warm:
            logits = self.net(x)
            loss = supervised_loss(logits, y, self.weights, dice)
            told["supervised"] = float(loss.detach())
            self.health.see_labelled(logits, y)
        else:
            u, valid = batch["u"], batch["valid"]
            weak = self._judged(u)
            labels, sure, p = pseudo_labels(weak)
            tau = thresholds(
                float(o.threshold or 0), self.health.sureness if o.per_class else None
            )
            limit = tau.to(sure)[labels] if isinstance(tau, torch.Tensor) else tau
            accepted = (sure >= limit) & valid
            left_out = self.health.left_out(int(o.patience or 0)).to(u.device)
            if bool(left_out.any()):  # where such a class may be, nobody knows
                accepted &= (p * left_out[None, :, None, None]).amax(1) < 0.05
            shares = self.health.see_weak(labels[valid], sure[valid], accepted[valid])
            start = StrongView(u, labels, accepted, valid)
            views = [
                cut_mix(
                    self._strong(start, generator, chosen),
                    float(o.cutmix or 0), generator,
                )
                for _ in range(int(o.views or 1))
            ]  # fmt: skip
            # one forward, so that batch statistics are those of all kinds of views
            n, m = len(x), len(u)
            images = [x, *(v.images for v in views)]
            perturbed = None
            if o.perturb:
                perturbed = torch.arange(m, device=u.device) + n + m * len(views)
                images.append(u)
            logits = self.net(torch.cat(images), perturbed)
            supervised = supervised_loss(logits[:n], y, self.weights, dice)
            strong = [
                consistency(
                    logits[n + i * m : n + (i + 1) * m],
                    v.labels, v.accepted, v.valid, left_out, dice,
                )
                for i, v in enumerate(views)
            ]  # fmt: skip
            features = None
            if o.perturb:
                features = consistency(
                    logits[-m:], labels, accepted, valid, left_out, dice
                )
            unlabelled = unlabelled_loss(strong, features, float(o.balance or 0))
            weight = float(o.unlabelled_weight or 0)
            loss = total_loss(supervised, unlabelled, weight)
            told["supervised"] = float(supervised.detach())
            told["strong"] = float(torch.stack(strong).mean().detach())
            if features is not None:
                told["features"] = float(features.detach())
            self.health.see_labelled(logits[:n], y)
        told |= {f"set {k}": v for k, v in chosen.items()}
        told |= {
            f"accepted {name}": float(v)
            for name, v in zip(self.names, shares, strict=True)
        }
        on = loss.device
        return {
            "loss": loss,
            **{k: torch.tensor(v, device=on) for k, v in told.items()},
        }

    def _noisy(
        self, x: Tensor, y: Tensor, generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """Let a share of the labelled batch meet noise of all sets; labels follow."""
        import torch

        from napari_sesami.train.semi.losses import IGNORE

        share = float(self.options.noisy or 0)
        if not share:
            return x, y
        drawn = torch.rand(len(x), 1 + len(SETS), generator=generator)
        on = (drawn[:, 0] < share).nonzero()[:, 0]
        x, y = x.clone(), y.clone()
        for i, noise in enumerate(self.sets):
            # one set surely, the others by chance
            some = on[(drawn[on, 1 + i] < 0.6) | (drawn[on, 1:].argmin(1) == i)]
            if not len(some):
                continue
            some = some.to(x.device)
            made = noise(x[some], y[some], None, generator)
            x[some] = made.images
            assert made.labels is not None
            y[some] = torch.where(made.accepted, made.labels, IGNORE)
        return x, y

    def _judged(self, images: Tensor) -> Tensor:
        """Logits of the teacher, or of the net itself, without a trace."""
        import torch

        net = self.net if self.teacher is None else self.teacher
        training = net.training
        net.eval()
        with torch.no_grad():
            logits = net(images)
        net.train(training)
        return logits

    def _strong(
        self, view: StrongView, generator: Generator, chosen: dict[str, float]
    ) -> StrongView:
        """Perturb a batch strongly: by jitter, or by a noise set for each image."""
        import torch

        from napari_sesami.train.semi.losses import borders, per_image
        from napari_sesami.train.semi.views import StrongView, jitter

        o = self.options
        if o.strong == "none":
            return view
        if o.strong == "jitter":
            return view._replace(images=jitter(view.images, generator))
        m = len(view.images)
        seeking = self.seeking_worst
        which = torch.randint(len(SETS), (m,), generator=generator)
        images, labels = view.images.clone(), view.labels.clone()
        accepted, valid = view.accepted.clone(), view.valid.clone()
        every: list[StrongView] = []
        for i, noise in enumerate(self.sets):
            some = torch.arange(m) if seeking else (which == i).nonzero()[:, 0]
            if not len(some):
                continue
            some = some.to(images.device)
            # the set moves labels and one mask; the second mask travels with them
            both = view.labels[some] * 2 + view.accepted[some]
            made = noise(view.images[some], both, view.valid[some], generator)
            assert made.labels is not None
            found = StrongView(
                made.images, made.labels // 2,
                (made.labels % 2).bool() & made.accepted, made.accepted,
            )  # fmt: skip
            if seeking:
                every.append(found)
                continue
            images[some], labels[some] = found.images, found.labels
            accepted[some], valid[some] = found.accepted, found.valid
        if seeking:
            scores = []
            for found in every:
                logits = self._judged(found.images)
                inner = found.accepted & ~borders(found.labels)
                score = per_image(logits, found.labels, inner, found.valid)
                sure = logits.softmax(1).amax(1).flatten(1).mean(1)
                if o.patience:  # a view that nobody could tell teaches nothing
                    score = torch.where(sure < DOUBTFUL, score - 1e6, score)
                scores.append(score)
            which = torch.stack(scores).argmax(0).cpu()
            at = torch.arange(m)
            images, labels, accepted, valid = (
                torch.stack(parts)[which, at] for parts in zip(*every, strict=True)
            )
        for i, name in enumerate(SETS):
            chosen[name] = float((which == i).float().mean())
        return StrongView(images, labels, accepted, valid)

    # ------------------------------------------------------------------- between steps

    def after_step(self, step: int) -> None:
        """Let the teacher follow, and what was seen count."""
        import torch

        if self.teacher is not None:
            t = self.health.step
            keep = min(float(self.options.teacher or 0), (1 + t) / (10 + t))
            with torch.no_grad():
                for mine, its in zip(
                    self.teacher.parameters(), self.net.parameters(), strict=True
                ):
                    mine.lerp_(its, 1 - keep)
                for kept, now in zip(
                    self.teacher.buffers(), self.net.buffers(), strict=True
                ):
                    kept.copy_(now)
        self.health.take_step()

    def state(self) -> dict[str, Any]:
        """The teacher, and how each class fares."""
        teacher = None if self.teacher is None else self.teacher.state_dict()
        return {"teacher": teacher, "health": self.health.state()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        if self.teacher is not None:
            self.teacher.load_state_dict(state["teacher"])
        self.health.load(state["health"])

    # ------------------------------------------------------------------------- results

    def segmenter(self, net: SegmenterNet | None = None) -> Segmenter:
        """The net as it is now, with its card."""
        from napari_sesami.models import Segmenter, SegmenterCard
        from napari_sesami.train.semi.teachers import common_size

        size, unit = common_size(self.labelled.training)
        card = SegmenterCard(
            dict(zip(self.ids, self.names, strict=True)), size, unit,
            self.options.modality, self.config.name or "segmenter",
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), self._metrics,
            (*self.labelled.notes, *self.pool.notes),
        )  # fmt: skip
        used = self.net if net is None else net
        return Segmenter(used, card, str(next(used.parameters()).device))

    def evaluate(self) -> dict[str, Any]:
        """IoU of every class on the pictures that were held out."""
        from napari_sesami.train.semi.gate import measure_segmenter

        held = self.labelled.held_out
        if not held:
            return {}
        found = measure_segmenter(self.segmenter(), held)
        self._metrics = {k: v for k, v in found.items() if k != "pictures"}
        return self._metrics

    def pictures(self, folder: Path) -> list[Path]:
        """Held-out pictures: by hand, and as the net labels them now."""
        from napari_sesami.train.semi.gate import draw_labels

        segmenter, made = self.segmenter(), []
        for i, picture in enumerate(
            (self.labelled.held_out or self.labelled.training)[:3]
        ):
            path = folder / f"picture-{i}.png"
            answer = segmenter.labels((picture.grey / 65535).astype(np.float32))
            draw_labels(path, picture, (answer,))
            made.append(path)
        return made

    def finish(self, folder: Path) -> dict[str, Any]:
        """Write the net or its teacher, whichever is better, and judge it."""
        from napari_sesami.models import Segmenter
        from napari_sesami.train.semi.gate import judge_segmenter, measure_segmenter

        held = self.labelled.held_out
        best, kept = self.segmenter(), "net"
        if self.teacher is not None and held:
            other = self.segmenter(self.teacher)
            first = measure_segmenter(best, held)
            second = measure_segmenter(other, held)
            if second["mIoU"] > first["mIoU"]:
                best, kept, first = other, "teacher", second
            self._metrics = {k: v for k, v in first.items() if k != "pictures"}
        best = self.segmenter(best.net)
        path = best.save(folder)
        rival = Path(self.options.rival) if self.options.rival else None
        verdict = judge_segmenter(
            Segmenter.load(folder, str(best.device)), self.labelled, self.folder,
            rival=rival, nothing=0 in self.ids,
        )  # fmt: skip
        return {
            "adapter": path.name,
            "parameters": sum(p.numel() for p in best.net.parameters()),
            "weights": kept,
            "wins": verdict.wins,
            "verdict": verdict.sentence,
            "notes": [*self.labelled.notes, *self.pool.notes],
        }
