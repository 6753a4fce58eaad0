// Builds the page from the data and listens.
const head = () => {
  document.title = oneLine(data.title) + " · align";
  document.getElementById("title").textContent = oneLine(data.title);
  document.getElementById("headline").textContent = data.headline;
  const kinds = data.streams.map((s) => oneLine(s.name) + " (" + (s.modality === "audio" ? "sound, " : "") + number(s.rate) + " Hz)");
  const span = clock ? day(data.start) + ", " + clockTime(data.start, 0, false) + " to " + clockTime(data.end, 0, false) + " " + offsetText() : "";
  document.getElementById("about").textContent =
    [(data.title === data.session ? "" : oneLine(data.session) + ": ") + duration(data.end - data.start), plural(kinds.length, "stream") + ": " + kinds.slice(0, 12).join(", "), span]
      .filter(Boolean).join(" · ");
  const list = document.querySelector("#facts dl");
  for (const [name, value] of data.facts) list.append(element("dt", "", shown(name)), element("dd", "", shown(value)));
};

const framed = (pen, lane, paint) => { lane.under(); paintGrid(pen); paint(pen); };
const noteLanes = () => {
  const order = data.notes.map((note, i) => i).filter((i) => data.notes[i].span)
    .sort((a, b) => data.notes[a].span[0] - data.notes[b].span[0] || a - b);
  if (data.notes.length) {
    const lane = addLane(ROW + 5 + TRACK, (pen, lane) => framed(pen, lane, () => paintNotes(pen, order)), "Notes");
    lane.fit = (pen) => notesHeight(pen, order);
    const side = lane.canvas.previousSibling;
    side.append(element("span", "wide", "placed in time"));
    if (data.notes.some((note) => note.time)) side.append(element("span", "wide marks", "time as written"));
  }
  if (data.truth) {
    const boxes = data.truth.map(([a, b, text, kind]) => ({ span: [a, b], text: oneLine(text),
      lines: ["truth: " + oneLine(text, 240), (kind && kind !== text ? oneLine(kind) + " · " : "") + spanText([a, b])] }));
    addLane(24, (pen, lane) => framed(pen, lane, () => paintBoxes(pen, boxes, theme.truth)), "Truth");
  }
  for (const { name, spans } of data.baselines) {
    const boxes = spans.map((span, i) => ({ span, text: String(i + 1),
      lines: span ? [i + 1 + " · " + oneLine(data.notes[i].text, 240), oneLine(name) + ": " + spanText(span)] : [] }));
    addLane(20, (pen, lane) => framed(pen, lane, () => paintBoxes(pen, boxes, theme.no)), name);
  }
};
const keyOf = (names) => names.map((name, i) => {
  const key = element("span", "key"), swatch = element("i"), value = element("b");
  swatch.dataset.series = String(i);
  key.append(swatch, oneLine(name, 40) + " ", value);
  return { key, swatch, value };
});
const keys = [];
const colourKeys = () => { for (const { swatch } of keys) swatch.style.background = theme.series[+swatch.dataset.series]; };
const sensorLane = (stream, lane, first) => {
  const key = keyOf(lane.traces.map((trace) => trace.name)), height = Math.max(74, 22 + 17 * (key.length + (first ? 1 : 0) + (lane.unit ? 1 : 0)));
  keys.push(...key);
  const extra = [...(lane.unit ? [element("span", "key", "in " + oneLine(lane.unit, 30))] : []), ...key.map((k) => k.key)];
  const made = addLane(height, (pen, self) => framed(pen, self, () => {
    paintTraces(pen, lane, lane.low, lane.high);
    paintHoles(pen, stream.holes);
    label(pen, number(lane.high), 3, 12, theme.muted);
    label(pen, number(lane.low), 3, pen.h - 4, theme.muted);
  }), first ? stream.name : "", extra, first ? "first" : "");
  made.segments = stream.segments;
  made.read = (t) => lane.traces.forEach((trace, i) => {
    const after = firstAtLeast(trace.t, t), near = after > 0 && (after >= trace.t.length || t - trace.t[after - 1] < trace.t[after] - t) ? after - 1 : after;
    const inHole = stream.holes.some(([a, b]) => t >= a && t < b), value = trace.y[near];
    key[i].value.textContent = t === null || inHole || value === null || value === undefined ? "" : number(value);
  });
};
const audioLane = (stream, lane) => {
  const spectral = lane.spectrogram.length ? 44 : 0;
  const made = addLane(60 + spectral, (pen, self) => framed(pen, self, () => {
    paintEnvelope(pen, lane, 2, 58);
    if (spectral) paintSpectrogram(pen, lane, 60, 102);
    paintHoles(pen, stream.holes);
  }), stream.name, [element("span", "key", "loudness"), ...(spectral ? [element("span", "key low", "pitch: low to high")] : [])], "first");
  made.segments = stream.segments;
};
const tokenLane = (tokens, title) => {
  const text = tokens.spans.length ? "tokens" : plural(tokens.count, "token") + ", too many to draw";
  addLane(20, (pen, lane) => { lane.under(); paintTokens(pen, tokens); }, title, [element("span", "", text)]);
};
const build = () => {
  addLane(22, paintOverview, "", [element("span", "", "whole recording")]).range = whole;
  const axis = addLane(36, paintAxis, "", [element("span", "", clock ? "clock, " + offsetText() : "since the start")], "axis");
  axis.plain = true;
  noteLanes();
  for (const strip of data.strips) {
    if (strip.segments) addLane(20, (pen, lane) => { lane.under(); paintBands(pen, strip.segments); }, strip.name);
    if (strip.tokens) tokenLane(strip.tokens, strip.segments ? "" : strip.name);
  }
  for (const stream of data.streams) {
    stream.lanes.forEach((lane, i) => (lane.kind === "audio" ? audioLane(stream, lane) : sensorLane(stream, lane, i === 0)));
    if (stream.tokens) tokenLane(stream.tokens, "");
    if (stream.omitted) addLane(16, () => {}, "", [element("span", "", plural(stream.omitted, "more channel") + " not drawn")]);
  }
  for (const lane of lanes) {
    if (!lane.segments) continue;
    const paint = lane.paint;
    lane.paint = (pen, self) => { const under = self.under; self.under = () => { paintBands(pen, lane.segments); under(); }; paint(pen, self); };
  }
};

