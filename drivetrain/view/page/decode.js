// Packed numbers back to arrays (view/packing.py writes them), and what a scene or a drive is for the canvas.
const ARRAYS = { i1: Int8Array, i2: Int16Array, i4: Int32Array };

function unpack(packed) {
  const text = atob(packed.d), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const values = Int32Array.from(new ARRAYS[packed.t](bytes.buffer));
  if (packed.s) for (let i = 0; i < values.length; i++) values[i] += i < packed.w ? packed.s[i] : values[i - packed.w];
  return values;
}

function outline(path, points) { // a closed outline in centimetres
  for (let i = 0; i < points.length; i += 2) path[i ? "lineTo" : "moveTo"](points[i] / 100, points[i + 1] / 100);
  path.closePath();
}

function once(compute) {
  let value, done = false;
  return () => (done ? value : ((value = compute()), (done = true), value));
}

// A path of poses [n, 3]: x, y in metres, heading in radians; `at(t)` interpolates between rows.
function poses(packed, gaps) {
  const rows = unpack(packed), count = rows.length / 3, seen = gaps ? unpack(gaps) : null;
  return {
    count,
    at(t) {
      if (t < 0 || t > count - 1) return null;
      const i = Math.floor(t), j = Math.min(i + 1, count - 1);
      if (seen && !seen[i]) return null;
      const u = seen && !seen[j] ? 0 : t - i, mix = (k) => rows[3 * i + k] + u * (rows[3 * j + k] - rows[3 * i + k]);
      return { x: mix(0) / 100, y: mix(1) / 100, heading: mix(2) / 1000 };
    },
  };
}

function decodeScene(raw) {
  const stations = unpack(raw.stations), controls = raw.controls, lights = unpack(raw.lights), width = raw.lights.w;
  const chains = raw.lines.map((chain) => ({ kind: chain.k, points: unpack(chain.p) }));
  const agents = raw.agents.map((agent) => ({
    column: agent.c, kind: agent.k, first: agent.f, length: agent.l / 100, width: agent.w / 100, path: poses(agent.p, agent.gaps),
  }));
  return {
    ...raw, stations, controls, chains, agents,
    byColumn: new Map(agents.map((agent) => [agent.column, agent])),
    light: (line, step) => lights[Math.min(Math.max(Math.floor(step), 0), raw.steps - 1) * width + line] || 0,
    strip(path, run) { // one strip of road between its borders: out along the left, back along the right
      run.forEach((s, i) => path[i ? "lineTo" : "moveTo"](stations[4 * s] / 100, stations[4 * s + 1] / 100));
      for (let i = run.length - 1; i >= 0; i--) path.lineTo(stations[4 * run[i] + 2] / 100, stations[4 * run[i] + 3] / 100);
      path.closePath();
    },
  };
}

const NO_GOAL = -(2 ** 31);
function decodeDrive(raw, names, missing) {
  const goals = raw.goals && raw.goals.map(unpack);
  const width = names.length + 2, figures = raw.figures.map(unpack), paths = raw.paths.map((path) => poses(path));
  const read = (c, row, column) => {
    const value = figures[c][row * width + column];
    return value === undefined || value === missing ? null : value / 100;
  };
  const count = paths.length ? paths[0].count : 0, events = [];
  for (let c = 0; c < paths.length; c++)
    names.forEach((name, column) => {
      for (let row = 0, before = false; row < count; row++) {
        const margin = read(c, row, column), now = margin !== null && margin < 0;
        if (now && !before) events.push({ name, row, c, at: paths[c].at(row) });
        before = now;
      }
    });
  events.sort((a, b) => a.row - b.row);
  const considered = (raw.considered || []).map((one) => ({ k: one.k, paths: unpack(one.paths), shares: unpack(one.shares), width: one.paths.w }));
  return {
    count, paths, events, progress: raw.progress,
    // What was considered at a row, the likeliest first: points in metres, from where the agent was.
    considered(c, row) {
      const own = considered[c], from = own && paths[c].at(row);
      if (!from || (row + 1) * own.width > own.paths.length) return [];
      const each = own.width / own.k;
      return Array.from({ length: own.k }, (_, k) => {
        const points = [[from.x, from.y]], first = row * own.width + k * each;
        for (let i = first; i < first + each; i += 2) points.push([from.x + own.paths[i] / 100, from.y + own.paths[i + 1] / 100]);
        return { points, share: own.shares[row * own.k + k] / 1000 };
      });
    },
    causes: names.filter((name) => events.some((event) => event.name === name)),
    margin: (c, row, column) => read(c, row, column),
    speed: (c, row) => read(c, row, names.length),
    limit: (c, row) => read(c, row, names.length + 1),
    goal: (c, row) => (goals && goals[c][2 * row] !== NO_GOAL && row < count ? { x: goals[c][2 * row] / 100, y: goals[c][2 * row + 1] / 100 } : null),
  };
}
