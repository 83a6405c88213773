#!/bin/bash
# toy.sh [SECONDS]: the whole pipeline at toy size on this processor: pack, rows, training, GGUF, golden ids, a sample.
# 120 seconds of training are enough to see that it runs; what it then writes has the form of the texts and not their sense.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
run=$here/../runs/chat-toy
python=${PYTHON:-python3}
"$python" "$here/pack.py" --out "$run/pack" --documents 4000
rm -rf "$run/out"
CUDA_VISIBLE_DEVICES= PYTHON=$python "$run/pack/on_gpu.sh" "${1:-120}" "$run/out"
"$python" "$here/export_gguf.py" "$run/toy.q8_0.gguf" --weights "$run/out" --pack "$run/pack" --masters "$run"
"$python" "$here/golden.py" "$run/toy.q8_0.gguf" "$run/golden.json" --tokens 32 --fewest 4
"$python" "$here/sample.py" "$run/toy.q8_0.gguf" "Once upon a time" --tokens 60
