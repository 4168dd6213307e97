"""The interpreter runs whole kernels: Numba's ABI, blocks, shared memory, counts."""

import math

import numpy as np
import pytest

from tests.ptx.compilation import array, compile_ptx, cuda, types
from tests.ptx.errors import BadLaunch, OutOfBounds
from tests.ptx.machine import Machine

FLOATS = array(types.float32)


def reverse_blocks(x, scale, out):
    """Reverse every block of 64 through shared memory."""
    tile = cuda.shared.array(64, types.float32)
    i = cuda.threadIdx.x
    tile[i] = x[cuda.grid(1)] * scale
    cuda.syncthreads()
    out[cuda.grid(1)] = tile[63 - i]


@pytest.mark.parametrize("cc", [(7, 5), (9, 0), (12, 0)])
@pytest.mark.parametrize("backwards", [False, True])
def test_runs_every_block_of_the_grid(cc, backwards):
    machine = Machine(compile_ptx(reverse_blocks, (FLOATS, types.float32, FLOATS), cc), resident=128)
    x, out = np.arange(64 * 9, dtype=np.float32), np.zeros(64 * 9, np.float32)
    counts = machine.launch("reverse_blocks", 9, 64, [x, 2.0, out], undefined=[2], backwards=backwards)
    assert (out.reshape(9, 64) == 2 * x.reshape(9, 64)[:, ::-1]).all()
    assert [(a.loaded, a.stored, a.atomics) for a in counts.arrays] == [(x.nbytes, 0, 0), (0, x.nbytes, 0)]
    assert counts.loaded["shared"] == counts.stored["shared"] == x.nbytes
    assert counts.flops == {"f32": x.size}


def test_arguments_must_fit_the_kernel():
    machine = Machine(compile_ptx(reverse_blocks, (FLOATS, types.float32, FLOATS)))
    x = np.zeros(64, np.float32)
    with pytest.raises(BadLaunch, match="15 parameters"):
        machine.launch(None, 1, 64, [x, 2.0])
    with pytest.raises(BadLaunch, match="C-contiguous"):
        machine.launch(None, 1, 64, [x[::2], 2.0, x])
    with pytest.raises(BadLaunch, match="1 to 1024"):
        machine.launch(None, 1, 1025, [x, 2.0, x])
    with pytest.raises(BadLaunch, match="must name one kernel"):
        machine.launch("other", 1, 64, [x, 2.0, x])


def test_work_is_counted_by_kind():
    def kernel(x, out):
        i = cuda.grid(1)
        if i < out.size:
            out[i] = math.exp(x[i]) * x[i] + x[0]

    doubles = array(types.float64)
    x, out = np.linspace(0, 1, 100).astype(np.float32), np.zeros(100, np.float32)
    counts = Machine(compile_ptx(kernel, (FLOATS, FLOATS))).launch(None, 4, 32, [x, out])
    assert counts.approximate == {"ex2": 100}
    assert set(counts.flops) == {"f32"}
    assert counts.stored == {"global": 400}
    assert (np.abs(out - (np.exp(x) * x + x[0])) <= 2 * np.spacing(out)).all()
    counts = Machine(compile_ptx(kernel, (doubles, doubles))).launch(None, 4, 32, [x.astype(np.float64), np.zeros(100)])
    assert counts.flops["f64"] > 1000
    assert counts.opcodes["st.global.f64"] == 100


def test_calls_tables_and_local_memory_of_the_math_library():
    """float64 sine and power come as calls of functions with local arrays and look-up tables."""

    def kernel(x, out):
        i = cuda.grid(1)
        out[i] = math.sin(x[i]) + math.pow(x[i] + 2.0, 0.3)

    x, out = np.linspace(-3e9, 3e9, 128), np.zeros(128)
    x[::2] *= 1e-9
    doubles = array(types.float64)
    machine = Machine(compile_ptx(kernel, (doubles, doubles)))
    assert any(step.form == "call" for step in machine.program.steps)
    machine.launch(None, 2, 64, [x, out])
    expected = [math.sin(v) + (v + 2.0) ** 0.3 if v > -2 else math.nan for v in x]
    np.testing.assert_allclose(out, expected, rtol=1e-14, atol=1e-15)


def collatz(x, out):
    """Loops of different lengths, a branch in each turn, and a block that all take part in afterwards."""
    i = cuda.grid(1)
    value, turns = x[i], 0
    while value != 1:
        value = value // 2 if value % 2 == 0 else 3 * value + 1
        turns += 1
        if turns == 20:
            continue
        if value == 16:
            break
    together = cuda.ballot_sync(np.uint32(0xFFFFFFFF), turns > 10)
    out[i] = turns + 1000 * np.int64(together & np.uint32(1))


