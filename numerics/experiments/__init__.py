"""Experiments at the paper's scale, one module each, loaded when they are asked for.

A module has ``cells(profile, **settings)``, its configurations, and ``run(config, seed, device,
checkpoint)``, one of them on all its runs at once.
"""

EXPERIMENTS = {
    "beyond": "numerics.experiments.beyond",
    "fig-3": "numerics.experiments.figure_three",
    "fig-4": "numerics.experiments.figure_four",
}
