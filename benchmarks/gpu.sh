#!/bin/bash
# Everything that only a GPU can show, in at most ten minutes: tables as CSV in OUT. What is absent is skipped, with its reason.
#
#   [STYLEGAN3=checkout of NVlabs/stylegan3] benchmarks/gpu.sh OUT
#   DEVICE=cpu TINY=1 benchmarks/gpu.sh OUT                       # to try it without a GPU; its numbers mean nothing
#
# generators.csv    every generator at 256 px x 5 channels: images/s, cases/s, memory, same bits twice, resumed or not
# evaluations.csv   seconds of utility, fidelity and privacy on samples of the first
# steps.csv         StyleGAN2, StyleGAN3-t against the official code (with its CUDA kernels), and by torch.compile
# diffusion.csv     the diffusion's step against stock MONAI, and by torch.compile
# machine.json      what the GPU itself reaches; skipped.csv: what was skipped and why; *.log: what each step said
set -u
out=${1:?usage: gpu.sh OUT} device=${DEVICE:-cuda} tiny=${TINY:-} official=${STYLEGAN3:-} limit=${SECONDS_LIMIT:-570}
here=$(cd "$(dirname "$0")" && pwd) python=${PYTHON:-python}
mkdir -p "$out"
rm -f "$out"/*.csv "$out"/*.log
failed=0

skip() {
    echo "skipped $1: $2"
    echo "$1,\"$2\"" >> "$out/skipped.csv"
}

# step NAME SECONDS COMMAND...: run it for at most so many seconds, and no longer than what is left
step() {
    local name=$1 seconds=$2 left=$((limit - SECONDS))
    shift 2
    if [ "$left" -lt 5 ]; then
        skip "$name" "the $limit seconds are over"
        return
    fi
    timeout "$((seconds < left ? seconds : left))" "$@" > "$out/$name.log" 2>&1
    local code=$?
    tail -n 3 "$out/$name.log"
    if [ $code -eq 124 ]; then
        skip "$name" "stopped after $((seconds < left ? seconds : left)) seconds"
    elif [ $code -ne 0 ]; then
        skip "$name" "failed with exit code $code: see $name.log"
        failed=1
    fi
    echo "$name: $SECONDS s since the start"
}

has() { "$python" -c "$1" > /dev/null 2>&1; }

if [ "$device" = cuda ] && ! has "import torch; assert torch.cuda.is_available()"; then
    skip "everything" "torch finds no CUDA device here (DEVICE=cpu TINY=1 tries the script)"
    exit 0
fi
if [ -n "$tiny" ]; then
    size=32 batch=4 rounds=1 steps=2 widths="--channel-base 256 --channel-max 16" small=--tiny
else
    size=256 batch=16 rounds=3 steps=3 widths="--channel-base 16384 --channel-max 512" small=
fi
common="--device $device --size $size --rounds $rounds"

step machine 60 "$python" "$here/machine_peak.py" --device "$device" $small
[ -f "$out/machine.log" ] && cp "$out/machine.log" "$out/machine.json"

echo script,side,variant,size,batch,device,compiled,images_per_s,peak_gb > "$out/steps.csv"
echo script,row,size,batch,device,images_per_s,ratio,peak_gb > "$out/diffusion.csv"
gan="$common --steps $steps --batch $batch $widths --csv $out/steps.csv"
theirs=
if [ -n "$official" ] && [ -f "$official/training/networks_stylegan2.py" ]; then
    theirs="--official $official"
    has "import ninja" || [ "$device" = cpu ] || skip "CUDA kernels of the official code" "ninja is not installed: they fall back to slow ones"
else
    skip "official StyleGAN code" "STYLEGAN3 names no checkout of NVlabs/stylegan3"
fi
step stylegan2 120 "$python" "$here/stylegan2_step.py" $gan $theirs
step stylegan3 120 "$python" "$here/stylegan3_step.py" $gan $theirs
if has "import einops, monai.networks.nets"; then
    compiled=--compile
    [ "$device" = cpu ] && compiled= && skip "torch.compile" "on a processor it is not measured here"
    step diffusion 120 "$python" "$here/diffusion_step.py" $common --batch "$batch" $compiled --csv "$out/diffusion.csv"
else
    skip "MONAI's diffusion" "monai or einops is not installed"
fi
step generators 330 "$python" "$here/gpu_generators.py" "$out" --device "$device" --size "$size" --seconds 280 \
    $small ${GENERATORS:+--only "$GENERATORS"} $([ -n "$tiny" ] && echo --steps 4)
if [ "$device" = cuda ]; then
    step stylegan2-compiled 90 "$python" "$here/stylegan2_step.py" $gan --compile
    step stylegan3-compiled 90 "$python" "$here/stylegan3_step.py" $gan --compile
fi
[ -f "$out/skipped.csv" ] && cat "$out/skipped.csv"
exit $failed
