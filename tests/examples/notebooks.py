"""The Python examples that are a notebook's worth each: run in an empty folder, exit 0, say what they promise.

usage: notebooks.py LIBRARY FOLDER_OF_THE_EXAMPLES
"""
import os
import subprocess
import sys
import tempfile

library, folder = map(os.path.abspath, sys.argv[1:3])
wrong = 0
for script, promised in (("ctr.py", ["pairs and a perceptron: epoch", "said and came true", "the hardest of"]), ("online.py", ["refused:", "rolled back", "recovered:"]),
                         ("replica.py", ["3 replicas are at the trainer's bits", "refused:", "caught up"]),
                         ("impressions.py", ["six hours, corrected", "were ripe on day 55", "forgotten:"]),
                         ("profiles.py", ["with profiles", "brand=3", "nearest to u7's taste"])):
    lines = open(os.path.join(folder, script), encoding="utf-8").read().count("\n")
    with tempfile.TemporaryDirectory() as place:
        run = subprocess.run([sys.executable, os.path.join(folder, script)], cwd=place, env={**os.environ, "ECREC_LIBRARY": library, "PYTHONPATH": folder}, capture_output=True, text=True)
    missing = [p for p in promised if p not in run.stdout]
    good = run.returncode == 0 and not missing and lines < 150
    wrong += not good
    print(f"{'ok  ' if good else 'FAIL'} {script}, {lines} lines" + ("" if good else f": exit {run.returncode}, not said: {missing}\n{run.stdout}{run.stderr}"))
sys.exit(1 if wrong else 0)
