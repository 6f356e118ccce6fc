"""Sweeps: many runs that differ in what varies, on the cores of this machine or on a cluster."""
