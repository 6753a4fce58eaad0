// Words and numbers for people. Nothing here touches the page.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const clock = data.epoch_ms !== null;

// Characters that act instead of showing (controls, text direction, half of a pair) are written out.
const ACTIVE = /[\p{Surrogate}\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu;
const shown = (text) => String(text).replace(/\r\n?/g, "\n").replace(ACTIVE, (c) =>
  "⟨U+" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0") + "⟩");
const oneLine = (text, most = 160) => {
  const line = shown(text).replace(/\s*\n\s*/g, " ⏎ ");
  return line.length > most ? Array.from(line).slice(0, most).join("") + "…" : line;
};

const STATUS = {
  aligned: "placed", ambiguous: "unsure", unmatched: "matched nothing", unobservable: "in a gap",
  outside: "outside", empty: "no text",
};
const percent = (p) => (p > 0 && p < 0.005 ? "< 1 %" : p < 1 && p > 0.995 ? "> 99 %" : Math.round(100 * p) + " %");

const two = (n) => String(n).padStart(2, "0");
const decimals = (step) => (step >= 1 ? 0 : Math.min(3, Math.ceil(-Math.log10(step) - 1e-9)));
const elapsed = (s, digits = 0) => {
  const scale = 10 ** digits, whole = Math.round(Math.abs(s) * scale), sign = s < 0 && whole ? "−" : "";
  const rest = (whole % (60 * scale)) / scale, minutes = Math.floor(whole / (60 * scale));
  const seconds = rest.toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  const hours = Math.floor(minutes / 60);
  return sign + (hours ? hours + ":" + two(minutes % 60) : minutes) + ":" + seconds;
};
const local = (s, digits = 0) => {
  const grain = 1000 / 10 ** Math.min(digits, 3);
  return new Date(Math.round((data.epoch_ms + 1000 * s) / grain) * grain + 60000 * data.offset_min);
};
const valid = (date) => !Number.isNaN(date.getTime());
const clockTime = (s, digits = 0, seconds = true) => {
  const date = local(s, digits);
  return valid(date) ? date.toISOString().slice(11, seconds ? 19 + (digits ? 1 + digits : 0) : 16) : elapsed(s, digits);
};
const day = (s) => (valid(local(s)) ? local(s).toISOString().slice(0, 10) : "");
const when = (s, digits = 0) => (clock ? clockTime(s, digits) : elapsed(s, digits));
const offsetText = () => {
  const m = data.offset_min;
  return m === 0 ? "UTC" : "UTC" + (m < 0 ? "−" : "+") + two(Math.floor(Math.abs(m) / 60)) + ":" + two(Math.abs(m) % 60);
};
const duration = (s) => {
  s = Math.abs(s);
  if (s < 1) return s.toFixed(2) + " s";
  if (s < 60) return (s < 10 ? s.toFixed(1) : Math.round(s)) + " s";
  const whole = Math.round(s), [h, m, r] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (h >= 48) return (s / 86400).toFixed(1) + " days";
  return h ? h + " h " + (m ? m + " min" : "") : m + " min" + (r ? " " + r + " s" : "");
};
const spanText = ([a, b]) => {
  const digits = b - a < (clock ? 2 : 10) ? 1 : 0;
  return when(a, digits) + " – " + when(b, digits);
};
const number = (v) => (v === 0 ? "0" : Math.abs(v) >= 1e5 || Math.abs(v) < 1e-3 ? v.toExponential(2) : String(+v.toPrecision(4)));
const plural = (n, word) => n + " " + word + (n === 1 ? "" : "s");

// A line for a note that has no span: why.
const reason = (note) => {
  if (note.status === "outside") {
    if (note.distance === null) return "Its time lies outside the recording.";
    return note.distance < 0 ? "Its time is " + duration(note.distance) + " before the recording starts."
      : "Its time is " + duration(note.distance) + " after the recording ends.";
  }
  if (note.status === "empty") return "The note holds nothing that can be read, so it was not placed.";
  if (note.status === "unobservable") return "Nothing was recorded at its time.";
  if (note.status === "unmatched") return "Nothing in the recording fits this note well enough.";
  return note.status === "ambiguous" ? "Several places fit about equally well; the best of them is shown." : "";
};
const written = (note) => {
  if (!note.time) return "no time given";
  const [earliest, likely, latest] = note.time;
  return earliest === latest ? when(likely) : when(earliest) + " – " + when(latest);
};

const element = (tag, className = "", text = "") => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
};
