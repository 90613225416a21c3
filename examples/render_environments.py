"""Draw each ``ilrl/`` environment as its expert acts in it: the pictures of the documentation, in ``docs/images/``."""

import argparse
from pathlib import Path

import gymnasium as gym
from matplotlib.image import imsave

import gym_ilrl  # noqa: F401  (registers the environments)
from gym_ilrl import expert

# name -> (seed, steps, arguments)
SCENES = {
    "LaneKeeping": (1, 60, {}),
    "Tightrope": (0, 27, {}),
    "GridMaze": (1, 9, {}),
    "SparsePointMaze": (0, 33, {"layout": "S"}),
    "ObjectWorld": (2, 3, {}),
    "BinaryWorld": (0, 3, {"size": 12}),
    "RiskyPath": (0, 0, {}),
    "RoadNetwork": (17, 11, {"size": 120, "layout_seed": 2}),
}


def picture(env_id: str, seed: int, n_steps: int, **kwargs):
    """Return what is seen after ``n_steps`` of the expert."""
    env = gym.make(env_id, render_mode="rgb_array", **kwargs)
    policy = expert(env)
    observation, _ = env.reset(seed=seed)
    for _ in range(n_steps):
        observation = env.step(policy.predict(observation)[0])[0]
    pixels = env.render()
    env.close()
    return pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, (seed, n_steps, kwargs) in SCENES.items():
        path = arguments.output / f"{name}.png"
        imsave(path, picture(f"ilrl/{name}-v0", seed, n_steps, **kwargs))
        print(path)


if __name__ == "__main__":
    main()
