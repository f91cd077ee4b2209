"""Sweeps: experiments on a grid of configurations and seeds, with a store that survives being killed."""
