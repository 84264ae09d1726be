#!/bin/sh
# Hours of simulated traffic for `drivetrain study scaling`: scaling_data.sh FOLDER OUT, where FOLDER holds joined/ of
# https://github.com/DLR-TS/sumo-scenarios (bologna), plain or packed with xz, and libsumo is installed
# (pip install 'drivetrain[sumo]'). OUT/recordings/ and the dataset OUT/joined appear.
#
# Training, validation and test are kept apart three times over: by seeds; by demand, each has twenty minutes of the hour
# of its own; by places, which are farther from each other than both their circles reach. A run of the training part is
# ten junctions × twelve clips of 25 s: 50 minutes. RUNS=13 are 10 hours and some.
#
#     RUNS=13 sh benchmarks/scaling_data.sh FOLDER build/scaling
#     drivetrain study scaling --data build/scaling/joined --hours 0.1 0.3 1 3 10
set -eu
folder=$1 out=$2
runs=${RUNS:-13} clips=${CLIPS:-12} workers=${WORKERS:-1}
joined() {
    drivetrain data generate sumo "$(ls "$folder"/joined/joined_buslanes.net.xml*)" \
        --routes "$(ls "$folder"/joined/joined.rou.xml*)" --additional "$(ls "$folder"/joined/joined_tls.add.xml*)" \
        --out "$out/recordings" --name joined --workers "$workers" --scale 0.7 --clip 25 --warmup 200 --pause 58 \
        --radius 75 --extra.bicycles 120 --extra.buses 20 --licence "EPL-2.0; network ODbL-1.0" --clips "$clips" "$@"
}
joined --split train --begin 0 --seed 1000 --runs "$runs" --junctions a27 a44 a78 b0 b4 b9 b10 b12 b15 b18
joined --split val --begin 1200 --seed 2000 --runs 1 --junctions a9 b32
joined --split test --begin 2400 --seed 3000 --runs 2 --junctions a12 b29
drivetrain data convert recording "$out/recordings" --out "$out/joined"
drivetrain data info "$out/joined"
