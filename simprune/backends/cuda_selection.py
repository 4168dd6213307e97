"""CUDA kernels of exact selection: the k smallest rank keys of a layer as a bit-packed mask, ties to the lowest index.

Radix selection from the top digit, 11 bits at a time: every pass counts the keys that share the prefix found so far, and
the last block to finish picks the next digit, so that nothing goes to the host. ``state[layer, trial]`` holds a limit, a
quota and whether they are final: a key is pruned if it lies below the limit, or equals it as one of the first ``quota``
such keys. Before they are final they hold the prefix and the rank wanted among the keys that share it. All updates are
integer additions: the order of the blocks changes no bit.

A mask has ``ceil(d_in / 32)`` words a row; bit j % 32 of word j // 32 says that entry j of the row is pruned; bits beyond
the row are 0. ``plan`` says where the layers lie (``cuda_plan``).
"""

import numpy as np

from simprune.backends.compile_cuda import cuda, device_function
from simprune.backends.cuda_plan import AT, AT_TURNED, D_IN, D_OUT, FIRST
from simprune.backends.cuda_scalars import size_bits

DIGIT = 11
BINS = 1 << DIGIT
THREADS = 256
WARPS = THREADS // 32
BINS_OF_THREAD = BINS // THREADS
WORDS_OF_WARP = 32
CHUNK_WORDS = WARPS * WORDS_OF_WARP
LIMIT, QUOTA, FINAL = 0, 1, 2
ALL_LANES = np.uint32(0xFFFFFFFF)
# Loads in flight of a thread, and what stands for a key where there is none: above every limit, and of no prefix.
AHEAD = 8
NO_KEY = np.uint64(0xFFFFFFFFFFFFFFFF)


def _pick_digit(layer, t, shift, counts, sums, state):
    """Move the state to the bin of ``counts`` that holds the wanted rank; all threads of the block must call."""
    j = cuda.threadIdx.x
    own = 0
    for q in range(BINS_OF_THREAD):
        own += counts[j * BINS_OF_THREAD + q]
    sums[j] = own
    cuda.syncthreads()
    step = 1
    while step < THREADS:
        before = sums[j - step] if j >= step else 0
        cuda.syncthreads()
        sums[j] += before
        cuda.syncthreads()
        step *= 2
    prefix, wanted = state[layer, t, LIMIT], state[layer, t, QUOTA]
    cuda.syncthreads()
    seen = np.int64(sums[j]) - own
    if seen < wanted <= sums[j]:
        for q in range(BINS_OF_THREAD):
            b = j * BINS_OF_THREAD + q
            if seen < wanted <= seen + counts[b]:
                found = prefix | np.int64(b) << shift
                whole = wanted == seen + counts[b]
                state[layer, t, LIMIT] = found + (np.int64(1) << shift) if whole else found
                state[layer, t, QUOTA] = 0 if whole else wanted - seen
                state[layer, t, FINAL] = whole or shift == 0
            seen += counts[b]


pick_digit = device_function(_pick_digit)


def radix_digit(plan, layer, keys, shift, bits, state, histogram, tickets):
    """Find the digit ``bits`` wide above ``shift`` of the wanted key; grid (blocks, n_trials).

    ``histogram`` ``[n_trials, 2048]`` and ``tickets`` ``[n_trials]`` are 0 before and after.
    """
    counts = cuda.shared.array(BINS, np.int32)
    sums = cuda.shared.array(THREADS, np.int32)
    last = cuda.shared.array(1, np.int32)
    ahead = cuda.local.array(AHEAD, keys.dtype)
    none = keys.dtype.type(NO_KEY)
    j, t = cuda.threadIdx.x, cuda.blockIdx.y
    first, n = plan[layer, FIRST], plan[layer, D_OUT] * plan[layer, D_IN]
    if state[layer, t, FINAL] != 0:
        return
    for q in range(BINS_OF_THREAD):
        counts[q * THREADS + j] = 0
    cuda.syncthreads()
    prefix = np.uint64(state[layer, t, LIMIT])
    low, above = np.uint64(shift), np.uint64(shift + bits)
    digits = np.uint64((np.uint64(1) << np.uint64(bits)) - np.uint64(1))
    i, stride = np.int64(cuda.blockIdx.x) * THREADS + j, np.int64(cuda.gridDim.x) * THREADS
    while i < n:
        for q in range(AHEAD):
            ahead[q] = keys[t, np.uint64(first + i + q * stride)] if i + q * stride < n else none
        for q in range(AHEAD):
            key = np.uint64(ahead[q])
            if key >> above == prefix >> above:
                cuda.atomic.add(counts, np.int64(key >> low & digits), 1)
        i += AHEAD * stride
    cuda.syncthreads()
    if cuda.gridDim.x == 1:
        pick_digit(layer, t, np.int64(shift), counts, sums, state)
        return
    for q in range(BINS_OF_THREAD):
        b = q * THREADS + j
        if counts[b] != 0:
            cuda.atomic.add(histogram, (t, b), counts[b])
    cuda.threadfence()
    cuda.syncthreads()
    if j == 0:
        last[0] = cuda.atomic.add(tickets, t, 1) == cuda.gridDim.x - 1
    cuda.syncthreads()
    if last[0] == 0:
        return
    cuda.threadfence()
    for q in range(BINS_OF_THREAD):
        counts[q * THREADS + j] = cuda.atomic.exch(histogram, (t, q * THREADS + j), 0)
    cuda.syncthreads()
    if j == 0:
        tickets[t] = 0
    pick_digit(layer, t, np.int64(shift), counts, sums, state)


