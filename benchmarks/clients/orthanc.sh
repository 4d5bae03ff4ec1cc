#!/usr/bin/env bash
# Store DICOM files in an Orthanc that sees nothing but the loopback of a network namespace, and fetch all of them again.
#   unshare --net benchmarks/clients/orthanc.sh FOLDER INSTANCES OUT
# FOLDER is searched for .dcm files; OUT gets the files that Orthanc gives back over DICOM (C-GET), INSTANCES of them.
set -euo pipefail
FILES=$(realpath "${1:?folder}"); WANTED=${2:?number of instances}; OUT=$(realpath -m "${3:?folder}")
ip link set lo up
mkdir -p "$OUT"/{got,server}
cat > "$OUT/server/orthanc.json" <<JSON
{
  "Name": "clients", "StorageDirectory": "$OUT/server/storage", "IndexDirectory": "$OUT/server/index",
  "HttpServerEnabled": true, "HttpPort": 18042, "RemoteAccessAllowed": false, "AuthenticationEnabled": false,
  "DicomServerEnabled": true, "DicomAet": "ORTHANC", "DicomPort": 14242, "DicomCheckCalledAet": false,
  "DicomAlwaysAllowFind": true, "DicomAlwaysAllowGet": true, "DicomAlwaysAllowStore": true, "UnknownSopClassAccepted": true
}
JSON
Orthanc --logfile="$OUT/server/log" "$OUT/server/orthanc.json" &
SERVER=$!
trap 'kill $SERVER; wait $SERVER || true' EXIT
for _ in $(seq 80); do
  curl -fs http://127.0.0.1:18042/system > "$OUT/server/system.json" && break
  sleep 0.25
done
storescu --required +sd +r +sp '*.dcm' -aec ORTHANC 127.0.0.1 14242 "$FILES" > "$OUT/server/storescu" 2>&1
for study in $(curl -fs http://127.0.0.1:18042/studies?expand | grep -o '"StudyInstanceUID" : "[0-9.]*"' | grep -o '[0-9.]*[0-9]' | sort -u); do
  getscu -S -aec ORTHANC -od "$OUT/got" -k QueryRetrieveLevel=STUDY -k StudyInstanceUID="$study" 127.0.0.1 14242
done > "$OUT/server/getscu" 2>&1
[ "$(find "$OUT/got" -type f | wc -l)" = "$WANTED" ] || { echo "$(find "$OUT/got" -type f | wc -l) of $WANTED instances came back"; exit 1; }
