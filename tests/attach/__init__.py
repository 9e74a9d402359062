"""Tests of :mod:`p2pchat.attach`."""
