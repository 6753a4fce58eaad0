"""Units learned from unlabelled recordings: the whole story from frames to a model that embeds frames in context."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from align.datatypes import Floats
from align.errors import InputError, ParameterError
from align.sealed import opened, sealed, under
from align.tokens.units.corpus import Scale, Table, centroids_of, codes_of, fit_scale, scaled_table
from align.tokens.units.learning import Lesson, masked_accuracy, masked_learning, steady
from align.tokens.units.network import MaskedNetwork, UnitTransformer, unit_network
from align.tokens.units.plan import Alone, Notes, Processes, UnitPlan

__all__ = ["Units", "fit_units", "segment_embeddings", "units_from_bytes"]

FORMAT = "align-units/1"

Ints = npt.NDArray[np.int64]
Embedding = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """A trained network that embeds frames in their context, and the centroids that make tokens of them.

    ``scale`` of the columns; ``targets`` (k, .) centroids that the last round predicted, of frames in the first round
    and of hidden frames later; ``centroids`` (k, width) of this network's own hidden frames; ``lines`` one an epoch.
    """

    network: MaskedNetwork
    plan: UnitPlan
    scale: Scale
    targets: Floats
    centroids: Floats
    lines: tuple[Mapping[str, object], ...] = ()

    def embed(self, recording: npt.ArrayLike) -> Embedding:
        """(n, width) f4 embedding of every frame in its context, from the last layer; NaN rows in gaps.

        Args:
            recording: (n, d) numbers with the columns of training; a row of NaN is a gap.

        Raises:
            ParameterError: another number of columns.

        Memory and time grow with the recording and not with its square: longer ones are read in overlapping windows.
        """
        table = scaled_table(recording, self.scale)
        hidden = _hidden(self.network, [table], self.plan, None)[0]
        hidden[~table.seen] = np.nan
        return hidden

    def tokens(self, recording: npt.ArrayLike) -> Ints:
        """(n,) the unit of every frame: the nearest centroid of the middle layer's hidden frames; -1 in gaps.

        Args:
            recording: as for ``embed``.
        """
        table = scaled_table(recording, self.scale)
        hidden = _hidden(self.network, [table], self.plan, _middle(self.plan))[0]
        return np.where(table.seen, codes_of(hidden, self.centroids), -1)

    def accuracy(
        self, recordings: Sequence[npt.ArrayLike], earlier: Units | None = None
    ) -> tuple[float, float]:
        """How often masked frames' tokens are guessed on recordings, and what the commonest token would reach.

        Args:
            recordings: as for ``embed``: of training, or others.
            earlier: the units whose hidden frames were clustered for the last round; None where there was one round.

        Returns:
            ``(accuracy, unigram)`` in [0, 1].
        """
        tables = [scaled_table(r, self.scale) for r in recordings]
        seen_as = (
            _rows(tables)
            if earlier is None
            else _hidden(earlier.network, tables, self.plan, _middle(self.plan))
        )
        codes = [codes_of(rows, self.targets) for rows in seen_as]
        return masked_accuracy(self.network, Lesson("accuracy", 0, tables, codes, self.plan))

    def as_bytes(self) -> bytes:
        """The model as one safetensors file with a JSON header and a checksum; ``units_from_bytes`` reads it."""
        plan = dataclasses.asdict(self.plan)
        about: dict[str, Any] = {"format": FORMAT, "plan": plan, "lines": [dict(line) for line in self.lines]}
        arrays: dict[str, npt.NDArray[Any]] = {
            f"weight.{k}": v.detach().cpu().contiguous().numpy() for k, v in self.network.state_dict().items()
        }
        arrays |= {"shift": self.scale.shift, "scale": self.scale.scale}
        arrays |= {"targets": self.targets, "centroids": self.centroids}
        return sealed(about, {k: np.ascontiguousarray(v) for k, v in arrays.items()})


def fit_units(
    recordings: Sequence[npt.ArrayLike],
    plan: UnitPlan | None = None,
    *,
    device: torch.device | None = None,
    world: Processes | None = None,
    notes: Notes | None = None,
) -> list[Units]:
    """Learn units from unlabelled recordings: cluster the frames, predict masked clusters, cluster again, and so on.

    Round 1 clusters the frames (k-means) and trains a transformer to say the clusters of masked frames from their
    context. Round 2 clusters the hidden frames of its middle layer and trains a new transformer on those, and so on.

    Args:
        recordings: (n, d) numbers each on one frame grid, such as the blocks of ``features.frame_table`` side by
            side, or the features of segments, one row each; NaN where missing, a row of NaN is a gap.
        plan: settings; default ``PRESETS["cpu"]``.
        device: to train on; default the processor.
        world: the processes that train together (torchrun); default this one alone.
        notes: gets lines and checkpoints; with the checkpoints of an interrupted training in it that training goes
            on, and ends in the same units.

    Returns:
        The units of every round; the last are the ones to use, on the CPU.

    Raises:
        ParameterError: recordings of different widths, or nothing but gaps; see ``masked_learning``.
        InputError, ResourceError: as ``masked_learning``.

    Reference: Hsu et al. 2021, HuBERT: self-supervised speech representation learning by masked prediction of hidden
    units, IEEE/ACM TASLP 29, section II. Departures: frames are features, not a waveform; targets of one clustering,
    no ensemble; the same number of clusters in all rounds.
    """
    plan, device, world, notes = (
        plan or UnitPlan(),
        device or torch.device("cpu"),
        world or Alone(),
        notes or Notes(),
    )
    scale = fit_scale(recordings)
    tables = [scaled_table(r, scale) for r in recordings]
    if not any(t.seen.any() for t in tables):
        raise ParameterError("recordings", "nothing but gaps", "frames with numbers")
    clustered, found = _rows(tables), []
    for turn in range(plan.rounds):
        seen = [rows[table.seen] for rows, table in zip(clustered, tables, strict=True)]
        targets = centroids_of(seen, plan.n_codes, plan.seed)
        codes = [codes_of(rows, targets) for rows in clustered]
        with steady(torch.device("cpu"), plan):
            torch.manual_seed(plan.seed + turn)
            network = unit_network(tables[0].rows.shape[1], len(targets), plan)
        lesson = Lesson(f"units {turn + 1}", turn, tables, codes, plan)
        lines = masked_learning(network, lesson, device, world, notes)
        network = network.cpu()
        clustered = _hidden(network, tables, plan, _middle(plan))
        own = [rows[table.seen] for rows, table in zip(clustered, tables, strict=True)]
        centroids = centroids_of(own, plan.n_codes, plan.seed)
        found.append(Units(network, plan, scale, targets, centroids, tuple(lines)))
    return found


def units_from_bytes(data: bytes) -> Units:
    """Units as ``Units.as_bytes`` saved them.

    Args:
        data: the bytes.

    Raises:
        InputError: E-CHECKSUM, not the bytes that were saved; E-MODEL-VERSION, of another version;
            E-MODEL-NONFINITE, a weight that is not finite; E-MODEL-BROKEN, tensors that do not fit the settings.
    """
    about, arrays = opened(data, "the units' model", "copy it again, or learn the units anew")
    if about.get("format") != FORMAT:
        raise InputError(
            "E-MODEL-VERSION", f"the format is {about.get('format')!r}; this version reads {FORMAT!r}"
        )
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise InputError("E-MODEL-NONFINITE", f"tensor {name!r} has NaN or infinite numbers")
    try:
        plan = UnitPlan(**about["plan"])
        targets = np.asarray(arrays["targets"], np.float64)
        network = unit_network(arrays["shift"].size, len(targets), plan)
        network.load_state_dict({k: torch.from_numpy(v) for k, v in under("weight.", arrays).items()})
        scale, lines = Scale(arrays["shift"], arrays["scale"]), tuple(about["lines"])
        return Units(network.eval(), plan, scale, targets, arrays["centroids"], lines)
    except (KeyError, TypeError, RuntimeError, ParameterError) as error:
        raise InputError(
            "E-MODEL-BROKEN", "settings or tensors of the units are missing or do not fit"
        ) from error


def segment_embeddings(embedding: Embedding, first: int, hop: float, spans: Floats) -> Embedding:
    """(n_segments, width) mean embedding of the frames whose middle lies in each span; NaN where there is none.

    Args:
        embedding: (n, width) of ``Units.embed``.
        first: number of its first frame on the grid, as ``FrameTable.first``.
        hop: seconds per frame, > 0.
        spans: (n_segments, 2) seconds, half-open.
    """
    middles = (first + np.arange(len(embedding)) + 0.5) * hop
    out = np.full((len(spans), embedding.shape[1]), np.nan, np.float32)
    for i, (start, end) in enumerate(spans):
        rows = embedding[np.searchsorted(middles, start) : np.searchsorted(middles, end)]
        rows = rows[np.isfinite(rows).all(axis=1)]
        if len(rows):
            out[i] = rows.mean(axis=0, dtype=np.float64)
    return out


def _rows(tables: Sequence[Table]) -> list[Embedding]:
    return [t.rows for t in tables]


def _middle(plan: UnitPlan) -> int:
    """The layer whose hidden frames are clustered (HuBERT: 6 of 12)."""
    return max(1, plan.layers // 2)


@torch.inference_mode()
def _hidden(
    network: MaskedNetwork, tables: Sequence[Table], plan: UnitPlan, depth: int | None
) -> list[Embedding]:
    """Hidden frames of every table behind ``depth`` layers (None: all), window by window."""
    context = network.context
    assert isinstance(context, UnitTransformer)
    found = []
    with steady(torch.device("cpu"), plan):
        for table in tables:
            n, size, margin = len(table.rows), plan.window, plan.window // 4
            out = np.zeros((n, plan.width), np.float32)
            for start in range(0, max(1, n - 2 * margin), size - 2 * margin):
                low = max(0, min(start, n - size))
                frames = torch.from_numpy(table.rows[low : low + size])[None]
                seen = torch.from_numpy(table.seen[low : low + size])[None]
                hidden = context(network.enter(frames), seen, depth)[0].numpy()
                keep = 0 if start == 0 else start + margin - low
                out[low + keep : low + size] = hidden[keep:]
            found.append(out)
    return found
