// The shared time axis: what part is seen, and the lanes that are painted for it.
const whole = (() => {
  let low = data.start, high = data.end;
  for (const note of data.notes) if (note.span) { low = Math.min(low, note.span[0]); high = Math.max(high, note.span[1]); }
  const pad = Math.max(high - low, 1e-3) * 0.01;
  return [low - pad, high + pad];
})();
const SHORTEST = Math.min(0.02, (whole[1] - whole[0]) / 10);
let view = [...whole], pointer = null, pending = false, resized = true;
const lanes = [];

const addLane = (height, paint, title = "", extra = [], className = "") => {
  const row = element("div", "lane " + className), side = element("div", "label"), canvas = element("canvas");
  if (title) side.append(element("strong", "", oneLine(title, 80)));
  for (const child of extra) side.append(child);
  canvas.style.height = height + "px";
  row.append(side, canvas);
  document.getElementById("lanes").append(row);
  const lane = { canvas, height, paint, hits: [] };
  lanes.push(lane);
  return lane;
};
const preparePen = (lane) => {
  const pen = lane.canvas.getContext("2d"), w = lane.canvas.clientWidth, h = lane.height, ratio = devicePixelRatio || 1;
  if (lane.canvas.width !== Math.round(w * ratio) || lane.canvas.height !== Math.round(h * ratio)) {
    lane.canvas.width = Math.round(w * ratio);
    lane.canvas.height = Math.round(h * ratio);
  }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, w, h);
  pen.font = FONT;
  pen.globalAlpha = 1;
  const [from, to] = lane.range || view;
  lane.hits = [];
  return Object.assign(pen, {
    w, h, from, to,
    x: (t) => ((t - from) / (to - from)) * w,
    hit: (x0, y0, x1, y1, lines, note = null) => lane.hits.push({ x0, y0, x1, y1, lines, note }),
  });
};
// Lanes that need more or less height at this width, as seen when everything is in view.
const fitLanes = () => {
  const seen = view;
  view = whole;
  for (const lane of lanes) {
    if (!lane.fit) continue;
    lane.height = lane.fit(preparePen(lane));
    lane.canvas.style.height = lane.height + "px";
  }
  view = seen;
};
const paintAll = () => {
  pending = false;
  if (resized) fitLanes();
  resized = false;
  for (const lane of lanes) {
    const pen = preparePen(lane), note = data.notes[hovered >= 0 ? hovered : selected];
    if (note && note.span && !lane.plain) {
      const [x0, x1] = spanX(pen, ...note.span);
      lane.under = () => { pen.globalAlpha = 0.75; pen.fillStyle = theme.select; pen.fillRect(x0, 0, x1 - x0, pen.h); pen.globalAlpha = 1; };
    } else lane.under = () => {};
    lane.paint(pen, lane);
    if (pointer && !lane.range) {
      pen.strokeStyle = theme.muted;
      pen.globalAlpha = 0.5;
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(pointer.x, 0);
      pen.lineTo(pointer.x, pen.h);
      pen.stroke();
      pen.globalAlpha = 1;
    }
  }
  const [a, b] = view, digits = decimals((b - a) / 200), date = clock ? day(a) + " " : "";
  document.getElementById("range").textContent = date + when(Math.max(a, data.start), digits) + " – " + when(Math.min(b, data.end), digits);
};
const repaint = () => { if (!pending) { pending = true; requestAnimationFrame(paintAll); } };

