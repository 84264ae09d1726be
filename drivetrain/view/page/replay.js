// The replay: a list of episodes on the left, one drive at a time on the stage. All text goes in by textContent.
const NAMES = { collision: "Collision", off_route: "Off route", off_road: "Off road", stop_line: "Stop line", red_light: "Red light" };
const FAILING = new Set(["collision", "off_route"]);

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function mountReplay(root, data) {
  const part = (role) => root.querySelector(`[data-role="${role}"]`), filter = (name) => root.querySelector(`[data-filter="${name}"]`);
  const canvas = part("canvas"), stage = makeCanvas(canvas), app = document.body.classList.contains("app");
  const scenes = data.scenes.map((scene) => once(() => decodeScene(scene)));
  const roads = scenes.map((scene) => once(() => roadPaths(scene())));
  const episodes = data.episodes.map((raw, index) => {
    const drives = Object.fromEntries(Object.entries(raw.drives).map(([name, drive]) => [name, once(() => decodeDrive(drive, data.margins, data.missing))]));
    return { ...raw, index, decoded: drives };
  });
  const label = (driver) => data.titles[driver] || driver;
  const drivers = [...new Set(episodes.flatMap((episode) => Object.keys(episode.decoded)))];
  const state = { items: [], item: 0, episode: null, driver: "", t: 0, playing: false, speed: 1, follow: true, before: 0, route: null, considering: true, pointer: null };

  // ---------------------------------------------------------------------------------------------- the list
  const driveOf = (episode, driver) => (episode && episode.decoded[driver] ? episode.decoded[driver]() : null);
  const failed = (drive) => drive !== null && drive.causes.some((cause) => FAILING.has(cause));
  const kindOf = (drive) => (failed(drive) ? "bad" : drive && drive.causes.length ? "warn" : "");

  function fillFilters() {
    const option = (value, text) => element("option", { value, textContent: text });
    filter("driver").append(...drivers.map((driver) => option(driver, label(driver))));
    if (drivers.length) filter("driver").value = drivers[drivers.length - 1];
    const causes = drivers.length ? [["fail", "Failures"], ...data.margins.map((name) => [name, NAMES[name] || name])] : [...new Set(episodes.map((e) => e.note).filter(Boolean))].map((note) => ["note:" + note, NAMES[note] || note]);
    filter("outcome").append(option("", drivers.length ? "All, failures first" : "All"), ...causes.map(([value, text]) => option(value, text)));
    const sites = [...new Set(data.scenes.map((scene) => scene.site).filter((site, i, all) => site && all.indexOf(site) !== all.lastIndexOf(site)))];
    filter("scene").append(option("", "All"));
    for (const site of sites) filter("scene").append(option("site:" + site, site));
    data.scenes.forEach((scene, index) => filter("scene").append(option("scene:" + index, scene.name)));
    root.querySelector(".driver-filter").hidden = drivers.length < 2;
  }
  function chosen(episode, driver, outcome, place) {
    const scene = data.scenes[episode.scene], drive = driveOf(episode, driver);
    if (place.startsWith("site:") && scene.site !== place.slice(5)) return false;
    if (place.startsWith("scene:") && episode.scene !== Number(place.slice(6))) return false;
    if (drivers.length && !drive) return false;
    if (outcome === "fail") return failed(drive);
    if (outcome.startsWith("note:")) return episode.note === outcome.slice(5);
    return !outcome || drive.causes.includes(outcome);
  }
  function relist() {
    const driver = filter("driver").value, outcome = filter("outcome").value, place = filter("scene").value;
    const rank = (episode) => { const drive = driveOf(episode, driver); return failed(drive) ? 0 : drive && drive.causes.length ? 1 : 2; };
    state.items = episodes.filter((episode) => chosen(episode, driver, outcome, place)).map((episode) => ({ episode, driver, rank: rank(episode) }));
    state.items.sort((a, b) => a.rank - b.rank || a.episode.index - b.episode.index);
    const bad = state.items.filter((item) => item.rank === 0).length, count = state.items.length;
    part("count").textContent = `${count} ${count === 1 ? "episode" : "episodes"}` + (drivers.length ? `, ${bad} ${bad === 1 ? "fails" : "fail"}` : "");
    part("list").replaceChildren(...state.items.map(listItem));
    show(0);
  }
  function listItem(item, index) {
    const drive = driveOf(item.episode, item.driver), scene = data.scenes[item.episode.scene], tone = kindOf(drive);
    const note = drive ? drive.causes.map((cause) => NAMES[cause] || cause).join(", ") : item.episode.note ? NAMES[item.episode.note] || item.episode.note : "";
    const button = element("button", { type: "button", onclick: () => show(index) },
      element("span", { className: "what", textContent: title(item.episode) }),
      element("span", { className: "ratio", textContent: drive && drive.progress !== null ? `${Math.round(100 * drive.progress)} %` : "", title: "Progress, share of the log's" }));
    const sub = element("span", { className: "sub" });
    if (note) sub.append(element("span", { className: tone || "warn", textContent: note }), " · ");
    sub.append(scene.name);
    button.append(sub);
    return element("li", {}, button);
  }
  const title = (episode) => episode.label || (episode.tracks.length ? `Ego ${episode.tracks.join(" + ")}` : "Whole recording");

  // ---------------------------------------------------------------------------------------------- one episode
  function show(index) {
    const item = state.items[index], sceneBefore = state.episode ? state.episode.scene : -1;
    part("empty").hidden = Boolean(item);
    state.item = index; state.t = 0; state.route = null;
    state.episode = item ? item.episode : null;
    part("list").querySelectorAll("button").forEach((button, i) => { i === index ? button.setAttribute("aria-current", "true") : button.removeAttribute("aria-current"); });
    if (!item) { part("name").textContent = part("place").textContent = ""; part("drivers").replaceChildren(); part("readout").replaceChildren(); part("marks").replaceChildren(); part("strip").replaceChildren(); return paint(); }
    if (!item.driver || !state.driver || !state.episode.decoded[state.driver] || state.listed !== item.driver) state.driver = item.driver;
    state.listed = item.driver;
    const scene = data.scenes[item.episode.scene], begin = (item.episode.first * scene.dt).toFixed(1), end = (item.episode.last * scene.dt).toFixed(1);
    part("name").textContent = title(item.episode);
    part("place").textContent = [scene.name.startsWith(scene.site) ? "" : scene.site, scene.name, `${begin} to ${end} s`].filter(Boolean).join(" · ");
    const current = part("list").children[index];
    if (current) { // within the list alone: the page itself stays where it is
      const list = part("list"), top = current.offsetTop - list.offsetTop;
      if (top < list.scrollTop) list.scrollTop = top;
      else if (top + current.offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + current.offsetHeight - list.clientHeight;
    }
    if (sceneBefore !== item.episode.scene || !item.episode.tracks.length) stage.fit(roads[item.episode.scene]().box);
    if (item.episode.tracks.length && state.follow) stage.camera.scale = Math.max(stage.camera.scale, 7);
    choose(state.driver);
  }
  function choose(driver) {
    state.driver = driver;
    part("drivers").replaceChildren(...Object.keys(state.episode.decoded).map((name) => {
      const button = element("button", { type: "button", onclick: () => choose(name) }, element("i", { className: kindOf(driveOf(state.episode, name)) }), label(name));
      button.setAttribute("aria-pressed", String(name === driver));
      return button;
    }));
    state.t = Math.min(state.t, last());
    drawTimeline();
    paint();
  }
  const drive = () => driveOf(state.episode, state.driver);
  const last = () => (drive() ? drive().count - 1 : state.episode ? state.episode.last - state.episode.first : 0);
  const dt = () => (state.episode ? data.scenes[state.episode.scene].dt : 0.2);

  function drawTimeline() {
    const shown = drive(), strip = part("strip"), n = Math.max(last(), 1), svg = (tag, attributes) => {
      const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
      return node;
    };
    strip.replaceChildren(); part("marks").replaceChildren();
    part("timeline").setAttribute("aria-valuemax", String(last()));
    if (!shown) return;
    for (const [name, colour] of [["off_route", "var(--soft)"], ["collision", "var(--accent)"]]) {
      const column = data.margins.indexOf(name), points = [];
      for (let row = 1; row < shown.count; row++) {
        const margin = shown.margin(0, row, column);
        if (margin !== null) points.push(`${(1000 * row) / n},${34 - 28 * Math.min(Math.max(margin, -0.5), 5) / 5}`);
      }
      strip.append(svg("polyline", { points: points.join(" "), fill: "none", stroke: colour, "vector-effect": "non-scaling-stroke" }));
    }
    strip.append(svg("line", { x1: 0, x2: 1000, y1: 34, y2: 34, stroke: "var(--bad)", "stroke-opacity": 0.5, "vector-effect": "non-scaling-stroke", "stroke-dasharray": "3 3" }));
    for (const event of shown.events) {
      const text = `${NAMES[event.name] || event.name} at ${(event.row * dt()).toFixed(1)} s`;
      const mark = element("button", { type: "button", className: FAILING.has(event.name) ? "bad" : "", title: text, ariaLabel: text, onclick: () => seek(event.row) });
      mark.style.left = `${(100 * event.row) / n}%`;
      part("marks").append(mark);
    }
  }

  function readout() {
    const shown = drive(), row = Math.floor(state.t + 1e-6), box = part("readout");
    if (!shown) return box.replaceChildren();
    const lines = [];
    const line = (name, text, share, tone) => {
      const bar = element("i"); bar.style.width = `${100 * Math.min(Math.max(share, 0), 1)}%`;
      lines.push(element("div", { className: `row ${tone}` }, element("dt", { textContent: name }), element("dd", { textContent: text }), element("span", { className: "gauge" }, bar)));
    };
    data.margins.forEach((name, column) => {
      const margin = shown.margin(0, row, column), bad = margin !== null && margin < 0;
      if ((name === "stop_line" || name === "red_light") && (margin === null || margin >= 50)) return;
      const text = margin === null ? "–" : margin >= 50 ? "over 50 m" : `${margin.toFixed(2)} m`;
      line(name === "collision" ? "Clearance" : `${NAMES[name] || name} margin`, text.replace("-", "−"), bad ? 1 : (margin ?? 0) / 5, bad ? (FAILING.has(name) ? "bad" : "warn") : "");
    });
    const speed = shown.speed(0, row), limit = shown.limit(0, row);
    if (speed !== null) line("Speed", `${speed.toFixed(1)}${limit ? ` / ${limit.toFixed(1)}` : ""} m/s`, speed / (limit || 30), limit && speed > limit + 0.05 ? "warn" : "");
    const considered = shown.considered(0, row);
    if (considered.length) {
      const most = considered[0].share, all = considered.reduce((sum, one) => sum + one.share, 0);
      line("Likeliest", `${(100 * most).toFixed(1)} %`, most, "");
      line(`${considered.length} drawn`, `${(100 * all).toFixed(1)} %`, all, "");
    }
    box.replaceChildren(element("h3", { textContent: label(state.driver) }), element("dl", {}, ...lines));
  }

  function picture() {
    const frames = state.episode && state.episode.frames[state.driver], image = part("frame");
    part("seen").hidden = !frames;
    if (!frames) return image.removeAttribute("src");
    const source = frames[Math.min(Math.floor(state.t + 1e-6), frames.length - 1)];
    if (image.src !== source) image.src = source;
  }

  function shot() {
    const { episode, t } = state;
    if (!episode) return null;
    const scene = scenes[episode.scene](), shown = drive(), log = episode.first + t, egos = [], taken = new Set(episode.tracks);
    episode.tracks.forEach((track, c) => {
      const body = scene.byColumn.get(track);
      if (!body) return;
      const recorded = { path: body.path, t: log - body.first };
      const path = shown ? { path: shown.paths[c], t, count: shown.count } : { ...recorded, count: last() + 1 };
      const over = shown && shown.events.some((event) => event.c === c && FAILING.has(event.name) && event.row <= t);
      const goal = shown && shown.goal(c, Math.floor(t + 1e-6));
      egos.push({ ...path, goal, length: body.length, width: body.width, failed: over, ghost: shown && state.driver !== "log" ? recorded : null, considered: shown && state.considering ? shown.considered(c, Math.floor(t + 1e-6)) : [] });
    });
    const others = scene.agents.filter((agent) => !taken.has(agent.column)).map((agent) => ({ ...agent, pose: agent.path.at(log - agent.first) })).filter((agent) => agent.pose);
    if (!state.route && episode.routes.length) {
      state.route = new Path2D();
      for (const shapes of episode.routes) for (const shape of shapes) outline(state.route, unpack(shape));
    }
    const events = shown ? shown.events.filter((event) => event.row <= t).map((event) => ({ at: event.at, bad: FAILING.has(event.name) })) : [];
    return { scene, paths: roads[episode.scene](), route: state.route, step: log, others, egos, events, pointer: state.pointer };
  }
  function paint() {
    const now = shot();
    if (now && state.follow && now.egos.length) { const pose = now.egos[0].path.at(now.egos[0].t); if (pose) { stage.camera.x = pose.x; stage.camera.y = pose.y; } }
    stage.paint(now);
    readout();
    picture();
    const n = last();
    part("head").style.left = `${n ? (100 * state.t) / n : 0}%`;
    const text = `${(state.t * dt()).toFixed(1)} of ${(n * dt()).toFixed(1)} s`;
    part("clock").textContent = text;
    part("timeline").setAttribute("aria-valuenow", String(Math.floor(state.t)));
    part("timeline").setAttribute("aria-valuetext", text);
  }
  function seek(t) { state.t = Math.min(Math.max(t, 0), last()); paint(); }
  function play(on) {
    if (on && state.t >= last()) state.t = 0;
    state.playing = on; state.before = performance.now();
    root.classList.toggle("playing", on);
    root.querySelector('[data-act="play"]').setAttribute("aria-label", on ? "Pause" : "Play");
    if (on) requestAnimationFrame(tick);
  }
  function tick(now) {
    if (!state.playing) return;
    state.t += (Math.max(0, now - state.before) / 1000) * (state.speed / dt());
    state.before = now;
    if (state.t >= last()) { state.t = last(); play(false); }
    paint();
    if (state.playing) requestAnimationFrame(tick);
  }

  const acts = {
    play: () => play(!state.playing),
    back: (far) => (play(false), seek(Math.ceil(state.t - 1e-6) - (far ? Math.round(1 / dt()) : 1))),
    forward: (far) => (play(false), seek(Math.floor(state.t + 1e-6) + (far ? Math.round(1 / dt()) : 1))),
    previous: () => state.item > 0 && show(state.item - 1),
    next: () => state.item + 1 < state.items.length && show(state.item + 1),
    "zoom-in": () => (stage.zoom(1.35), paint()),
    "zoom-out": () => (stage.zoom(1 / 1.35), paint()),
    fit: () => { if (!state.episode) return; follow(false); stage.fit(roads[state.episode.scene]().box); paint(); },
    consider: () => { state.considering = !state.considering; root.querySelector('[data-act="consider"]').setAttribute("aria-pressed", String(state.considering)); paint(); },
    follow: () => { follow(!state.follow); if (state.follow) stage.camera.scale = Math.max(stage.camera.scale, 7); paint(); },
  };
  function follow(on) { state.follow = on; root.querySelector('[data-act="follow"]').setAttribute("aria-pressed", String(on)); }
  const considers = data.episodes.some((episode) => Object.values(episode.drives).some((drive) => drive.considered));
  root.querySelector('[data-act="consider"]').hidden = !considers;
  const step = { acts, seek, show, relist, paint, last, state, stage, part, filter, app, play, follow, canvas, root, considers };
  fillFilters();
  bindControls(step);
  stage.resize();
  relist();
  return step;
}
