"""Files: exact round trips, and damage that never goes unnoticed."""

import contextlib
import json
import pickle
import zipfile
from concurrent.futures import ThreadPoolExecutor

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_ilrl.data import Demonstrations, Episode, header, space_json

FLOATS, INTEGERS = (np.float16, np.float32, np.float64), (np.int8, np.uint8, np.int32, np.int64, np.uint64)


@st.composite
def boxes(draw):
    dtype = np.dtype(draw(st.sampled_from(FLOATS + INTEGERS)))
    shape = tuple(draw(st.lists(st.integers(1, 3), max_size=3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if dtype.kind == "f":
        low, high = -np.abs(rng.normal(size=shape)).astype(dtype), np.abs(rng.normal(size=shape)).astype(dtype)
        infinite = rng.random(shape) < draw(st.sampled_from([0.0, 0.5, 1.0]))
        low, high = np.where(infinite, -np.inf, low).astype(dtype), np.where(infinite, np.inf, high).astype(dtype)
    else:
        limits = np.iinfo(dtype)
        low = rng.integers(limits.min, limits.max // 2, shape, dtype=dtype)
        high = rng.integers(limits.max // 2, limits.max, shape, dtype=dtype, endpoint=True)
    return spaces.Box(np.asarray(low), np.asarray(high), dtype=dtype.type)


discretes = st.builds(lambda n, start: spaces.Discrete(n, start=start), st.integers(1, 9), st.integers(-5, 5))
multi_discretes = st.lists(st.integers(1, 5), min_size=1, max_size=4).flatmap(
    lambda nvec: st.sampled_from(
        [spaces.MultiDiscrete(nvec), spaces.MultiDiscrete([nvec, nvec]), spaces.MultiDiscrete(nvec, start=nvec)]
    )
)
multi_binaries = st.one_of(st.integers(1, 5), st.lists(st.integers(1, 3), min_size=1, max_size=2)).map(
    spaces.MultiBinary
)
plain = st.one_of(boxes(), discretes, multi_discretes, multi_binaries)
keys = st.text(min_size=1, max_size=6).filter(lambda key: key < "\ud800" or key > "\udfff")
dicts = st.dictionaries(keys, plain, min_size=1, max_size=3).map(lambda parts: spaces.Dict(list(parts.items())))


@settings(max_examples=150, deadline=None)
@given(st.one_of(plain, dicts))
def test_spaces_survive_json(space):
    rebuilt = space_json.from_json(json.loads(json.dumps(space_json.to_json(space), allow_nan=False)))
    assert rebuilt == space
    assert type(rebuilt) is type(space)
    if isinstance(space, spaces.Dict):
        assert list(rebuilt.spaces) == list(space.spaces)  # the order decides how SB3 concatenates features
    else:
        assert rebuilt.dtype == space.dtype
        assert rebuilt.shape == space.shape
    if isinstance(space, spaces.Box):
        assert (rebuilt.low == space.low).all()
        assert (rebuilt.high == space.high).all()


def test_other_spaces_and_broken_descriptions_are_refused():
    with pytest.raises(ValueError, match="cannot be written"):
        space_json.to_json(spaces.Text(3))
    for description in (
        {},
        {"type": "Box"},
        {"type": "Tuple"},
        {"type": "Discrete", "n": -1, "start": 0, "dtype": "i8"},
    ):
        with pytest.raises(ValueError, match="no description of a space"):
            space_json.from_json(description)


def sample(space, rng, n):
    if isinstance(space, spaces.Dict):
        return {key: sample(part, rng, n) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Box):  # Gymnasium cannot sample wide 64-bit ones
        size = (n, *space.shape)
        if space.dtype.kind == "f":
            return np.clip(rng.normal(size=size).astype(space.dtype), space.low, space.high)
        return rng.integers(space.low, space.high, size, dtype=space.dtype, endpoint=True)
    space.seed(int(rng.integers(2**31)))
    return np.stack([np.asarray(space.sample(), dtype=space.dtype) for _ in range(n)])


def random_demos(observation_space, action_space, seed=0, rewards=True, infos=True, spec=None):
    rng = np.random.default_rng(seed)
    episodes = [
        Episode(
            sample(observation_space, rng, n + 1),
            sample(action_space, rng, n),
            rng.normal(size=n).astype(np.float32) if rewards else None,
            infos={"action_masks": rng.random((n + 1, 2)) < 0.5, "a/b c": rng.normal(size=n + 1)} if infos else None,
        )
        for n in (2, 1, 3)
    ]
    made = Demonstrations.from_episodes(episodes, (observation_space, action_space), {"note": ["é", 1, None]})
    fields = {name: getattr(made, name) for name in Demonstrations.__dataclass_fields__ if name != "check"}
    return Demonstrations(**{**fields, "spec": spec})


@settings(max_examples=60, deadline=None)
@given(st.one_of(plain, dicts), plain, st.booleans(), st.booleans())
def test_demonstrations_survive_both_forms(tmp_path_factory, observation_space, action_space, rewards, infos):
    demos = random_demos(observation_space, action_space, 0, rewards, infos)
    directory = tmp_path_factory.mktemp("demos")
    demos.save(directory / "set.npz")
    demos.save(directory / "set")
    assert Demonstrations.load(directory / "set.npz") == demos
    assert Demonstrations.load(directory / "set") == demos
    mapped = Demonstrations.load(directory / "set", mmap=True)
    assert mapped == demos
    assert isinstance(mapped.actions, np.memmap)
    assert sorted(path.name for path in directory.iterdir()) == ["set", "set.npz"]  # nothing temporary is left


BOX_DEMOS = random_demos(spaces.Box(-np.inf, np.inf, (3,)), spaces.Discrete(4))


def test_spec_is_rebuilt_and_makes_the_environment(tmp_path):
    env = gym.make("Pendulum-v1", g=3.0, max_episode_steps=7)
    demos = Demonstrations.from_arrays([np.zeros((2, 3))], [np.zeros((1, 1))], env)
    demos.save(tmp_path / "a.npz")
    loaded = Demonstrations.load(str(tmp_path / "a.npz"))
    assert loaded == demos
    assert gym.make(loaded.spec).unwrapped.g == 3.0
    assert loaded.spec.max_episode_steps == 7


def test_spec_of_another_gymnasium_version_is_read(tmp_path):
    demos = Demonstrations.from_arrays([np.zeros((2, 3))], [np.zeros((1, 1))], "Pendulum-v1")
    demos.save(tmp_path / "a")
    path = tmp_path / "a" / "header.json"
    description = header.parse(path.read_bytes())
    description["spec"]["a_field_of_the_future"] = True
    path.write_text(header.checksummed(description))
    assert Demonstrations.load(tmp_path / "a") == demos


def test_numpy_alone_reads_the_arrays(tmp_path):
    BOX_DEMOS.save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert (archive["observations"] == BOX_DEMOS.observations).all()


def test_saving_replaces_what_was_there_and_keeps_it_when_writing_fails(tmp_path, monkeypatch):
    for name in ("a.npz", "a", "made/a.npz"):
        path = tmp_path / name
        BOX_DEMOS.save(path)
        BOX_DEMOS[:1].save(path)
        assert Demonstrations.load(path) == BOX_DEMOS[:1]
        with monkeypatch.context() as patch:
            patch.setattr(np.lib.format, "write_array", lambda *args, **kwargs: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                BOX_DEMOS.save(path)
        assert Demonstrations.load(path) == BOX_DEMOS[:1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.npz", "made"]


def test_paths_that_cannot_be_used(tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.pkl"):
        BOX_DEMOS.save(tmp_path / "a.pkl")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(ValueError, match="no directory of demonstrations"):
        BOX_DEMOS.save(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()
    with pytest.raises(FileNotFoundError, match="no demonstrations at"):
        Demonstrations.load(tmp_path / "nothing.npz")
    BOX_DEMOS.save(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="cannot be memory-mapped"):
        Demonstrations.load(tmp_path / "a.npz", mmap=True)


# ---- damage


def load_or_refuse(path, expected, mmap=False):
    """Damage is refused with the path in the message, or did not touch what is read."""
    try:
        loaded = Demonstrations.load(path, mmap=mmap)
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017
        return False
    assert loaded == expected
    return True


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved")
    BOX_DEMOS.save(path / "a.npz")
    BOX_DEMOS.save(path / "a")
    return path


@contextlib.contextmanager
def damaged(file, data):
    """Flip a byte, or cut the file off; yields whether it was cut."""
    content = file.read_bytes()
    position = data.draw(st.integers(0, len(content) - 1))
    cut = data.draw(st.booleans())
    flipped = bytes([content[position] ^ data.draw(st.integers(1, 255))]) + content[position + 1 :]
    file.write_bytes(content[:position] + (b"" if cut else flipped))
    try:
        yield cut
    finally:
        file.write_bytes(content)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damage_of_an_npz(saved, data):
    with damaged(saved / "a.npz", data) as cut:
        assert not (load_or_refuse(saved / "a.npz", BOX_DEMOS) and cut)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damage_of_a_directory(saved, data):
    file = data.draw(st.sampled_from(sorted((saved / "a").glob("*.npy"))))
    with damaged(file, data) as cut:
        assert not load_or_refuse(saved / "a", BOX_DEMOS)
        if cut or file.name == "offsets.npy":  # other values are not looked at
            assert not load_or_refuse(saved / "a", BOX_DEMOS, mmap=True)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damaged_headers_of_a_directory(saved, data):
    with damaged(saved / "a" / "header.json", data) as cut:
        assert not (load_or_refuse(saved / "a", BOX_DEMOS) and cut)
        assert not (load_or_refuse(saved / "a", BOX_DEMOS, mmap=True) and cut)


def test_missing_parts_of_a_directory(tmp_path):
    for name in ("rewards.npy", "observations.npy", "header.json"):
        BOX_DEMOS.save(tmp_path / "a")
        (tmp_path / "a" / name).unlink()
        with pytest.raises(ValueError, match=rf"a is not a complete.*{name}"):
            Demonstrations.load(tmp_path / "a")


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_pickles_are_never_executed(tmp_path):
    BOX_DEMOS.save(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    objects = tmp_path / "objects.npy"
    np.save(objects, np.array([Bomb()] * 6, dtype=object), allow_pickle=True)
    for bomb in (objects.read_bytes(), pickle.dumps(Bomb())):
        with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
            for name, content in members.items():
                archive.writestr(name, bomb if name == "rewards.npy" else content)
        with pytest.raises(ValueError, match=r"b\.npz cannot be read"):
            Demonstrations.load(tmp_path / "b.npz")


def test_other_files_and_newer_versions_are_refused(tmp_path):
    np.savez(tmp_path / "mine.npz", observations=np.zeros(3))
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "empty.npz").touch()
    for name in ("mine", "text", "empty"):
        with pytest.raises(ValueError, match=rf"{name}\.npz cannot be read as demonstrations"):
            Demonstrations.load(tmp_path / f"{name}.npz")
    BOX_DEMOS.save(tmp_path / "a")
    path = tmp_path / "a" / "header.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(ValueError, match=r"format version is 2.*upgrade gym_ilrl"):
        Demonstrations.load(tmp_path / "a")


def test_values_that_do_not_fit_are_refused_when_loading(tmp_path):
    """A file with right checksums and wrong contents: NaN, an action outside its space."""
    fields = {name: getattr(BOX_DEMOS, name) for name in Demonstrations.__dataclass_fields__ if name != "check"}
    for name, value in (("actions", BOX_DEMOS.actions + 5), ("rewards", BOX_DEMOS.rewards * np.nan)):
        Demonstrations(**{**fields, name: value}, check=False).save(tmp_path / "a.npz")
        with pytest.raises(ValueError, match=rf"a\.npz.*{name}"):
            Demonstrations.load(tmp_path / "a.npz")


def test_images_keep_their_dtype_and_are_not_copied(tmp_path):
    space = spaces.Box(0, 255, (84, 84, 3), np.uint8)
    images = np.random.default_rng(0).integers(0, 256, (101, 84, 84, 3), dtype=np.uint8)
    demos = Demonstrations.from_arrays([images], [np.zeros(100, int)], (space, spaces.Discrete(2)))
    assert np.shares_memory(demos[0].observations, demos.observations)
    demos.save(tmp_path / "a.npz")
    assert (tmp_path / "a.npz").stat().st_size < images.nbytes + 10_000
    loaded = Demonstrations.load(tmp_path / "a.npz")
    assert loaded.observations.dtype == np.uint8
    assert (loaded.observations == images).all()


def test_links_stay_links_and_their_targets_are_replaced(tmp_path):
    old, new = (random_demos(spaces.Discrete(3), spaces.Discrete(2), seed=seed) for seed in (0, 1))
    for name in ("file.npz", "folder"):
        old.save(tmp_path / name)
        link = tmp_path / f"link_{name}"
        link.symlink_to(tmp_path / name)
        new.save(link)
        assert link.is_symlink()
        assert Demonstrations.load(tmp_path / name) == new
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_writers_of_one_directory_do_not_disturb_each_other(tmp_path):
    demos = random_demos(spaces.Discrete(3), spaces.Discrete(2))
    with ThreadPoolExecutor(4) as pool:
        for saved in [pool.submit(demos.save, tmp_path / "folder") for _ in range(60)]:
            saved.result()
    assert Demonstrations.load(tmp_path / "folder") == demos
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_compressed_files_are_refused_before_they_unpack(tmp_path):
    random_demos(spaces.Discrete(3), spaces.Discrete(2)).save(tmp_path / "d.npz")
    with zipfile.ZipFile(tmp_path / "d.npz") as plain, zipfile.ZipFile(tmp_path / "bomb.npz", "w") as bomb:
        for name in plain.namelist():
            bomb.writestr(name, plain.read(name), zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="it is compressed"):
        Demonstrations.load(tmp_path / "bomb.npz")


def test_a_directory_in_the_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "d.npz").mkdir()
    with pytest.raises(ValueError, match="is a directory"):
        random_demos(spaces.Discrete(3), spaces.Discrete(2)).save(tmp_path / "d.npz")
