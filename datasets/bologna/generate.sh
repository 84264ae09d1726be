#!/bin/sh
# Makes the recordings of this folder again: generate.sh FOLDER OUT, where FOLDER holds acosta_persontrips/ and pasubio/
# of https://github.com/DLR-TS/sumo-scenarios (bologna), plain or packed with xz, and SUMO 1.28.0 is installed.
set -e
folder=$1 out=$2
place() { # network, demand, signal programs, name; then the plan
    network=$1 routes=$2 signals=$3 name=$4
    shift 4
    drivetrain data generate sumo "$network" --routes "$routes" --additional "$signals" --out "$out" --name "$name" \
        --scale 0.7 --clip 25 --warmup 200 --pause 58 --radius 75 --licence "EPL-2.0; network ODbL-1.0" "$@"
}
acosta() {
    place "$(ls "$folder"/acosta_persontrips/acosta_peds.net.xml*)" "$(ls "$folder"/acosta_persontrips/acosta.rou.xml*)" \
        "$(ls "$folder"/acosta_persontrips/acosta_tls2.add.xml*)" acosta --extra.bicycles 90 --extra.pedestrians 500 "$@"
}
pasubio() {
    place "$(ls "$folder"/pasubio/pasubio_buslanes.net.xml*)" "$(ls "$folder"/pasubio/pasubio.rou.xml*)" \
        "$(ls "$folder"/pasubio/pasubio_tls.add.xml*)" pasubio --extra.bicycles 120 --extra.buses 20 "$@"
}
acosta --split train --begin 0 --seed 1 --junctions 27 --clips 5
pasubio --split train --begin 0 --seed 1 --junctions 4 1 --clips 4
pasubio --split val --begin 1200 --seed 2 --junctions 15 --clips 3
acosta --split test --begin 2400 --seed 3 --junctions 9 --clips 2
pasubio --split test --begin 2400 --seed 3 --junctions 29 --clips 2
