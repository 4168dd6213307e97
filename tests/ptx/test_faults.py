"""Planted bugs: every kernel here has one fault, and the interpreter must name it."""

import numpy as np
import pytest

from tests.ptx import errors
from tests.ptx.compilation import array, compile_ptx, cuda, types
from tests.ptx.instruction import assembly, module
from tests.ptx.machine import Machine

ALL = np.uint32(0xFFFFFFFF)
WORDS = array(types.int32)


def run(kernel, *args, grid=2, block=64, undefined=(), cc=(9, 0)):
    machine = Machine(compile_ptx(kernel, (WORDS,) * len(args), cc), step_limit=5_000)
    return machine.launch(None, grid, block, args, undefined=undefined)


def words(n=128):
    return np.arange(n, dtype=np.int32)


def missing_barrier(x):
    tile = cuda.shared.array(64, types.int32)
    tile[cuda.threadIdx.x] = x[cuda.grid(1)]
    x[cuda.grid(1)] = tile[63 - cuda.threadIdx.x]


def missing_barrier_at_the_end_of_a_loop(x):
    tile = cuda.shared.array(64, types.int32)
    total = 0
    for step in range(3):
        tile[cuda.threadIdx.x] = x[cuda.grid(1)] + step
        cuda.syncthreads()
        total += tile[63 - cuda.threadIdx.x]
    x[cuda.grid(1)] = total


