"""The C APIs of LightGBM and XGBoost on one thread, for bench/models, which starts this with its rows and talks JSON lines.

    python peer.py ROWS COLUMNS

in:  {"trainer": "lightgbm", "model": path, "rows": n, "seconds": s}
out: {"nanos": a row, "overhead": of one ctypes call, "scores": of the first rows, "name": ...}

Calls go straight to the shared libraries by ctypes, with arguments made before the clock starts. XGBoost predicts in place from
the dense array: a DMatrix used twice would answer from its cache.
"""

import ctypes
import json
import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"

import numpy  # noqa: E402

ROWS = numpy.fromfile(sys.argv[1], "<f4").reshape(-1, int(sys.argv[2]))
COLUMNS = ROWS.shape[1]
RAW_SCORE, FLOAT32, ROW_MAJOR = 1, 0, 1


class LightGBM:
    def __init__(self):
        import lightgbm

        self.name = f"LightGBM {lightgbm.__version__}"
        self.lib = lightgbm.basic._LIB
        self.overhead_call = lambda: self.lib.LGBM_GetLastError()

    def load(self, path):
        self.handle, iterations = ctypes.c_void_p(), ctypes.c_int()
        if self.lib.LGBM_BoosterCreateFromModelfile(path.encode(), ctypes.byref(iterations), ctypes.byref(self.handle)):
            raise RuntimeError(path)
        self.out = numpy.empty(len(ROWS), numpy.float64)
        self.length = ctypes.c_int64()

    def calls(self, n):
        """One call a batch of n rows."""
        out, length = self.out.ctypes.data_as(ctypes.POINTER(ctypes.c_double)), ctypes.byref(self.length)
        starts = [ctypes.c_void_p(ROWS[i:].ctypes.data) for i in range(0, len(ROWS) - n + 1, n)]
        if n == 1:
            fast = ctypes.c_void_p()
            self.lib.LGBM_BoosterPredictForMatSingleRowFastInit(
                self.handle, RAW_SCORE, 0, -1, FLOAT32, COLUMNS, b"num_threads=1", ctypes.byref(fast))
            call = self.lib.LGBM_BoosterPredictForMatSingleRowFast
            return [lambda s=s: call(fast, s, length, out) for s in starts]
        call, parameters = self.lib.LGBM_BoosterPredictForMat, b"num_threads=1"
        handle, rows, columns = self.handle, ctypes.c_int32(n), ctypes.c_int32(COLUMNS)
        return [lambda s=s: call(handle, s, FLOAT32, rows, columns, ROW_MAJOR, RAW_SCORE, 0, -1, parameters, length, out) for s in starts]

    def scores(self, n):
        return self.out[:n].tolist()

    def free(self):
        self.lib.LGBM_BoosterFree(self.handle)


class XGBoost:
    def __init__(self):
        import xgboost

        self.name = f"XGBoost {xgboost.__version__}"
        self.lib = xgboost.core._LIB
        self.overhead_call = lambda: self.lib.XGBGetLastError()

    def load(self, path):
        self.handle = ctypes.c_void_p()
        self.lib.XGBoosterCreate(None, 0, ctypes.byref(self.handle))
        if self.lib.XGBoosterLoadModel(self.handle, path.encode()):
            raise RuntimeError(path)
        self.lib.XGBoosterSetParam(self.handle, b"nthread", b"1")
        self.shape, self.dimensions = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64()
        self.out = ctypes.POINTER(ctypes.c_float)()

    def calls(self, n):
        config = json.dumps(dict(type=1, training=False, iteration_begin=0, iteration_end=0, strict_shape=False,
                                 missing=float("nan"), cache_id=0)).encode()
        starts = [
            json.dumps(dict(data=[ROWS[i:].ctypes.data, True], shape=[n, COLUMNS], strides=None, typestr="<f4", version=3)).encode()
            for i in range(0, len(ROWS) - n + 1, n)
        ]
        call, handle = self.lib.XGBoosterPredictFromDense, self.handle
        shape, dimensions, out = ctypes.byref(self.shape), ctypes.byref(self.dimensions), ctypes.byref(self.out)
        return [lambda s=s: call(handle, s, config, None, shape, dimensions, out) for s in starts]

    def scores(self, n):
        return [float(self.out[i]) for i in range(n)]

    def free(self):
        self.lib.XGBoosterFree(self.handle)


def nanos_per_call(calls, seconds):
    for call in calls[:2]:
        if call() not in (0, None):
            return None
    done, i, start = 0, 0, time.thread_time_ns()
    while True:
        calls[i]()
        i = (i + 1) % len(calls)
        done += 1
        spent = time.thread_time_ns() - start
        if spent > seconds * 1e9:
            return spent / done


def main():
    peers, loaded = {}, None
    for line in sys.stdin:
        ask = json.loads(line)
        try:
            name = ask["trainer"]
            if name not in peers:
                peers[name] = {"lightgbm": LightGBM, "xgboost": XGBoost}[name]()
            peer = peers[name]
            if loaded != (name, ask["model"]):
                if loaded:
                    peers[loaded[0]].free()
                peer.load(ask["model"])
                loaded = (name, ask["model"])
            n = ask["rows"]
            calls = peer.calls(n)
            nanos = nanos_per_call(calls, ask["seconds"])
            calls[0]()
            answer = dict(nanos=nanos / n, overhead=nanos_per_call([lambda: peer.overhead_call() and None], 0.002), scores=peer.scores(n), name=peer.name)
        except Exception as fault:  # an absent library is an answer too
            answer = dict(error=f"{type(fault).__name__}: {fault}")
        print(json.dumps(answer), flush=True)


main()
