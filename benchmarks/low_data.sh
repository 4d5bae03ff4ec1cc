#!/bin/bash
# Low data: everything refitted on one draw of a few real training subjects, then real + synthetic against real alone.
#
#   benchmarks/low_data.sh DATA SUBJECTS DRAW OUT [SPLIT_SEED]
#
# DATA is the folder lgg_tcga; OUT gets the cohorts, the run and the results. Afterwards, over all draws:
#
#   python benchmarks/pooled_utility.py OUT*/utility-plain --class lesion       # without classical augmentation
#   python benchmarks/pooled_utility.py OUT*/utility-augmented --class lesion   # with it
#
# The translator learns the drawn subjects' images from their tissue classes and lesions; it then paints their label maps
# turned, zoomed and mirrored, with lesions that were grown, shrunk, moved, turned and bent. The result is semi-synthetic: it
# augments, it does not anonymise.
set -eu
data=$1 subjects=$2 draw=$3 out=$4 split=${5:-0}
painter=${PAINTER:-pix2pix} images=${IMAGES:-30000} per_case=${PER_CASE:-8} n=${N:-1000} updates=${UPDATES:-500} repeats=${REPEATS:-2}
mkdir -p "$out"
key=$out/public.key
printf 'public data, no secret: lgg_tcga' > "$key"

understudy import folder "$data" --images images128 --labels masks128 --table manifest.csv --subject subject --size 64 \
    --split train=0.6,validation=0.1,control=0.1,test=0.2 --seed "$split" --train-subjects "$subjects" --draw "$draw" \
    --key "$key" --out "$out/real"
understudy edit "$out/real" --anatomy 4 --key "$key" --out "$out/tissues"
understudy train "$painter" "$out/tissues" --preset short --set images_seen="$images" --set jitter=1 --set mirror=true \
    --seed "$draw" --out "$out/run"
understudy edit "$out/tissues" --lesion lesion --inside tissue1,tissue2,tissue3,tissue4 --grow 0.4:2.5 --move 0:8 \
    --rotate -90:90 --deform 0:0.5 --minimum 8 --augment 3 --mirror --per-case "$per_case" --seed "$draw" --key "$key" \
    --out "$out/edited"
understudy sample "$out/run" --labels "$out/edited" --n "$n" --seed "$draw" --key "$key" --out "$out/synthetic"
for augment in false true; do
    name=$([ $augment = true ] && echo augmented || echo plain)
    understudy evaluate utility --real "$out/real" --synthetic "$out/synthetic" --set 'classes=[lesion]' --set arms=[both] \
        --set augment=$augment --set updates="$updates" --set repeats="$repeats" --seed "$draw" --out "$out/utility-$name"
done
