#!/bin/bash -eu
# What OSS-Fuzz and ClusterFuzzLite call, with SRC, OUT and the compilers in the environment.
cd "$SRC/mtasts"
fuzz/build "$OUT"
for source in fuzz/fuzz_*.c; do
    target=$(basename "$source" .c)
    inputs=("fuzz/corpus/$target")
    if [ -d "fuzz/regressions/$target" ]; then
        inputs+=("fuzz/regressions/$target")
    fi
    zip -jqr "$OUT/${target}_seed_corpus.zip" "${inputs[@]}"
    for extra in "fuzz/dict/$target.dict" "fuzz/options/$target.options"; do
        if [ -e "$extra" ]; then
            cp "$extra" "$OUT"
        fi
    done
done
