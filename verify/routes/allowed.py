"""What the two routes of a statement may have in common, each with the reason."""

from __future__ import annotations

# Numbers, samplers and the means of comparing, by the beginning of their names.  What a formula says is in
# none of them: the theory's symbols are names, and its error messages check arguments.
PLAIN = {
    "theory.errors.": "checks of arguments",
    "theory.notation.": "symbols",
    "numerics.errors.": "checks of arguments",
    "numerics.device.": "seeds",
    "numerics.prompts.": "the sampler",
    "numerics.diagonal.": "products with a diagonal matrix",
    "verify.checks.points.": "points in general position",
    "verify.stats.": "comparison of two numbers, and arithmetic with bounds",
    "verify.ledger.": "the record of an outcome",
}

# Functions that make or read the setting that both sides are taken in.  Classes and constants of verify/ that
# reach no code of numerics but the above are settings without being named.
SETTINGS = {
    "verify.allocation_settings._diagonal_limit": "a point Ṽ in plain NumPy: the formula holds at each Ṽ",
    "verify.allocation_settings.hardness_trials": "covariances, and points Ṽ in plain NumPy",
    "verify.allocation_settings.initial": "a point Ṽ in plain NumPy: the formula holds at each Ṽ",
    "verify.allocation_settings.limit": "a point Ṽ in plain NumPy: the formula holds at each Ṽ",
    "verify.allocation_settings.small_crossed": "covariances",
    "verify.checks.allocation.paper": "covariances",
    "verify.checks.allocation.shift": "covariances",
    "verify.checks.error_terms.paper": "block levels",
    "verify.checks.joint.placed": "covariance and blocks",
    "verify.checks.linearised.at_right": "a matrix product",
    "verify.checks.linearised.pinv": "a pseudo-inverse",
    "verify.checks.policy_gradient.policy": "a model, prompts and σ",
    "verify.checks.revealed.question": "the vector asked next",
    "verify.checks.revealed.start": "the vector asked first",
    "verify.checks.sft_limit.interference": "block levels",
    "verify.limit_predictions.with_betas": "block levels at other β",
    "verify.test_abstract.corrected_points": "covariances",
    "verify.test_abstract.diagonal": "covariances",
    "verify.test_abstract.generic": "covariances",
    "verify.test_companion._apart": "covariances",
    "verify.test_error_terms.each": "the statements of a test",
    "verify.test_hardness.threshold": "the claimed threshold of α, on either side of which is measured",
    "verify.test_linearised_noise.weights": "the Q of a sum that (C.16) says for any Q",
}

