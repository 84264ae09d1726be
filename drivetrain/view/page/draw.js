// The canvas: one camera, the road as paths made once a scene, road users afresh each frame. Metres, y up.
const KINDS = ["", "car", "truck", "bus", "motorcycle", "bicycle", "pedestrian", "other"];
const EDGE = 1, SOLID = 2, DASHED = 3, VIRTUAL = 4, STOP = 5, CROSSWALK = 6, BIKE = 7, BUMP = 8, DRIVEWAY = 9;
const STOP_SIGN = 1, LIGHT = 2;
const LAMPS = ["#9aa0a8", "#2fa866", "#e2a01b", "#d8383f", "#e06a2b", "#6a707a"];

function palette() {
  const style = getComputedStyle(document.documentElement);
  return new Proxy({}, { get: (_, name) => style.getPropertyValue("--" + String(name)).trim() });
}

// The road in pieces, each with its bounds, so that a frame draws only what the camera sees.
function roadPaths(scene) {
  const surface = [], lines = {}, whole = emptyBox();
  const piece = (path, numbers, from, to) => {
    const box = emptyBox();
    for (let i = from; i < to; i += 2) for (const b of [box, whole]) reach(b, numbers[i] / 100, numbers[i + 1] / 100);
    return { path, box };
  };
  for (const [first, count] of scene.lanes) {
    const path = new Path2D();
    scene.strip(path, Array.from({ length: count }, (_, i) => first + i));
    surface.push(piece(path, scene.stations, 4 * first, 4 * (first + count)));
  }
  for (const { kind, points } of scene.chains) {
    const path = new Path2D();
    for (let i = 0; i < points.length; i += 2) path[i ? "lineTo" : "moveTo"](points[i] / 100, points[i + 1] / 100);
    (lines[kind] ??= []).push(piece(path, points, 0, points.length));
  }
  if (whole.x0 > whole.x1)
    for (const agent of scene.agents) { const pose = agent.path.at(0); if (pose) reach(whole, pose.x, pose.y); }
  return { surface, lines, box: whole.x0 > whole.x1 ? { x0: -50, y0: -50, x1: 50, y1: 50 } : whole };
}

function emptyBox() {
  return { x0: Infinity, y0: Infinity, x1: -Infinity, y1: -Infinity };
}
function reach(box, x, y) {
  box.x0 = Math.min(box.x0, x); box.x1 = Math.max(box.x1, x);
  box.y0 = Math.min(box.y0, y); box.y1 = Math.max(box.y1, y);
}
function joined(pieces, view) {
  const path = new Path2D();
  for (const { path: part, box } of pieces)
    if (box.x0 <= view.x1 && box.x1 >= view.x0 && box.y0 <= view.y1 && box.y1 >= view.y0) path.addPath(part);
  return path;
}

