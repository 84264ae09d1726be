#!/bin/sh
# The loss over a large vocabulary on a GPU: the paper's own case among others (8,192 tokens of width 2,304 over 256,000
# entries in bfloat16, arXiv 2411.09009), XLA and kernels, with and without what the filter leaves out.
# Needs JAX with CUDA. Kernels are on by `Cut(backend="pallas")`: set that where they win here.
#
#     sh benchmarks/head_gpu.sh [FILE.json]
set -eu
export XLA_PYTHON_CLIENT_PREALLOCATE=false
python -c 'import jax, sys; sys.exit(jax.default_backend() != "gpu" and "no GPU: jax.devices() is " + str(jax.devices()))'
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
drivetrain bench head --seconds 5 --json "${1:-head-gpu.json}"