@pytest.mark.parametrize("cc", [(7, 5), (12, 0)])
def test_divergent_lanes_come_together_again(cc):
    longs = array(types.int64)
    x, out = np.arange(1, 257), np.zeros(256, np.int64)
    Machine(compile_ptx(collatz, (longs, longs), cc), resident=64).launch(None, 4, 64, [x, out])

    def turns(value):
        count = 0
        while value != 1:
            value = value // 2 if value % 2 == 0 else 3 * value + 1
            count += 1
            if count != 20 and value == 16:
                break
        return count

    plain = np.array([turns(int(v)) for v in x])
    assert (out == plain + 1000 * np.repeat(plain[::32] > 10, 32)).all()


def warp_operations(x, out):
    i, full = cuda.grid(1), np.uint32(0xFFFFFFFF)
    v = x[i]
    out[0, i] = cuda.shfl_sync(full, v, (i * 7) % 32)
    out[1, i] = cuda.shfl_up_sync(full, v, 3)
    out[2, i] = cuda.shfl_down_sync(full, v, 5)
    out[3, i] = cuda.shfl_xor_sync(full, v, 9)
    out[4, i] = cuda.ballot_sync(full, v % 3 == 0)
    out[5, i] = cuda.any_sync(full, v == 5) + 2 * cuda.all_sync(full, v < 100)
    out[6, i] = cuda.match_any_sync(full, v % 4)
    out[7, i] = cuda.activemask()
    half = np.uint32(0xFFFF) if cuda.laneid < 16 else np.uint32(0xFFFF0000)
    out[8, i] = cuda.ballot_sync(half, v % 2 == 0)
    cuda.syncwarp()
    out[9, i] = cuda.laneid
    out[10, i] = cuda.syncthreads_count(np.int32(v % 2))
    out[11, i] = cuda.syncthreads_and(np.int32(v < 100)) + 2 * cuda.syncthreads_or(np.int32(v == 5))


@pytest.mark.parametrize("cc", [(7, 5), (9, 0), (12, 0)])
def test_lanes_talk_within_their_warp(cc):
    x = np.random.default_rng(1).integers(0, 120, 192).astype(np.int32)
    out = np.zeros((12, 192), np.int64)
    machine = Machine(compile_ptx(warp_operations, (array(types.int32), array(types.int64, 2)), cc))
    machine.launch(None, 2, 96, [x, out])
    w = x.reshape(-1, 32)
    lane = np.arange(32)

    def bits(flags):
        return (flags.astype(np.int64) << lane[: flags.shape[-1]]).sum(axis=-1, keepdims=True)

    def signed(words):
        return words.astype(np.uint32).view(np.int32).astype(np.int64)

    expected = [
        w[:, lane * 7 % 32],
        w[:, np.where(lane >= 3, lane - 3, lane)],
        w[:, np.where(lane + 5 < 32, lane + 5, lane)],
        w[:, lane ^ 9],
        np.repeat(bits(w % 3 == 0), 32, axis=1),
        np.repeat((w == 5).any(axis=1, keepdims=True) + 2 * (w < 100).all(axis=1, keepdims=True), 32, axis=1),
        np.array([[bits(row % 4 == v % 4)[0] for v in row] for row in w]),
        np.full((6, 32), 0xFFFFFFFF),
        np.concatenate(
            [np.repeat(bits(w[:, :16] % 2 == 0), 16, axis=1), np.repeat(bits(w[:, 16:] % 2 == 0) << 16, 16, axis=1)], axis=1
        ),
        np.tile(lane, (6, 1)),
        np.repeat((x.reshape(2, 96) % 2).sum(axis=1), 96).reshape(-1, 32),
        np.repeat([(b < 100).all() + 2 * (b == 5).any() for b in x.reshape(2, 96)], 96).reshape(-1, 32),
    ]
    for i, e in enumerate(expected):
        np.testing.assert_array_equal(signed(out[i].reshape(-1, 32)), signed(e), err_msg=str(i))


def atomic_operations(x, found, words, real):
    i = cuda.grid(1)
    found[0, i] = cuda.atomic.add(words, 0, x[i])
    found[1, i] = cuda.atomic.max(words, 1, x[i])
    found[2, i] = cuda.atomic.min(words, 2, x[i])
    found[3, i] = cuda.atomic.exch(words, 3, x[i])
    found[4, i] = cuda.atomic.inc(words, 4, np.uint32(10))
    found[5, i] = cuda.atomic.cas(words, 5, np.uint32(3), x[i])
    found[6, i] = cuda.atomic.dec(words, 6, np.uint32(10))
    cuda.atomic.and_(words, 7, x[i] | np.uint32(1))
    cuda.atomic.or_(words, 8, x[i])
    cuda.atomic.xor(words, 9, x[i])
    cuda.atomic.add(words, 10 + x[i] % np.uint32(5), np.uint32(1))
    cuda.atomic.sub(words, 15, x[i])
    cuda.atomic.add(real, 0, np.float32(0.1))
    cuda.atomic.max(real, 1, np.float32(x[i]))


