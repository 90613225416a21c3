"""What is shipped, under which names, and what importing it costs."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run_python(code: str, *, cwd: Path, path: str | None = None) -> str:
    environment = {"PATH": "", "HOME": str(cwd), **({} if path is None else {"PYTHONPATH": path})}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_every_package_of_the_tree_is_listed():
    tomllib = pytest.importorskip("tomllib")  # Python >= 3.11
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {"gym_ilrl", "gym_ilrl.wrappers"}
    found |= {f"gym_ilrl.{init.parent.name}" for init in (ROOT / "gym_ilrl").glob("*/__init__.py")}
    assert sorted(listed) == sorted(found)
    assert not list((ROOT / "gym_ilrl").glob("*/*/__init__.py")), "a package in a package needs a line in pyproject too"


def test_wrappers_is_one_package_under_one_name():
    message = run_python("try:\n    import wrappers\nexcept ImportError as error:\n    print(error)", cwd=ROOT)
    assert message == "import gym_ilrl.wrappers, not wrappers"


def test_importing_loads_neither_torch_nor_sb3(tmp_path):
    code = "import sys, gym_ilrl; print([m for m in ('torch', 'stable_baselines3', 'scipy') if m in sys.modules])"
    assert run_python(code, cwd=tmp_path, path=str(ROOT)) == "[]"


def test_wrappers_experts_and_demonstrations_need_no_torch(tmp_path):
    code = (
        "import sys, gym_ilrl, gym_ilrl.wrappers\n"
        "names = ('LaneKeeping', 'Tightrope', 'GridMaze', 'SparsePointMaze', 'RoadNetwork', 'ObjectWorld')\n"
        "for name in ('CartPole-v1', *(f'ilrl/{name}-v0' for name in names)):\n"
        "    gym_ilrl.expert(name)\n"
        "gym_ilrl.Demonstrations\n"
        "print([m for m in ('torch', 'stable_baselines3') if m in sys.modules])"
    )
    assert run_python(code, cwd=tmp_path, path=str(ROOT)) == "[]"


def test_public_names_are_found_and_listed():
    import gym_ilrl

    for name in gym_ilrl.__all__:
        assert getattr(gym_ilrl, name) is not None
        assert name in dir(gym_ilrl)
    with pytest.raises(AttributeError, match="BehaviourCloning"):
        gym_ilrl.BehaviourCloning  # noqa: B018


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that is built from the source distribution, as a release is."""
    pytest.importorskip("build.env", reason="build is in the dev extra")  # a folder build/ is no such package
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(out), str(ROOT)], check=True, capture_output=True, timeout=250
    )
    return next(out.glob("*.whl"))


def test_wheel_holds_the_wrappers_and_no_package_of_that_name_beside(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "gym_ilrl/wrappers/__init__.py" in names
    assert "gym_ilrl/py.typed" in names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"gym_ilrl"}


def test_wheel_works_on_its_own(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import gymnasium as gym, gym_ilrl.wrappers, gym_ilrl\n"
        "env = gym_ilrl.wrappers.RecordDemonstrations(gym.make('gym_ilrl:ilrl/Tightrope-v0'))\n"
        "env.reset(seed=0)\n"
        "print(gym_ilrl.__file__, gym.make(env.spec).spec.id)"
    )
    where, env_id = run_python(code, cwd=tmp_path, path=str(tmp_path / "site")).split()
    assert Path(where).is_relative_to(tmp_path)
    assert env_id == "ilrl/Tightrope-v0"
