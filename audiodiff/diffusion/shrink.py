"""Trust in an estimate grows with how much it changes: small changes are mostly the network's own error."""

from __future__ import annotations

from torch import Tensor


def shrink_change(estimate: Tensor, damaged: Tensor, doubt: float) -> Tensor:
    """Shrink the change from the damaged planes (B, 2, F, N) to the estimate, bin by bin; 0 doubt leaves it whole.

    Wiener's rule: where the network errs by `doubt` of the damaged magnitude, a change of power r relative to the
    damaged power deserves r / (r + doubt**2) of itself. What is clean comes back all but untouched, what is removed
    stays removed, and what is synthesised where there was nothing stays whole.
    """
    change = estimate - damaged
    power = change.square().sum(dim=1, keepdim=True)  # (B, 1, F, N)
    error = doubt**2 * damaged.square().sum(dim=1, keepdim=True)
    return damaged + change * (power / (power + error).clamp_min(1e-12))
