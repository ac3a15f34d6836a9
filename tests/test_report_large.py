"""What the report of a large run costs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

# in a process of its own, whose memory and seconds are those of the report alone
CODE = """
import json, resource, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from large import large_run
from winit_cli.report import write
run = large_run(Path(sys.argv[2]))
start = time.process_time()
page = write(run)
seconds = time.process_time() - start
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"trials": len(run.trials), "gradients": len(run.gradients), "seconds": seconds, "memory": memory,
                  "size": page.stat().st_size, "drawn": page.read_text().count("<path"),
                  "pictures": page.read_text().count("<img ")}))
"""


@pytest.mark.slow
def test_a_thousand_trials_take_seconds_and_little_memory(tmp_path: Path):
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", CODE, here, str(tmp_path)], capture_output=True, text=True, check=True)
    cost = json.loads(done.stdout)
    assert cost["trials"] >= 1000
    assert cost["gradients"] >= 1_000_000
    assert cost["seconds"] < 20
    assert cost["memory"] < 2e9
    assert cost["size"] < 5e6
    assert cost["drawn"] < 1000
    assert cost["pictures"] >= 11  # of which six show what was probed
