"""Pictures of rewards, policies and occupancies; matplotlib is imported only when one is drawn."""

from gym_ilrl.plots.inverse_rl import plot_inverse_rl
from gym_ilrl.plots.policies import expected_displacement, plot_policy
from gym_ilrl.plots.positions import grid_shape, state_positions
from gym_ilrl.plots.state_rewards import state_rewards
from gym_ilrl.plots.states import plot_states

__all__ = [
    "expected_displacement",
    "grid_shape",
    "plot_inverse_rl",
    "plot_policy",
    "plot_states",
    "state_positions",
    "state_rewards",
]
