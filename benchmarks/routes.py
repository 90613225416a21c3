"""Routes: how well models of drivers, fitted to some routes, predict others, in the form of Ziebart's table."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Report, main
from benchmarks.routes_drivers import (
    LEAST_ROADS,
    MISJUDGED,
    MISJUDGING,
    PREFERENCES,
    SOFT,
    TEMPERATURE,
    Route,
    Town,
    draw_routes,
    drive,
    follow,
)
from benchmarks.routes_figure import FILE, draw
from benchmarks.routes_models import Model, choices_by_cost, fixed, max_ent, max_margin
from gym_ilrl.planning import occupancy, policy_evaluation, solve
from gym_ilrl.plots import state_positions

MAX_ENT, TRUTH = "MaxEnt paths", "hidden preferences, cheapest route"
LENGTH = {"highway_km": 1.0, "main_road_km": 1.0, "street_km": 1.0}
N_DRAWN = 10  # routes of a model for each trip

TEXT = f"""\
Who predicts which way drivers go, and with which probability? The task of Ziebart, Maas, Bagnell and Dey ("Maximum
Entropy Inverse Reinforcement Learning", 2008) with simulated drivers, for their data is not public, on maps of
`ilrl/RoadNetwork-v0`. Trips begin on any road and go to one of the destinations; those of fewer than {LEAST_ROADS}
roads are left out, as in the paper. One trip in five is for learning, the others are predicted. The hidden preferences
are {PREFERENCES}.

"{SOFT}" drivers draw every turn from the soft optimal policy of these preferences at temperature {TEMPERATURE:g}: the
model of maximum entropy is right about them. "{MISJUDGING}" drivers are not what any of the models assumes: each trip
is the cheapest one by costs every one of which is wrong by a factor of its own, log-normal with deviation {MISJUDGED}.

"{MAX_ENT}" is `MaxEntIRL`, without discount, on the environment's eight features. "action" draws each turn in
proportion to `exp(Q)`, where `Q` is minus the cost of the cheapest route that begins with it (Ramachandran and Amir,
2007; Neu and Szepesvari, 2007), by maximum likelihood; "action (costs)" takes the cheapest route by the same costs.
"max margin" is the cheapest route by the costs of `FeatureMatchingIRL(method="structured_max_margin")` (Ratliff,
Bagnell and Zinkevich, 2006), whose `l2_coef` was chosen on other maps. "time-based" and "length-based" take the fastest
and the shortest route. The last line knows the hidden preferences.

The route that is compared is the cheapest or the most probable one. "Matched" is the share of a driven route's
kilometres that it has, too, and "points behind" by how many percentage points less that is than by MaxEnt, ± the
standard error over the maps; the next column is the share of trips of which it has at least 90 %; the log probability
is that of a whole route, in nats; "matched by a drawn route" is of routes drawn from the model. Means over the maps.
The paper's numbers for its drivers, matched, 90 % matched and log probability: MaxEnt paths 78.79 %, 52.98 %, -6.85;
action (costs) 77.74 %, 50.75 %; action 77.30 %, 50.37 %, -7.91; max margin 75.29 %, 46.56 %; time-based 72.38 %,
43.12 %."""


def models(town: Town, kind: str, routes: list[Route]) -> dict[str, Model]:
    """Fit every model to routes."""
    action, action_costs = choices_by_cost(town, routes)
    truth = fixed(town, PREFERENCES)
    if kind == SOFT:
        truth = Model(truth.best, solve(town.mdp, temperature=TEMPERATURE).log_policy)
    return {
        MAX_ENT: max_ent(town, routes),
        "action (costs)": action_costs,
        "action": action,
        "max margin": max_margin(town, routes),
        "time-based": fixed(town, {"minutes": 1.0}),
        "length-based": fixed(town, LENGTH),
        TRUTH: truth,
    }


def matches(town: Town, driven: list[Route], predicted: list[Route]) -> NDArray[np.float64]:
    """Return the share of the kilometres of each driven route that the predicted one has, too."""
    shares = np.empty(len(driven))
    for i, ((roads, _), (others, _)) in enumerate(zip(driven, predicted, strict=True)):
        km = town.km[roads[1:]]
        shares[i] = km[np.isin(roads[1:], others[1:])].sum() / km.sum()
    return shares


def score(town: Town, model: Model, trips: list[Route]) -> dict[str, float]:
    """Return how well a model predicts trips."""
    starts = np.array([states[0] for states, _ in trips])
    share = matches(town, trips, follow(town, model.best, starts))
    scores = {"matched": float(share.mean()), "above": float((share >= 0.9).mean())}
    if model.log_policy is None:
        return {**scores, "log_probability": np.nan, "drawn": np.nan}
    policy, rng = np.exp(model.log_policy), np.random.default_rng(0)
    drawn = [matches(town, trips, draw_routes(town, policy, starts, rng)).mean() for _ in range(N_DRAWN)]
    log_probability = np.mean([model.log_policy[actions, states[:-1]].sum() for states, actions in trips])
    return {**scores, "log_probability": float(log_probability), "drawn": float(np.mean(drawn))}


def benchmark(quick: bool) -> Report:
    size, n_destinations, n_trips, seeds = (60, 3, 200, range(1)) if quick else (400, 8, 2_000, range(5))
    settings: dict[str, Any] = {
        "maps": f"{len(seeds)}, of {size} junctions and {n_destinations} destinations; layout seeds from {seeds[0]}",
        "trips": f"{n_trips} on each map, of which {n_trips // 5} for learning",
        "drawn routes": f"{N_DRAWN} for each predicted trip",
    }
    report = Report("routes", "Routes: predicting which way drivers go", TEXT, settings)
    towns = [Town.of(size, n_destinations, seed) for seed in seeds]
    for kind in (SOFT, MISJUDGING):
        scores: dict[str, list[dict[str, float]]] = {}
        for seed, town in zip(seeds, towns, strict=True):
            trips = drive(town, kind, n_trips, np.random.default_rng(seed))
            fitted = models(town, kind, trips[: n_trips // 5])
            for name, model in fitted.items():
                scores.setdefault(name, []).append(score(town, model, trips[n_trips // 5 :]))
            if kind == SOFT and seed == seeds[0] and not quick:
                picture(town, fitted)
                report.settings["picture"] = f"docs/images/{FILE.name}; the first map"
        for name, of_maps in scores.items():
            report.add(drivers=kind, model=name, **row(of_maps, scores[MAX_ENT]))
    return report


def row(of_maps: list[dict[str, float]], of_max_ent: list[dict[str, float]]) -> dict[str, Any]:
    """Return means, and how far behind maximum entropy the first one is."""
    mean = {name: float(np.mean([each[name] for each in of_maps])) for name in of_maps[0]}
    behind = [100.0 * (best["matched"] - each["matched"]) for best, each in zip(of_max_ent, of_maps, strict=True)]
    error = float(np.std(behind) / max(len(behind) - 1, 1) ** 0.5)
    is_random = bool(np.isfinite(mean["log_probability"]))
    return {
        "matched": f"{mean['matched']:.1%}",
        "points_behind": "" if of_maps is of_max_ent else f"{np.mean(behind):.1f} ± {error:.1f}",
        "90_%_matched": f"{mean['above']:.1%}",
        "log_probability": mean["log_probability"] if is_random else "",
        "matched_by_a_drawn_route": f"{mean['drawn']:.1%}" if is_random else "",
    }


def picture(town: Town, fitted: dict[str, Model]) -> None:
    """Draw where trips to the first destination go, from the road from which they are the most diverse."""
    truth, learned, fastest = (fitted[name] for name in (TRUTH, MAX_ENT, "time-based"))
    assert truth.log_policy is not None
    assert learned.log_policy is not None
    here, policy = slice(0, town.n_roads), np.exp(truth.log_policy)
    surprise = town.mdp.replace(rewards=np.where(policy > 0.0, -truth.log_policy, 0.0))
    start = int(policy_evaluation(surprise, policy)[here].argmax())
    only = town.mdp.replace(initial=np.eye(1, town.mdp.n_states, start)[0])
    driven = draw_routes(town, policy, np.full(1_000, start), np.random.default_rng(0))
    turns = occupancy(only, np.exp(learned.log_policy))
    visits = turns.sum(axis=0) + only.final_transitions.T @ turns.ravel()  # of the last road, too
    states = {
        "1,000 drivers": np.bincount(np.concatenate([np.unique(each) for each, _ in driven]), minlength=len(visits))
        / 1e3,
        "MaxEnt, fitted to other trips": visits,
        "the fastest route": np.bincount(follow(town, fastest.best, np.array([start]))[0][0], minlength=len(visits)),
    }
    shares = {title: of_states[here].astype(np.float64) for title, of_states in states.items()}
    draw(shares, state_positions(town.env)[here], start, int(np.flatnonzero(town.mdp.terminal[here])[0]))


if __name__ == "__main__":
    main(benchmark)
