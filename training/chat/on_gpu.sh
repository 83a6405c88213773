#!/bin/bash
# on_gpu.sh SECONDS OUT: out of a pack (pack.py), trains by the clock and leaves weights, log, samples and scores in OUT.
#
# Needs PyTorch and NumPy, nothing else and no network. One command on a CUDA card; without one it trains a toy on the processor.
# Of SECONDS, the last sixth (75 at most) goes to judging. Killed earlier, OUT holds the best weights up to then.
# OUT has at most 8 files of at most 15 MiB: weights.{a,b}.{0,1}, weights.json, train.log.jsonl, job.log, scores.json.
set -u
seconds=${1:?usage: on_gpu.sh SECONDS OUT}
out=${2:?usage: on_gpu.sh SECONDS OUT}
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
mkdir -p "$out" || exit 1
out=$(cd "$out" && pwd)
work=$(mktemp -d)
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}
cd "$here" || exit 1
cores=$(env -u OMP_NUM_THREADS nproc)  # nproc would say what that variable says
judging=$(( seconds / 6 > 75 ? 75 : seconds / 6 ))
began=$SECONDS

rows=(--tokenizer tokenizer.json --out "$work/rows")
[ -f human.jsonl.xz ] && rows+=(--human human.jsonl.xz)
if "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
  rows+=(--workers $(( cores > 3 ? cores - 2 : 1 )))
  train=()
  judge=(--sums 300 --others 100)
else
  echo "no CUDA card here: a toy, on the processor" | tee -a "$out/job.log"
  rows+=(--workers 1 --shard-tokens 100000 --tokens $(( seconds * 4000 )))
  train=(--toy --batch 8 --length 256 --first-tokens 2e5 --save $(( seconds / 8 + 1 )) --log-every 10 --threads "$OMP_NUM_THREADS")
  judge=(--sums 5 --others 3)
fi

# The rows are written while the model trains on those that are there.
"$python" write_rows.py "${rows[@]}" >>"$out/job.log" 2>&1 &
writer=$!
trainer=
trap 'kill $writer $trainer 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 143' TERM INT
"$python" train.py --rows "$work/rows" --out "$out" --seconds $(( seconds - judging - (SECONDS - began) )) "${train[@]}" ${TRAIN_ARGS:-} \
  > >(tee -a "$out/job.log") 2>&1 &
trainer=$!
wait $trainer
kill $writer 2>/dev/null
if [ ! -f "$out/weights.json" ]; then
  echo "no weights were written; job.log says why" | tee -a "$out/job.log"
  exit 1
fi
# What is judged is written as it goes, so that a judge who is late has not judged in vain.
timeout "$judging" "$python" evaluate.py "$out" --tokenizer tokenizer.json --out "$out/scores.json" "${judge[@]}" > >(tee -a "$out/job.log") 2>&1 &
trainer=$!
wait $trainer
ls -l "$out"
