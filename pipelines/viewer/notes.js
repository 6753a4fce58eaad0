// The notes: their lane on the time axis and their list.
let selected = -1, hovered = -1;
const ROW = 25, TRACK = 22, MOST_ROWS = 6; // heights: one row of boxes; the track of written times below them
const noteLines = (i) => {
  const note = data.notes[i];
  const lines = [i + 1 + " · " + oneLine(note.text, 240)];
  if (note.span) lines.push(spanText(note.span) + " · " + STATUS[note.status] + ", " + percent(note.p) + " sure");
  else lines.push(reason(note));
  lines.push(note.time ? "written for " + written(note) : "written without a time");
  return lines;
};

// A text that does not fit into its box stands behind it. A box goes to the first row where it covers no text,
// else where it covers no box, else where the last box ends first.
const layOut = (pen, rows, order) => {
  const last = Array.from({ length: rows }, () => ({ x1: -Infinity, end: -Infinity })), placed = [];
  const first = (test, value) => {
    let best = -1;
    last.forEach((box, row) => { if (test(box) && (best < 0 || value(box) < value(last[best]))) best = row; });
    return best;
  };
  for (const i of order) {
    const note = data.notes[i];
    if (!visible(pen, ...note.span)) continue;
    const [x0, x1] = spanX(pen, ...note.span, 3), left = Math.max(0, x0);
    const text = i + 1 + " · " + oneLine(note.text, 90), width = Math.min(240, pen.measureText(text).width + 10);
    let row = first((box) => box.end <= x0, () => 0);
    if (row < 0) row = first((box) => box.x1 <= x0, (box) => box.end);
    if (row < 0) row = first(() => true, (box) => box.x1);
    last[row].end = Math.min(last[row].end, x0 - 2);
    const end = Math.min(pen.w, width <= x1 - left ? x1 + 2 : x1 + width);
    last[row] = { i, x0, x1, left, row, y: 3 + row * ROW, text, end };
    placed.push(last[row]);
  }
  return placed;
};
const notesHeight = (pen, order) => 5 + TRACK + ROW * (1 + Math.max(0, ...layOut(pen, MOST_ROWS, order).map((box) => box.row)));
const paintNotes = (pen, order) => {
  const rows = Math.round((pen.h - TRACK - 5) / ROW), bottom = rows * ROW + 4, placed = layOut(pen, rows, order);
  for (const box of placed) paintNote(pen, box);
  pen.strokeStyle = theme.line;
  pen.beginPath();
  pen.moveTo(0, bottom + 0.5);
  pen.lineTo(pen.w, bottom + 0.5);
  pen.stroke();
  data.notes.forEach((note, i) => paintWritten(pen, note, i, bottom));
};
const paintNote = (pen, { i, x0, x1, left, y, text, end }) => {
  const inside = Math.min(x1, pen.w) - left - 9, behind = end - x1 - 6;
  const fits = pen.measureText(text).width <= inside || inside >= behind;
  const note = data.notes[i], colour = noteColour(note), strong = i === selected || i === hovered;
  rounded(pen, x0, y, x1, y + ROW - 5, 4);
  pen.fillStyle = theme.panel;
  pen.fill();
  pen.globalAlpha = 0.08 + 0.42 * note.p;
  pen.fillStyle = colour;
  pen.fill();
  pen.globalAlpha = 0.35 + 0.65 * note.p;
  pen.strokeStyle = strong ? theme.ink : colour;
  pen.lineWidth = strong ? 2 : 1.2;
  pen.setLineDash(note.status === "ambiguous" ? [4, 3] : []);
  pen.stroke();
  pen.setLineDash([]);
  pen.globalAlpha = 1;
  if (fits) label(pen, fitted(pen, text, inside) || fitted(pen, String(i + 1), inside + 6), left + 5, y + 14.5, theme.ink);
  else label(pen, fitted(pen, text, behind), x1 + 5, y + 14.5, theme.ink);
  pen.hit(x0, y, Math.max(x1, end), y + ROW - 5, () => noteLines(i), i);
};
const paintWritten = (pen, note, i, top) => {
  if (!note.time) return;
  const [earliest, likely, latest] = note.time, y = top + TRACK / 2, strong = i === selected || i === hovered;
  if (latest < pen.from || earliest > pen.to) {
    if (i === selected) label(pen, likely < pen.from ? "◂" : "▸", likely < pen.from ? 2 : pen.w - 12, y + 4, theme.ink);
    return;
  }
  const colour = note.span ? noteColour(note) : theme.no, x = pen.x(likely);
  pen.strokeStyle = pen.fillStyle = strong ? theme.ink : colour;
  pen.lineWidth = strong ? 2 : 1;
  pen.globalAlpha = strong ? 1 : 0.75;
  pen.beginPath();
  if (latest > earliest) {
    const x0 = Math.max(-5, pen.x(earliest)), x1 = Math.min(pen.w + 5, pen.x(latest));
    pen.moveTo(x0, y); pen.lineTo(x1, y);
    pen.moveTo(x0, y - 4); pen.lineTo(x0, y + 4);
    pen.moveTo(x1, y - 4); pen.lineTo(x1, y + 4);
  }
  pen.moveTo(x, y - 6);
  pen.lineTo(x, y + 6);
  pen.stroke();
  if (note.span && strong) {
    const near = Math.min(Math.max(likely, note.span[0]), note.span[1]);
    pen.setLineDash([2, 3]);
    pen.beginPath();
    pen.moveTo(x, y - 6);
    pen.lineTo(pen.x(near), top - 1);
    pen.stroke();
    pen.setLineDash([]);
  }
  if (!note.span) label(pen, "?" , x + 3, y + 4, strong ? theme.ink : theme.muted);
  pen.globalAlpha = 1;
  pen.hit(Math.max(0, x - 4), top, x + (note.span ? 4 : 12), top + TRACK, () => noteLines(i), i);
};

