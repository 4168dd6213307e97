"""What is simulated: activations, weight laws, pruning rules and networks, as frozen specs.

Standard library only, so that every layer above may import it for nothing.
"""
