"""The mutants: faults that a kernel of this kind can have, one line each."""

from tests.ptx.mutation import Mutant

RADIX, TIES, PACK = ("radix_digit32",), ("count_ties32",), ("pack_mask32",)


def _selection(name: str, function: str, before: str, after: str, kernels: tuple[str, ...], stage: str = "blocks") -> Mutant:
    return Mutant(
        name=name, module="cuda_selection", function=function, before=before, after=after, kernels=kernels, stage=stage
    )


def _scalar(name: str, function: str, before: str, after: str, kernels: tuple[str, ...], stage: str) -> Mutant:
    return Mutant(
        name=name, module="cuda_scalars", function=function, before=before, after=after, kernels=kernels, stage=stage
    )


def _sampling(name: str, function: str, before: str, after: str, stage: str) -> Mutant:
    return Mutant(
        name=name, module="cuda_sampling", function=function, before=before, after=after, kernels=(function,), stage=stage
    )


def _pass(name: str, function: str, before: str, after: str, stage: str = "dense pass") -> Mutant:
    kernels = (function if function[-2:] in ("32", "64") else function + "32",)
    return Mutant(
        name=name, module="cuda_passes", function=function, before=before, after=after, kernels=kernels, stage=stage
    )


def _product(
    name: str, function: str, before: str, after: str, kernels: tuple[str, ...] = (), stage: str = "dense pass"
) -> Mutant:
    return Mutant(
        name=name,
        module="cuda_products",
        function=function,
        before=before,
        after=after,
        kernels=kernels or (function + "32",),
        stage=stage,
    )


def _column(
    name: str, function: str, before: str, after: str, kernels: tuple[str, ...], stage: str = "dense pass"
) -> Mutant:
    return Mutant(
        name=name, module="cuda_columns", function=function, before=before, after=after, kernels=kernels, stage=stage
    )


def _evaluation(name: str, function: str, before: str, after: str, stage: str = "evaluation") -> Mutant:
    return Mutant(
        name=name, module="cuda_evaluation", function=function, before=before, after=after, kernels=(function,), stage=stage
    )


def _conv(name: str, function: str, before: str, after: str, kernel: str = "convolve32") -> Mutant:
    module = "cuda_conv" if kernel == "convolve32" else "cuda_pooling"
    stage = {"convolve32": "convolutions", "pool64": "pooling", "pull_pool64": "pooling"}[kernel]
    return Mutant(name=name, module=module, function=function, before=before, after=after, kernels=(kernel,), stage=stage)


def _conv_evaluation(name: str, function: str, before: str, after: str, kernel: str = "evaluate_pool") -> Mutant:
    stage = "evaluated pooling" if kernel == "evaluate_pool" else "evaluated convolutions"
    return Mutant(
        name=name,
        module="cuda_conv_evaluation",
        function=function,
        before=before,
        after=after,
        kernels=(kernel,),
        stage=stage,
    )


