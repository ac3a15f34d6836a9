"""Numbers as people write them."""

from __future__ import annotations

import math
from fractions import Fraction

LARGEST_DENOMINATOR = 9


def spelled(x: float) -> str:
    """``sqrt(2)``, ``5/3``, ``sqrt(1/3)``; one decimal as it is, and else four digits.

    >>> spelled(2**0.5), spelled(5 / 3), spelled(0.75), spelled(0.2), spelled(1.234567)
    ('sqrt(2)', '5/3', '3/4', '0.2', '1.235')
    """
    if not math.isfinite(x) or x == round(x, 1):
        return f"{x:.4g}"
    sign = "-" if x < 0 else ""
    for power, form in ((1, "{}"), (2, "sqrt({})")):
        value = Fraction(abs(x) ** power).limit_denominator(LARGEST_DENOMINATOR) if abs(x) < 1e6 else Fraction(0)
        if value and math.isclose(value, abs(x) ** power, rel_tol=1e-12):
            return sign + form.format(value)
    return f"{x:.4g}"
