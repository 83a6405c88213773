#!/usr/bin/env bash
# What a graphics card does with this engine, in at most two minutes: a table to read, and one file of JSON to keep.
#
#   benches/real-gpu.sh FOLDER [LANTERN]
#
# FOLDER gets <date>-real-gpu.json, as the first of them in benches/record/nvidia-h200. LANTERN is the built program (of
# `cargo build --release --bin lantern`; without it, the one on the PATH): nothing is built here, nothing is downloaded, and
# nothing leaves the machine. ADAPTER=part-of-a-name chooses among several cards. Where there is only a software adapter it
# is a rehearsal with little work.
set -u

if [ $# -lt 1 ]; then
    echo "usage: benches/real-gpu.sh FOLDER [LANTERN]" >&2
    exit 2
fi
folder=$1
lantern=${2:-lantern}
if ! version=$("$lantern" --version); then
    echo "error: $lantern is no lantern that runs here (build one: cargo build --release --bin lantern)" >&2
    exit 1
fi
mkdir -p "$folder" || exit 1
parts=$(mktemp -d) || exit 1
trap 'rm -rf "$parts"' EXIT

# Seconds in all, and what is left of them.
limit=120
left() { echo $((limit - SECONDS)); }

# The number behind NAME, the first after OBJECT, in one line of JSON.
number() { # FILE OBJECT NAME
    awk -v object="\"$2\":{" -v name="\"$3\":" '{
        text = $0
        if (object != "\"\":{") { at = index(text, object); if (!at) exit; text = substr(text, at + length(object)) }
        at = index(text, name); if (!at) exit
        text = substr(text, at + length(name)); sub(/[,}\]].*/, "", text); print text; exit
    }' "$1"
}

not_run=""
skipped() { # WHAT WHY
    echo "not run: $1: $2" >&2
    not_run="$not_run${not_run:+, }{\"what\": \"$1\", \"why\": \"$(printf '%s' "$2" | tr -d '"\\\n' | cut -c 1-300)\"}"
}

# Runs one benchmark into a file of its own; what cannot be, or would take too long, is said and left out.
measure() { # FILE WHAT ARGUMENTS…
    local file=$parts/$1 what=$2 seconds
    shift 2
    seconds=$(left)
    if [ "$seconds" -lt 5 ]; then
        skipped "$what" "the two minutes are over"
        return 1
    fi
    local guard=()
    command -v timeout >/dev/null && guard=(timeout "$seconds")
    echo "… $what" >&2
    if "${guard[@]+"${guard[@]}"}" "$lantern" "$@" --json >"$file" 2>"$parts/said"; then
        return 0
    fi
    local said
    said=$(tail -n 1 "$parts/said")
    skipped "$what" "${said:-it did not end within $seconds seconds}"
    rm -f "$file"
    return 1
}

"$lantern" devices --json >"$parts/devices" || exit 1
# One adapter a line; the real ones first.
awk '{ gsub(/},{/, "}\n{"); print }' "$parts/devices" | grep '"device":"gpu"' | grep -i -- "${ADAPTER:-.}" >"$parts/gpus"
card=$(grep -m 1 '"software":false' "$parts/gpus" || head -n 1 "$parts/gpus")
if [ -z "$card" ]; then
    echo "error: no graphics adapter here${ADAPTER:+ whose name has $ADAPTER} (see: $lantern devices)" >&2
    exit 1
fi
of_card() { printf '%s' "$card" | sed -n "s/.*\"$1\":$2.*/\\1/p"; }
adapter=$(of_card adapter '"\([^"]*\)"')
preferred=$(of_card preferred '"\([^"]*\)"')
tiers=$(of_card tiers '\[\([^]]*\)\]' | tr -d '"' | tr ',' ' ')
device=(--adapter "$adapter")
if printf '%s' "$card" | grep -q '"software":false'; then
    rehearsal=
    chat=(--type q4_0 --prompt-tokens 512 --tokens 64 --runs 2)
    kernels=()
    conv=(--large --runs 5)
else
    echo "rehearsal: $adapter is no real card" >&2
    rehearsal=yes
    tiers=$preferred
    chat=(--type q4_0 --prompt-tokens 8 --tokens 3 --runs 1)
    kernels=(--working-set-mib 2 --runs 1)
    conv=(segment-depthwise --runs 1)
fi

measure kernels "kernels at $preferred" bench kernels "${device[@]}" --tier "$preferred" "${kernels[@]+"${kernels[@]}"}"
run_chat() { # SHAPE TIER
    measure "chat-$1-$2" "chat $1 at $2" bench chat --shape "$1" "${chat[@]}" "${device[@]}" --tier "$2"
}

