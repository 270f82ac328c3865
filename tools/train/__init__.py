"""From an event log to a model bundle: `python -m tools.train --help`.

    log (Parquet) -> quarantine -> point-in-time join -> schema.encode -> split by time
                                                                            |
    bundle directory <- calibration on a later slice <- LightGBM or XGBoost-+

The columns come from models/feature/schema.json, the file that the server
encodes by; a test compares the two encoders bit for bit.
"""

import os

# Threads that wait for each other sleep: spinning ones take the cores from
# whatever else the machine runs, and from each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