# Where a measurement is made, if theory says where: (the tests, the definitions, the reason).
INPUTS = (
    (
        "verify.test_interference.",
        (
            *("theory.interference_points.ETA", "theory.interference_points.LENGTHS"),
            *("theory.interference_points.PANELS", "theory.interference_points.figure"),
            *("verify.test_interference.NINE", "verify.test_interference.near"),
            "verify.test_interference._end",
        ),
        "Figure 1's levels, the r claimed best, B on either side of the claimed turn: simulated there",
    ),
    (
        "verify.test_figure_five.",
        ("theory.figure_five_points.LENGTHS", "verify.test_figure_five.task"),
        "Figure 5's levels",
    ),
    (
        "verify.test_allocation.",
        ("verify.allocation_settings.table",),
        "the names of the choices of A, in the order of the table",
    ),
    (
        "verify.test_allocation.",
        (
            *("verify.allocation_predictions.best_of_all", "verify.allocation_predictions.best_on_U"),
            *("verify.allocation_predictions.stated", "verify.allocation_predictions.from_lyapunov"),
        ),
        "the A that are claimed best: there the error is simulated",
    ),
    (
        "verify.test_hardness.test_most_effective",
        (
            *("verify.allocation_settings.best_on_shift", "verify.allocation_predictions.corrected"),
            "verify.allocation_predictions.stated",
        ),
        "the A on U that is claimed best: there the error is simulated",
    ),
    (
        "verify.test_companion.",
        ("verify.companion_predictions.trained", "verify.companion_predictions.gamma"),
        "the Ṽ and Γ at which pretraining is claimed to end: there the error is measured",
    ),
    (
        "verify.test_companion_factor.",
        ("verify.companion_predictions.trained", "verify.companion_predictions.worst"),
        "the Ṽ at which pretraining is claimed to end, the Σ that is claimed worst: there it is measured",
    ),
    (
        "verify.test_task_selection.",
        ("verify.companion_predictions.mixed", "theory.task_selection.select_tasks"),
        "the mixture that is claimed best, and others: there the error is measured",
    ),
    (
        "verify.test_joint.",
        ("verify.test_joint.at_limit",),
        "the blocks that are claimed least or stationary: there loss and slope are sampled",
    ),
    (
        "verify.test_policy_gradient.test_one_baseline_for_all",
        (
            *("theory.policy_gradient.sigma", "verify.test_policy_gradient.printed"),
            *("verify.policy_gradient_predictions.constant_baseline",),
            *("verify.policy_gradient_predictions.prompts_of", "verify.policy_gradient_predictions.number"),
        ),
        "the baseline that is claimed best: there the spread is sampled",
    ),
    (
        "verify.test_policy_gradient.test_best_group",
        ("verify.test_policy_gradient.printed",),
        "the group that is claimed best: that many rewards are sampled",
    ),
    (
        "verify.test_descent.test_speed_and_k",
        ("verify.sft_predictions.largest_step",),
        "the step up to which the claim is made: there descent runs",
    ),
    (
        "verify.test_stability.test_misaligned",
        ("theory.statement.registry",),
        "the ρ(Γ₀⁻¹Δ) that is claimed enough: Δ is scaled to it",
    ),
    (
        "verify.test_error_levels.test_levels",
        ("verify.test_error_levels.meanings",),
        "which level of which block a printed line is about",
    ),
)

# Checks whose prediction goes into what they draw or simulate.
PAIRED = {
    "verify.checks.companion.stationary": "the claim is that the loss has no slope there",
    "verify.checks.linearised_model.model_error": "each prompt is compared with what is predicted for it",
    "verify.checks.linearised.split_mean": "each drawn set is compared with what is predicted for it",
    "verify.checks.linearised_limits.ratio": "each drawn set is compared with what is predicted for it",
    "verify.checks.os_finite.zero_loss": "the claim is that the loss is zero there",
    "verify.checks.resolvent_identities.identity": "one expression evaluates both sides",
    "verify.checks.revealed._same": "the prediction is a sampler, compared in law",
    "verify.checks.risk_curve.gap": "what is left of the way to B → ∞ is subtracted as its own row has it",
    "verify.checks.run.sampled": "the number of entries sets the size of the first stage",
    "verify.checks.sft_columns.law": "each drawn column is compared with what is predicted for it",
    "verify.checks.sft_columns.regression": "each drawn column is compared with what is predicted for it",
    "verify.checks.sft_columns.rescaling": "the claim is that the rescaled task has the same minimiser",
}

# Code above the sampler that both routes run, by the definition through which the prediction comes to it.
SHARED = {
    "verify.checks.definition.": "a step is predicted from the weights that the model itself has reached",
    "verify.checks.model.": "a step is predicted from the weights that the model itself has reached",
    "verify.checks.linearised.Training.": "the print says it in V_S, V_N and Π of (B.4), of the setting",
    "verify.checks.stability.Start.curvature": "the print says it in λ_max(H), of the setting by Lanczos",
    "verify.checks.outcome_derivatives.Chain.gradient": "by its name alone: it is a gradient of words",
    "verify.policy_gradient_predictions.loss_slope": "the print says c · ∇L_OS, and torch takes it",
    "verify.policy_gradient_predictions.outcome_slope": "the print says c · ∇L_OS, and torch takes it",
}
