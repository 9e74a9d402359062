"""
Tests of the project; ``tests/README.rst`` says which harness is for what.

What is drawn at random is the same in every run, so that nobody's work waits for somebody else's
one case in a thousand.  With ``P2PCHAT_SEED=random`` it is another in each, whose seed is printed;
``P2PCHAT_SEED=NUMBER`` shows it again.
"""

import os
import random
import sys

from hypothesis import HealthCheck, core, settings

# Workers and a hundred programs are started by the tests: none compiles all that is here again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

SEED = os.environ.get("P2PCHAT_SEED", "")

if SEED == "random":
    # Processes of ``-j`` inherit it.
    SEED = os.environ["P2PCHAT_SEED"] = str(random.SystemRandom().randrange(1 << 31))
    sys.stderr.write(f"drawn at random: P2PCHAT_SEED={SEED} shows it again\n")
if SEED:
    vars(core)["global_force_seed"] = int(SEED)  # as Hypothesis's own option for pytest does

# How fast a machine is that does something else too is no property of ours.
settings.register_profile(
    "p2pchat",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not SEED,
    database=None,
)
settings.load_profile("p2pchat")

FIRST_WORLD = int(SEED or 0)  # the first of the seeds of simulated worlds
