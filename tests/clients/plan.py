"""What a client script is told, and what it tells.

The plan is a JSON object, the first argument: `url`, `call` and `notifying` (each with `name` and
`arguments`: a tool, and a tool that reports its progress or logs), and `unknown`, the name of no tool.

The report is a JSON object, the one line on stdout: the `revision` spoken, the names of the `tools`,
the text of both results (`result`, `notified`), the `progress` as pairs, the data of the `logs`, and
the `error` code that the unknown tool was answered with.
"""

import json
import sys


def read() -> dict:
    return json.loads(sys.argv[1])


def report(**facts: object) -> None:
    print(json.dumps(facts), flush=True)