@pytest.mark.parametrize("cc", [(7, 5), (12, 0)])
def test_atomics_act_one_after_the_other(cc):
    uints = array(types.uint32)
    x = np.random.default_rng(1).integers(0, 1000, 128).astype(np.uint32)
    found, words, real = np.zeros((7, 128), np.uint32), np.zeros(16, np.uint32), np.zeros(2, np.float32)
    words[2], words[5], words[7] = 999, 3, 0xFFFFFFFF
    machine = Machine(compile_ptx(atomic_operations, (uints, array(types.uint32, 2), uints, FLOATS), cc))
    counts = machine.launch(None, 2, 64, [x, found, words, real])
    before = np.concatenate([[0], x[:-1]])
    assert (found[0] == np.cumsum(before)).all()
    assert (found[1] == np.maximum.accumulate(before)).all()
    assert (found[2] == np.minimum.accumulate(np.concatenate([[999], x[:-1]]))).all()
    assert (found[3] == before).all()
    assert (found[4] == np.arange(128) % 11).all()
    assert found[5, 0] == 3
    assert (found[5, 1:] == x[0]).all()
    assert (found[6] == (-np.arange(128)) % 11).all()
    assert words[7] == np.bitwise_and.reduce(x | 1)
    assert words[8] == np.bitwise_or.reduce(x)
    assert words[9] == np.bitwise_xor.reduce(x)
    assert (words[10:15] == np.bincount(x % 5, minlength=5)).all()
    assert words[15] == np.uint32(-int(x.sum()) & 0xFFFFFFFF)
    assert real[0] == np.float32(0.1) * np.ones(128, np.float32).cumsum()[0] or abs(real[0] - 12.8) < 1e-4
    assert real[1] == x.max()
    assert counts.arrays[2].atomics == 12 * 128


def tuples_and_dynamic_shared(sizes, x, flag, out):
    tile = cuda.shared.array(0, types.float64)
    i = cuda.threadIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    tile[i] = x[cuda.blockIdx.y, cuda.threadIdx.y, cuda.threadIdx.x] * sizes[0]
    cuda.syncthreads()
    if flag:
        out[cuda.blockIdx.y, cuda.threadIdx.y, cuda.threadIdx.x] = (
            tile[cuda.threadIdx.x * cuda.blockDim.y + cuda.threadIdx.y] + sizes[1]
        )


def test_tuples_flags_and_dynamic_shared_memory():
    cube = array(types.float64, 3)
    signature = (types.UniTuple(types.float64, 2), cube, types.boolean, cube)
    x, out = np.arange(3 * 4 * 4.0).reshape(3, 4, 4), np.zeros((3, 4, 4))
    machine = Machine(compile_ptx(tuples_and_dynamic_shared, signature))
    machine.launch(None, (1, 3), (4, 4), [(2.0, 0.5), x, True, out], shared_bytes=128)
    assert (out == 2 * x.transpose(0, 2, 1) + 0.5).all()
    with pytest.raises(OutOfBounds):
        machine.launch(None, (1, 3), (4, 4), [(2.0, 0.5), x, True, out], shared_bytes=120)


TABLE = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0], np.float32)


def test_constant_tables_are_read():
    def kernel(out):
        table = cuda.const.array_like(TABLE)
        out[cuda.grid(1)] = table[cuda.grid(1) % 6]

    out = np.zeros(64, np.float32)
    Machine(compile_ptx(kernel, (FLOATS,))).launch(None, 2, 32, [out])
    assert (out == np.resize(TABLE, 64)).all()


def test_who_spins_does_not_starve_who_sets_it_free():
    def kernel(flag, turns):
        count = 0
        if cuda.blockIdx.x == 0:
            while cuda.atomic.add(flag, 0, 0) == 0:
                count += 1
        cuda.syncthreads()
        if cuda.threadIdx.x == 31:
            cuda.atomic.exch(flag, 0, 1)
        turns[cuda.grid(1)] = count

    ints = array(types.int32)
    flag, turns = np.zeros(1, np.int32), np.zeros(64, np.int32)
    Machine(compile_ptx(kernel, (ints, ints))).launch(None, 2, 32, [flag, turns])
    assert flag[0] == 1
    assert turns[0] > 0
