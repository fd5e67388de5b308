// read.js LOG PERCENTILE...: each histogram of a log as a line of JSON, by hdr-histogram-js.
"use strict";

const fs = require("fs");
const { HistogramLogReader } = require("hdr-histogram-js");

const COUNT_BITS = 64;
const percentiles = process.argv.slice(3).map(Number);
const reader = new HistogramLogReader(fs.readFileSync(process.argv[2], "utf8"), COUNT_BITS);

for (let h = reader.nextIntervalHistogram(); h; h = reader.nextIntervalHistogram()) {
  console.log(
    JSON.stringify({
      tag: h.tag === "NO TAG" ? "" : h.tag,
      start_ms: h.startTimeStampMsec,
      end_ms: h.endTimeStampMsec,
      count: h.totalCount,
      max_ns: h.maxValue,
      percentiles_ns: percentiles.map((p) => h.getValueAtPercentile(p)),
    })
  );
}