function makeCanvas(canvas) {
  const context = canvas.getContext("2d"), camera = { x: 0, y: 0, scale: 6 };
  let width = 1, height = 1, ratio = 1, colour = palette();

  function resize() {
    const box = canvas.getBoundingClientRect();
    ratio = window.devicePixelRatio || 1;
    width = Math.max(1, box.width); height = Math.max(1, box.height);
    canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
  }
  const toWorld = (px, py) => ({ x: camera.x + (px - width / 2) / camera.scale, y: camera.y - (py - height / 2) / camera.scale });
  function zoom(factor, px = width / 2, py = height / 2) {
    const before = toWorld(px, py);
    camera.scale = Math.min(120, Math.max(0.15, camera.scale * factor));
    const after = toWorld(px, py);
    camera.x += before.x - after.x; camera.y += before.y - after.y;
  }
  function fit(box) {
    camera.x = (box.x0 + box.x1) / 2; camera.y = (box.y0 + box.y1) / 2;
    camera.scale = Math.min(60, Math.max(0.15, 0.92 * Math.min(width / Math.max(box.x1 - box.x0, 20), height / Math.max(box.y1 - box.y0, 20))));
  }
  const px = (pixels) => pixels / camera.scale;
  const metres = (wide, least) => Math.max(wide, px(least));

  function stroke(path, style, wide, dash = []) {
    context.strokeStyle = style; context.lineWidth = wide; context.setLineDash(dash);
    context.stroke(path); context.setLineDash([]);
  }
  function box(pose, length, wide) {
    context.save(); context.translate(pose.x, pose.y); context.rotate(pose.heading);
    context.beginPath(); context.roundRect(-length / 2, -wide / 2, length, wide, Math.min(0.45, wide / 4));
  }
  function agent(pose, length, wide, fill, line, tick) {
    box(pose, length, wide);
    context.fillStyle = fill; context.fill();
    context.strokeStyle = line; context.lineWidth = px(1); context.stroke();
    if (tick) { // the heading: a wedge under the front
      const tip = length / 2 - wide * 0.15, foot = tip - wide * 0.45;
      context.beginPath(); context.moveTo(tip, 0); context.lineTo(foot, wide * 0.3); context.lineTo(foot, -wide * 0.3);
      context.closePath(); context.fillStyle = line; context.fill();
    }
    context.restore();
  }
  function trail(path, from, to, style, wide, dash) {
    const line = new Path2D();
    let drawn = false;
    for (let t = Math.max(0, from); t <= to; t = t < to && t + 1 > to ? to : Math.floor(t) + 1) {
      const pose = path.at(t);
      if (pose) { line[drawn ? "lineTo" : "moveTo"](pose.x, pose.y); drawn = true; }
    }
    stroke(line, style, wide, dash);
  }

  // What an ego considers: a line each, the likelier beside the likeliest the wider and the fuller; which are near the pointer.
  function considered(lines, pointer) {
    context.lineCap = "round"; context.fillStyle = colour.considered;
    for (const { points, share } of [...lines].reverse()) {
      const line = new Path2D(), weight = share / lines[0].share, [x, y] = points[points.length - 1];
      points.forEach(([x, y], i) => line[i ? "lineTo" : "moveTo"](x, y));
      context.globalAlpha = 0.2 + 0.65 * weight;
      stroke(line, colour.considered, metres(0.08 + 0.3 * weight, 1 + 2.5 * weight));
      context.beginPath(); context.arc(x, y, metres(0.1 + 0.2 * weight, 2 + 2 * weight), 0, 2 * Math.PI); context.fill();
    }
    context.globalAlpha = 1; context.lineCap = "butt";
    if (!pointer) return [];
    return lines.map(({ points, share }) => ({ at: points[points.length - 1], share })).filter(({ at }) => Math.hypot(at[0] - pointer.x, at[1] - pointer.y) < px(14));
  }
  function figures(found) {
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.font = "12px system-ui, sans-serif"; context.textAlign = "left"; context.textBaseline = "middle";
    const rows = found.slice(0, 4), wide = 56, high = 17 * rows.length + 6;
    if (!rows.length) return;
    const x = (rows[0].at[0] - camera.x) * camera.scale + width / 2 + 12, y = height / 2 - (rows[0].at[1] - camera.y) * camera.scale - high / 2;
    context.globalAlpha = 0.92; context.fillStyle = colour.panel; context.fillRect(x, y, wide, high); context.globalAlpha = 1;
    context.fillStyle = colour.ink;
    rows.forEach(({ share }, i) => context.fillText(`${(100 * share).toFixed(1)} %`, x + 8, y + 3 + 17 * (i + 0.5)));
    context.textBaseline = "alphabetic";
  }

  function road(scene, road, step, route) {
    const [a, b] = [toWorld(-40, height + 40), toWorld(width + 40, -40)], view = { x0: a.x, y0: a.y, x1: b.x, y1: b.y };
    context.fillStyle = colour.road; context.fill(joined(road.surface, view));
    if (route) { context.fillStyle = colour.route; context.fill(route); }
    const draw = (kind, style, wide, dash) => road.lines[kind] && stroke(joined(road.lines[kind], view), style, wide, dash);
    draw(DRIVEWAY, colour.edge, metres(0.1, 0.8), [metres(0.3, 1.5), metres(0.6, 3)]);
    draw(VIRTUAL, colour.virtual, metres(0.08, 0.8), [metres(0.6, 2), metres(1.2, 4)]);
    draw(CROSSWALK, colour.paint, metres(0.35, 1.2), [metres(0.5, 2), metres(0.5, 2)]);
    draw(BIKE, colour.bike, metres(0.15, 1));
    draw(BUMP, colour.warn, metres(0.2, 1.5));
    draw(DASHED, colour.paint, metres(0.16, 1.2), [3, 4]);
    draw(SOLID, colour.paint, metres(0.16, 1.2));
    draw(STOP, colour.paint, metres(0.4, 2));
    draw(EDGE, colour.edge, metres(0.2, 1.4));
    for (const control of scene.controls) {
      const line = new Path2D(), [x0, y0, x1, y1] = control.ends.map((v) => v / 100);
      line.moveTo(x0, y0); line.lineTo(x1, y1);
      const lamp = control.k === LIGHT ? LAMPS[scene.light(control.i, step)] : control.k === STOP_SIGN ? "#d8383f" : colour.paint;
      stroke(line, lamp, metres(control.k === LIGHT ? 0.5 : 0.4, 2.5), control.judged || control.k !== LIGHT ? [] : [metres(0.6, 3), metres(0.35, 2)]);
      const [x, y] = control.lamp ? control.lamp.map((v) => v / 100) : [x0, y0];
      if (control.k !== LIGHT && control.k !== STOP_SIGN) continue;
      context.beginPath(); context.arc(x, y, metres(0.5, 4), 0, 2 * Math.PI);
      context.fillStyle = lamp; context.fill(); context.strokeStyle = colour.panel; context.lineWidth = px(1.5); context.stroke();
    }
  }

  function scaleBar() {
    const length = [1, 2, 5, 10, 20, 50, 100, 200, 500].find((v) => v * camera.scale >= 60) || 1000, wide = length * camera.scale;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.strokeStyle = context.fillStyle = colour.soft; context.lineWidth = 1.5;
    context.beginPath(); context.moveTo(16, height - 22); context.lineTo(16, height - 17); context.lineTo(16 + wide, height - 17); context.lineTo(16 + wide, height - 22); context.stroke();
    context.font = "11.5px system-ui, sans-serif"; context.textAlign = "center"; context.fillText(`${length} m`, 16 + wide / 2, height - 23);
  }

  // shot: {scene, paths, route, step, others, egos: [{path, t, length, width, ghost, considered}], events, pointer}
  function paint(shot) {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = colour.sky; context.fillRect(0, 0, canvas.width, canvas.height);
    const s = camera.scale * ratio;
    context.setTransform(s, 0, 0, -s, (width / 2) * ratio - camera.x * s, (height / 2) * ratio + camera.y * s);
    context.lineJoin = context.lineCap = "round";
    if (!shot) return;
    context.lineCap = "butt";
    road(shot.scene, shot.paths, shot.step, shot.route);
    for (const ego of shot.egos) {
      if (ego.ghost) trail(ego.ghost.path, ego.ghost.t - ego.t, ego.ghost.t - ego.t + ego.count - 1, colour.ghost, px(1), [px(2), px(4)]);
      trail(ego.path, 0, ego.t, colour.accent, metres(0.28, 2));
    }
    for (const other of shot.others)
      agent(other.pose, Math.max(other.length, 0.6), Math.max(other.width, 0.6), colour[KINDS[other.kind] || "other"], colour["agent-line"], other.length > 1.2);
    const found = shot.egos.flatMap((ego) => considered(ego.considered || [], shot.pointer));
    for (const ego of shot.egos) {
      const pose = ego.path.at(ego.t), ghost = ego.ghost && ego.ghost.path.at(ego.ghost.t);
      if (pose) agent(pose, ego.length, ego.width, ego.failed ? colour.bad : colour.accent, colour.panel, true);
      if (ghost) { box(ghost, ego.length, ego.width); context.setLineDash([px(4), px(3)]); context.strokeStyle = colour.ghost; context.lineWidth = px(1.5); context.stroke(); context.setLineDash([]); context.restore(); }
    }
    for (const { path, t, goal } of shot.egos) {
      const pose = goal && path.at(t);
      if (!pose) continue;
      const way = new Path2D(), mark = new Path2D();
      way.moveTo(pose.x, pose.y); way.lineTo(goal.x, goal.y); mark.arc(goal.x, goal.y, metres(1.5, 7), 0, 2 * Math.PI);
      stroke(way, colour.accent, px(1), [px(3), px(4)]); stroke(mark, colour.accent, px(2));
    }
    for (const event of shot.events) {
      if (!event.at) continue;
      context.beginPath(); context.arc(event.at.x, event.at.y, metres(1.2, 9), 0, 2 * Math.PI);
      context.strokeStyle = event.bad ? colour.bad : colour.warn; context.lineWidth = px(2); context.stroke();
    }
    scaleBar();
    figures(found);
  }
  return { camera, resize, toWorld, zoom, fit, paint, renew: () => (colour = palette()) };
}
