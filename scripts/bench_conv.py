"""Forward pair of a convolution, dense and pruned, against PyTorch and an im2col NumPy version."""

import numpy as np
from bench_clock import head, interleaved, median, ratio, row
from bench_kernels import torch

from simprune.backends.conv_plan import layer_plan
from simprune.backends.conv_sampling import PrunedLayer
from simprune.backends.conv_weights import dense_weights, multiplies_densely
from simprune.backends.mask import magnitude_mask
from simprune.model.chain import Chain
from simprune.model.layers import Conv2d
from simprune.model.pruning import n_pruned_for_alpha

CHANNELS, SIZE, BATCH = 64, 16, 64


def im2col(kernel, images):
    """What a careful NumPy user writes: all patches as one matrix, one product; images are [batch, c, h, w]."""
    batch, c, h, w = images.shape
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    columns = patches.transpose(1, 4, 5, 0, 2, 3).reshape(c * 9, batch * h * w)
    return kernel.reshape(len(kernel), -1) @ columns


class Case:
    """One layer with its pruned twin on hidden values h of the target and h + dh of the pruned network."""

    def __init__(self, alpha):
        rng = np.random.default_rng(8)
        layer = Conv2d(channels=CHANNELS, kernel=(3, 3), padding=(1, 1))
        stage = Chain(input=(CHANNELS, SIZE, SIZE), layers=(layer,)).stages[0]
        self.plan = layer_plan(stage)
        bound = 1.0 / np.sqrt(CHANNELS * 9)
        self.target = rng.uniform(-bound, bound, stage.weight_shape).astype(np.float32)
        mask = magnitude_mask(self.target, n_pruned_for_alpha(self.target.size, alpha))
        self.pruned = np.where(mask, self.target, np.float32(0))
        gone = (~mask).reshape(CHANNELS, -1)
        starts = np.concatenate([[0], np.cumsum(gone.sum(axis=1))]).astype(np.int64)
        columns = np.nonzero(gone)[1].astype(np.int32)
        values = -self.target.reshape(CHANNELS, -1)[gone]
        self.entries = (starts[None], columns[None], values[None])
        self.n_pruned = len(values)
        self.images = rng.standard_normal((BATCH, CHANNELS, SIZE, SIZE)).astype(np.float32)
        self.moved = 0.01 * rng.standard_normal(self.images.shape).astype(np.float32)
        self.h, self.dh = (self._ours(a) for a in (self.images, self.moved))
        self.both = self.images + self.moved
        self.z, self.dz, self.sum = np.empty_like(self.h), np.empty_like(self.h), np.empty_like(self.h)

    def _ours(self, images):
        return np.ascontiguousarray(images.transpose(1, 2, 3, 0)).reshape(1, -1, BATCH)

    def _weights(self):
        """The weights of both networks for the products, made anew in every run, as PyTorch's are."""
        pruned = PrunedLayer(
            plan=self.plan,
            entries=self.entries,
            n_pruned=np.array([self.n_pruned]),
            threshold=np.zeros(1),
            is_dense=multiplies_densely(self.plan, self.n_pruned),
        )
        return dense_weights(self.plan.forward, self.target.reshape(1, -1)), pruned.forward

    def first(self):
        """z = W x and dz = -Delta x."""
        dense, pruned = self._weights()
        dense.write(self.h, self.z)
        pruned.write(self.h, self.dz)

    def middle(self):
        """z = W h and dz = W dh - Delta (h + dh)."""
        dense, pruned = self._weights()
        dense.write(self.h, self.z)
        dense.write(self.dh, self.dz)
        np.add(self.h, self.dh, out=self.sum)
        pruned.add(self.sum, self.dz)

    def numpy_pair(self, second):
        im2col(self.target, self.images)
        im2col(self.pruned, second)

    def torch_pair(self, second):
        convolve = torch.nn.functional.conv2d
        with torch.no_grad():
            full = convolve(torch.from_numpy(self.images), torch.from_numpy(self.target), padding=1)
            return full, convolve(torch.from_numpy(second), torch.from_numpy(self.pruned), padding=1)

    def check(self):
        full = im2col(self.target, self.images).reshape(CHANNELS, BATCH, -1).transpose(0, 2, 1).reshape(self.z.shape[1:])
        self.middle()
        assert np.abs(self.z[0] - full).max() < 1e-4
        moved = im2col(self.pruned, self.both).reshape(CHANNELS, BATCH, -1).transpose(0, 2, 1).reshape(self.z.shape[1:])
        assert np.abs(self.z[0] + self.dz[0] - moved).max() < 1e-4


def convolutions():
    head(f"Forward pair of a 3x3 convolution, {CHANNELS} to {CHANNELS} channels, {SIZE}x{SIZE}, batch {BATCH}, float32")
    for alpha in (0.5, 0.1):
        case = Case(alpha)
        case.check()
        for name, ours, second in (("first layer", case.first, case.images), ("later layer", case.middle, case.both)):
            tasks = {"ours": ours, "numpy": lambda c=case, s=second: c.numpy_pair(s)}
            if torch:
                tasks["torch"] = lambda c=case, s=second: c.torch_pair(s)
            seconds = interleaved(tasks, rounds=7, budget=15)
            flops = 2 * 2 * CHANNELS * CHANNELS * 9 * SIZE * SIZE * BATCH
            milliseconds = 1e3 * median(seconds, "ours")
            what = f"{name}, alpha {alpha:g}: {milliseconds:.1f} ms ({flops / milliseconds / 1e6:.0f} GF/s)"
            times = ratio(seconds, "numpy", "ours")
            row(f"{what}, NumPy / ours", f"{times:.2f}", ">= 3", met=times >= 3.0)
            if torch:
                times = ratio(seconds, "ours", "torch")
                row(f"{what}, ours / PyTorch", f"{times:.2f}", "<= 1.5", met=times <= 1.5)
