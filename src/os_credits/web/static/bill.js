// What each day, or month, of a bill cost: bars over the table that has the same figures.
"use strict";

(() => {
  const section = document.getElementById("bill-chart");
  const source = document.getElementById("bill-data");
  if (!section || !source || typeof uPlot === "undefined") return;

  const data = JSON.parse(source.textContent);
  const holder = section.firstElementChild;
  const language = document.documentElement.lang || "en";
  // Days as the rest of the page writes them: 8 Nov.
  const days = language === "en" ? "en-GB" : language;
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const plain = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
  const when = new Intl.DateTimeFormat(days, {
    timeZone: "UTC",
    year: "numeric",
    month: "short",
    ...(data.step === "day" ? { day: "numeric" } : {}),
  });
  const short = new Intl.DateTimeFormat(days, {
    timeZone: "UTC",
    month: "short",
    ...(data.step === "day" ? { day: "numeric" } : { year: "2-digit" }),
  });
  const FONT = "12px system-ui, sans-serif";
  const HEIGHT = 200;
  const LENGTH = data.step === "day" ? 86400 : 2678400;
  let plot = null;

  const draw = () => {
    if (plot) plot.destroy();
    section.hidden = false;
    const values = data.credits.map(Number);
    const longest = plain.format(Math.trunc(Math.max(1, ...values))).length;
    plot = new uPlot(
      {
        width: holder.clientWidth,
        height: HEIGHT,
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC"),
        padding: [12, 22, 0, 0],
        cursor: { drag: { x: false, y: false }, points: { show: false } },
        scales: {
          x: {
            time: true,
            range: () => [data.starts[0], data.starts[data.starts.length - 1] + LENGTH],
          },
          y: { range: (self, low, high) => [Math.min(0, low || 0), (high || 1) * 1.08] },
        },
        axes: [
          {
            stroke: style("--quiet"),
            grid: { show: false },
            ticks: { stroke: style("--line"), size: 5 },
            font: FONT,
            space: 64,
            incrs: [86400, 2 * 86400, 7 * 86400, 14 * 86400, 2678400, 3 * 2678400, 12 * 2678400],
            values: (self, splits) => splits.map((one) => short.format(new Date(one * 1e3))),
          },
          {
            stroke: style("--quiet"),
            grid: { stroke: style("--line"), width: 1 },
            ticks: { show: false },
            font: FONT,
            size: 22 + 7.5 * Math.max(longest, 3),
            space: 36,
            values: (self, splits) => splits.map((one) => plain.format(one)),
          },
        ],
        series: [
          {
            label: section.dataset.from,
            value: (self, one) => (one == null ? "–" : when.format(new Date(one * 1e3))),
          },
          {
            label: section.dataset.credits,
            stroke: style("--color-0"),
            fill: style("--color-0"),
            width: 0,
            paths: uPlot.paths.bars({ size: [0.8, 56], align: 1 }),
            points: { show: false },
            value: (self, one) => (one == null ? "–" : plain.format(one)),
          },
        ],
      },
      [data.starts, values],
      holder,
    );
  };

  draw();
  new ResizeObserver(() => {
    const width = holder.clientWidth;
    if (width && width !== plot.width) plot.setSize({ width, height: HEIGHT });
  }).observe(section);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
