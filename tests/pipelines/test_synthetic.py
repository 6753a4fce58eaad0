"""sample_data: the same bytes again, truth that fits the notes, and signals that look like what they are."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import re
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import soundfile

from align.errors import ParameterError, UnsafeError
from pipelines import synthetic
from pipelines.synthesis.folder import session_files
from pipelines.synthesis.plan import KINDS, Plan, make_plan, phase_of
from pipelines.synthesis.wording import NOTHING, PHRASES, remarks

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "sample_data"
SHORT = [f"p{number}" for number in range(1, 7)]
PACKED = (".flac", ".parquet")  # their bytes depend on the version of the library that packs them

Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "sample_data"
    folders = synthetic.make_sessions(out)
    assert [folder.name for folder in folders] == [*SHORT, "day_p7"]
    return out


def files(folder: Path) -> dict[str, Path]:
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


def plans() -> list[Plan]:
    return [make_plan(synthetic.SEED, number) for number in range(1, 7)]


def wrist(name: str) -> Floats:
    csv = SAMPLES / name / "wrist.csv"
    frame = pl.read_csv(csv) if csv.exists() else pl.read_parquet(csv.with_suffix(".parquet"))
    return frame.to_numpy().astype(np.float64)


def heart(name: str) -> Floats:
    return pl.read_csv(SAMPLES / name / "heart.csv").to_numpy().astype(np.float64)


@functools.cache
def sound(name: str) -> Floats:
    return soundfile.read(SAMPLES / name / "microphone.flac")[0]


def within(rows: Floats, start: float, end: float) -> Floats:
    return rows[(rows[:, 0] >= start) & (rows[:, 0] < end), 1:]


def events(kind: str) -> list[tuple[str, float, float]]:
    """(session, start, end) of each event of a kind, noted or not."""
    return [(plan.person.name, e.start, e.end) for plan in plans() for e in plan.events if e.kind == kind]


def is_pinned(package: str) -> bool:
    return (
        f"{package}=={importlib.metadata.version(package)}" in (ROOT / "constraints.txt").read_text().split()
    )


# --- the files -------------------------------------------------------------------------------------------


def test_regenerating_gives_the_committed_bytes(made: Path) -> None:
    again, committed = files(made), files(SAMPLES)
    assert list(again) == list(committed)
    pinned = all(is_pinned(package) for package in ("numpy", "polars", "soundfile"))
    compared = [name for name in again if pinned or not name.endswith(PACKED)]
    assert {name: hashlib.sha256(again[name].read_bytes()).hexdigest() for name in compared} == {
        name: hashlib.sha256(committed[name].read_bytes()).hexdigest() for name in compared
    }


def test_packed_files_hold_the_same_samples_whatever_packed_them(made: Path) -> None:
    packed = [name for name in files(made) if name.endswith(PACKED)]
    assert {Path(name).suffix for name in packed} == set(PACKED)
    for name in packed:
        if name.endswith(".flac"):
            new, old = (soundfile.read(folder / name, dtype="int16") for folder in (made, SAMPLES))
            assert new[1] == old[1] == 16_000
            np.testing.assert_array_equal(new[0], old[0])
        else:
            assert pl.read_parquet(made / name).equals(pl.read_parquet(SAMPLES / name))


def test_sample_data_is_small_and_says_what_it_is() -> None:
    assert sum(path.stat().st_size for path in files(SAMPLES).values()) < 10_000_000
    card = (SAMPLES / "README.md").read_text()
    assert "Apache-2.0" in card
    for plan in plans():
        silent = [event for event in plan.events if not event.noted]
        assert len(silent) == 1
        assert f"{silent[0].kind} {silent[0].start:.2f} to {silent[0].end:.2f}" in card


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One person and a day, made by the command."""
    out = tmp_path_factory.mktemp("alone")
    assert synthetic.main([str(out), "--people", "1"]) == 0
    return out


def test_more_people_leave_the_first_ones_as_they_are(alone: Path) -> None:
    for name, path in files(alone / "p1").items():
        if not name.endswith(PACKED):
            assert path.read_bytes() == (SAMPLES / "p1" / name).read_bytes()
    assert (alone / "day_p2" / "notes.md").exists()