def two_threads_write_one_word(x):
    tile = cuda.shared.array(32, types.int32)
    tile[cuda.threadIdx.x // 2] = x[cuda.grid(1)]
    cuda.syncthreads()
    x[cuda.grid(1)] = tile[cuda.threadIdx.x // 2]


def plain_add_to_a_shared_count(x):
    count = cuda.shared.array(1, types.int32)
    if cuda.threadIdx.x == 0:
        count[0] = 0
    cuda.syncthreads()
    count[0] += x[cuda.grid(1)]
    cuda.syncthreads()
    x[cuda.grid(1)] = count[0]


def read_between_atomics(x):
    count = cuda.shared.array(1, types.int32)
    if cuda.threadIdx.x == 0:
        count[0] = 0
    cuda.syncthreads()
    cuda.atomic.add(count, 0, 1)
    x[cuda.grid(1)] = count[0]


def lanes_of_a_warp_without_a_warp_barrier(x):
    tile = cuda.shared.array(64, types.int32)
    tile[cuda.threadIdx.x] = x[cuda.grid(1)]
    x[cuda.grid(1)] = tile[cuda.threadIdx.x ^ 1]


def blocks_write_one_element(x):
    x[cuda.threadIdx.x] = cuda.blockIdx.x


def blocks_add_without_atomics(x):
    if cuda.threadIdx.x == 0:
        x[0] += 1


def block_reads_what_another_writes(x):
    value = x[(cuda.grid(1) + 64) % 128]
    x[cuda.grid(1)] = value


def past_the_end(x):
    x[cuda.grid(1) + 1] = 0


def before_the_start(x):
    if cuda.grid(1) == 0:
        x[np.int64(x[0]) - 1 - x.size] = 0


def past_the_end_of_shared(x):
    tile = cuda.shared.array(63, types.int32)
    tile[cuda.threadIdx.x] = x[cuda.grid(1)]
    cuda.syncthreads()
    x[cuda.grid(1)] = tile[cuda.threadIdx.x]


def past_the_end_of_local(x):
    own = cuda.local.array(4, types.int32)
    for i in range(4):
        own[i] = x[cuda.grid(1)] + i
    x[cuda.grid(1)] = own[x[cuda.grid(1)] % 8]


def shared_read_before_written(x):
    tile = cuda.shared.array(64, types.int32)
    if cuda.threadIdx.x < 33:
        tile[cuda.threadIdx.x] = 1
    cuda.syncthreads()
    x[cuda.grid(1)] = tile[cuda.threadIdx.x]


def result_only_added_to(x, out):
    out[cuda.grid(1)] += x[cuda.grid(1)]


def barrier_in_a_branch(x):
    if x[cuda.grid(1)] < 40:
        x[cuda.grid(1)] = 1
        cuda.syncthreads()
    else:
        cuda.syncthreads()
        x[cuda.grid(1)] = 2


def barrier_after_a_return(x):
    if x[cuda.grid(1)] % 3 == 0:
        return
    cuda.syncthreads()
    x[cuda.grid(1)] = 1


def full_mask_in_a_branch(x):
    if x[cuda.grid(1)] % 3 == 0:
        x[cuda.grid(1)] = cuda.ballot_sync(ALL, True)


def mask_without_the_own_lane(x):
    x[cuda.grid(1)] = cuda.shfl_sync(np.uint32(0xFFFF), x[cuda.grid(1)], 0)


def different_masks(x):
    own = np.uint32(0xFFFFFFFF) if cuda.threadIdx.x % 2 else np.uint32(0x55555555)
    x[cuda.grid(1)] = cuda.shfl_sync(own, x[cuda.grid(1)], cuda.threadIdx.x % 32)


def shuffle_from_a_missing_lane(x):
    if cuda.threadIdx.x % 32 < 16:
        x[cuda.grid(1)] = cuda.shfl_down_sync(np.uint32(0xFFFF), x[cuda.grid(1)], 8)


def waits_for_a_later_block(x):
    if cuda.blockIdx.x == 0 and cuda.threadIdx.x == 0:
        while cuda.atomic.add(x, 0, 0) == 0:
            pass


FAULTS = {
    missing_barrier: errors.SharedRace,
    missing_barrier_at_the_end_of_a_loop: errors.SharedRace,
    two_threads_write_one_word: errors.SharedRace,
    plain_add_to_a_shared_count: errors.SharedRace,
    read_between_atomics: errors.SharedRace,
    lanes_of_a_warp_without_a_warp_barrier: errors.SharedRace,
    blocks_write_one_element: errors.GlobalRace,
    blocks_add_without_atomics: errors.GlobalRace,
    block_reads_what_another_writes: errors.GlobalRace,
    past_the_end: errors.OutOfBounds,
    before_the_start: errors.OutOfBounds,
    past_the_end_of_shared: errors.OutOfBounds,
    past_the_end_of_local: errors.OutOfBounds,
    shared_read_before_written: errors.UninitialisedShared,
    barrier_in_a_branch: errors.DivergentBarrier,
    barrier_after_a_return: errors.ExitedAtBarrier,
    full_mask_in_a_branch: errors.WrongWarpMask,
    mask_without_the_own_lane: errors.WrongWarpMask,
    different_masks: errors.WrongWarpMask,
    shuffle_from_a_missing_lane: errors.InactiveLane,
    waits_for_a_later_block: errors.Stuck,
}


@pytest.mark.parametrize("kernel", FAULTS, ids=lambda kernel: kernel.__name__)
def test_a_planted_bug_is_named(kernel):
    with pytest.raises(FAULTS[kernel]) as caught:
        run(kernel, words() % 128 if kernel is not waits_for_a_later_block else np.zeros(128, np.int32))
    assert type(caught.value) is FAULTS[kernel]
    assert "block (" in str(caught.value)


def test_an_array_declared_undefined_must_be_written_first():
    run(result_only_added_to, words(), np.zeros(128, np.int32))
    with pytest.raises(errors.UninitialisedGlobal):
        run(result_only_added_to, words(), np.zeros(128, np.int32), undefined=[1])


def test_an_array_that_is_not_writeable_is_protected():
    x = words()
    x.flags.writeable = False
    with pytest.raises(errors.ReadOnly, match="argument 1"):
        run(result_only_added_to, words(), x)


@pytest.mark.parametrize("fenced", ["both", "writer", "reader", "none"])
def test_the_last_block_may_read_only_behind_fences(fenced):
    """The last block to take a ticket sums what all wrote: right only with a fence before and one after the ticket."""
    before, after = fenced in ("both", "writer"), fenced in ("both", "reader")

    def sum_by_the_last(x, partial, ticket, total):
        last = cuda.shared.array(1, types.int32)
        j, b = cuda.threadIdx.x, cuda.blockIdx.x
        if j == 0:
            value = 0
            for i in range(64):
                value += x[b * 64 + i]
            partial[b] = value
            if before:
                cuda.threadfence()
            last[0] = cuda.atomic.add(ticket, 0, 1) == cuda.gridDim.x - 1
        cuda.syncthreads()
        if last[0] == 0:
            return
        if after:
            cuda.threadfence()
        if j == 0:
            value = 0
            for i in range(cuda.gridDim.x):
                value += partial[i]
            total[0] = value

    x, ticket, total = words(640), np.zeros(1, np.int32), np.zeros(1, np.int32)
    arguments = (x, np.zeros(10, np.int32), ticket, total)
    if fenced == "both":
        run(sum_by_the_last, *arguments, grid=10)
        assert (total, ticket) == (x.sum(), 10)
    else:
        with pytest.raises(errors.GlobalRace):
            run(sum_by_the_last, *arguments, grid=10)


def test_a_misaligned_access_is_named():
    assembly("ld.global.u32 %r1, [%rd1+4];")
    with pytest.raises(errors.Misaligned):
        assembly("ld.global.u32 %r1, [%rd1+2];")


def test_integer_division_by_zero_is_an_error():
    with pytest.raises(errors.PtxError, match="division by zero"):
        assembly("mov.u32 %r1, %tid.x; div.u32 %r2, 7, %r1;")


def test_local_memory_must_be_written_before_it_is_read():
    start = ".local .align 4 .b8 depot[8]; mov.u64 %rd2, depot; st.local.u32 [%rd2], 1; "
    assembly(start + "ld.local.u32 %r1, [%rd2];")
    with pytest.raises(errors.UninitialisedLocal):
        assembly(start + "ld.local.u32 %r1, [%rd2+4];")


def test_a_trap_is_an_error():
    with pytest.raises(errors.Trap):
        assembly("trap;")


def test_a_register_that_is_not_written_on_some_path_is_named():
    branch = "mov.u32 %r2, %tid.x; setp.gt.u32 %p1, %r2, 7; @%p1 bra $L; mov.u32 %r1, 1; $L: "
    assembly(branch + "mov.u32 %r0, %r1;")
    with pytest.raises(errors.UninitialisedRegister, match=r"thread \(8, 0, 0\)"):
        assembly(branch + "add.s32 %r1, %r1, 1;")


@pytest.mark.parametrize(
    "body",
    [
        "add.s32.fast %r1, 1, 1;",
        "frobnicate.u32 %r1, 1;",
        "mul.s32 %r1, 1, 1;",
        "mov.u32 %r1, %clock;",
        "bar.sync 1;",
        "fma.rn.bf16 %r1, %r1, %r1, %r1;",
        "cvt.rni.u32.u32 %r1, %r1;",
        "mov.u32 %r1, 4294967296;",
        "ld.global.u64 %r1, [%rd1];",
        "atom.global.add.b32 %r1, [%rd1], 1;",
        "bra $nowhere;",
        "call.uni nothing;",
    ],
)
def test_what_is_not_known_is_refused_before_it_runs(body):
    with pytest.raises(errors.UnsupportedInstruction):
        Machine(module(body))
