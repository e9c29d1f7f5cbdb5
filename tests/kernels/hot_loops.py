#!/usr/bin/env python3
"""Reads the object code of the products: the innermost loops that multiply must hardly touch the stack, where a compiler that
runs out of registers keeps accumulators (GCC 12 did, two accesses a multiplication, at half the speed).

    hot_loops.py SHARE PATTERN LIBRARY.a ...

SHARE: stack accesses by vectors for each multiplication that are still fine; PATTERN: names of functions to read. Each library is
of one level. Exit 1 with the place of what was found.
"""
import re
import subprocess
import sys

MULTIPLY = re.compile(r"^(vfmadd|vpdpbusd|vpmaddwd|vdpbf16ps|pmaddwd|mulps|fmla|sdot|usdot|smull)")
# A place on the stack; one with an index counts where it is written: what is only read lies there on purpose (widened rows, unpacked weights)
STACK = re.compile(r"\(%rsp\)|\(%rsp,[^)]*\)$|\[sp[,\]]")
LEAST = 6  # multiplications in a loop that is a tile's


def functions(path, objdump):
    text = subprocess.run([objdump, "-d", "--no-show-raw-insn", path], check=True, capture_output=True, text=True).stdout
    name, lines = None, []
    for line in text.splitlines():
        head = re.match(r"^[0-9a-f]+ <(.+)>:$", line)
        if head:
            if name:
                yield name, lines
            name, lines = head.group(1), []
        else:
            body = re.match(r"^\s*([0-9a-f]+):\s+(.*)$", line)
            if body:
                lines.append((int(body.group(1), 16), body.group(2)))
    if name:
        yield name, lines


def loops(lines):
    """Innermost: from a backward jump's target to the jump, with no other backward jump inside."""
    place = {address: i for i, (address, _) in enumerate(lines)}
    found = []
    for i, (address, text) in enumerate(lines):
        jump = re.match(r"^(?:j\w+|b(?:\.\w+)?|cbn?z\s+\w+,)\s*([0-9a-f]+)\b", text)
        if jump and int(jump.group(1), 16) in place and int(jump.group(1), 16) <= address:
            found.append((place[int(jump.group(1), 16)], i))
    return [(a, b) for a, b in found if not any((c, d) != (a, b) and a <= c and d <= b for c, d in found)]


def main():
    objdump, bad, seen = "objdump", 0, 0
    for path in sys.argv[3:]:
        tiles = 0
        for name, lines in functions(path, objdump):
            if not re.match(sys.argv[2], name):
                continue
            for first, last in loops(lines):
                body = [text for _, text in lines[first:last + 1]]
                products = sum(bool(MULTIPLY.match(t)) for t in body)
                tiles += products >= LEAST
                # few multiplications: a loop over accumulators that was left rolled, if it is a tile's at all
                vector = [t for t in body if STACK.search(t) and re.search(r"%[xyz]mm|\bq\d+", t)] if products else []
                if len(vector) > float(sys.argv[1]) * products:
                    bad += 1
                    print(f"{path}: {name}: the loop at {lines[first][0]:x} has {len(vector)} vector accesses to the stack for {products} multiplications, as {vector[0]}")
        print(f"{path}: {tiles} loops of tiles")
        seen += tiles
        if tiles == 0:
            bad += 1
            print(f"{path}: no loop of a tile was found: this check does not see the code any more")
    return 1 if bad or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
