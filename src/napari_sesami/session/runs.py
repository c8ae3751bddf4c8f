"""Training from a session: what is labelled becomes a run, a run becomes an adapter."""

from __future__ import annotations

import shutil
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.box import box_of, slices
from napari_sesami.project import ProjectError
from napari_sesami.session.adapters import is_file_name
from napari_sesami.session.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableSequence

    from napari_sesami.project import ScanLabels
    from napari_sesami.scan import Scan
    from napari_sesami.session.adapters import Adapters
    from napari_sesami.session.document import Document
    from napari_sesami.session.noise import ScanNoise
    from napari_sesami.session.segmenters import Segmenters
    from napari_sesami.train import (
        Estimate,
        LabelledSet,
        Picture,
        Run,
        RunConfig,
        Runs,
        Verdict,
    )

RATES = {"sesami-nano": 1e-2}
RATE = 5e-4  # of other models
ADAPTER = "adapter.safetensors"
SEMI = "semi"
SEMI_RATE = 1e-3
MOST_PLANES = 48  # of one scan that are learnt from: neighbours look alike


class SessionRuns:
    """Starts runs, judges what they learnt, and puts it to use.

    Parameters
    ----------
    document
        What is labelled, and the project that keeps the runs.
    adapters, segmenters
        Where what a run learnt is put to use.
    noise
        Fitted noise that runs draw with, where there is any.
    """

    def __init__(
        self,
        document: Document,
        adapters: Adapters,
        segmenters: Segmenters,
        noise: ScanNoise,
    ) -> None:
        self._document, self._adapters, self._noise = document, adapters, noise
        self._segmenters = segmenters
        self._folder: Runs | None = None

    # --- the folder of runs

    @property
    def folder(self) -> Runs:
        """The runs of the project; without one, those in the user's own folder."""
        from napari_sesami.common.home import home
        from napari_sesami.train import Runs

        project = self._document.project
        root = (home() if project is None else project.path) / "runs"
        if self._folder is None or self._folder.root != root:
            self._folder = Runs(root)
        return self._folder

    @property
    def root(self) -> Path:
        """The folder that has the run folders."""
        return self.folder.root

    @property
    def unreadable(self) -> dict[Path, str]:
        """Run folders that `list` could not open, with the sentence that says why."""
        return self.folder.unreadable

    def list(self) -> list[Run]:
        """All runs, the newest first; those at work elsewhere are followed."""
        return self.folder.list()

    def forget(self, run: Run) -> None:
        """Delete a run that is over, with its folder."""
        self.folder.forget(run)

    # --- training

    def start(
        self, recipe: str | RunConfig = "sesami", *, steps: int = 200, **options: Any
    ) -> Run:
        """Start a run in a process of its own, on everything that is labelled.

        Labels of the other scans of the project count too. A part is held out, to
        measure before and after with.

        Parameters
        ----------
        recipe
            A kind of training; `"sesami"` adapts the prompt model, `"semi"` trains a
            segmenter. A whole `RunConfig` is started as it is, without labels.
        steps
            How many updates.
        **options
            Of `RunConfig` (`batch`, `rate`, `device`, `name` …) or of the recipe
            (`rank`, `blocks`, `decoder`, `model` …), and `common_scale=True` to
            resample scans of different pixel sizes to one. Of `"semi"`:
            `unlabelled`, a folder of scans without labels (or files, or scans), and
            `preset`.

        Returns
        -------
        Run
            With `wait()`, `cancel()`, `metrics`, `folder`; it goes on in the
            background.

        Examples
        --------
        >>> run = s.train("sesami", steps=200)  # doctest: +SKIP
        >>> run.wait(), s.runs.judge(run).sentence  # doctest: +SKIP
        >>> s.runs.adopt(run)  # doctest: +SKIP
        """
        if not isinstance(recipe, str):
            return self.folder.start(recipe)
        config, data = self._prepared(recipe, steps, options)
        return self.folder.start(config, data)

    def estimate(
        self, recipe: str = "sesami", *, steps: int = 200, **options: Any
    ) -> Estimate:
        """Try a step as `start` would take it: its time and memory."""
        from napari_sesami.train import estimate

        return estimate(*self._prepared(recipe, steps, options))

    def config(
        self, recipe: str = "sesami", *, steps: int = 200, **options: Any
    ) -> RunConfig:
        """What `start` would write into `run.toml`."""
        from napari_sesami.train import RunConfig, TrainError, recipe_class

        kind = recipe_class(recipe).Config
        own = {f.name for f in fields(kind)}
        common = {f.name for f in fields(RunConfig)} - {"recipe_options"}
        for key in options.keys() - own - common:
            near = get_close_matches(key, sorted(own | common), 1, 0.4)
            hint = f"; did you mean “{near[0]}”?" if near else "."
            raise TrainError(f"The recipe {recipe} has no option “{key}”{hint}")
        theirs = {k: v for k, v in options.items() if k in own}
        mine = {k: v for k, v in options.items() if k in common}
        if recipe == SEMI:
            theirs.setdefault("modality", self._document.scan.modality or "")
            theirs.setdefault("rival", str(self._segmenters.active or ""))
            mine.setdefault("rate", SEMI_RATE)
        if recipe == "sesami":
            theirs.setdefault("model", self._trainable_model())
            theirs.setdefault("rival", str(self._adapters.active or ""))
            mine.setdefault("rate", RATES.get(self._adapters.model_name, RATE))
        mine = {k: v for k, v in mine.items() if v is not None}
        return RunConfig(recipe, steps=steps, recipe_options=kind(**theirs), **mine)

    def training_set(self, *, common_scale: bool = False) -> LabelledSet:
        """What a run would learn from: labels of this scan and of those beside it.

        Raises
        ------
        TrainError
            Too little is labelled; the sentence says what is missing.
        """
        from napari_sesami.train import assemble

        pictures, notes, specks, _ = self._labelled_pictures()
        classes_ = {entry.id: entry.name for entry in self._document.classes}
        return assemble(
            pictures, classes_, common_scale=common_scale, specks=specks, notes=notes
        )

    def teachers(self) -> LabelledSet:
        """What a segmenter would learn from: labelled scans, a part of them held out.

        Raises
        ------
        TrainError
            Too little is labelled; the sentence says what is missing.
        """
        return self._teachers()[0]

    def _teachers(self) -> tuple[LabelledSet, set[tuple[str, int]]]:
        """Labelled pictures, and the content hash and plane of those that judge."""
        from napari_sesami.train import IGNORE, assemble_teachers

        given, notes, _, scans = self._labelled_pictures()
        pictures = []
        for picture in given:
            box = box_of(picture.classes)
            if box is None:
                continue
            # the surroundings of what is labelled are not known to be nothing
            own = np.full_like(picture.classes, IGNORE)
            own[slices(box)] = picture.classes[slices(box)]
            pictures.append(replace(picture, classes=own))
        names = {entry.id: entry.name for entry in self._document.classes}
        found = assemble_teachers(pictures, names, notes)
        judged = {(scans[p.scan].content_hash, p.plane) for p in found.held_out}
        return found, judged

    def _labelled_pictures(
        self,
    ) -> tuple[MutableSequence[Picture], MutableSequence[str], int, dict[str, Scan]]:
        """Pictures of what is labelled, notes, planes of specks, and scans by name."""
        from napari_sesami.train import cut_picture

        pictures: list[Picture] = []
        notes: list[str] = []
        scans: dict[str, Scan] = {}
        specks = 0
        for name, scan, work in self._labelled_scans(notes):
            wanted = _some_planes(work.layers["labels"].planes)
            if len(wanted) < len(work.layers["labels"].planes):
                notes.append(
                    f"{name} has many labelled planes; {len(wanted)} of them, evenly "
                    "spread, are learnt from."
                )
            scans[name] = scan
            for plane, classes, objects in _labelled_planes(work, wanted):
                made = cut_picture(scan, plane, classes, objects, name=name)
                specks += made is None
                pictures += [made] if made is not None else []
        return pictures, notes, specks, scans

    def collect(
        self, config: RunConfig, unlabelled: Any = None, *, common_scale: bool = False
    ) -> Callable[[Path], None]:
        """Collect what a run learns from; what it gives writes that into a folder.

        Parameters
        ----------
        config
            Of the run.
        unlabelled
            A folder, files or scans, for the recipe `semi`; not needed by its presets
            that learn from labels.
        common_scale
            Bring labelled scans of other pixel sizes to one.
        """
        from napari_sesami.train import (
            TrainError,
            collect_pool,
            common_size,
            write_fitted,
            write_pool,
            write_set,
        )

        fitted, pool, options = self._noise.fitted, None, config.recipe_options
        if config.recipe != SEMI:
            labelled = self.training_set(common_scale=common_scale)
        else:
            labelled, judged = self._teachers()
            if options.unlabelled and unlabelled is None:
                raise TrainError(
                    f"The preset “{options.preset}” learns from scans without labels "
                    "too: give unlabelled='folder', or take preset “supervised+noise”."
                )
            if options.unlabelled:
                size, unit = common_size(labelled.pictures)
                pool = collect_pool(
                    unlabelled, pixel_size=size, unit=unit, modality=options.modality,
                    held=judged,
                )  # fmt: skip

        def write(folder: Path) -> None:
            write_set(folder, labelled)
            if pool is not None:
                write_pool(folder, pool)
            if fitted is not None:
                write_fitted(folder, fitted)

        return write

    # --- what a run gave

    def judge(self, run: Run) -> Verdict:
        """Compare what a run learnt with what is in use now, on held-out objects.

        The run has done it already, unless another adapter came into use meanwhile.
        """
        from napari_sesami.train import Verdict

        found = Verdict.read(run.folder)
        if _is_segmenter(run):
            return self._segmenter_verdict(run, found)
        adapter = self._result(run)
        options = run.config.recipe_options
        rival = self._adapters.active
        same = self.uses(run) or str(rival or "") == getattr(options, "rival", None)
        if found is not None and same:
            return found
        return _judge(run, adapter, None if self.uses(run) else rival)

    def adopt(self, run: Run, insist: bool = False) -> None:
        """Use what a run learnt, if it is better, or if you insist.

        The adapter is copied to the project, so that the run can be forgotten;
        `roll_back` goes back to what was in use.
        """
        if not insist:
            verdict = self.judge(run)
            if not verdict.wins:
                raise SessionError(
                    f"{verdict.sentence} To use it all the same: "
                    "adopt(run, insist=True)."
                )
        if _is_segmenter(run):
            kept = self._segmenters.keep(run.folder, run.folder.name)
            self._segmenters.use(kept)
            return
        self._adapters.use(self._kept(run))

    def roll_back(self, run: Run | None = None) -> None:
        """Go back to what was in use before; `run` says of which kind."""
        if run is not None and _is_segmenter(run):
            self._segmenters.roll_back()
        else:
            self._adapters.roll_back()

    def can_roll_back(self, run: Run | None = None) -> bool:
        """Whether there is something to go back to."""
        if run is not None and _is_segmenter(run):
            return self._segmenters.can_roll_back
        return self._adapters.can_roll_back

    def uses(self, run: Run) -> bool:
        """Whether prompts, or scans, are answered with what this run learnt."""
        if _is_segmenter(run):
            used = self._segmenters.active
            return used is not None and used.name == run.folder.name
        active = self._adapters.active
        return active is not None and active.name == _name(run)

    def _kept(self, run: Run) -> Path:
        """Copy the adapter of a run to where adapters are kept."""
        source, target = self._result(run), self._adapters.folder() / _name(run)
        part = target.with_suffix(".part")
        try:
            shutil.copyfile(source, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target

    def _result(self, run: Run) -> Path:
        path = run.folder / "adapter" / ADAPTER
        if not path.is_file():
            raise SessionError(
                f"The run {run.folder.name} has written no adapter (it is "
                f"{run.status.state}); let it finish, or resume it."
            )
        return path

    # --- inside

    def _prepared(
        self, recipe: str, steps: int, options: dict[str, Any]
    ) -> tuple[RunConfig, Callable[[Path], None]]:
        """Give the config of a run, and what writes the labels it learns from."""
        scale = bool(options.pop("common_scale", False))
        unlabelled = options.pop("unlabelled", None) if recipe == SEMI else None
        config = self.config(recipe, steps=steps, **options)
        return config, self.collect(config, unlabelled, common_scale=scale)

    def _segmenter_verdict(self, run: Run, found: Verdict | None) -> Verdict:
        """What the run found; anew if another segmenter came into use meanwhile."""
        from napari_sesami.models import Segmenter
        from napari_sesami.train import judge_segmenter, read_set

        rival = None if self.uses(run) else self._segmenters.active
        options = run.config.recipe_options
        if found is not None and (self.uses(run) or str(rival or "") == options.rival):
            return found
        segmenter = Segmenter.load(run.folder)
        labelled = read_set(run.folder / "data")
        nothing = 0 in segmenter.card.classes
        return judge_segmenter(
            segmenter, labelled, run.folder, rival=rival, nothing=nothing
        )

    def _trainable_model(self) -> str:
        """Name or file of the prompt model, as a worker can load it."""
        model = self._adapters.base
        if isinstance(model, str | Path) and is_file_name(model):
            return str(Path(model).expanduser().absolute())
        if model is None or isinstance(model, str | Path):
            return self._adapters.model_name
        from napari_sesami.models import ModelError, catalog

        try:
            return catalog.find(model.name).name
        except ModelError as error:
            raise SessionError(
                f"The model {model.name} was handed over as an object, and a run "
                "cannot load it by that name; import it into the catalog, or say "
                "model='file of weights'."
            ) from error

    def _labelled_scans(
        self, notes: MutableSequence[str]
    ) -> Iterator[tuple[str, Scan, ScanLabels]]:
        """Give this scan and the others of the project, with their labels."""
        document, project = self._document, self._document.project
        yield document.scan.name, document.scan, document.work
        if project is None:
            return
        for entry in project.scans:
            if entry.key == document.entry.key:
                continue
            work = project.labels_of(entry.key)
            if not work.layers["labels"].planes:
                continue
            try:
                scan = project.open_scan(entry.key)
            except (ProjectError, ValueError) as error:
                notes.append(f"{entry.name} was left out: {error}")
                continue
            yield entry.key, scan, work


def _is_segmenter(run: Run) -> bool:
    """Whether a run trains a segmenter, and not an adapter of the prompt model."""
    from napari_sesami.train import SemiConfig

    config = getattr(run, "config", None)
    return isinstance(getattr(config, "recipe_options", None), SemiConfig)


def _some_planes(planes: list[int]) -> list[int]:
    """All planes, or some that are spread evenly where there are many."""
    if len(planes) <= MOST_PLANES:
        return planes
    at = np.linspace(0, len(planes) - 1, MOST_PLANES).round().astype(int)
    return [planes[i] for i in at]


def _labelled_planes(
    work: ScanLabels, planes: list[int]
) -> Iterator[tuple[int, Any, Any]]:
    """Planes with labels: number, class ids, and objects that are known one by one."""
    single = [i for i, told in work.objects.items() if told.get("instance", True)]
    for plane in planes:
        with work.lock:  # somebody may be editing just now
            classes = np.array(work.layers["labels"].read(plane))
            objects = np.array(work.layers["objects"].read(plane))
        if classes.any():
            yield plane, classes, np.where(np.isin(objects, single), objects, 0)


def _name(run: Run) -> str:
    return f"{run.folder.name}.safetensors"


def _judge(run: Run, adapter: Path, rival: Path | None) -> Verdict:
    from napari_sesami.models import load_prompt_model
    from napari_sesami.train import judge, read_set

    o = run.config.recipe_options
    model = load_prompt_model(o.model, "auto", image_size=o.image_size or None)
    labelled = read_set(run.folder / "data")
    return judge(
        model, adapter, labelled, run.folder, rival=rival,
        count=o.measured, most=o.gate_clicks, seed=run.config.seed,
    )  # fmt: skip