const cards = [];
const sureBar = (note) => {
  const outer = element("span", "sure " + (note.span ? note.status : "none")), inner = element("span");
  inner.style.width = Math.round(100 * Math.max(0, Math.min(1, note.p))) + "%";
  outer.append(inner);
  return outer;
};
const details = (note, goTo) => {
  const more = element("div", "more");
  const why = reason(note);
  if (why && note.status !== "outside") more.append(element("p", "", why));
  if (note.more) more.append(element("p", "", note.more + " more characters of this note are in alignment.jsonl."));
  more.append(element("p", "", "Written for: " + written(note)));
  if (note.author) more.append(element("p", "", "By: " + oneLine(note.author)));
  if (note.file) more.append(element("p", "", "From: " + oneLine(note.file) + (note.line ? ", line " + note.line : "")));
  if (note.streams.length) more.append(element("p", "", "Seen in: " + note.streams.map((s) => oneLine(s)).join(", ")));
  if (note.alternatives.length) {
    more.append(element("p", "", "Next best places:"));
    for (const [a, b, p] of note.alternatives) {
      const button = element("button", "", spanText([a, b]) + " · " + percent(p));
      button.addEventListener("click", () => goTo(a, b));
      more.append(button);
    }
  }
  return more;
};
const makeCard = (note, i, choose) => {
  const item = element("li"), card = element("button", "card"), fact = element("span", "fact");
  card.setAttribute("aria-expanded", "false");
  const text = element("span", "text", shown(note.text) || " ");
  text.dir = "auto";
  fact.append(element("span", "status " + note.status, STATUS[note.status]));
  if (note.status !== "outside" && note.status !== "empty") fact.append(sureBar(note), element("span", "", percent(note.p)));
  if (note.span) fact.append(element("span", "", spanText(note.span)));
  if (note.status === "outside") fact.append(element("span", "", reason(note)));
  card.append(element("span", "number", String(i + 1)), text, fact);
  card.addEventListener("click", () => choose(i === selected ? -1 : i));
  item.append(card);
  return { item, card };
};
const STEP = 500; // cards made at a time
const fillList = (status, choose) => {
  const list = document.getElementById("list"), chosen = [];
  data.notes.forEach((note, i) => { if (!status || note.status === status) chosen.push(i); });
  list.replaceChildren();
  const more = (from) => {
    for (const i of chosen.slice(from, from + STEP)) {
      cards[i] = cards[i] || makeCard(data.notes[i], i, choose);
      list.append(cards[i].item);
    }
    if (chosen.length <= from + STEP) return;
    const item = element("li"), button = element("button", "", "show more of " + chosen.length);
    button.addEventListener("click", () => { item.remove(); more(from + STEP); });
    item.append(button);
    list.append(item);
  };
  more(0);
};
const makeFilters = (choose) => {
  const box = document.getElementById("filters"), buttons = [];
  const counts = {};
  for (const note of data.notes) counts[note.status] = (counts[note.status] || 0) + 1;
  const add = (text, status) => {
    const button = element("button", "", text);
    button.addEventListener("click", () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      fillList(status, choose);
    });
    button.setAttribute("aria-pressed", String(!status));
    buttons.push(button);
    box.append(button);
  };
  if (Object.keys(counts).length < 2) return;
  add("all " + data.notes.length, "");
  for (const status of Object.keys(STATUS)) if (counts[status]) add(STATUS[status] + " " + counts[status], status);
};
const markCard = (i, goTo) => {
  for (const item of document.querySelectorAll("#list li.on")) {
    item.className = "";
    item.querySelector(".card").setAttribute("aria-expanded", "false");
    const more = item.querySelector(".more");
    if (more) more.remove();
  }
  if (i < 0 || !cards[i]) return;
  cards[i].item.className = "on";
  cards[i].card.setAttribute("aria-expanded", "true");
  cards[i].item.append(details(data.notes[i], goTo));
  const panel = document.getElementById("notes"), top = cards[i].item.offsetTop, height = cards[i].item.offsetHeight;
  if (panel.scrollHeight > panel.clientHeight && (top < panel.scrollTop || top + height > panel.scrollTop + panel.clientHeight))
    panel.scrollTop = top - panel.clientHeight / 3;
};