def test_another_seed_gives_another_day() -> None:
    plan = make_plan(7, 1)
    other = session_files(7, plan, remarks(7, plan))
    assert set(other) == {path.name for path in (SAMPLES / "p1").iterdir()}
    assert all(data != (SAMPLES / "p1" / name).read_bytes() for name, data in other.items())


def test_refuses_to_overwrite_without_force(alone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnsafeError, match="E-EXISTS"):
        synthetic.make_sessions(alone, n_people=1)
    assert synthetic.main([str(alone), "--people", "1"]) == 7
    assert "E-EXISTS" in capsys.readouterr().err
    (alone / "p1" / "truth.csv").write_text("spoiled")
    assert synthetic.main([str(alone), "--people", "1", "--force"]) == 0
    assert capsys.readouterr().out.split() == [str(alone / "p1"), str(alone / "day_p2")]
    assert (alone / "p1" / "truth.csv").read_bytes() == (SAMPLES / "p1" / "truth.csv").read_bytes()


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"n_people": 0}])
def test_parameters_out_of_range(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        synthetic.make_sessions(tmp_path / "out", **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


# --- notes and truth -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*SHORT, "day_p7"])
def test_truth_has_one_row_per_note_in_order_and_inside_the_recording(name: str) -> None:
    folder = SAMPLES / name
    truth = pl.read_csv(folder / "truth.csv")
    texts = truth["text"].to_list()
    assert (folder / "notes_untimed.txt").read_text().splitlines() == texts
    if name in SHORT:
        assert pl.read_csv(folder / "notes.csv")["text"].to_list() == texts
        ends_at = len(sound(name)) / 16_000
    else:
        lines = (folder / "notes.md").read_text().splitlines()
        assert len(lines) == len(texts)
        assert all(line.endswith(text) for line, text in zip(lines, texts, strict=True))
        ends_at = 36_000.0
    assert 8 <= len(texts) == len(set(texts)) <= 12
    happened = truth.filter(pl.col("label") != NOTHING)
    assert len(truth) - len(happened) == 1
    assert truth.filter(pl.col("label") == NOTHING).select("start", "end").null_count().row(0) == (1, 1)
    starts, ends = happened["start"].to_numpy(), happened["end"].to_numpy()
    assert (starts < ends).all()
    assert (starts[1:] > ends[:-1]).all()
    assert starts[0] >= 0
    assert ends[-1] <= ends_at


def test_notes_are_vague_about_time_but_not_wrong() -> None:
    styles: Counter[str] = Counter()
    for name in SHORT:
        notes = pl.read_csv(SAMPLES / name / "notes.csv", schema={"time": pl.String, "text": pl.String})
        truth = pl.read_csv(SAMPLES / name / "truth.csv")
        for written, start, end in zip(notes["time"], truth["start"], truth["end"], strict=True):
            if not written:
                styles["untimed"] += 1
                continue
            about = re.fullmatch(r"around (\d+):(\d\d)", written)
            styles["around" if about else "seconds"] += 1
            seconds = int(about[1]) * 60 + int(about[2]) if about else int(written)
            if start is not None:
                assert start - 6 < seconds < end + 6
    assert min(styles["untimed"], styles["around"], styles["seconds"]) >= 5


def test_an_event_without_a_note_is_not_in_the_truth() -> None:
    for plan in plans():
        truth = pl.read_csv(SAMPLES / plan.person.name / "truth.csv")
        noted = [(e.kind, e.start, e.end) for e in plan.events if e.noted]
        assert truth.filter(pl.col("label") != NOTHING).select("label", "start", "end").rows() == noted


def test_six_sessions_are_balanced_and_worded_partly_alike() -> None:
    noted = Counter(e.kind for plan in plans() for e in plan.events if e.noted)
    assert set(noted) == set(KINDS) == set(PHRASES)
    assert min(noted.values()) >= 4
    wordings = {name: set(pl.read_csv(SAMPLES / name / "truth.csv")["text"]) for name in SHORT}
    for name in SHORT:
        others = set().union(*(wordings[other] for other in SHORT if other != name))
        assert wordings[name] & others, "some wordings are known from other people"
        assert len(wordings[name] - others) >= 3, "and some are not"


# --- signals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHORT)
def test_streams_have_their_rates_gaps_and_units(name: str) -> None:
    number = int(name[1:])
    moved, beating = wrist(name), heart(name)
    steps = np.diff(moved[:, 0])
    assert (steps > 0).all()
    assert abs(np.median(steps) - 0.02) < 1e-3
    assert (steps > 0.5).sum() == (1 if number % 3 == 0 else 0)
    assert (steps.std() > 1e-3 and set(np.round(steps, 3)) > {0.02}) == (number % 4 == 0 or number % 3 == 0)
    dropouts = np.diff(beating[:, 0])
    assert set(np.unique(dropouts)) > {1.0}
    assert dropouts.max() <= 10
    assert ((beating[:, 1] > 40) & (beating[:, 1] < 190)).all()
    path = SAMPLES / name / ("wrist.csv" if number % 2 else "wrist.parquet")
    columns = (pl.read_csv(path) if number % 2 else pl.read_parquet(path)).columns
    assert columns[0] == "time"
    assert all(re.fullmatch(r"(acc|gyro)_[xyz] \[(m/s2|deg/s)\]", column) for column in columns[1:])


@pytest.mark.parametrize("name", SHORT)
def test_sound_is_not_clipped_and_not_lost(name: str) -> None:
    heard = soundfile.read(SAMPLES / name / "microphone.flac", dtype="int16")[0]
    assert 8_000 < np.abs(heard.astype(np.int32)).max() < 32_000
    assert len(np.unique(heard)) > 3_000
    assert abs(len(heard) / 16_000 - (wrist(name)[-1, 0] + 0.02)) < 0.02


def strongest_hertz(signal: Floats, low: float, high: float) -> float:
    """Frequency of the largest spectral peak of (n, channels) at 50 Hz, between ``low`` and ``high``."""
    power = (np.abs(np.fft.rfft(signal - signal.mean(axis=0), 1024, axis=0)) ** 2).sum(axis=1)
    hertz = np.fft.rfftfreq(1024, 0.02)
    inside = (hertz >= low) & (hertz <= high)
    return float(hertz[inside][np.argmax(power[inside])])


@pytest.mark.parametrize(
    ("kind", "channels", "slowest", "fastest"),
    [
        ("WALK", slice(0, 3), 1.6, 2.2),
        ("STAIRS", slice(0, 3), 1.2, 1.65),
        ("WASH", slice(3, 6), 2.7, 4.0),
        ("BRUSH", slice(0, 3), 4.3, 5.6),
    ],
)
def test_rhythm_of_the_wrist(kind: str, channels: slice, slowest: float, fastest: float) -> None:
    for name, start, end in events(kind):
        signal = within(wrist(name), start + 0.5, end - 0.5)[:, channels]
        assert slowest <= strongest_hertz(signal, 1.1, 8.0) <= fastest


def spread(name: str, start: float, end: float) -> float:
    acceleration = within(wrist(name), start, end)[:, :3]
    return float(np.sqrt(acceleration.var(axis=0).sum()))


def test_resting_is_still_and_falling_is_not() -> None:
    for kind in ("REST", "LIE"):
        assert all(spread(name, start + 2.5, end - 1.0) < 0.4 for name, start, end in events(kind))
    for name, start, end in events("FALL"):
        size = np.sqrt((within(wrist(name), start, end)[:, :3] ** 2).sum(axis=1))
        assert size.max() > 25
        assert size.min() < 7
        assert spread(name, end - 1.4, end - 0.8) < 1.0


def test_stairs_raise_the_heart_rate_and_lying_lowers_it() -> None:
    for kind, sign in (("STAIRS", 1), ("LIE", -1)):
        for name, start, end in events(kind):
            rate = within(heart(name), start, end + 1)
            if len(rate) > 4:  # enough of it is outside the dropouts
                assert sign * (rate[-1, 0] - rate[0, 0]) > (8 if sign > 0 else 1)


def loudness(name: str, start: float, end: float) -> float:
    return float(np.sqrt((sound(name)[round(start * 16_000) : round(end * 16_000)] ** 2).mean()))


def test_loud_events_are_loud_and_quiet_ones_quiet() -> None:
    for name in SHORT:
        by_kind = {
            kind: [loudness(session, start, end) for session, start, end in events(kind) if session == name]
            for kind in KINDS
        }
        quiet = by_kind["REST"]
        for kind in ("COUGH", "TALK", "WASH", "BRUSH", "STAIRS", "WALK"):
            assert all(loud > 10 * still for loud in by_kind[kind] for still in quiet)


@pytest.mark.parametrize("kind", ["WALK", "STAIRS", "COUGH", "TYPE", "FALL"])
def test_strikes_are_heard_when_the_wrist_feels_them(kind: str) -> None:
    for plan in plans():
        heard = np.abs(sound(plan.person.name))
        for event in (event for event in plan.events if event.kind == kind):
            first = round(event.start * 16_000)
            cut = heard[first : round(event.end * 16_000)]
            at_beat = np.zeros(cut.size, dtype=bool)
            for beat in event.beats:
                begin = max(0, round(beat * 16_000) - first)
                at_beat[begin : begin + 1600] = True
            assert cut[at_beat].mean() > 2.5 * cut[~at_beat].mean()


def test_people_wear_their_watches_differently() -> None:
    up = {
        name: within(wrist(name), start + 2, end - 1)[:, :3].mean(axis=0)
        for name, start, end in events("REST")
    }
    directions = np.array([vector / np.linalg.norm(vector) for vector in up.values()])
    angles = np.degrees(np.arccos(np.clip(directions @ directions.T, -1, 1)))[np.triu_indices(len(up), 1)]
    assert angles.min() > 2
    assert np.median(angles) > 10


# --- the long day ----------------------------------------------------------------------------------------


def test_the_long_day_has_an_absolute_clock_and_a_pause() -> None:
    for stream, step in (("wrist", 1), ("heart", 5)):
        table = pl.read_csv(SAMPLES / "day_p7" / f"{stream}.csv")
        assert table["time"].str.contains(r"^2026-03-28T\d\d:\d\d:\d\d\+01:00$").all()
        seconds = table["time"].str.to_datetime(time_zone="UTC").dt.epoch("s").to_numpy()
        assert seconds[0] == 1_774_681_200  # 08:00 at +01:00
        pauses = np.diff(seconds)
        assert np.median(pauses) == step
        assert pauses.max() >= 24 * 60
    truth = {row["label"]: row for row in pl.read_csv(SAMPLES / "day_p7" / "truth.csv").to_dicts()}
    table = pl.read_csv(SAMPLES / "day_p7" / "wrist.csv")
    seconds = table["time"].str.to_datetime(time_zone="UTC").dt.epoch("s").to_numpy() - 1_774_681_200
    moved, cadence = table["movement [m/s2]"].to_numpy(), table["cadence [1/min]"].to_numpy()

    def mean(values: npt.NDArray[np.generic], label: str) -> float:
        inside = (seconds >= truth[label]["start"]) & (seconds < truth[label]["end"])
        return float(values[inside].mean())

    assert mean(moved, "NAP") < 0.1 < mean(moved, "BREAKFAST") < mean(moved, "WALK")
    assert mean(cadence, "WALK") > 100
    assert mean(cadence, "BIKE") == 0


def test_phase_counts_beats() -> None:
    beats = np.array([1.0, 2.0, 4.0])
    np.testing.assert_allclose(
        phase_of(np.array([0.5, 1.0, 1.5, 3.0, 4.0, 5.0]), beats), [-0.5, 0, 0.5, 1.5, 2, 2.5]
    )
    assert (phase_of(np.arange(3.0), np.array([1.0])) == 0).all()
