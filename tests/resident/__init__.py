"""Tests of :mod:`p2pchat.resident`."""
