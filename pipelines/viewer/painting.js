// Painting on one lane's canvas. A pen knows its canvas, its size and where a second lies.
const FONT = '12px system-ui, "Segoe UI", Roboto, sans-serif';
const LIGHT = ["#2f62c4", "#d0762a", "#2a9168", "#ad4798", "#80652f", "#bf3b30", "#3794b8", "#646b74"];
const DARK = ["#79a8ff", "#f0a860", "#5fcf9f", "#e08ad0", "#cdb072", "#ff8f84", "#74cbea", "#aab3bd"];
const theme = {};
const readTheme = () => {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["panel", "ink", "muted", "line", "band", "accent", "unsure", "no", "truth", "select", "hatch"])
    theme[name] = style.getPropertyValue("--" + name).trim();
  theme.dark = matchMedia("(prefers-color-scheme: dark)").matches;
  theme.series = theme.dark ? DARK : LIGHT;
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const pen = tile.getContext("2d");
  pen.strokeStyle = theme.hatch;
  pen.beginPath();
  for (const shift of [-8, 0, 8]) { pen.moveTo(shift, 8); pen.lineTo(shift + 8, 0); }
  pen.stroke();
  theme.tile = tile;
};
// Golden angle: neighbouring codes get far hues, and a code has the same hue in every report.
const codeColour = (code, alpha) => `hsl(${(code * 137.508 + 20) % 360} ${theme.dark ? "34% 38%" : "58% 76%"} / ${alpha})`;
const noteColour = (note) => (note.status === "ambiguous" ? theme.unsure : theme.accent);

const spanX = (pen, a, b, least = 2) => {
  const x0 = Math.max(-5, pen.x(a)), x1 = Math.min(pen.w + 5, pen.x(b));
  return [x0, Math.max(x1, x0 + least)];
};
const visible = (pen, a, b) => b >= pen.from && a <= pen.to;
const fitted = (pen, text, room) => {
  if (room < 12) return "";
  if (pen.measureText(text).width <= room) return text;
  let low = 0, high = text.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (pen.measureText(text.slice(0, middle) + "…").width <= room) low = middle; else high = middle - 1;
  }
  return low > 1 ? text.slice(0, low).trimEnd() + "…" : "";
};
const label = (pen, text, x, y, colour) => { pen.fillStyle = colour; pen.fillText(text, x, y); };
const rounded = (pen, x0, y0, x1, y1, r = 4) => { pen.beginPath(); pen.roundRect(x0, y0, x1 - x0, y1 - y0, Math.min(r, (x1 - x0) / 2)); };

const paintHoles = (pen, holes) => {
  if (!holes.length) return;
  pen.fillStyle = pen.createPattern(theme.tile, "repeat");
  for (const [a, b] of holes) if (visible(pen, a, b)) { const [x0, x1] = spanX(pen, a, b, 1); pen.fillRect(x0, 0, x1 - x0, pen.h); }
  for (const [a, b] of holes) {
    const [x0, x1] = spanX(pen, a, b), width = pen.measureText("no data").width + 8;
    if (!visible(pen, a, b) || x1 - x0 < width + 6 || pen.h < 30) continue;
    const middle = (Math.max(0, x0) + Math.min(pen.w, x1)) / 2;
    pen.fillStyle = theme.panel;
    pen.fillRect(middle - width / 2, pen.h / 2 - 9, width, 18);
    label(pen, "no data", middle - width / 2 + 4, pen.h / 2 + 4, theme.muted);
  }
};
const paintBands = (pen, segments) => {
  if (!segments) return;
  segments.spans.forEach(([a, b], i) => {
    if (!visible(pen, a, b)) return;
    const [x0, x1] = spanX(pen, a, b, 0.5);
    if (i % 2) { pen.fillStyle = theme.band; pen.fillRect(x0, 0, x1 - x0, pen.h); }
    if (x1 - x0 > 4) { pen.fillStyle = theme.hatch; pen.fillRect(x0, 0, 1, pen.h); }
    pen.hit(x0, 0, x1, pen.h, () => ["segment " + (i + 1) + " of " + segments.count, spanText([a, b]) + " · " + duration(b - a)], -1);
  });
};

