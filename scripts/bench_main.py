"""All benchmark sections, or those named on the command line."""

import sys

import bench_analysis
import bench_certificates
import bench_conv
import bench_conv_trials
import bench_cuda
import bench_exact
import bench_kernels
import bench_runs
import bench_scheduler
import bench_trials
import bench_tried

SECTIONS = {
    "mask": bench_kernels.masks,
    "select": bench_kernels.selection,
    "random": bench_kernels.random_numbers,
    "norms": bench_kernels.norms,
    "trial": bench_trials.whole_trials,
    "shared": bench_trials.shared_alphas,
    "float32": bench_trials.accuracy,
    "sup": bench_trials.supremum,
    "certificates": bench_certificates.certificates,
    "tried": bench_tried.tried,
    "costs": bench_certificates.certificate_costs,
    "exact": bench_exact.exact,
    "bounds": bench_certificates.bounds,
    "conv": bench_conv.convolutions,
    "cnn": bench_conv_trials.conv_trials,
    "cuda": bench_cuda.cuda,
    "start": bench_runs.start_up,
    "dask": bench_runs.scheduling,
    "overhead": bench_scheduler.overhead,
    "memory": bench_runs.memory,
    "quantiles": bench_analysis.quantiles,
}


def main(names: list[str]) -> None:
    if names[:1] == ["--backend"]:
        names = names[1:]
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        sys.exit(f"error: sections must be among {', '.join(SECTIONS)}, got {', '.join(unknown)}")
    print("Processor time of one thread unless wall clock is said; medians of interleaved rounds; ratios round by round.")
    for name in names or SECTIONS:
        SECTIONS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