def count_ties(plan, layer, keys, state, ties, tickets):
    """Count the keys that equal the limit in every chunk of words, and sum the counts of earlier chunks; if a quota is left.

    ``ties`` ``[n_trials, chunks]``; grid (chunks, n_trials); ``tickets`` as above.
    """
    sums = cuda.shared.array(THREADS, np.int32)
    last = cuda.shared.array(1, np.int32)
    j, t = cuda.threadIdx.x, cuda.blockIdx.y
    first, d_out, d_in = plan[layer, FIRST], plan[layer, D_OUT], plan[layer, D_IN]
    if state[layer, t, QUOTA] == 0:
        return
    limit = keys.dtype.type(state[layer, t, LIMIT])
    row_words = (d_in + 31) // 32
    start, n_words = cuda.blockIdx.x * CHUNK_WORDS, d_out * row_words
    own = 0
    for s in range(WORDS_OF_WARP):
        word = start + j // 32 * WORDS_OF_WARP + s
        column = word % row_words * 32 + j % 32
        if word < n_words and column < d_in and keys[t, first + word // row_words * d_in + column] == limit:
            own += 1
    sums[j] = own
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if j < half:
            sums[j] += sums[j + half]
        cuda.syncthreads()
        half //= 2
    if j == 0:
        ties[t, cuda.blockIdx.x] = sums[0]
        cuda.threadfence()
        last[0] = cuda.atomic.add(tickets, t, 1) == cuda.gridDim.x - 1
    cuda.syncthreads()
    if last[0] != 0 and j == 0:
        cuda.threadfence()
        tickets[t] = 0
        seen = 0
        for chunk in range(cuda.gridDim.x):
            count = ties[t, chunk]
            ties[t, chunk] = seen
            seen += count


def _load_straight(values, t, p, ahead):
    """Load a lane's entries of AHEAD words that follow one another without a gap, from ``p`` on."""
    for q in range(AHEAD):
        ahead[q] = values[t, p + np.uint64(q * 32)]


def _load_words(values, t, first, layer, word, none, ahead):
    """Load a lane's entries of AHEAD words from ``word`` (row, word of it) on, ``none`` past a row's end.

    ``layer``: rows, columns and lane. Returns the next word.
    """
    (d_out, d_in, lane), (row, of_row) = layer, word
    for q in range(AHEAD):
        column = of_row * 32 + lane
        inside = row < d_out and column < d_in
        ahead[q] = values[t, np.uint64(first + row * d_in + column)] if inside else none
        of_row += 1
        if of_row * 32 >= d_in:
            row, of_row = row + 1, 0
    return row, of_row


load_straight, load_words = device_function(_load_straight), device_function(_load_words)


def pack_mask(plan, layer, keys, state, ties, mask, counts):
    """Write the mask of a layer and add the number of its pruned entries to ``counts`` ``[n_trials, depth]``.

    Grid (chunks, n_trials); a warp finds 32 words, one after the other, a lane an entry, and lane s writes word s.
    """
    before = cuda.shared.array(WARPS, np.int64)
    ahead = cuda.local.array(AHEAD, keys.dtype)
    none = keys.dtype.type(NO_KEY)
    j, t = cuda.threadIdx.x, cuda.blockIdx.y
    first, at = plan[layer, FIRST], plan[layer, AT]
    d_out, d_in = plan[layer, D_OUT], plan[layer, D_IN]
    lane, warp = j & 31, j >> 5
    limit, quota = keys.dtype.type(state[layer, t, LIMIT]), state[layer, t, QUOTA]
    row_words = (d_in + 31) >> 5
    start, n_words = np.int64(cuda.blockIdx.x) * CHUNK_WORDS + warp * WORDS_OF_WARP, d_out * row_words
    rank = np.int64(0)
    if quota != 0:
        own = np.int64(0)
        for s in range(WORDS_OF_WARP):
            column = (start + s) % row_words * 32 + lane
            inside = start + s < n_words and column < d_in
            tied = inside and keys[t, first + (start + s) // row_words * d_in + column] == limit
            own += cuda.popc(cuda.ballot_sync(ALL_LANES, tied))
        if lane == 0:
            before[warp] = own
        cuda.syncthreads()
        rank = np.int64(ties[t, cuda.blockIdx.x])
        for earlier in range(warp):
            rank += before[earlier]
    total = np.int64(0)
    below = np.uint32((np.uint64(1) << np.uint64(lane)) - np.uint64(1))
    row, of_row = start // row_words, start % row_words
    # Rows of whole words follow one another without a gap.
    straight = d_in & 31 == 0 and start + WORDS_OF_WARP <= n_words
    p = np.uint64(first + start * 32 + lane)
    own_word = np.uint32(0)
    for s in range(0, WORDS_OF_WARP, AHEAD):
        if straight:
            load_straight(keys, t, p, ahead)
            p += np.uint64(AHEAD * 32)
        else:
            row, of_row = load_words(keys, t, first, (d_out, d_in, lane), (row, of_row), none, ahead)
        for q in range(AHEAD):
            pruned = ahead[q] < limit
            if quota != 0:
                tied = ahead[q] == limit
                ties_here = np.uint32(cuda.ballot_sync(ALL_LANES, tied))
                if tied and rank + cuda.popc(np.uint32(ties_here & below)) < quota:
                    pruned = True
                rank += cuda.popc(ties_here)
            word = np.uint32(cuda.ballot_sync(ALL_LANES, pruned))
            total += cuda.popc(word)
            if lane == s + q:
                own_word = word
    if start + lane < n_words:
        mask[t, np.uint64(at + start + lane)] = own_word
    if lane == 0 and total != 0:
        cuda.atomic.add(counts, (t, layer), np.uint64(total))


def smallest_kept(plan, layer, weights, mask, smallest):
    """Lower ``smallest`` ``[n_trials, depth]``, bits of floats, to the bits of the smallest kept |weight|.

    Grid (chunks, n_trials) as for ``pack_mask``.
    """
    sizes = cuda.shared.array(THREADS, smallest.dtype)
    ahead = cuda.local.array(AHEAD, weights.dtype)
    infinite = weights.dtype.type(np.inf)
    j, t = cuda.threadIdx.x, cuda.blockIdx.y
    first, at = plan[layer, FIRST], plan[layer, AT]
    d_out, d_in = plan[layer, D_OUT], plan[layer, D_IN]
    lane, row_words = j & 31, (d_in + 31) >> 5
    start = np.int64(cuda.blockIdx.x) * CHUNK_WORDS + (j >> 5) * WORDS_OF_WARP
    row, of_row, n_words = start // row_words, start % row_words, d_out * row_words
    own_word = mask[t, np.uint64(at + start + lane)] if start + lane < n_words else ALL_LANES
    straight = d_in & 31 == 0 and start + WORDS_OF_WARP <= n_words
    p = np.uint64(first + start * 32 + lane)
    least = smallest.dtype.type(size_bits(infinite))
    for s in range(0, WORDS_OF_WARP, AHEAD):
        if straight:
            load_straight(weights, t, p, ahead)
            p += np.uint64(AHEAD * 32)
        else:
            row, of_row = load_words(weights, t, first, (d_out, d_in, lane), (row, of_row), infinite, ahead)
        for q in range(AHEAD):
            pruned = np.uint32(cuda.shfl_sync(ALL_LANES, np.int32(own_word), s + q)) >> np.uint32(lane) & np.uint32(1) != 0
            least = min(least, size_bits(infinite if pruned else ahead[q]))
    sizes[j] = least
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if j < half:
            sizes[j] = min(sizes[j], sizes[j + half])
        cuda.syncthreads()
        half //= 2
    if j == 0:
        cuda.atomic.min(smallest, (t, layer), sizes[0])


def turn_mask(plan, layer, mask, turned):
    """Write the transposed mask of a layer; grid (ceil(d_out / 32), n_trials, ceil(d_in / 32)), a warp a tile of bits."""
    lane, t = cuda.threadIdx.x, cuda.blockIdx.y
    d_out, d_in = plan[layer, D_OUT], plan[layer, D_IN]
    i, word = cuda.blockIdx.x * 32 + lane, cuda.blockIdx.z
    bits = np.uint32(0)
    if i < d_out:
        bits = mask[t, plan[layer, AT] + i * ((d_in + 31) // 32) + word]
    own = np.uint32(0)
    for b in range(32):
        column = np.uint32(cuda.ballot_sync(ALL_LANES, bits >> np.uint32(b) & np.uint32(1) != 0))
        if lane == b:
            own = column
    if word * 32 + lane < d_in:
        turned[t, plan[layer, AT_TURNED] + (word * 32 + lane) * ((d_out + 31) // 32) + cuda.blockIdx.x] = own