const tip = document.getElementById("tip");
const hitAt = (lane, x, y) => {
  const found = lane.hits.filter((hit) => x >= hit.x0 && x <= hit.x1 && y >= hit.y0 && y <= hit.y1);
  return found[found.length - 1];
};
const hover = (event, lane) => {
  const box = lane.canvas.getBoundingClientRect(), x = event.clientX - box.left;
  pointer = lane.range ? null : { x };
  const t = view[0] + (x / box.width) * (view[1] - view[0]), hit = hitAt(lane, x, event.clientY - box.top);
  for (const other of lanes) if (other.read) other.read(pointer ? t : null);
  hovered = hit && hit.note !== null ? hit.note : -1;
  tip.hidden = !hit || event.pointerType === "touch";
  if (hit) {
    tip.replaceChildren(...hit.lines().map((line) => element("div", "", line)));
    tip.style.left = Math.max(4, Math.min(innerWidth - tip.offsetWidth - 8, event.clientX + 14)) + "px";
    tip.style.top = (event.clientY + 18 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 12 : event.clientY + 18) + "px";
  }
  repaint();
};
const leave = () => { pointer = null; hovered = -1; tip.hidden = true; for (const lane of lanes) if (lane.read) lane.read(null); repaint(); };
const listen = () => {
  const area = document.getElementById("lanes"), held = new Map();
  let moved = 0;
  const laneOf = (event) => lanes.find((lane) => lane.canvas === event.target);
  const timeAt = (lane, clientX) => {
    const box = lane.canvas.getBoundingClientRect(), [a, b] = lane.range || view;
    return a + ((clientX - box.left) / box.width) * (b - a);
  };
  area.addEventListener("wheel", (event) => {
    const lane = laneOf(event), all = view[1] - view[0] >= (whole[1] - whole[0]) * 0.9999;
    if (!lane || (all && event.deltaY > 0 && !event.deltaX)) return; // the page scrolls on
    event.preventDefault();
    tip.hidden = true; // what it described has moved
    const unit = event.deltaMode === 1 ? 30 : 1, sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan((unit * sideways) / lane.canvas.clientWidth);
    else zoom(Math.exp(Math.max(-1, Math.min(1, unit * event.deltaY * 0.0022))), timeAt(lane, event.clientX));
  }, { passive: false });
  area.addEventListener("pointerdown", (event) => {
    const lane = laneOf(event);
    if (!lane || event.button) return;
    held.set(event.pointerId, event.clientX);
    moved = 0;
    lane.canvas.setPointerCapture(event.pointerId);
    if (lane.range) { const t = timeAt(lane, event.clientX), half = (view[1] - view[0]) / 2; look(t - half, t + half); }
  });
  area.addEventListener("pointermove", (event) => {
    const lane = laneOf(event);
    if (!lane) return leave();
    if (held.has(event.pointerId)) {
      const before = held.get(event.pointerId), by = event.clientX - before, width = lane.canvas.clientWidth;
      const others = [...held].filter(([id]) => id !== event.pointerId);
      held.set(event.pointerId, event.clientX);
      moved += Math.abs(by);
      if (others.length) {
        const other = others[0][1], was = Math.abs(before - other), is = Math.abs(event.clientX - other);
        if (was > 8 && is > 8) zoom(was / is, timeAt(lane, other));
      } else if (moved > 3) lane.range ? look(view[0] + (by / width) * (whole[1] - whole[0]), view[1] + (by / width) * (whole[1] - whole[0])) : pan(-by / width);
    }
    hover(event, lane);
  });
  const release = (event) => {
    const lane = laneOf(event), box = lane && lane.canvas.getBoundingClientRect();
    if (held.delete(event.pointerId) && lane && moved <= 3 && event.type === "pointerup") {
      const hit = hitAt(lane, event.clientX - box.left, event.clientY - box.top);
      if (hit && hit.note !== null && hit.note >= 0) { selected = hit.note; markCard(selected, goTo); repaint(); }
    }
  };
  area.addEventListener("pointerup", release);
  area.addEventListener("pointercancel", release);
  area.addEventListener("pointerleave", leave);
  area.addEventListener("dblclick", () => look(...whole));
  const step = (by) => { if (data.notes.length) choose((selected + by + data.notes.length + (selected < 0 && by < 0 ? 1 : 0)) % data.notes.length); };
  const acts = {
    ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), "+": () => zoom(0.6), "=": () => zoom(0.6), ArrowUp: () => zoom(0.6),
    "-": () => zoom(1 / 0.6), ArrowDown: () => zoom(1 / 0.6), 0: () => look(...whole), Home: () => look(...whole),
    n: () => step(1), p: () => step(-1), Escape: () => choose(-1),
  };
  document.getElementById("timeline").addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(acts, event.key)) return;
    event.preventDefault();
    acts[event.key]();
  });
  for (const [text, name, act] of [["−", "zoom out", () => zoom(1 / 0.6)], ["+", "zoom in", () => zoom(0.6)], ["all", "see everything", () => look(...whole)]]) {
    const button = element("button", "", text);
    button.setAttribute("aria-label", name);
    button.addEventListener("click", act);
    document.getElementById("buttons").append(button);
  }
};

readTheme();
head();
build();
colourKeys();
makeFilters(choose);
fillList("", choose);
listen();
new ResizeObserver(() => { resized = true; repaint(); }).observe(document.getElementById("lanes"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readTheme(); colourKeys(); repaint(); });
repaint();
