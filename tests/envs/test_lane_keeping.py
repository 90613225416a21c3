import math

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.evaluation import evaluate_policy

import gym_ilrl
from gym_ilrl.envs.lane_keeping import LaneKeepingDynamics
from gym_ilrl.envs.random_numbers import uniform


def lane(env):
    state = env.get_state()
    waves = list(zip(state["swing"].tolist(), state["frequency"].tolist(), state["phase"].tolist(), strict=True))

    def heading(s):
        return sum(a * math.sin(w * s + p) for a, w, p in waves)

    return heading


def slope(function, x, h=1e-5):
    return (function(x + h) - function(x - h)) / (2.0 * h)


def integral(function, low, high, n=400):
    """Simpson's rule."""
    h = (high - low) / n
    inner = sum((4 if i % 2 else 2) * function(low + i * h) for i in range(1, n))
    return (function(low) + inner + function(high)) * h / 3.0


@pytest.mark.parametrize("wind", [0.0, 0.8])
def test_dynamics_against_the_equations(wind):
    env = gym.make("ilrl/LaneKeeping-v0", wind=wind, lane_half_width=2.0).unwrapped
    _, info = env.reset(seed=4)
    heading, key = lane(env), env.get_state()["key"]
    e, psi = info["lateral_error"], info["heading_error"]
    assert abs(e) <= 0.02
    assert abs(psi) <= 0.02
    rng = np.random.default_rng(0)
    for t in range(40):
        action = rng.uniform(-1.5, 1.5)
        _, reward, terminated, truncated, info = env.step(np.array([action], dtype=np.float32))
        gust = wind * (2.0 * float(uniform(np.array([key]), np.array([t]))[0]) - 1.0)
        e += 0.1 * (math.sin(psi) + gust)
        psi += 0.1 * (1.5 * max(-1.0, min(1.0, float(np.float32(action)))) - slope(heading, 0.1 * t))
        assert info["lateral_error"] == pytest.approx(e, abs=1e-8)
        assert info["heading_error"] == pytest.approx(psi, abs=1e-8)
        assert info["curvature"] == pytest.approx(slope(heading, 0.1 * (t + 1)), abs=1e-8)
        np.testing.assert_allclose(env.privileged_state(), [e, psi, info["curvature"]], atol=1e-8)
        assert (reward, terminated, truncated) == (1.0, abs(e) > 2.0 or abs(psi) > 1.4, False)
        if terminated:
            break
    assert t > 5


def test_cameras_against_the_geometry():
    env = gym.make("ilrl/LaneKeeping-v0", noise=0.0).unwrapped
    env.reset(seed=2)
    heading = lane(env)
    for t in range(1, 12):
        observation, _, _, _, info = env.step(np.array([0.5], dtype=np.float32))
        expected = np.zeros((3, 3, 16))
        for camera, offset in enumerate((0.15, 0.0, -0.15)):
            for line, d in enumerate((1.0, 2.0, 4.0)):
                bend = integral(lambda u, s=0.1 * t: heading(s + u) - heading(s), 0.0, d)
                to_the_right = info["lateral_error"] + offset + d * info["heading_error"] - bend
                for pixel in range(16):
                    z = (-1.0 + 2.0 * pixel / 15 - to_the_right / d) / 0.2
                    expected[camera, line, pixel] = max(1.0 - z * z, 0.0) ** 2
        np.testing.assert_allclose(info["cameras"], expected.reshape(3, 48), atol=2e-5)
        np.testing.assert_array_equal(observation, info["cameras"][1])


