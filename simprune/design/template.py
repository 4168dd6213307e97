"""The commented design files of ``simprune init``."""

from collections.abc import Mapping

SAMPLED = """\
# A study of pruned random networks. Change the lists; every combination becomes one point.
#
#     simprune run design.toml --dry-run     says what would be computed
#     simprune run design.toml               computes what is missing, nothing twice
#     simprune analyze results/my-study      prints the tables

name = "my-study"       # names the folder of the results
seed = 1                # another seed, other networks
trials = 200            # of every point; raise it and run again to add trials
precision = "float32"   # or "float64"

# Networks: random weights, U[-K/sqrt(max(d_out, d_in)), +K/sqrt(max(d_out, d_in))] for "uniform".
[[networks]]
width = [32, 64, 128]          # every layer this wide
depth = [2]                    # number of weight matrices
distribution = ["uniform"]     # "uniform", "gaussian", "laplace", "rademacher"
activation = ["relu"]          # "identity", "relu", "tanh", "sigmoid", "centred_sigmoid",
                               # {name = "leaky_relu", slope = 0.1}
K = [1.0]                      # scale of the weights

# One explicit network, widths from input to output:
# [[networks]]
# widths = [784, 256, 256, 10]

# A convolutional network; width is a factor on its channels (README, "Convolutional networks"):
# [[networks]]
# input = [1, 8, 8]
# width = [4, 8, 16]
# layers = [{conv = 1, kernel = 3, padding = "same"}, {max_pool = 2}, {flatten = true}, {dense = 10}]

# A trained network: arrays W0, b0, W1, b1, ... with W_l of shape [d_out, d_in]:
# [[networks]]
# file = "network.npz"           # relative to this file
# activation = "relu"

# Rules: how many weights of each layer go. alpha prunes floor(D^(1 - alpha)) of D weights;
# pruned_fraction prunes that share. A list inside the list gives one amount for each layer.
[[rules]]
name = "magnitude"             # the smallest weights go
alpha = [0.1, 0.3, 0.5]

[[rules]]
name = "random"                # exactly as many, at random; "bernoulli": each on its own
pruned_fraction = [0.1]

# Gap estimators. "ascent" climbs from random starts (lower value, attained);
# "spectral" certifies an upper value; "sampled" takes random inputs only.
[estimators.ascent]
restarts = 8
steps = 30
keep_witness = false           # true: store the input at which the lower value is attained

[estimators.spectral]

# A certificate two to eight times sharper, at many times the cost of all the rest (the dry run tells the price):
# [estimators.semidefinite]
# first = 20                     # only the first 20 trials of every point
# Both values at most 1 % apart, for networks with at most 6 inputs (or 3 units in the first hidden layer):
# [estimators.exact]

# Only as many of the trials as are needed to tell P(gap > epsilon) from delta, at any look, for every point:
# [stopping]
# quantity = "probability"
# epsilon = 0.3

# Labels for the tables; they change no number of the run.
[analysis]
epsilon = [0.1, 0.3]           # print P(gap <= epsilon)
delta = 0.05                   # the theorem's allowed probability of failure
"""

TRAINED = """\
# How far does pruning move the output of a trained network? Trials vary random masks and random starts.

name = "my-network"
seed = 1
trials = 200
precision = "float64"

# Arrays W0, b0, W1, b1, ... with W_l of shape [d_out, d_in], float32 or float64, written by numpy.savez.
[[networks]]
file = "network.npz"           # relative to this file
activation = "relu"            # of all hidden layers; none after the last

[[rules]]
name = "magnitude"             # the smallest weights of every layer go
pruned_fraction = [0.1, 0.3, 0.5]

[[rules]]
name = "random"                # exactly as many, at random
pruned_fraction = [0.1, 0.3, 0.5]

[estimators.ascent]            # lower value, attained
restarts = 16
steps = 30

[estimators.spectral]          # certified upper value

[analysis]
epsilon = [0.1]
delta = 0.05
"""

PRESETS: Mapping[str, str] = {"sampled": SAMPLED, "trained": TRAINED}