const look = (from, to) => {
  const full = whole[1] - whole[0], length = Math.min(full, Math.max(SHORTEST, to - from));
  let start = (from + to - length) / 2;
  start = Math.max(whole[0], Math.min(whole[1] - length, start));
  view = [start, start + length];
  repaint();
};
const zoom = (factor, at = (view[0] + view[1]) / 2) => {
  const length = Math.min(whole[1] - whole[0], Math.max(SHORTEST, (view[1] - view[0]) * factor));
  const share = (at - view[0]) / (view[1] - view[0]);
  look(at - share * length, at + (1 - share) * length);
};
const pan = (share) => { const by = share * (view[1] - view[0]); look(view[0] + by, view[1] + by); };
const goTo = (a, b) => { const pad = Math.max(0.75 * (b - a), 1e-3 * (whole[1] - whole[0]), 0.25); look(a - pad, b + pad); };
const choose = (i) => {
  selected = i;
  markCard(i, goTo);
  const note = data.notes[i];
  if (note) {
    let [a, b] = note.span || (note.time ? [note.time[0], note.time[2]] : [NaN, NaN]);
    if (note.span && note.time) { // with its written time, unless that is far away
      const low = Math.min(a, note.time[1]), high = Math.max(b, note.time[1]);
      if (high - low < 8 * (b - a) && low >= whole[0] && high <= whole[1]) [a, b] = [low, high];
    }
    if (note.span) goTo(a, b);
    else if (note.time && b >= whole[0] && a <= whole[1]) goTo(Math.max(a, whole[0]), Math.min(b, whole[1]));
  }
  repaint();
};

// Ticks at round times: of the local clock when it is known, else since the start.
const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800,
  3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000];
const ticks = (pen) => {
  const least = (pen.to - pen.from) * 92 / Math.max(92, pen.w), step = STEPS.find((s) => s >= least) || STEPS[STEPS.length - 1];
  const shift = clock ? ((data.epoch_ms / 1000 + 60 * data.offset_min) % step) : 0, found = [];
  for (let k = Math.ceil((pen.from + shift) / step); k * step - shift <= pen.to; k++) found.push(k * step - shift);
  return { step, found };
};
const paintGrid = (pen) => {
  pen.strokeStyle = theme.line;
  pen.lineWidth = 1;
  pen.globalAlpha = 0.7;
  pen.beginPath();
  for (const t of ticks(pen).found) { const x = Math.round(pen.x(t)) + 0.5; pen.moveTo(x, 0); pen.lineTo(x, pen.h); }
  pen.stroke();
  pen.globalAlpha = 1;
};
const paintAxis = (pen) => {
  const { step, found } = ticks(pen);
  let lastDay = "";
  for (const t of found) {
    const x = pen.x(t), text = clock ? (step >= 86400 ? day(t) : clockTime(t, decimals(step), step < 60)) : elapsed(t, decimals(step));
    const width = pen.measureText(text).width, newDay = clock && step < 86400 && day(t) !== lastDay;
    if (newDay && lastDay) label(pen, day(t), Math.min(x + 4, pen.w - 70), 11, theme.ink);
    lastDay = clock ? day(t) : "";
    label(pen, text, Math.max(0, Math.min(pen.w - width, x - width / 2)), 25, theme.muted);
    pen.fillStyle = theme.muted;
    pen.fillRect(Math.round(x), 30, 1, 4);
  }
  if (!pointer) return;
  const t = pen.from + (pointer.x / pen.w) * (pen.to - pen.from), text = when(t, Math.min(3, decimals((pen.to - pen.from) / pen.w)));
  const width = pen.measureText(text).width + 10, x = Math.max(0, Math.min(pen.w - width, pointer.x - width / 2));
  pen.fillStyle = theme.ink;
  rounded(pen, x, 12, x + width, 31);
  pen.fill();
  label(pen, text, x + 5, 25, theme.panel);
};
// The whole recording with the seen part framed.
const paintOverview = (pen) => {
  pen.fillStyle = theme.band;
  pen.fillRect(0, 3, pen.w, pen.h - 6);
  for (const note of data.notes) {
    if (!note.span) continue;
    const [x0, x1] = spanX(pen, ...note.span, 1.5);
    pen.globalAlpha = 0.25 + 0.5 * note.p;
    pen.fillStyle = noteColour(note);
    pen.fillRect(x0, 6, x1 - x0, pen.h - 12);
  }
  pen.globalAlpha = 1;
  const x0 = pen.x(view[0]), x1 = Math.max(pen.x(view[1]), x0 + 3);
  pen.strokeStyle = theme.ink;
  pen.lineWidth = 1.5;
  rounded(pen, x0 + 0.75, 2.5, x1 - 0.75, pen.h - 2.5, 3);
  pen.stroke();
};
