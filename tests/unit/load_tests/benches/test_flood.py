"""What the flood bench makes of its rounds."""

from load_tests.benches.flood import Round, measured


def test_allowed_is_a_fifth_or_the_spread_of_the_calm_rounds() -> None:
    calm = [Round(0.10, 0.20, 0.0), Round(0.10, 0.30, 0.0), Round(0.11, 0.25, 0.0)]
    loud = [Round(0.12, 0.25, 900.0), Round(0.12, 0.25, 1000.0), Round(0.12, 0.25, 1100.0)]
    ratios = measured(calm, loud).ratios
    assert ratios == {
        "flood_vs_calm_p50_s": 1.2,
        "allowed_p50_s": 1.2,
        "flood_vs_calm_p99_s": 1.0,
        "allowed_p99_s": 1.4,
    }
