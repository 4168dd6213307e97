"""Comparisons and selections."""

from __future__ import annotations

import numpy as np

from tests.ptx import floats
from tests.ptx.arithmetic import Function, apply
from tests.ptx.decode import FLOATS, INTEGERS, Decoder, Run, builds
from tests.ptx.syntax import DTYPES

ORDERED = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal}
UNSIGNED = {"lo": np.less, "ls": np.less_equal, "hi": np.greater, "hs": np.greater_equal}
LOGIC = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}


def _comparison(word: str, kind: str) -> Function | None:
    if kind not in FLOATS:
        return ORDERED.get(word) or (UNSIGNED.get(word) if kind[0] in "ub" else None)
    if word in ("nan", "num"):
        return lambda x, y: (np.isnan(x) | np.isnan(y)) == (word == "nan")
    base = ORDERED.get(word.removesuffix("u"))
    if base is None:
        return None
    if word.endswith("u"):
        return lambda x, y: base(x, y) | np.isnan(x) | np.isnan(y)
    return base if word != "ne" else lambda x, y: (x != y) & ~np.isnan(x) & ~np.isnan(y)


@builds("setp")
def _compare(d: Decoder) -> Run:
    kind = d.kind(*INTEGERS, *FLOATS)
    function = _comparison(d.words.pop(0) if d.words else "", kind)
    if function is None:
        raise d.unsupported("comparison")
    logic, flush = d.option(*LOGIC), d.option("ftz")
    d.count(4 if logic else 3)
    compare = (lambda x, y: function(floats.flush(x), floats.flush(y))) if flush else function
    sources = d.sources(kind, 1, 2)
    if not logic:
        return apply(d, compare, sources, "pred")
    return apply(d, lambda x, y, p: LOGIC[logic](compare(x, y), p), [*sources, d.read(d.operands[3], "pred")], "pred")


@builds("selp")
def _select(d: Decoder) -> Run:
    d.count(4)
    kind = d.kind(*INTEGERS, *FLOATS)
    dtype = DTYPES[kind]
    sources = [*d.sources(kind, 1, 2), d.read(d.operands[3], "pred")]
    return apply(d, lambda x, y, p: np.where(p, x, y).astype(dtype, copy=False), sources, kind)
