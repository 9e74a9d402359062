"""
Admission control: how often somebody may ask, and what strangers must do first.

::

    rates          limits, and token buckets by address and by key; pure
    solicited      who has called or answered whom, and what strangers share; pure
    load           how loaded the registry is, and how hard work must be for that; pure
    proof_of_work  who must work for a registration, and whether it was done; pure
    control        the buckets of one process, its proof of work, and its event loop's lag
"""
