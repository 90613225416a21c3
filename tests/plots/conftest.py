import gymnasium as gym
import pytest
from matplotlib.figure import Figure

from gym_ilrl import TabularMDP


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture(scope="session")
def lake():
    """The model of FrozenLake, 4 x 4: start at 0, holes at 5, 7, 11 and 12, goal at 15."""
    return TabularMDP.from_env(gym.make("FrozenLake-v1"))