# The small one first: a card that is slow with it does not get to the large ones.
run_chat 135m "$preferred"
probe=$(number "$parts/chat-135m-$preferred" prefill ms 2>/dev/null)
shape=1b
if [ -n "$rehearsal" ] || [ -z "$probe" ] || [ "${probe%%.*}" -gt 1500 ]; then
    shape=135m
else
    run_chat 1b "$preferred"
fi
# Higher tiers before lower ones: time may run out.
for tier in $(printf '%s\n' $tiers | awk '{ line[NR] = $0 } END { for (i = NR; i; i--) print line[i] }'); do
    [ "$tier" = "$preferred" ] || [ "$tier" = software ] || run_chat "$shape" "$tier"
done
measure conv "convolutions at $preferred" bench conv "${conv[@]}" "${device[@]}" --tier "$preferred"
if [ "$shape" = 1b ]; then
    speed=$(number "$parts/chat-1b-$preferred" decode tokens_per_s 2>/dev/null)
    if [ "${speed:+${speed%%.*}}" ] && [ "${speed%%.*}" -ge 20 ]; then
        run_chat 7b "$preferred"
    else
        skipped "chat 7b at $preferred" "too slow at 1b"
    fi
fi
# What is written for processors comes last.
case " $tiers " in *" software "*) [ "$preferred" = software ] || run_chat "$shape" software ;; esac

date=$(date -u +%Y-%m-%d)
record=$folder/$date-real-gpu.json
{
    printf '{"machine": "%s", "date": "%s", "version": "%s", "seconds": %s,\n' "$adapter" "$date" "$version" "$SECONDS"
    printf '"devices": %s' "$(cat "$parts/devices")"
    for one in kernels conv; do
        [ -e "$parts/$one" ] && printf ',\n"%s": %s' "$one" "$(cat "$parts/$one")"
    done
    printf ',\n"chat": ['
    between=""
    for file in "$parts"/chat-*; do
        [ -e "$file" ] || continue
        printf '%s\n%s' "$between" "$(cat "$file")"
        between=,
    done
    printf '],\n"not_run": [%s]}\n' "$not_run"
} >"$record"

echo
echo "$adapter, $version, $SECONDS s"
for limits in "$parts/kernels" "$parts"/chat-*; do
    [ -e "$limits" ] || continue
    printf 'copies %.0f GB/s, multiplies and adds in registers %.0f GFLOP/s, a dispatch that waits for another %.1f µs\n' \
        "$(number "$limits" limits copy_gb_per_s)" "$(number "$limits" limits fma_gflop_per_s)" \
        "$(number "$limits" limits dispatch_us)"
    break
done
format='%-6s %-10s %12s %9s %9s %9s %9s %11s %9s %9s %9s\n'
# shellcheck disable=SC2059
printf "\n$format" chat tier "prefill ms" GFLOP/s "of FMA" tokens/s "ms" dispatches GB/s "of copy" "host ms"
for file in "$parts"/chat-*; do
    [ -e "$file" ] || continue
    name=$(basename "$file")
    # shellcheck disable=SC2059
    printf "$format" "$(echo "$name" | cut -d - -f 2)" "$(echo "$name" | cut -d - -f 3)" \
        "$(printf %.1f "$(number "$file" prefill ms)")" "$(printf %.0f "$(number "$file" prefill gflop_per_s)")" \
        "$(number "$file" prefill of_arithmetic | awk '{ printf "%.0f%%", $1 * 100 }')" \
        "$(printf %.1f "$(number "$file" decode tokens_per_s)")" "$(printf %.2f "$(number "$file" decode ms)")" \
        "$(number "$file" decode dispatches)" "$(printf %.0f "$(number "$file" decode gb_per_s)")" \
        "$(number "$file" decode of_bandwidth | awk '{ printf "%.0f%%", $1 * 100 }')" \
        "$(printf %.2f "$(number "$file" host run_ms)")"
done
if [ -e "$parts/conv" ]; then
    printf '\n%-24s %9s %9s %9s\n' convolutions "ms" GFLOP/s "of FMA"
    # Where each stack ends, its name stands behind its figures: fields come in the alphabet's order.
    awk '{
        count = split($0, stacks, "\"about\":")
        for (i = 2; i <= count; i++) {
            name = stacks[i]; sub(/.*"name":"/, "", name); sub(/".*/, "", name)
            rate = stacks[i]; sub(/.*"gflop_per_s":/, "", rate); sub(/,.*/, "", rate)
            ms = stacks[i]; sub(/.*"kernels_ms":/, "", ms); sub(/,.*/, "", ms)
            share = stacks[i]; sub(/.*"of_fma":/, "", share); sub(/,.*/, "", share)
            printf "%-24s %9.2f %9.0f %8.0f%%\n", name, ms, rate, share * 100
        }
    }' "$parts/conv"
fi
echo
echo "written to $record"
