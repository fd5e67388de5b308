"""A histogram log of ours says to readers that are not ours what it says to us. hlog_sample writes
one, of known samples, and prints what the program makes of them."""

import json
import subprocess
from decimal import Decimal

import pytest
from hlog_readers import bucket_top_ns

START_MS = 1_700_000_000_123
TAGS = ["", "intended", "one", "dense"]


class Sample:
    def __init__(self, program, folder):
        self.log = folder / "sample.hlog"
        command = [program, self.log]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        self.intervals, self.whole = said["intervals"], said["whole"]
        self.expected_ns, self.corrected = said["expected_ns"], said["corrected"]

    def tagged(self, tag):
        return [interval for interval in self.intervals if interval["tag"] == tag]

    def rows(self):
        """The histograms' lines, without their tags."""
        lines = [line for line in self.log.read_text().splitlines() if line[0] not in '#"']
        return [line.split(",")[-4:] for line in lines]


@pytest.fixture(scope="module")
def sample(build_folder, tmp_path_factory):
    program = build_folder / "tests" / "report" / "hlog_sample"
    if not program.exists():
        pytest.skip("the tests' programs are not built beside this one")
    return Sample(program, tmp_path_factory.mktemp("hlog"))


def assert_agrees(theirs, ours):
    """Equal counts, quantiles and maximum, where ours alone know the exact maximum."""
    assert theirs.count == ours["total"]
    assert theirs.quantiles_ns[1] == bucket_top_ns(ours["max_ns"])
    for q, value_ns in theirs.quantiles_ns.items():
        assert min(value_ns, ours["max_ns"]) == ours["quantiles_ns"][f"{q:g}"], f"quantile {q}"


def test_the_sample_has_what_readers_might_stumble_over(sample):
    assert {interval["tag"] for interval in sample.intervals} == set(TAGS)
    totals = [interval["total"] for interval in sample.intervals]
    assert 0 in totals and 1 in totals and max(totals) > 2**48
    assert any(interval["max_ns"] > 60_000_000_000 for interval in sample.intervals)
    assert sample.corrected["total"] > sample.whole["total"] + 1000


def test_the_maximum_of_each_line_is_exact_in_milliseconds(sample):
    maxima_ns = [int(Decimal(row[2]) * 1_000_000) for row in sample.rows()]
    assert maxima_ns == [interval["max_ns"] for interval in sample.intervals]


@pytest.mark.parametrize("tag", TAGS, ids=lambda tag: tag or "untagged")
def test_java_reads_the_same_of_each_interval(sample, java_reader, tag):
    theirs, _ = java_reader.read(sample.log, tag)
    ours = sample.tagged(tag)
    assert len(theirs) == len(ours)
    for their, our in zip(theirs, ours):
        assert_agrees(their, our)


def test_java_reads_the_same_of_all_intervals_together(sample, java_reader):
    _, whole = java_reader.read(sample.log)
    assert_agrees(whole, sample.whole)


def test_java_corrects_for_coordinated_omission_as_we_do(sample, java_reader, tmp_path):
    log = tmp_path / "untagged.hlog"  # when it corrects, it takes all tags for one
    lines = sample.log.read_text().splitlines(keepends=True)
    log.write_text("".join(line for line in lines if not line.startswith("Tag=")))
    _, whole = java_reader.read(log, expected_ns=sample.expected_ns)
    assert_agrees(whole, sample.corrected)


def test_javascript_reads_the_same_of_each_interval(sample, js_reader):
    qs = [float(q) for q in sample.whole["quantiles_ns"]]
    theirs = js_reader.read(sample.log, qs)
    assert len(theirs) == len(sample.intervals)
    for their, our in zip(theirs, sample.intervals):
        assert their.tag == our["tag"]
        assert their.start_ms == START_MS + our["start_ms"]
        assert their.length_ms == our["length_ms"]
        assert_agrees(their, our)


def log_of(path, histogram):
    """A log with this histogram alone."""
    path.write_text(
        "#[Histogram log format version 1.3]\n"
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
        f"0.000,1.000,0.000,{histogram}\n"
    )
    return path


@pytest.mark.parametrize("option", ["--json", "--json-stream"])
@pytest.mark.parametrize("load", [("-n", "20k"), ("-R", "20k", "-t", "1")], ids=["closed", "open"])
def test_java_reads_the_histograms_of_the_json(pingpong, java_reader, tmp_path, load, option):
    result = pingpong(*load, option, "--histogram", "--percentiles", "50,90,99,99.9,99.99")
    assert result.status == 0, str(result)
    document = json.loads(result.out if option == "--json" else result.out.splitlines()[-1])
    assert (document["response"] is None) == (load[0] == "-n")
    for key in ("rtt", "response") if document["response"] else ("rtt",):
        ours = document[key]
        _, theirs = java_reader.read(log_of(tmp_path / f"{key}.hlog", ours["histogram"]))
        assert theirs.count == ours["samples"] > 0
        assert theirs.quantiles_ns[1] == bucket_top_ns(ours["max_ns"])
        known = [p for p in ours["percentiles"] if p["ns"] is not None]
        assert len(known) >= 3
        for p in known:
            theirs_ns = theirs.quantiles_ns[round(p["percentile"] / 100, 6)]
            assert min(theirs_ns, ours["max_ns"]) == p["ns"], str(p)


def test_without_being_asked_for_there_is_no_histogram_in_the_json(pingpong):
    document = json.loads(pingpong("-R", "20k", "-n", "1k", "--json").out)
    assert "histogram" not in document["rtt"] and "histogram" not in document["response"]


def test_a_histogram_without_json_is_refused(pingpong):
    assert "--json" in pingpong("-n", "100", "--histogram").failed(2, "--histogram").err
