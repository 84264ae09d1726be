#!/bin/sh
# The study of scaling on one GPU: 0.75 and 2.5 million parameters with the paper's observation, in bfloat16, 50 million
# agent-steps of PPO each after 2 million of BC, on the shipped NGSIM recordings, from a clean checkout.
#
# It has been tried on a CPU with tiny budgets, and never run on a GPU.
#
#     sh benchmarks/scaling_gpu.sh OUT [WHEELS]
#
# A call takes about eight minutes at most (SECONDS_A_CALL), and the next one with the same OUT goes on where it stood. An
# H200 drove 138,000 and 84,000 agent-steps/s in single passes of such policies: 6 and 10 minutes of updates, so about
# three calls with compiling and judging; MODELS=0.75M is one.
#
# OUT      the dataset, the study and compiled programs; carry it from call to call, and to the next machine of the kind
# WHEELS   wheels to install from, without a network: pip download -d WHEELS '.[cuda]' 'hatchling>=1.27'
#          without it `drivetrain` is whatever the shell finds, with JAX for CUDA
#
# MODELS, HOURS, STEPS, CLONING, SCENES and JUDGEMENTS change the study; TRY=1 lets it run without a GPU:
#     TRY=1 MODELS=0.75M STEPS=512 CLONING=512 SCENES=8 JUDGEMENTS=1 sh benchmarks/scaling_gpu.sh /tmp/tried
set -eu
out=$1 wheels=${2:-}
cd "$(dirname "$0")/.."
mkdir -p "$out"
out=$(cd "$out" && pwd)
export JAX_COMPILATION_CACHE_DIR="$out/compiled" JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0
if [ -n "$wheels" ]; then
    [ -x "$out/venv/bin/drivetrain" ] || {
        python3 -m venv "$out/venv"
        "$out/venv/bin/pip" install --quiet --no-index --find-links "$wheels" 'hatchling>=1.27'
        "$out/venv/bin/pip" install --quiet --no-index --find-links "$wheels" --no-build-isolation '.[cuda]'
    }
    PATH="$out/venv/bin:$PATH"
fi
python=$(command -v python || command -v python3)
[ -n "${TRY:-}" ] || {
    "$python" -c 'import jax, sys; sys.exit(jax.default_backend() != "gpu" and f"no GPU: {jax.devices()}")'
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
}
[ -f "$out/ngsim/manifest.json" ] || drivetrain data convert commonroad datasets/ngsim --out "$out/ngsim" --dt 0.2
status=0
# shellcheck disable=SC2086 # several models, hours and budgets are several words
timeout --signal=INT --kill-after=60 "${SECONDS_A_CALL:-480}" \
    drivetrain study scaling --data "$out/ngsim" --out "$out/study" --recipe paper --models ${MODELS:-0.75M 2.5M} \
    --hours ${HOURS:-inf} --steps ${STEPS:-10000000 50000000} --cloning "${CLONING:-2000000}" --scenes "${SCENES:-0}" \
    --judgements "${JUDGEMENTS:-10}" --ablation none || status=$?
case $status in
124 | 137) echo "time is over: call it again with the same OUT, and it goes on" ;; # 137: killed while it compiled
*) exit "$status" ;;
esac
