"""ecrec tune: seeded, a table, a log line a fit, the best fit saved; its event files as TensorBoard's own reader has them.

usage: tune.py TOOL        (tensorboard from tests/peers.sh; without it the files are read by this script alone)
"""
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

TOOL = os.path.abspath(sys.argv[1])
failures = []


def check(what, good, detail=""):
    if not good:
        failures.append(what)
        print(f"FAIL {what} {detail}")


def run(*args, code=0):
    done = subprocess.run([TOOL, *args], capture_output=True, text=True)
    if done.returncode != code:
        sys.exit(f"ecrec {' '.join(args)}: exit {done.returncode}: {done.stderr}")
    return done.stdout if code == 0 else done.stderr


def masked_crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(path):
    data = open(path, "rb").read()
    while data:
        (length,), (check_length,) = struct.unpack("<Q", data[:8]), struct.unpack("<I", data[8:12])
        body, (check_body,) = data[12:12 + length], struct.unpack("<I", data[12 + length:16 + length])
        check("event file: checks", check_length == masked_crc32c(data[:8]) and check_body == masked_crc32c(body) and len(body) == length)
        yield body
        data = data[16 + length:]


def event_files(folder):
    return sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)


def write_rows():
    draw = random.Random(4)
    schema = {"fields": [{"name": "user", "kind": "category"}, {"name": "item", "kind": "category"}, {"name": "price", "kind": "number"}], "labels": ["cli.ck"],
              "hash_bits": 12, "network": {"pairs": "all", "width": 4, "embedding_bits": 10, "fm": True, "hidden": [8]}}
    json.dump(schema, open("schema.json", "w"))
    with open("rows.jsonl", "w") as f:
        for _ in range(1200):
            user, item = draw.randrange(20), draw.randrange(15)
            f.write(json.dumps({"user": user, "item": item, "price": draw.random(), "cli.ck": int(draw.random() < (.8 if user % 3 == item % 3 else .2))}) + "\n")


def main():
    write_rows()
    run("new", "--schema", "schema.json", "-o", "r0.ecrec")
    how = ["tune", "r0.ecrec", "-i", "rows.jsonl", "--trials", "6", "--epochs", "4", "--cut", "2", "--seed", "7", "--holdout-by", "random", "--batch", "64"]
    told = json.loads(run(*how, "-o", "best.ecrec", "--log", "log.tsv", "--tensorboard", "board", "--json"))["trials"]
    again = json.loads(run(*how, "-o", "again.ecrec", "--threads", "1", "--json"))["trials"]
    same = lambda trials: [{k: v for k, v in t.items() if k != "seconds"} for t in trials]
    check("the same seed tries and finds the same", same(told) == same(again))
    check("and saves the same bits", open("best.ecrec", "rb").read() == open("again.ecrec", "rb").read())
    other = json.loads(run(*how[:-6], "--seed", "8", "-o", "other.ecrec", "--json"))["trials"]
    check("another seed tries others", same(other) != same(told))
    check("epochs by halving", sorted(t["epochs"] for t in told) == [1, 1, 1, 2, 2, 4], told)
    check("what is given is not searched", all("batch" not in t["settings"] for t in told))
    check("sorted: the longest, then the best", told == sorted(told, key=lambda t: (-t["epochs"], t["score"])))
    log = [line.split("\t") for line in open("log.tsv").read().splitlines()]
    check("log: a line a fit", len(log) == 1 + 6 + 3 + 1 and all(len(line) == len(log[0]) for line in log), log)
    best = log[-1]
    check("log: the figures of the table", abs(float(best[3]) - told[0]["score"]) < 1e-6 and int(best[0]) == told[0]["trial"])
    for i, name in enumerate(log[0][6:-1]):
        check(f"log: {name}", str(best[6 + i]) == str(told[0]["settings"][name]) or float(best[6 + i]) == told[0]["settings"][name])
    fitted = json.loads(run("eval", "best.ecrec", "-i", "rows.jsonl", "--json"))["cli.ck"]
    check("what is saved has learned", fitted["auc"] > 0.75, fitted["auc"])

    files = event_files("board")
    check("an event file a fit", len(files) == 10, files)
    for file in files:
        bodies = list(records(file))
        check("event files say their version first", b"brain.Event:2" in bodies[0] and len(bodies) > 5)
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError:
        print("tensorboard is not installed: its own reader was not tried (tests/peers.sh test)")
        if os.environ.get("ECREC_REQUIRE_DATA"):
            failures.append("tensorboard is not installed")
        return
    board = EventAccumulator(f"board/trial-{told[0]['trial']:03}-epochs-4")
    board.Reload()
    held = board.Scalars("loss/held_out")
    check("TensorBoard: steps are epochs", [e.step for e in held] == [1, 2, 3, 4][:len(held)] and len(held) >= 2)
    check("TensorBoard: the lowest loss is the trial's score", abs(min(e.value for e in held) - told[0]["score"]) < 1e-5, (held, told[0]))
    check("TensorBoard: AUC", abs(board.Scalars("cli_ck.auc")[0].value - told[0]["auc"]) < 1e-5)
    check("TensorBoard: settings", abs(board.Scalars("setting/rate")[0].value - told[0]["settings"]["rate"]) < 1e-3 * told[0]["settings"]["rate"])
    run("fit", "r0.ecrec", "-i", "rows.jsonl", "-o", "f.ecrec", "--epochs", "2", "--tensorboard", "fit")
    board = EventAccumulator("fit")
    board.Reload()
    check("fit --tensorboard", [e.step for e in board.Scalars("loss/learned")] == [1, 2])

    def space(text, wanted):
        open("space.json", "w").write(text)
        said = run("tune", "r0.ecrec", "-i", "rows.jsonl", "-o", "x.ecrec", "--space", "space.json", code=1)
        check(f"space {text}", wanted in said and "space.json" in said, said)

    space('{"rate": {"log": [0, 1]}}', '"rate" must be')
    space('{"speed": {"log": [1, 2]}}', '"speed" is no setting')
    space('{"optimiser": {"choice": ["sgd"]}}', '"optimiser" must be')
    space('[1]', "not a JSON object")
    space('{', "space.json:1")
    open("space.json", "w").write('{"rate": {"choice": [0.05]}, "optimiser": {"choice": ["ftrl"]}, "dropout": {"uniform": [0.1, 0.2]}}')
    told = json.loads(run("tune", "r0.ecrec", "-i", "rows.jsonl", "-o", "x.ecrec", "--space", "space.json", "--trials", "3", "--epochs", "2", "--metric", "labels.cli_ck.auc", "--json"))["trials"]
    check("a space of one's own", all(set(t["settings"]) == {"rate", "optimiser", "dropout"} and t["settings"]["rate"] == 0.05 and t["settings"]["optimiser"] == "ftrl" for t in told), told)
    longest = [t["score"] for t in told if t["epochs"] == 2]
    check("a larger AUC is better", longest == sorted(longest, reverse=True) and told[0]["score"] == told[0]["auc"])
    check("a metric that is not there", "labels.no.auc" in run("tune", "r0.ecrec", "-i", "rows.jsonl", "-o", "x.ecrec", "--metric", "labels.no.auc", code=2))


with tempfile.TemporaryDirectory() as place:
    os.chdir(place)
    main()
    os.chdir("/")
sys.exit(1 if failures else 0)
