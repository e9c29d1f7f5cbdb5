"""Nothing but the instruction-set kernels is compiled above the baseline: in the static library, only members named after a
level (avx2*.c, avx512*.c, neon*.c ...) may hold instructions that a plain x86-64 lacks.

    baseline.py LIBRARY.a
"""
import re
import subprocess
import sys

KERNEL = re.compile(r"(^|_)(avx|fma|vnni|amx|neon|sve|sse4)\w*\.c\.o$")
# registers above xmm, and mnemonics that begin with v (VEX and EVEX), outside of the symbols' own names
ABOVE = re.compile(r"%[yz]mm\d|\t(v[a-z]{3,}|tzcnt|lzcnt|popcnt|andn|bextr|blsr|blsi|pdep|pext|sarx|shlx|shrx|rorx|mulx|movbe|crc32\w*|p(abs|shufb|hadd|maddubsw|mulhrsw)\w*|"
                   r"p(blend|extr|insr|max[su][bdw]|min[su][bdw]|mov[sz]x|muldq|mulld|test)\w*|round[sp][sd]|dpp[sd]|insertps|extractps)\s")
EXPECTED = re.compile(r"\t(vmovb\w*|verr|verw|vmcall|pextrw|pinsrw|pmaxub|pmaxsw|pminub|pminsw)\b")  # SSE2 has these four


def main():
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", sys.argv[1]], check=True, capture_output=True, text=True).stdout
    member, seen, kernels, wrong = "", 0, 0, []
    for line in text.splitlines():
        begin = re.match(r"^(\S+\.o):\s+file format (\S+)", line)
        if begin:
            member = begin.group(1)
            if "x86-64" not in begin.group(2):
                print(f"{begin.group(2)}: not x86-64, nothing to look for")
                return 0
            seen += 1
            kernels += bool(KERNEL.search(member))
        elif not KERNEL.search(member) and ABOVE.search(line) and not EXPECTED.search(line):
            wrong.append(f"{member}: {line.strip()}")
    print("\n".join(wrong[:40]) or f"{seen} objects, {kernels} of them kernels of a level: nothing else is above the baseline")
    return 1 if wrong or not seen or not kernels else 0


sys.exit(main())