const firstAtLeast = (times, t) => {
  let low = 0, high = times.length;
  while (low < high) { const middle = (low + high) >> 1; if (times[middle] < t) low = middle + 1; else high = middle; }
  return low;
};
const paintTraces = (pen, lane, low, high) => {
  const y = (v) => 5 + (pen.h - 10) * (1 - (v - low) / (high - low));
  lane.traces.forEach(({ t, y: values }, channel) => {
    const from = Math.max(0, firstAtLeast(t, pen.from) - 1), to = Math.min(t.length, firstAtLeast(t, pen.to) + 2);
    pen.strokeStyle = pen.fillStyle = theme.series[channel];
    pen.lineWidth = 1.1;
    pen.globalAlpha = lane.traces.length > 1 ? 0.85 : 1;
    pen.beginPath();
    let down = false;
    for (let i = from; i < to; i++) {
      if (values[i] === null) { down = false; continue; }
      const px = pen.x(t[i]), py = y(values[i]);
      if (down) pen.lineTo(px, py);
      else if (i + 1 >= t.length || values[i + 1] === null) pen.rect(px - 1, py - 1, 2, 2);
      else pen.moveTo(px, py);
      down = true;
    }
    pen.stroke();
    pen.globalAlpha = 1;
  });
};
const paintEnvelope = (pen, lane, top, bottom) => {
  const middle = (top + bottom) / 2, half = (bottom - top) / 2 / 1000;
  pen.fillStyle = theme.series[0];
  for (const { start, step, low, high } of lane.runs) {
    const from = Math.max(0, Math.floor((pen.from - start) / step)), to = Math.min(low.length, Math.ceil((pen.to - start) / step));
    for (let i = from; i < to; i++) {
      if (low[i] === null) continue;
      const x0 = pen.x(start + i * step), x1 = pen.x(start + (i + 1) * step);
      pen.fillRect(x0, middle - high[i] * half - 0.5, Math.max(1, x1 - x0), (high[i] - low[i]) * half + 1);
    }
  }
};
const pictures = new Map();
const picture = (part) => {
  const key = part.start + (theme.dark ? "d" : "l");
  if (pictures.has(part) && pictures.get(part).key === key) return pictures.get(part).image;
  const bytes = atob(part.bytes), image = document.createElement("canvas");
  image.width = part.columns;
  image.height = part.bands;
  const pen = image.getContext("2d"), pixels = pen.createImageData(part.columns, part.bands);
  const [r, g, b] = theme.dark ? [255, 190, 110] : [120, 40, 10];
  for (let column = 0; column < part.columns; column++)
    for (let band = 0; band < part.bands; band++)
      pixels.data.set([r, g, b, bytes.charCodeAt(column * part.bands + band)], 4 * ((part.bands - 1 - band) * part.columns + column));
  pen.putImageData(pixels, 0, 0);
  pictures.set(part, { key, image });
  return image;
};
const paintSpectrogram = (pen, lane, top, bottom) => {
  for (const part of lane.spectrogram) {
    const from = Math.max(0, Math.floor((pen.from - part.start) / part.step));
    const to = Math.min(part.columns, Math.ceil((pen.to - part.start) / part.step));
    if (to <= from) continue;
    const x0 = pen.x(part.start + from * part.step), x1 = pen.x(part.start + to * part.step);
    pen.drawImage(picture(part), from, 0, to - from, part.bands, x0, top, x1 - x0, bottom - top);
  }
};
const paintTokens = (pen, tokens) => {
  tokens.spans.forEach(([a, b], i) => {
    if (!visible(pen, a, b)) return;
    const [x0, x1] = spanX(pen, a, b, 1), name = oneLine(tokens.names[tokens.codes[i]] || "code " + tokens.codes[i]);
    pen.fillStyle = codeColour(tokens.codes[i], 1);
    rounded(pen, x0 + 0.5, 1, Math.max(x0 + 1, x1 - 0.5), pen.h - 2, 3);
    pen.fill();
    const text = fitted(pen, name, Math.min(pen.w, x1) - Math.max(0, x0) - 10);
    if (text) label(pen, text, Math.max(0, x0) + 5, pen.h / 2 + 3.5, theme.ink);
    pen.hit(x0, 0, x1, pen.h, () => ["token: " + name, "code " + tokens.codes[i] + " · " + spanText([a, b]) + " · " + duration(b - a)]);
  });
};
// Thin boxes: truth and baselines.
const paintBoxes = (pen, boxes, colour) => {
  for (const { span, text, lines } of boxes) {
    if (!span || !visible(pen, ...span)) continue;
    const [x0, x1] = spanX(pen, ...span);
    pen.globalAlpha = 0.22;
    pen.fillStyle = colour;
    rounded(pen, x0, 2, x1, pen.h - 2, 3);
    pen.fill();
    pen.globalAlpha = 0.8;
    pen.strokeStyle = colour;
    pen.lineWidth = 1;
    pen.stroke();
    pen.globalAlpha = 1;
    const part = fitted(pen, text, Math.min(pen.w, x1) - Math.max(0, x0) - 8);
    if (part) label(pen, part, Math.max(0, x0) + 4, pen.h / 2 + 4, theme.ink);
    pen.hit(x0, 0, x1, pen.h, () => lines);
  }
};
