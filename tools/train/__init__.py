"""From an event log to a model bundle: `python -m tools.train --help`.

    log (Parquet) -> quarantine -> point-in-time join -> schema.encode -> split by time
                                                                            |
    bundle directory <- calibration on a later slice <- LightGBM or XGBoost-+

The columns come from models/feature/schema.json, the file that the server
encodes by; a test compares the two encoders bit for bit.
"""
