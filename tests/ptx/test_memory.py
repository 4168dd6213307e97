"""Spaces, widths and vectors of loads and stores, and what orders them."""

import numpy as np
import pytest

from tests.ptx.errors import GlobalRace, OutOfBounds, ReadOnly, SharedRace
from tests.ptx.instruction import assembly, module
from tests.ptx.machine import Machine

LANES = np.arange(32)


def test_generic_addresses_reach_every_space():
    """Lanes of one instruction load from shared, local and global memory by their generic addresses."""
    body = """
        .shared .align 4 .b8 tile[128]; .local .align 4 .b8 depot[8];
        mov.u64 %rd2, tile; mad.wide.u32 %rd2, %r0, 4, %rd2; add.u32 %r1, %r0, 100; st.shared.u32 [%rd2], %r1;
        mov.u64 %rd3, depot; add.u32 %r1, %r0, 200; st.local.u32 [%rd3+4], %r1;
        cvta.shared.u64 %rd4, %rd2; cvta.local.u64 %rd5, %rd3; add.u64 %rd5, %rd5, 4;
        setp.lt.u32 %p1, %r0, 10; selp.b64 %rd6, %rd4, %rd5, %p1;
        setp.gt.u32 %p2, %r0, 20; selp.b64 %rd6, %rd0, %rd6, %p2;
        ld.u32 %r2, [%rd6]; add.u32 %r2, %r2, 1; st.u32 [%rd6], %r2;
        ld.shared.u32 %r3, [%rd2]; ld.local.u32 %r4, [%rd3+4]; add.u32 %r3, %r3, %r4;
        setp.le.u32 %p3, %r0, 20; @%p3 st.global.u32 [%rd0], %r3;
        cvta.to.shared.u64 %rd7, %rd4; setp.ne.u64 %p4, %rd7, %rd2; @%p4 trap;
    """
    found = assembly(body, (1000 + LANES).astype(np.int32))
    assert (found[:21] == 300 + 2 * LANES[:21] + 1).all()
    assert (found[21:] == 1001 + LANES[21:]).all()


def test_a_generic_address_out_of_every_space_is_named():
    with pytest.raises(OutOfBounds):
        assembly("add.u64 %rd2, %rd1, 128; ld.u32 %r1, [%rd2];")


def test_vectors_move_neighbouring_words():
    body = """
        .shared .align 16 .b8 tile[512]; mov.u64 %rd2, tile; mad.wide.u32 %rd2, %r0, 16, %rd2;
        mul.lo.u32 %r1, %r0, 3; st.shared.v4.u32 [%rd2], {%r0, %r1, 7, %r0};
        ld.shared.v2.u32 {%r2, %r3}, [%rd2]; ld.shared.v2.u32 {%r4, %r5}, [%rd2+8];
        mad.lo.u32 %r6, %r3, 100, %r4; add.u32 %r6, %r6, %r5; st.global.u32 [%rd0], %r6;
    """
    assert (assembly(body) == 300 * LANES + 7 + LANES).all()


@pytest.mark.parametrize(("kind", "value"), [("s8", -7), ("u8", 249), ("s16", -7), ("u16", 65529)])
def test_narrow_loads_extend(kind, value):
    body = f"mov.u32 %r1, -7; st.global.u{kind[1:]} [%rd0], %r1; ld.global.{kind} %r2, [%rd0]; st.global.u32 [%rd0], %r2;"
    assert (assembly(body) == value).all()


def test_the_bytes_of_a_word_are_places_of_their_own():
    body = "add.u64 %rd2, %rd1, 5; cvt.u64.u32 %rd3, %r0; add.u64 %rd3, %rd3, %rd1; st.global.u8 [%rd3], %r0;"
    assert (assembly(body).view(np.uint8)[:32] == LANES).all()
    with pytest.raises(GlobalRace):
        assembly(body + "ld.global.u8 %r1, [%rd2];")


def test_read_only_loads_of_written_data_are_named():
    assembly("ld.global.nc.u32 %r1, [%rd0]; st.global.u32 [%rd0], %r1;")
    with pytest.raises(ReadOnly):
        assembly("st.global.u32 [%rd0], %r0; ld.global.nc.u32 %r1, [%rd0];")


EXCHANGE = """
    .shared .align 4 .b8 tile[128]; mov.u64 %rd2, tile; mad.wide.u32 %rd3, %r0, 4, %rd2; st.shared.u32 [%rd3], %r0;
    BARRIER xor.b32 %r1, %r0, 1; mad.wide.u32 %rd4, %r1, 4, %rd2; ld.shared.u32 %r2, [%rd4]; st.global.u32 [%rd0], %r2;
"""


@pytest.mark.parametrize("barrier", ["bar.sync 0;", "barrier.sync 0;", "bar.warp.sync -1;"])
def test_a_barrier_of_block_or_warp_orders_shared_memory(barrier):
    assert (assembly(EXCHANGE.replace("BARRIER", barrier)) == LANES ^ 1).all()


@pytest.mark.parametrize("barrier", ["", "membar.gl;", "membar.cta;", "vote.sync.ballot.b32 %r7, %p8, -1;"])
def test_a_fence_or_a_vote_does_not(barrier):
    with pytest.raises(SharedRace):
        assembly("setp.eq.u32 %p8, 1, 1;" + EXCHANGE.replace("BARRIER", barrier))


MESSAGE = """
    mov.u32 %r1, %ctaid.x; setp.eq.u32 %p1, %r1, 0; setp.ne.u32 %p2, %r0, 0; @%p2 bra $END; @!%p1 bra $READ;
    st.global.u32 [%rd1], 42; SEND bra $END;
  $READ: RECEIVE setp.eq.u32 %p3, %r2, 0; @%p3 bra $READ; AFTER ld.global.u32 %r3, [%rd1]; st.global.u32 [%rd1+8], %r3;
  $END:
"""
SEND = {
    "release": "st.release.gpu.global.u32 [%rd1+4], 1;",
    "fence": "fence.acq_rel.gpu; st.relaxed.gpu.global.u32 [%rd1+4], 1;",
    "atomic": "membar.gl; atom.global.exch.b32 %r4, [%rd1+4], 1;",
    "volatile": "membar.gl; st.volatile.global.u32 [%rd1+4], 1;",
    "unordered": "st.relaxed.gpu.global.u32 [%rd1+4], 1;",
}
RECEIVE = {
    "acquire": ("ld.acquire.gpu.global.u32 %r2, [%rd1+4];", ""),
    "fence": ("ld.relaxed.gpu.global.u32 %r2, [%rd1+4];", "fence.acq_rel.gpu;"),
    "volatile": ("ld.volatile.global.u32 %r2, [%rd1+4];", "membar.gl;"),
    "unordered": ("ld.relaxed.gpu.global.u32 %r2, [%rd1+4];", ""),
}


@pytest.mark.parametrize("send", SEND)
@pytest.mark.parametrize("receive", RECEIVE)
def test_a_message_between_blocks_needs_order_on_both_sides(send, receive):
    body = MESSAGE.replace("SEND", SEND[send]).replace("RECEIVE", RECEIVE[receive][0]).replace("AFTER", RECEIVE[receive][1])
    words = np.zeros(32, np.int32)

    def run():
        Machine(module(body)).launch(None, 2, 32, [words])

    if "unordered" in (send, receive):
        with pytest.raises(GlobalRace):
            run()
    else:
        run()
        assert words[:3].tolist() == [42, 1, 42]
