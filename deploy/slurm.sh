#!/usr/bin/env bash
# Groups on SLURM: a Ray cluster of the job's nodes, and on the first of them the run. A node's GPUs are a group.
#
#     sbatch --nodes 4 --gpus-per-node 8 deploy/slurm.sh paper-2.5m --out runs/paper-2.5m --data.dataset build/drives
#     sbatch --nodes 4 --gpus-per-node 8 deploy/slurm.sh paper-2.5m --resume runs/paper-2.5m
#
# All nodes must see this folder, the dataset and the run's folder under the same paths. Written by the manuals of both;
# it has been checked for syntax and not been run on a cluster.
#SBATCH --job-name=drivetrain
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --signal=B:INT@120
set -euo pipefail

port=${RAY_PORT:-6379}
bin=${DRIVETRAIN_BIN:-$PWD/.venv/bin}
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=$(srun --nodes=1 --ntasks=1 -w "${nodes[0]}" hostname --ip-address | awk '{print $1}')
gpus=${SLURM_GPUS_ON_NODE:-0}

# Who has this may run anything on the cluster's machines; Ray asks for it on every connection.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=${RAY_AUTH_TOKEN:-$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')}

srun --overlap --nodes=1 --ntasks=1 -w "${nodes[0]}" \
    "$bin/ray" start --head --node-ip-address="$head" --port="$port" --num-gpus="$gpus" --block &
sleep 20
for node in "${nodes[@]:1}"; do
    srun --overlap --nodes=1 --ntasks=1 -w "$node" \
        "$bin/ray" start --address="$head:$port" --num-gpus="$gpus" --block &
done
sleep 20

given=("$@")
case " ${given[*]} " in
*" --resume "*) ;; # a run keeps its own groups; the address is that of this job: RAY_ADDRESS goes before the run's
*) given+=(--fleet.groups "${#nodes[@]}" --fleet.gpus "$gpus" --fleet.address auto) ;;
esac
export RAY_ADDRESS="$head:$port"
exec srun --overlap --nodes=1 --ntasks=1 -w "${nodes[0]}" "$bin/drivetrain" train "${given[@]}"