def test_noise_is_gaussian_and_does_not_repeat_in_an_episode():
    noisy, clean = (gym.make("ilrl/LaneKeeping-v0", noise=noise).unwrapped for noise in (0.1, 0.0))
    noisy.reset(seed=0), clean.reset(seed=0)
    noise = []
    for _ in range(300):
        state = clean.get_state()
        action = np.clip((state["lateral_error"] * -1.0 - 1.6 * state["heading_error"]) / 1.5, -1.0, 1.0)
        action = np.array([action + clean.privileged_state()[2] / 1.5], dtype=np.float32)
        noise.append(noisy.step(action)[4]["cameras"] - clean.step(action)[4]["cameras"])
    noise = np.array(noise)
    assert noise.std() == pytest.approx(0.1, rel=0.02)
    assert abs(noise.mean()) < 0.002
    assert len(np.unique(noise[:, 0, 0])) == 300
    between = np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]
    assert abs(between) < 0.03


def test_side_camera_sees_what_the_centre_camera_would_see_there_and_its_label_is_corrected():
    """Move the car by the camera's offset: image and expert's action must be those promised in info."""
    env = gym.make("ilrl/LaneKeeping-v0", noise=0.0).unwrapped
    _, info = env.reset(seed=6)
    teacher = gym_ilrl.expert(env)
    here, _ = teacher.predict(env.observe())
    for camera, offset in ((0, 0.15), (2, -0.15)):
        state = env.get_state()
        moved = state.copy()
        moved["lateral_error"] += offset
        env.set_state(moved)
        np.testing.assert_allclose(env.observe(), info["cameras"][camera], atol=1e-6)
        there, _ = teacher.predict(env.observe())
        np.testing.assert_allclose(there, here + info["steering_corrections"][camera], atol=1e-6)
        env.set_state(state)


def test_expert_returns_600():
    venv = gym_ilrl.make_vec_env("ilrl/LaneKeeping-v0", n_envs=100, seed=0)
    returns, _ = evaluate_policy(gym_ilrl.expert(venv), venv, n_eval_episodes=100, return_episode_rewards=True)
    assert returns == [600.0] * 100


def test_expert_in_the_wind():
    venv = gym_ilrl.make_vec_env(
        "ilrl/LaneKeeping-v0", n_envs=20, seed=0, env_kwargs={"wind": 0.5, "lane_half_width": 0.7}
    )
    mean, _ = evaluate_policy(gym_ilrl.expert(venv), venv, n_eval_episodes=20)
    assert mean == 600.0


def test_not_a_number_ends_the_episode():
    env = gym.make("ilrl/LaneKeeping-v0").unwrapped
    env.reset(seed=0)
    assert env.step(np.array([np.nan], dtype=np.float32))[2]


def test_road_is_the_integral_of_its_heading():
    env = gym.make("ilrl/LaneKeeping-v0").unwrapped
    env.reset(seed=8)
    heading, road = lane(env), env.road()
    at = np.array([-3.0, 0.0, 1.7, 42.0])
    expected = [
        (integral(lambda s: math.cos(heading(s)), 0.0, s, 4000), integral(lambda s: math.sin(heading(s)), 0.0, s, 4000))
        for s in at
    ]
    np.testing.assert_allclose(road.points(at), expected, atol=1e-3)
    left = road.points(at, 0.5) - road.points(at)
    for (x, y), s in zip(left, at, strict=True):
        assert (x, y) == pytest.approx((-0.5 * math.sin(heading(s)), 0.5 * math.cos(heading(s))))


@pytest.mark.parametrize(
    "kwargs", [{"wind": -0.1}, {"noise": float("nan")}, {"noise": float("inf")}, {"lane_half_width": 0.0}]
)
def test_refuses_wrong_arguments(kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        LaneKeepingDynamics(1, **kwargs)


def test_picture_shows_the_car_on_the_road():
    env = gym.make("ilrl/LaneKeeping-v0", render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture.shape == (480, 640, 3)
    red = (picture[..., 0] > 150) & (picture[..., 1] < 90)
    rows, columns = np.nonzero(red)
    assert rows.mean() == pytest.approx(182, abs=3)
    assert columns.mean() == pytest.approx(168, abs=3)
    grey = np.abs(picture[:364].astype(int) - [72, 76, 84]).sum(axis=2) < 6
    assert 0.15 < grey.mean() < 0.5  # the road
