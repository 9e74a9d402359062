"""Tests of the project; ``tests/README.rst`` says which harness is for what."""

from hypothesis import HealthCheck, settings

# How fast a machine is that does something else too is no property of ours.
settings.register_profile("p2pchat", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("p2pchat")