PRODUCT = ("product32",)
CORRELATE = "evaluate_convolution_of_singles"
BARRIER = "cuda.syncthreads()\n"
MUTANTS = (
    _selection("digit shift one too high", "radix_digit", "np.uint64(shift), np", "np.uint64(shift + 1), np", RADIX),
    _selection(
        "prefix one bit too short", "radix_digit", "np.uint64(shift + bits)\n", "np.uint64(shift + bits + 1)\n", RADIX
    ),
    _selection("keys past the layer counted", "radix_digit", "i + q * stride < n else", "i + q * stride <= n else", RADIX),
    _selection(
        "histogram by plain additions",
        "radix_digit",
        "cuda.atomic.add(counts, np.int64(key >> low & digits), 1)",
        "counts[np.int64(key >> low & digits)] += 1",
        RADIX,
    ),
    _selection("no barrier before counting", "radix_digit", BARRIER + "    prefix =", "prefix =", RADIX),
    _selection(
        "no fence before the ticket",
        "radix_digit",
        "    cuda.threadfence()\n    cuda.syncthreads()\n    if j == 0:\n        last",
        "    cuda.syncthreads()\n    if j == 0:\n        last",
        RADIX,
    ),
    _selection(
        "no fence after the ticket",
        "radix_digit",
        "        return\n    cuda.threadfence()\n    for",
        "        return\n    for",
        RADIX,
    ),
    _selection("last but one block taken for the last", "radix_digit", "cuda.gridDim.x - 1", "cuda.gridDim.x - 2", RADIX),
    _selection(
        "histogram not emptied",
        "radix_digit",
        "cuda.atomic.exch(histogram, (t, q * THREADS + j), 0)",
        "cuda.atomic.add(histogram, (t, q * THREADS + j), 0)",
        RADIX,
    ),
    _selection("no barrier in the scan", "_pick_digit", BARRIER + "        sums[j] += before", "sums[j] += before", RADIX),
    _selection(
        "rank of the digit off by one",
        "_pick_digit",
        "if seen < wanted <= sums[j]:",
        "if seen <= wanted < sums[j]:",
        RADIX,
        "edge of a digit",
    ),
    _selection("quota of the digit not reduced", "_pick_digit", "wanted - seen", "wanted", RADIX),
    _selection("row's end not respected", "count_ties", " and column < d_in and", " and", TIES, "ties"),
    _selection("ties of earlier chunks not summed", "count_ties", "seen += count", "seen = count", TIES, "ties"),
    _selection(
        "no barrier in the sum of ties",
        "count_ties",
        "    sums[j] = own\n    cuda.syncthreads()",
        "    sums[j] = own",
        TIES,
        "ties",
    ),
    _selection("one tie too many", "pack_mask", "& below)) < quota", "& below)) <= quota", PACK, "ties"),
    _selection(
        "ties to the highest index",
        "pack_mask",
        "np.uint32(ties_here & below)",
        "np.uint32(ties_here & ~below)",
        PACK,
        "ties",
    ),
    _selection("limit itself pruned", "pack_mask", "pruned = ahead[q] < limit", "pruned = ahead[q] <= limit", PACK, "ties"),
    _selection("ties of later warps counted", "pack_mask", "in range(warp):", "in range(warp + 1):", PACK, "ties"),
    _selection(
        "lanes past the row pruned",
        "_load_words",
        "if inside else none",
        "if inside else values.dtype.type(0)",
        PACK,
        "magnitude32",
    ),
    _selection(
        "words past the layer written",
        "pack_mask",
        "    if start + lane < n_words:\n        mask",
        "    if True:\n        mask",
        PACK,
        "magnitude32",
    ),
    _selection(
        "half a warp votes",
        "pack_mask",
        "np.uint32(cuda.ballot_sync(ALL_LANES, pruned))",
        "np.uint32(cuda.ballot_sync(np.uint32(0xFFFF), pruned))",
        PACK,
        "magnitude32",
    ),
    _selection(
        "neighbour's bit read",
        "smallest_kept",
        ">> np.uint32(lane)",
        ">> np.uint32((lane + 1) & 31)",
        ("smallest_kept32",),
        "magnitude32",
    ),
    _selection("words taken as if in a row", "pack_mask", "d_in & 31 == 0 and start", "start", PACK, "magnitude32"),
    _selection(
        "next word read",
        "smallest_kept",
        "first + start * 32 +",
        "first + start * 32 + 32 +",
        ("smallest_kept32",),
        "whole words",
    ),
    _selection("entries of a word apart", "_load_straight", "q * 32", "q * 31", PACK, "whole words"),
    _selection("words seven apart", "pack_mask", "np.uint64(AHEAD * 32)", "np.uint64(AHEAD * 28)", PACK, "whole words"),
    _selection("bits of a tile reversed", "turn_mask", "if lane == b:", "if lane == 31 - b:", ("turn_mask",), "magnitude32"),
    _scalar("nine rounds of Philox", "_philox4", "range(10)", "range(9)", ("sample32",), "uniform32"),
    _scalar("Weyl constants exchanged", "_philox4", "q0 + W0", "q0 + W1", ("mask_keys32",), "uniform32"),
    _scalar("Philox words crossed", "_philox4", "^ a1 ^ q0", "^ a3 ^ q0", ("sample32",), "uniform32"),
    _scalar("low word shifted too far", "_key53", "LOW_DROP", "(LOW_DROP + np.uint32(1))", ("mask_keys64",), "laplace64"),
    _scalar("coefficient with exchanged digits", "_gaussian31", "1.50140941", "1.50149041", ("sample32",), "gaussian32"),
    _scalar("sign of the other word", "_weight32", "-size if", "size if", ("sample32",), "uniform32"),
    _sampling(
        "planes in reverse order", "sample32", "e = base + plane * PLANE", "e = base + (3 - plane) * PLANE", "uniform32"
    ),
    _sampling("one weight past the layer", "sample32", "if e < n:", "if e <= n:", "uniform32"),
    _sampling("rows and columns exchanged", "normals32", "x[t, e % d, e // d]", "x[t, e // d, e % d]", "uniform32"),
    _product("tile's inner edge not masked", "pair_product", "(rows if k1 + along < n else 0)", "rows"),
    _product("rows past the last one", "pair_product", "(rows if k1 + along < n else 0)", "TILE_INNER"),
    _product("no barrier before the next tile", "pair_product", BARRIER + "            store_weights", "store_weights"),
    _product("other half of a mask's word", "pair_product", ">> np.uint32(k1 & 31)", ">> np.uint32(0)"),
    _product("mask of the row above", "pair_product", "(top + j) * ((n + 31) >> 5)", "(top + j - 1) * ((n + 31) >> 5)"),
    _product("turned mask not taken", "pair_product", "plan[layer, AT_TURNED]", "plan[layer, AT]"),
    _product("bits of other lanes", "_store_gone", "np.uint32(j & 15)", "np.uint32(j & 7)", ("pair_product32",)),
    _product("wrong operand of a fused operation", "_add_pairs", "kept * panels[1]", "w * panels[1]", ("pair_product32",)),
    _product("accumulates the wrong columns", "_multiply_pair", "np.uint32(tx * OWN)", "np.uint32(tx)", ("pair_product32",)),
    _product(
        "step of the short tile lost",
        "_load_weights",
        "if s < limit:\n                ahead[s] = weights[t, start + np.uint64(spot)]",
        "if s < limit:\n                ahead[s] = weights[t, start]",
        PRODUCT,
    ),
    _product("result past the last column", "_store_tile", "q < rows and c + p < out.shape[2]", "q < rows", PRODUCT),
    _product("bit counted from one", "correct", "cuda.ffs(bits) - 1", "cuda.ffs(bits)", stage="sparse pass"),
    _product(
        "target's part of the correction lost",
        "correct",
        "(a[t, place] + b[t, place])",
        "b[t, place]",
        stage="sparse pass",
    ),
    _pass(
        "adjoint without the moved part", "pull_back_pair32", "(moved - at) * (target + difference)", "(moved - at) * target"
    ),
    _scalar(
        "wrong side of the kink",
        "_difference32",
        "low * moved - z if",
        "low * moved + z if",
        ("activate_pair32",),
        "pass with kinks",
    ),
    _column(
        "no barrier between halves",
        "_column_norm",
        "            spots[lane, g] += spots[lane + half, g]\n        cuda.syncthreads()",
        "            spots[lane, g] += spots[lane + half, g]",
        ("column_norms32",),
    ),
    _column(
        "square of the wrong value",
        "_column_norm",
        "total += share * share",
        "total += share * largest",
        ("column_norms32", "to_sphere32"),
        "uniform32",
    ),
    _column("step not projected", "move", "norm > one", "norm < zero", ("move32",)),
    _evaluation("sign of the pruned entries", "evaluate_layer", "dz -= w * h", "dz += w * h"),
    _evaluation("error of the pruned entries forgotten", "evaluate_layer", "edz += size * value_error", "edz += size * g"),
    _evaluation("no barrier before the sum", "evaluate_norm", "= square, error\n    cuda.syncthreads()", "= square, error"),
    _evaluation("constant of the activation halved", "evaluate_activation", "+ 8.0 * EPSILON", "+ 4.0 * EPSILON"),
    _evaluation(
        "kinks thought safe",
        "evaluate_activation",
        "(z > 0.0) == (moved > 0.0) and",
        "(z > 0.0) == (z > 0.0) and",
        "evaluation with kinks",
    ),
    _conv(
        "padding read as the image's edge",
        "_source_along",
        "        at = -1\n    return",
        "        at = size - 1\n    return",
    ),
    _conv("circular image not closed", "_source_along", "at += size", "at += 0"),
    _conv("stride of the adjoint ignored", "_source_along", "at % stride == 0 else", "at >= 0 else"),
    _conv("tap of the adjoint the wrong way", "_source_along", "place + pad - tap", "place - pad + tap"),
    _conv("channels of the first group read", "convolve", "next_tap(g * n_read,", "next_tap(0 * n_read,"),
    _conv("row of taps too long", "_next_tap", "while across >= width:", "while across > width:"),
    _conv("filter of taps too long", "_next_tap", "while down >= height:", "while down > height:"),
    _conv("filters of the adjoint not left", "_load_turned", "at + d_in,", "at + d_in + 1,"),
    _conv("bits of the adjoint one tap late", "_load_turned", "place = shift + tap", "place = shift + tap - 1"),
    _conv("words of the adjoint's mask not followed", "_load_turned", "word + row_words, 0", "word, 0"),
    _conv("no barrier before the product", "convolve", BARRIER + "        k1 = k0", "k1 = k0"),
    _conv("bias of the first group", "convolve", "plan[layer, BIAS] + g * m + i", "plan[layer, BIAS] + i"),
    _conv("row of a filter too far", "convolve", "across) * d_in + along", "across) * (d_in + 1) + along"),
    _conv("mask of the first group", "convolve", "(g * filters + top + j) * row_words", "(top + j) * row_words"),
    _conv("smallest for largest", "_largest", "> h[t, best, c]", "< h[t, best, c]", "pool64"),
    _conv("least deviation for the largest", "_largest_moved", "if moved > value", "if moved < value", "pool64"),
    _conv("sum for the mean", "pool", "total / size", "total", "pool64"),
    _conv("strides of a window exchanged", "_first_row", "y * window[5]", "y * window[6]", "pool64"),
    _conv("adjoint left at the old maximum", "pull_pool", "own_moved -= u", "own_moved += u", "pull_pool64"),
    _conv(
        "windows past the image", "pull_pool", "at // window[5] < window[7]", "at // window[5] <= window[7]", "pull_pool64"
    ),
    _conv_evaluation("sign of pruned taps", "evaluate_convolution", "dz -= w * h", "dz += w * h", CORRELATE),
    _conv_evaluation(
        "error of pruned taps forgotten", "evaluate_convolution", "edz += size * value_error", "edz += size * g", CORRELATE
    ),
    _conv_evaluation(
        "error of a close maximum forgotten", "_pool_maximum", "if stays else min(", "if stays else 0.0 * min("
    ),
    _conv_evaluation("close maximum thought clear", "_pool_maximum", "stays and apart > reach and", "stays and"),
    _conv_evaluation(
        "largest error not taken",
        "_pool_maximum",
        "worst, worst_moved = max(worst, eh)",
        "worst, worst_moved = min(worst, eh)",
    ),
)
