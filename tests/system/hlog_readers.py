"""Two readers of histogram logs that are not ours. Both know values as the highest of their bucket:
bucket_top_ns() of what we say."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

JAR = Path("/usr/share/java/hdrhistogram.jar")
SCRIPT = Path(__file__).parent / "helpers" / "hlog_reader"

HIGHEST_NS = 60_000_000_000
EXACT_BITS = 11  # values of so many bits have a bucket each

# What HistogramLogProcessor prints of an interval, and of all until its end.
JAVA_INTERVAL = (0.5, 0.9, 1)
JAVA_WHOLE = (0.5, 0.9, 0.99, 0.999, 0.9999, 1)
JAVA_LINE = re.compile(r"[\d.]+: I:(\d+) \(([^)]*)\) T:(\d+) \(([^)]*)\)")


def bucket_top_ns(value_ns):
    """The highest value in the bucket of value_ns: what the readers make of it."""
    value_ns = min(value_ns, HIGHEST_NS)
    bits = max(value_ns.bit_length() - EXACT_BITS, 0)
    return ((value_ns >> bits) + 1 << bits) - 1


def run(command, **kwargs):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **kwargs)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


class Histogram:
    """A reader's: how many samples, and quantiles_ns[q]."""

    def __init__(self, count, quantiles_ns):
        self.count = count
        self.quantiles_ns = quantiles_ns


class JavaReader:
    """HistogramLogProcessor of Debian's libhdrhistogram-java."""

    def __init__(self):
        self.java = shutil.which("java")
        if not self.java or not JAR.exists():
            pytest.skip("no java here, or no libhdrhistogram-java")

    def read(self, log, tag="", expected_ns=0):
        """The histograms of the lines with this tag, and all of them as one. With an expected
        interval they are corrected for coordinated omission, and the log must not have tags."""
        out = Path(f"{log}.java")
        command = [self.java, "-cp", JAR, "org.HdrHistogram.HistogramLogProcessor"]
        command += ["-i", log, "-o", out, "-outputValueUnitRatio", "1"]
        if tag:
            command += ["-tag", tag]
        if expected_ns:
            command += ["-correctLogWithKnownCoordinatedOmission", str(expected_ns)]
        run(command)
        found = [JAVA_LINE.fullmatch(line) for line in out.read_text().splitlines()]
        found = [match for match in found if match]
        intervals = [self._histogram(match[1], JAVA_INTERVAL, match[2]) for match in found]
        return intervals, self._histogram(found[-1][3], JAVA_WHOLE, found[-1][4])

    @staticmethod
    def _histogram(count, qs, values):
        values_ns = [int(float(value)) for value in values.split()]
        return Histogram(int(count), dict(zip(qs, values_ns, strict=True)))


class JsReader:
    """HistogramLogReader of hdr-histogram-js, which it installs into a folder of its own."""

    def __init__(self, folder):
        self.node, npm = shutil.which("node"), shutil.which("npm")
        if not self.node or not npm:
            pytest.skip("no node here, or no npm")
        self.folder = folder
        if not self._is_installed():
            self._install(npm)
        shutil.copy(SCRIPT / "read.js", folder)

    def _is_installed(self):
        """npm ci writes that file last."""
        lock = self.folder / "package-lock.json"
        return (
            (self.folder / "node_modules" / ".package-lock.json").exists()
            and lock.read_bytes() == (SCRIPT / lock.name).read_bytes()
        )

    def _install(self, npm):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SCRIPT / name, self.folder)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            pytest.skip(f"npm cannot install hdr-histogram-js here: {done.stderr.strip()[:300]}")

    def read(self, log, qs):
        """The histograms, in the order of the log, as Histogram with tag, start_ms, length_ms."""
        percentiles = [f"{q * 100:.12g}" for q in qs]
        lines = run([self.node, self.folder / "read.js", log, *percentiles]).splitlines()
        return [self._histogram(json.loads(line), qs) for line in lines]

    @staticmethod
    def _histogram(read, qs):
        histogram = Histogram(read["count"], dict(zip(qs, read["percentiles_ns"], strict=True)))
        histogram.quantiles_ns[1] = read["max_ns"]
        histogram.tag = read["tag"]
        histogram.start_ms = round(read["start_ms"])
        histogram.length_ms = round(read["end_ms"] - read["start_ms"])
        return histogram
