// Two charts over one time: credits left (a line), and credits used (stacked bars).
// The numbers stand in the page (#chart-data); amounts are exact text there and become
// floats for drawing only.
"use strict";

(() => {
  const HEIGHT = 230;
  const FONT = "12px system-ui, sans-serif";
  const section = document.getElementById("chart");
  if (!section || !window.uPlot) return;
  section.hidden = false;

  const read = () => JSON.parse(document.getElementById("chart-data").textContent);
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const faint = (color, percent) => `color-mix(in srgb, ${color} ${percent}%, transparent)`;
  const numbers = (texts) => texts.map((text) => (text === null ? null : Number(text)));

  // Numbers and days as the rest of the page writes them.
  const language = document.documentElement.lang || "en";
  const words = section.dataset;
  const plain = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
  const tiny = new Intl.NumberFormat(language, { maximumSignificantDigits: 2 });
  const show = (value) => {
    if (value == null) return "–";
    const format = value !== 0 && Math.abs(value) < 0.01 ? tiny : plain;
    return format.format(value).replace("-", "−");
  };

  const isGerman = language === "de";
  const MONTHS = (
    isGerman
      ? "Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez."
      : "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
  ).split(" ");
  const DAYS = (isGerman ? "So., Mo., Di., Mi., Do., Fr., Sa.," : "Sun Mon Tue Wed Thu Fri Sat").split(" ");
  const utc = (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC");
  const clock = (moment) =>
    [moment.getHours(), moment.getMinutes()].map((n) => String(n).padStart(2, "0")).join(":");
  const date = (moment) =>
    `${moment.getDate()}${isGerman ? "." : ""} ${MONTHS[moment.getMonth()]}`;
  const day = (seconds) => `${DAYS[utc(seconds).getDay()]} ${date(utc(seconds))}`;
  const minute = (seconds) => `${day(seconds)}, ${clock(utc(seconds))}`;

  const timeLabels = (plot, splits) =>
    splits.map((seconds, place) => {
      const moment = utc(seconds);
      if (moment.getHours() === 0 && moment.getMinutes() === 0) return date(moment);
      return place === 0 ? `${clock(moment)}\n${date(moment)}` : clock(moment);
    });

  // What is to come stands behind what was: the chart reaches as far as the forecast.
  const reachOf = (data) => Math.max(data.until, data.forecast ? data.forecast.until : 0);

  // Both charts reserve the same room for their figures, so that their times stand in line.
  const axes = (figureRoom) => [
    {
      stroke: style("--quiet"),
      grid: { show: false },
      ticks: { stroke: style("--line"), size: 5 },
      font: FONT,
      space: 64,
      values: timeLabels,
    },
    {
      stroke: style("--quiet"),
      grid: { stroke: style("--line"), width: 1 },
      ticks: { show: false },
      font: FONT,
      size: figureRoom,
      space: 36,
      values: (plot, splits) => splits.map(show),
    },
  ];

  const roomFor = (columns) => {
    const values = columns.flat().filter((value) => value !== null);
    const longest = Math.max(...[Math.min(0, ...values), Math.max(1, ...values)].map(
      (value) => plain.format(Math.trunc(value)).length,
    ));
    return 22 + 7.5 * Math.max(longest, 3);
  };

  // While nothing is pointed at, the legend shows the latest figures.
  const restOnLatest = (plot) => {
    if (plot.cursor.idx == null) plot.setLegend({ idx: plot.data[0].length - 1 }, false);
  };

  const options = (data, holder, figureRoom, series, range, hooks) => ({
    width: holder.clientWidth,
    height: HEIGHT,
    tzDate: utc,
    padding: [12, 22, 0, 0],
    cursor: { drag: { x: false, y: false }, points: { size: 7 }, sync: { key: "credits" } },
    scales: { x: { time: true, range: () => [data.starts[0], reachOf(read())] }, y: { range } },
    axes: axes(figureRoom),
    series,
    hooks: { ready: [restOnLatest], setCursor: [restOnLatest], ...hooks },
  });

  // Lines at the shares of what was granted at which owners are told, and at nothing.
  const drawLines = (lines) => (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = "right";
    ctx.lineWidth = devicePixelRatio;
    let labelled = Infinity;
    for (const line of lines()) {
      if (line.value < plot.scales.y.min || line.value > plot.scales.y.max) continue;
      const y = Math.round(plot.valToPos(line.value, "y", true));
      ctx.strokeStyle = ctx.fillStyle = style(line.color);
      ctx.setLineDash(line.label ? [4 * devicePixelRatio, 4 * devicePixelRatio] : []);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      if (Math.abs(labelled - y) < 14 * devicePixelRatio) continue; // one label would hide the other
      ctx.fillText(line.label, bbox.left + bbox.width, y - 4 * devicePixelRatio);
      if (line.label) labelled = y;
    }
    ctx.restore();
  };

  // The balance goes on: a band between the early and the late date, a line to the middle one.
  const drawForecast = (plot) => {
    const { forecast } = read();
    if (!forecast) return;
    const { ctx, bbox } = plot;
    const place = ([seconds, credits]) => [
      plot.valToPos(seconds, "x", true),
      plot.valToPos(Number(credits), "y", true),
    ];
    const follow = (path) => path.map(place).forEach(([x, y]) => ctx.lineTo(x, y));
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.fillStyle = faint(style("--chart-line"), 14);
    ctx.beginPath();
    follow(forecast.early);
    follow([...forecast.late].reverse());
    ctx.fill();
    ctx.strokeStyle = style("--chart-line");
    ctx.lineWidth = 1.75 * devicePixelRatio;
    ctx.setLineDash([2 * devicePixelRatio, 5 * devicePixelRatio]);
    ctx.lineCap = "round";
    ctx.beginPath();
    follow(forecast.middle);
    ctx.stroke();
    ctx.restore();
    markEnd(plot, forecast);
  };

  const markEnd = (plot, forecast) => {
    const { ctx, bbox } = plot;
    const isInSight = forecast.at <= plot.scales.x.max;
    const x = isInSight ? plot.valToPos(forecast.at, "x", true) : bbox.left + bbox.width;
    const y = plot.valToPos(0, "y", true);
    ctx.save();
    ctx.font = `600 ${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.fillStyle = style("--chart-line");
    if (isInSight) {
      ctx.beginPath();
      ctx.arc(x, y, 4 * devicePixelRatio, 0, 2 * Math.PI);
      ctx.fill();
    }
    const text = isInSight ? forecast.label : `${forecast.label} →`;
    const width = ctx.measureText(text).width;
    const right = bbox.left + bbox.width;
    ctx.textAlign = "left";
    const start = isInSight ? Math.min(x + 7 * devicePixelRatio, right - width) : right - width;
    ctx.strokeStyle = style("--page");
    ctx.lineWidth = 4 * devicePixelRatio;
    ctx.lineJoin = "round";
    ctx.strokeText(text, start, y - 8 * devicePixelRatio);
    ctx.fillText(text, start, y - 8 * devicePixelRatio);
    ctx.restore();
  };

  const leftLines = () => [
    { value: 0, label: "", color: "--level-debt" },
    ...read().percents.map((one) => ({
      value: Number(one.credits),
      label: `${one.percent} %`,
      color: "--level-low",
    })),
  ];

  const leftRange = (plot, low, high) => {
    const { forecast } = read();
    const ahead = forecast ? forecast.late.map(([, credits]) => Number(credits)) : [];
    const min = Math.min(low ?? 0, 0);
    const max = Math.max(high ?? 0, 0, ...ahead);
    const room = (max - min || 1) * 0.08;
    return [min < 0 ? min - room : 0, max + room];
  };

  const leftColumns = (data) => [data.ends, numbers(data.left), numbers(data.expected)];

  const leftPlot = (data, holder, figureRoom) => {
    const line = style("--chart-line");
    const common = { stroke: line, value: (plot, value) => show(value) };
    const series = [
      { label: words.at, value: (plot, seconds) => (seconds == null ? "–" : minute(seconds)) },
      { ...common, label: words.left, width: 2, fill: faint(line, 16), points: { show: false } },
      {
        ...common,
        label: words.expected,
        width: 1.5,
        dash: [5, 4],
        fill: faint(line, 8),
        points: { show: false },
      },
    ];
    if (data.expected.every((text) => text === null)) series.pop();
    const hooks = { drawAxes: [drawLines(leftLines)], draw: [drawForecast] };
    const columns = leftColumns(data).slice(0, series.length);
    return new uPlot(options(data, holder, figureRoom, series, leftRange, hooks), columns, holder);
  };

  // Bars are stacked by drawing sums, the tallest first; the legend shows the parts.
  const usedColumns = (data) => {
    const sums = [];
    for (const part of data.used.map(numbers)) {
      const below = sums[0];
      sums.unshift(part.map((value, place) => value + (below ? below[place] : 0)));
    }
    return [data.starts, ...sums];
  };

  const usedPlot = (data, holder, figureRoom) => {
    const step = data.step === "day" ? day : minute;
    const bars = uPlot.paths.bars({ size: [0.8, 56], align: 1 });
    const last = data.labels.length - 1;
    const series = [
      { label: words.from, value: (plot, seconds) => (seconds == null ? "–" : step(seconds)) },
    ];
    for (let index = last; index >= 0; index -= 1) {
      series.push({
        label: data.labels[index],
        stroke: style(`--color-${index}`),
        fill: style(`--color-${index}`),
        width: 0,
        paths: bars,
        points: { show: false },
        value: (plot, value, seriesIndex, place) =>
          show(place == null ? null : Number(read().used[index][place])),
      });
    }
    const range = (plot, low, high) => [0, (high || 1) * 1.08];
    const all = options(data, holder, figureRoom, series, range, {});
    all.cursor.points = { show: false };
    const plot = new uPlot(all, usedColumns(data), holder);
    const rows = [...plot.root.querySelectorAll(".u-legend .u-series")];
    rows[0].after(...rows.slice(1).reverse());
    return plot;
  };

  let plots = [];
  let drawn = null;

  const draw = () => {
    for (const plot of plots) plot.destroy();
    drawn = read();
    const left = leftColumns(drawn);
    const used = usedColumns(drawn);
    const room = roomFor([...left.slice(1), ...used.slice(1)]);
    plots = [
      leftPlot(drawn, document.getElementById("chart-left"), room),
      usedPlot(drawn, document.getElementById("chart-used"), room),
    ];
  };

  const renew = () => {
    const data = read();
    const same = ["labels", "starts", "until"].every(
      (name) => JSON.stringify(data[name]) === JSON.stringify(drawn[name]),
    );
    if (!same || reachOf(data) !== reachOf(drawn) || data.expected.some((text, place) => (text === null) !== (drawn.expected[place] === null))) {
      draw();
      return;
    }
    drawn = data;
    plots[0].setData(leftColumns(data).slice(0, plots[0].series.length));
    plots[1].setData(usedColumns(data));
    plots.forEach(restOnLatest);
  };

  const resize = () => {
    for (const plot of plots) {
      const width = plot.root.parentElement.clientWidth;
      if (width && width !== plot.width) plot.setSize({ width, height: HEIGHT });
    }
  };

  draw();
  new ResizeObserver(resize).observe(section);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  document.addEventListener("page-renewed", renew);
})();
