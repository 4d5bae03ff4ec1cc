#!/bin/sh
# What both recipes do in a plain Debian 12: Python, and understudy with its extras from /source into /opt/understudy.
set -eu
apt-get update
apt-get install -y --no-install-recommends ca-certificates python3 python3-venv
rm -rf /var/lib/apt/lists/*
python3 -m venv /opt/understudy
/opt/understudy/bin/pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" --constraint /source/constraints.txt \
    "/source[dicom,dp,features,itk,reader,sign,texture]"
rm -rf /source
/opt/understudy/bin/understudy --version
